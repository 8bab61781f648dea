import { ACK_EVERY_BYTES, MAX_PACED_PART_BYTES, MIN_PACED_PART_BYTES } from './constants.ts'

/** How much longer than on an empty link a part may take: the delay others on the connection get to feel. */
const TARGET_DELAY_MS = 8

/** What a reader may hold back unacknowledged, and two parts beside it, so that one is under way while the other is acknowledged. */
const MIN_WINDOW_BYTES = ACK_EVERY_BYTES + 2 * MIN_PACED_PART_BYTES
const MAX_WINDOW_BYTES = 2 * 1024 * 1024

/** A part is what passes in this time: others' messages wait no longer for it, and it says little about the delay that is looked for. */
const PART_MS = 1.5

/** A window is worth at least this many parts, so that the way is never empty. */
const LEAST_PARTS_PER_WINDOW = 3

/** How much one part's time counts in the mean. */
const SMOOTHING = 1 / 8

/** Beyond its doubling at the start, the window grows by this much a round. */
const GROWTH_BYTES = 32 * 1024

/** The shortest time a part took is remembered for one to two of these: routes and neighbours change. */
const BASE_PERIOD_MS = 30_000

/** After a step back, nothing more is concluded from parts that were under way then. */
const BACK_OFF = 0.7

/**
 * How much may be under way at once so that it does not queue anywhere: the window grows while parts arrive as fast as on an empty link
 * and shrinks when they take longer, after LEDBAT (RFC 6817). Times are the caller's.
 */
export class DelayWindow {
  #windowBytes = MIN_WINDOW_BYTES
  #starting = true
  #inFlightBytes = 0
  readonly #sent: { bytes: number, atMs: number }[] = []
  /** What a part takes to be acknowledged. Long until it is known. */
  #meanMs = 1000
  #baseMs = Number.POSITIVE_INFINITY
  #nextBaseMs = Number.POSITIVE_INFINITY
  #basePeriodEndsMs = Number.NEGATIVE_INFINITY
  #calmFromMs = Number.NEGATIVE_INFINITY

  get windowBytes(): number {
    return this.#windowBytes
  }

  /** How large the next part should be. */
  get partBytes(): number {
    const bytes = this.#windowBytes / Math.max(LEAST_PARTS_PER_WINDOW, this.#meanMs / PART_MS)
    return Math.floor(Math.min(Math.max(bytes, MIN_PACED_PART_BYTES), MAX_PACED_PART_BYTES))
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  /**
   * Whether `bytes` more may go out now. They always may when no more is under way than the reader may be holding back: it would wait for
   * them before it acknowledges that.
   */
  mayHave(bytes: number): boolean {
    return this.#inFlightBytes < ACK_EVERY_BYTES || this.#inFlightBytes + bytes <= this.#windowBytes
  }

  onSent(bytes: number, nowMs: number): void {
    this.#inFlightBytes += bytes
    this.#sent.push({ bytes, atMs: nowMs })
  }

  /** Forgets what is under way: the reader has it all, and its silence since says nothing. */
  rest(): void {
    this.#sent.length = 0
    this.#inFlightBytes = 0
  }

  /**
   * Takes an acknowledgement in. False when more is acknowledged than was sent, or a part in pieces: no honest reader does. Of parts
   * acknowledged together only the last tells how long it took: the others waited for it.
   */
  onAck(bytes: number, nowMs: number): boolean {
    let left = bytes
    while (left > 0) {
      const part = this.#sent.shift()
      if (part === undefined || part.bytes > left) return false
      left -= part.bytes
      this.#inFlightBytes -= part.bytes
      // a small one passes sooner, and would make all others look late
      if (left === 0 && part.bytes >= MIN_PACED_PART_BYTES) this.#learn(bytes, nowMs - part.atMs, part.atMs, nowMs)
    }
    return true
  }

  #learn(bytes: number, tookMs: number, sentMs: number, nowMs: number): void {
    if (nowMs >= this.#basePeriodEndsMs) {
      this.#baseMs = this.#nextBaseMs
      this.#nextBaseMs = Number.POSITIVE_INFINITY
      this.#basePeriodEndsMs = nowMs + BASE_PERIOD_MS
    }
    this.#meanMs += (Math.min(tookMs, 1000) - this.#meanMs) * (this.#meanMs === 1000 ? 1 : SMOOTHING)
    this.#nextBaseMs = Math.min(this.#nextBaseMs, tookMs)
    this.#baseMs = Math.min(this.#baseMs, tookMs)
    const room = 1 - (tookMs - this.#baseMs) / TARGET_DELAY_MS
    if (room >= 0) {
      // doubles with each round at first, then grows by a little a round
      this.#windowBytes += this.#starting ? bytes * room : GROWTH_BYTES * room * bytes / this.#windowBytes
    } else if (sentMs >= this.#calmFromMs) {
      this.#starting = false
      this.#windowBytes *= BACK_OFF
      this.#calmFromMs = nowMs
    }
    this.#windowBytes = Math.min(Math.max(this.#windowBytes, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)
  }
}

/** With a cap, a part is what may leave in this time, so that many readers share it evenly. */
const CAPPED_PART_MS = 100

/** After a pause, what this much time would have let through may leave at once. */
const BURST_MS = 250

/** A rate over all readers, which may change while they wait: an owner's cap on what leaves the house. Times are the caller's. */
export class UploadCap {
  #bytesPerSecond: number | undefined
  /** Bytes that asked to leave, and up to which of them may have left, both since the beginning. */
  #takenBytes = 0
  #releasedBytes = 0
  #atMs: number

  /** Without a rate everything leaves at once. */
  constructor(bytesPerSecond: number | undefined, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond
    this.#atMs = nowMs
    this.#releasedBytes = this.#burstBytes
  }

  /** From now on, also for those that wait. */
  setRate(bytesPerSecond: number | undefined, nowMs: number): void {
    this.#advance(nowMs)
    this.#bytesPerSecond = bytesPerSecond
    this.#releasedBytes = Math.min(this.#releasedBytes, this.#takenBytes + this.#burstBytes)
  }

  /** How large a paced part may be at most. */
  get maxPartBytes(): number {
    return this.#bytesPerSecond === undefined ? MAX_PACED_PART_BYTES : Math.max(MIN_PACED_PART_BYTES, Math.floor(this.#bytesPerSecond * CAPPED_PART_MS / 1000))
  }

  /** Queues `bytes` behind all others and returns their ticket, with which to ask `waitMs`. */
  take(bytes: number, nowMs: number): number {
    this.#advance(nowMs)
    this.#takenBytes += bytes
    return this.#takenBytes
  }

  /** How many milliseconds, as things stand, until the bytes of a ticket may leave; 0: now. */
  waitMs(ticket: number, nowMs: number): number {
    this.#advance(nowMs)
    return this.#bytesPerSecond === undefined ? 0 : Math.max(0, (ticket - this.#releasedBytes) * 1000 / this.#bytesPerSecond)
  }

  get #burstBytes(): number {
    return (this.#bytesPerSecond ?? 0) * BURST_MS / 1000
  }

  #advance(nowMs: number): void {
    const passed = this.#bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : (nowMs - this.#atMs) * this.#bytesPerSecond / 1000
    this.#atMs = nowMs
    this.#releasedBytes = Math.min(this.#takenBytes + this.#burstBytes, this.#releasedBytes + passed)
  }
}
