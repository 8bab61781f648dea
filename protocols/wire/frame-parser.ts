import { WireError } from './errors.ts'

/** A prefix of five bytes would announce more than any limit allows. */
const MAX_PREFIX_BYTES = 4

/** Up to this size a body is allocated at once; a larger one only after this much of it has arrived, so that announcing costs the sender something. */
const EAGER_BODY_BYTES = 64 * 1024

/** Chunks below this are copied together while they wait, or a remote that sends single bytes would cost a view object each. */
const COALESCE_BELOW_BYTES = 1024
const COALESCE_BLOCK_BYTES = 16 * 1024

/** Below this, zeroed memory is cheaper than the detour around it. */
const ZEROED_BELOW_BYTES = 4 * 1024

/** Bodies of this size and more are worth keeping: the collector of large buffers takes a third of a fast stream's time. */
const RECYCLE_FROM_BYTES = 16 * 1024
const MAX_SPARES = 6
const MAX_SPARE_BYTES = 7 * 1024 * 1024

/** A plain Uint8Array (never a pooled Buffer, whose `slice` shares memory). */
function allocate(bytes: number): Uint8Array {
  return bytes < ZEROED_BELOW_BYTES ? new Uint8Array(bytes) : new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
}

/** The unsigned LEB128 prefix of a frame of `bytes` bytes. */
export function encodePrefix(bytes: number): Uint8Array {
  const out: number[] = []
  let rest = bytes
  while (rest > 0x7f) {
    out.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  out.push(rest)
  return Uint8Array.from(out)
}

/**
 * Cuts a sequence of chunks into frames: a varint length in its shortest form, then that many bytes.
 * Holds one whole frame and, unparsed, what came after it.
 */
export class FrameParser {
  readonly #maxFrameBytes: number
  readonly #waiting: Uint8Array[] = []
  #waitingBytes = 0
  /** Used bytes of the coalescing block that stands last in `#waiting`; -1 when the last chunk is not one. */
  #blockUsedBytes = -1
  #offset = 0
  #prefixBytes = 0
  #length = 0
  #body: Uint8Array | undefined
  #filledBytes = 0
  #ready: Uint8Array | undefined
  readonly #spares: Uint8Array[] = []
  #spareBytes = 0

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Whether a frame has begun to arrive, or waits whole. */
  get inFrame(): boolean {
    return this.#ready !== undefined || this.#prefixBytes > 0 || this.#waitingBytes > 0
  }

  get hasFrame(): boolean {
    return this.#ready !== undefined
  }

  /** Bytes that wait behind the frame that is whole. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Takes bytes in. Throws a WireError when the next frame's prefix is refused; the parser is of no use after that. */
  push(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return
    if (this.#ready === undefined) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.byteLength
      this.#advance()
      return
    }
    this.#waitingBytes += chunk.byteLength
    if (chunk.byteLength >= COALESCE_BELOW_BYTES) {
      this.#sealBlock()
      this.#waiting.push(chunk)
      return
    }
    const last = this.#waiting.at(-1)
    if (last === undefined || this.#blockUsedBytes < 0 || this.#blockUsedBytes + chunk.byteLength > last.byteLength) {
      this.#sealBlock()
      const block = allocate(COALESCE_BLOCK_BYTES)
      block.set(chunk)
      this.#waiting.push(block)
      this.#blockUsedBytes = chunk.byteLength
      return
    }
    last.set(chunk, this.#blockUsedBytes)
    this.#blockUsedBytes += chunk.byteLength
  }

  /** The next whole frame, or undefined until more arrives. */
  take(): Uint8Array | undefined {
    const frame = this.#ready
    if (frame === undefined) return undefined
    this.#ready = undefined
    this.#advance()
    return frame
  }

  /** Takes a frame's memory back for a later frame. The caller, and whoever it gave the frame to, must not touch it again. */
  recycle(frame: Uint8Array): void {
    const whole = new Uint8Array(frame.buffer)
    if (whole.byteLength < RECYCLE_FROM_BYTES || this.#spares.length >= MAX_SPARES || this.#spareBytes + whole.byteLength > MAX_SPARE_BYTES) return
    this.#spares.push(whole)
    this.#spareBytes += whole.byteLength
  }

  #takeSpare(bytes: number): Uint8Array | undefined {
    const at = bytes < RECYCLE_FROM_BYTES ? -1 : this.#spares.findIndex((spare) => spare.byteLength >= bytes)
    const spare = at === -1 ? undefined : this.#spares.splice(at, 1)[0]
    if (spare === undefined) return undefined
    this.#spareBytes -= spare.byteLength
    return spare.subarray(0, bytes)
  }

  /** Forgets everything. */
  clear(): void {
    this.#waiting.length = 0
    this.#waitingBytes = 0
    this.#offset = 0
    this.#blockUsedBytes = -1
    this.#prefixBytes = 0
    this.#length = 0
    this.#body = undefined
    this.#ready = undefined
    this.dropSpares()
  }

  /** Leaves the memory taken back to the collector. */
  dropSpares(): void {
    this.#spares.length = 0
    this.#spareBytes = 0
  }

  #sealBlock(): void {
    const last = this.#waiting.at(-1)
    if (last !== undefined && this.#blockUsedBytes >= 0) this.#waiting[this.#waiting.length - 1] = last.subarray(0, this.#blockUsedBytes)
    this.#blockUsedBytes = -1
  }

  #advance(): void {
    this.#sealBlock()
    let taken = 0
    while (this.#ready === undefined) {
      const chunk = this.#waiting[taken]
      if (chunk === undefined) break
      if (this.#offset === chunk.byteLength) {
        taken++
        this.#offset = 0
        continue
      }
      if (this.#body === undefined) this.#readPrefix(chunk)
      else this.#fillBody(chunk, this.#body)
    }
    const head = this.#waiting[taken]
    if (head !== undefined && this.#offset === head.byteLength) {
      taken++
      this.#offset = 0
    }
    if (taken > 0) this.#waiting.splice(0, taken)
  }

  #readPrefix(chunk: Uint8Array): void {
    const byte = chunk[this.#offset] ?? 0
    this.#offset++
    this.#waitingBytes--
    this.#length += (byte & 0x7f) * 2 ** (7 * this.#prefixBytes)
    this.#prefixBytes++
    if (this.#length > this.#maxFrameBytes) {
      throw new WireError('E_FRAME_SIZE', `A frame of at least ${this.#length} bytes was announced, above the limit of ${this.#maxFrameBytes}`)
    }
    if (byte >= 0x80) {
      if (this.#prefixBytes === MAX_PREFIX_BYTES) throw new WireError('E_FRAME_MALFORMED', `A length prefix is longer than ${MAX_PREFIX_BYTES} bytes`)
      return
    }
    if (byte === 0 && this.#prefixBytes > 1) throw new WireError('E_FRAME_MALFORMED', 'A length prefix is not in its shortest form')
    this.#body = this.#takeSpare(this.#length) ?? allocate(Math.min(this.#length, EAGER_BODY_BYTES))
    this.#filledBytes = 0
    if (this.#length === 0) this.#finish(this.#body)
  }

  #fillBody(chunk: Uint8Array, body: Uint8Array): void {
    let target = body
    if (this.#filledBytes === target.byteLength) {
      target = allocate(this.#length)
      target.set(body)
      this.#body = target
    }
    const bytes = Math.min(chunk.byteLength - this.#offset, target.byteLength - this.#filledBytes)
    target.set(chunk.subarray(this.#offset, this.#offset + bytes), this.#filledBytes)
    this.#offset += bytes
    this.#waitingBytes -= bytes
    this.#filledBytes += bytes
    if (this.#filledBytes === this.#length) this.#finish(target)
  }

  #finish(body: Uint8Array): void {
    this.#ready = body
    this.#body = undefined
    this.#prefixBytes = 0
    this.#length = 0
    this.#filledBytes = 0
  }
}
