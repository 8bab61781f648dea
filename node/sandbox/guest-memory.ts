import { MAX_IOVECS, MAX_PATH_BYTES, MAX_TRANSFER_BYTES } from './limits.ts'
import { ERRNO, SIZE, type Errno } from './wasi-abi.ts'

/** A piece of the program's memory that was checked to lie in it. */
export interface Span { at: number, length: number }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The program's linear memory as the host sees it. Every pointer and length is the program's word: unsigned 32 bits, to be
 * checked with `has` (or `spans`, or `path`) before use. Growing the memory detaches the old buffer; the getters notice.
 */
export class GuestMemory {
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #memory: WebAssembly.Memory | undefined

  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory
    this.#renew()
  }

  get sizeBytes(): number { return this.#memory?.buffer.byteLength ?? 0 }

  get bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#renew()
    return this.#bytes
  }

  /** Whether `length` bytes at `pointer` are in the memory; both are unsigned 32 bits, so the sum cannot wrap. */
  has(pointer: number, length: number): boolean { return pointer + length <= this.bytes.length }

  u8(pointer: number): number { return this.#view.getUint8(pointer) }
  u16(pointer: number): number { return this.#view.getUint16(pointer, true) }
  u32(pointer: number): number { return this.#view.getUint32(pointer, true) }
  u64(pointer: number): bigint { return this.#view.getBigUint64(pointer, true) }
  setU8(pointer: number, value: number): void { this.#view.setUint8(pointer, value) }
  setU16(pointer: number, value: number): void { this.#view.setUint16(pointer, value, true) }
  setU32(pointer: number, value: number): void { this.#view.setUint32(pointer, value, true) }
  setU64(pointer: number, value: bigint): void { this.#view.setBigUint64(pointer, value, true) }

  /** Stores a safe integer as 64 bits. */
  setNumber(pointer: number, value: number): void {
    this.#view.setUint32(pointer, value % 2 ** 32, true)
    this.#view.setUint32(pointer + 4, Math.floor(value / 2 ** 32), true)
  }

  /** Reads a vector of (pointer, length) pairs, each checked; what goes beyond one transfer's size is left out. */
  spans(pointer: number, count: number): Span[] | Errno {
    if (count > MAX_IOVECS) return ERRNO.inval
    if (!this.has(pointer, count * SIZE.iovec)) return ERRNO.fault
    const spans: Span[] = []
    let room = MAX_TRANSFER_BYTES
    for (let n = 0; n < count; n++) {
      const at = this.u32(pointer + n * SIZE.iovec)
      const length = this.u32(pointer + n * SIZE.iovec + 4)
      if (!this.has(at, length)) return ERRNO.fault
      if (length === 0 || room === 0) continue
      spans.push({ at, length: Math.min(length, room) })
      room -= Math.min(length, room)
    }
    return spans
  }

  path(pointer: number, length: number): string | Errno {
    if (!this.has(pointer, length)) return ERRNO.fault
    if (length > MAX_PATH_BYTES) return ERRNO.nametoolong
    let path: string
    try {
      path = decoder.decode(this.bytes.subarray(pointer, pointer + length))
    } catch {
      return ERRNO.ilseq
    }
    return path.includes('\0') ? ERRNO.inval : path
  }

  #renew(): void {
    if (this.#memory === undefined) return
    this.#bytes = new Uint8Array(this.#memory.buffer)
    this.#view = new DataView(this.#memory.buffer)
  }
}
