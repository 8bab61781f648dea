import { LOG_CUT_MARK } from '../sandbox/limits.ts'
import { MAX_PROGRESS_LINE_BYTES, PROGRESS_EVERY_MS } from './limits.ts'

const HEADER_BYTES = 8

/** Splits the engine's multiplexed stream into pieces of standard output (1) and error (2), holding nothing but a header. */
export class Demultiplexer {
  #header: Buffer = Buffer.alloc(0)
  #stream: 1 | 2 = 1
  #left = 0

  /** In order; neighbours of one stream may be joined by the caller. Throws when it is not such a stream. */
  push(chunk: Buffer): { stream: 1 | 2, bytes: Buffer }[] {
    const pieces: { stream: 1 | 2, bytes: Buffer }[] = []
    let data = chunk
    while (data.length > 0) {
      if (this.#left === 0) {
        const part = data.subarray(0, HEADER_BYTES - this.#header.length)
        this.#header = Buffer.concat([this.#header, part])
        data = data.subarray(part.length)
        if (this.#header.length < HEADER_BYTES) break
        const stream = this.#header[0]
        if (stream !== 1 && stream !== 2) throw new Error('the engine sent a stream that is neither output nor error')
        this.#stream = stream
        this.#left = this.#header.readUInt32BE(4)
        this.#header = Buffer.alloc(0)
        continue
      }
      const bytes = data.subarray(0, this.#left)
      this.#left -= bytes.length
      data = data.subarray(bytes.length)
      pieces.push({ stream: this.#stream, bytes })
    }
    return pieces
  }
}

/** One stream of a run: what fits under the cap is kept and shown live, the rest is counted, and the cut is marked. */
export class KeptLog {
  readonly #capBytes: number
  readonly #show: (bytes: Uint8Array) => void
  #data = Buffer.alloc(0)
  #size = 0
  #writtenBytes = 0

  constructor(capBytes: number, show: (bytes: Uint8Array) => void) {
    this.#capBytes = capBytes
    this.#show = show
  }

  /** All that the job wrote, kept or not. */
  get writtenBytes(): number { return this.#writtenBytes }

  write(bytes: Buffer): void {
    this.#writtenBytes += bytes.length
    const kept = bytes.subarray(0, Math.max(0, this.#capBytes - this.#size))
    if (kept.length > 0) this.#keep(kept)
  }

  /** The stream as the result holds it. */
  end(): Uint8Array {
    if (this.#writtenBytes > this.#capBytes) this.#keep(Buffer.from(LOG_CUT_MARK))
    return this.#data.subarray(0, this.#size)
  }

  #keep(bytes: Buffer): void {
    const size = this.#size + bytes.length
    if (size > this.#data.length) {
      const grown = Buffer.alloc(Math.max(size, Math.min(this.#data.length * 2, this.#capBytes + LOG_CUT_MARK.length), 1024))
      this.#data.copy(grown, 0, 0, this.#size)
      this.#data = grown
    }
    bytes.copy(this.#data, this.#size)
    this.#size = size
    this.#show(new Uint8Array(bytes))
  }
}

const PROGRESS_LINE = /^HEARTH_PROGRESS ([01]|0?\.\d{1,9}|[01]\.\d{0,9})(?: (.*))?$/
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

/**
 * Finds lines `HEARTH_PROGRESS 0.42 what is being done` in a job's standard error (a fraction from 0 to 1, words optional).
 * They stay in the log. At most one in `PROGRESS_EVERY_MS` is told, and always the first that says 1.
 */
export class ProgressScanner {
  readonly #tell: (fraction: number, message: string) => void
  readonly #monoMs: () => number
  #line = ''
  #isLong = false
  #toldMs = Number.NEGATIVE_INFINITY
  #done = false

  constructor(tell: (fraction: number, message: string) => void, monoMs: () => number) {
    this.#tell = tell
    this.#monoMs = monoMs
  }

  write(bytes: Buffer): void {
    let from = 0
    while (from < bytes.length) {
      const end = bytes.indexOf(10, from)
      const until = end < 0 ? bytes.length : end
      if (this.#line.length + until - from > MAX_PROGRESS_LINE_BYTES) this.#isLong = true
      else if (!this.#isLong) this.#line += bytes.toString('utf8', from, until)
      if (end < 0) return
      if (!this.#isLong) this.#look(this.#line)
      this.#line = ''
      this.#isLong = false
      from = end + 1
    }
  }

  #look(line: string): void {
    const found = PROGRESS_LINE.exec(line.trimEnd())
    const fraction = Number(found?.[1])
    if (found === null || !(fraction >= 0 && fraction <= 1)) return
    const nowMs = this.#monoMs()
    const isLast = fraction === 1 && !this.#done
    if (!isLast && nowMs - this.#toldMs < PROGRESS_EVERY_MS) return
    this.#toldMs = nowMs
    this.#done ||= fraction === 1
    this.#tell(fraction, (found[2] ?? '').replace(CONTROL, ' ').trim())
  }
}
