import { LOG_CUT_MARK, LOG_FRAME_BYTES } from './limits.ts'

/** Pending bytes go out at this size even when no send is due. */
const SEND_BYTES = 4 * 1024
/** Sends that may follow one another at once, and how often another is granted: lines appear live, floods are joined. */
const BURST_SENDS = 64
const GRANT_MS = 5

export interface LogStreamOptions {
  capBytes: number
  /** Takes at most `LOG_FRAME_BYTES` at a time, for whoever watches. The kept bytes do not depend on it. */
  send: (bytes: Uint8Array) => void
  monoMs: () => number
}

/** Standard output or error: keeps what fits under the cap, lets the program write on, and marks the cut. */
export class LogStream {
  readonly #capBytes: number
  readonly #send: (bytes: Uint8Array) => void
  readonly #monoMs: () => number
  #data: Uint8Array = new Uint8Array(0)
  #size = 0
  #sent = 0
  #writtenBytes = 0
  #grants = BURST_SENDS
  #grantedMs: number

  constructor({ capBytes, send, monoMs }: LogStreamOptions) {
    this.#capBytes = capBytes
    this.#send = send
    this.#monoMs = monoMs
    this.#grantedMs = monoMs()
  }

  /** All that the program wrote, kept or not. */
  get writtenBytes(): number { return this.#writtenBytes }

  write(bytes: Uint8Array): void {
    this.#writtenBytes += bytes.length
    const kept = bytes.subarray(0, Math.max(0, this.#capBytes - this.#size))
    if (kept.length === 0) return
    this.#keep(kept)
  }

  /** To be called after each of the program's calls: what it wrote is sent if it is due. */
  sendDue(): void {
    if (this.#sent === this.#size) return
    if (this.#size - this.#sent >= SEND_BYTES || this.#granted()) this.#flush()
  }

  /** Sends the rest and answers the stream as the run's result holds it. */
  end(): Uint8Array {
    if (this.#writtenBytes > this.#capBytes) this.#keep(Buffer.from(LOG_CUT_MARK))
    this.#flush()
    return this.#data.subarray(0, this.#size)
  }

  #keep(bytes: Uint8Array): void {
    const size = this.#size + bytes.length
    if (size > this.#data.length) {
      const grown = new Uint8Array(Math.max(size, this.#data.length * 2, 1024))
      grown.set(this.#data.subarray(0, this.#size))
      this.#data = grown
    }
    this.#data.set(bytes, this.#size)
    this.#size = size
  }

  #granted(): boolean {
    const nowMs = this.#monoMs()
    const grants = Math.floor((nowMs - this.#grantedMs) / GRANT_MS)
    if (grants > 0) {
      this.#grants = Math.min(BURST_SENDS, this.#grants + grants)
      this.#grantedMs = nowMs
    }
    if (this.#grants === 0) return false
    this.#grants--
    return true
  }

  #flush(): void {
    while (this.#sent < this.#size) {
      const end = Math.min(this.#size, this.#sent + LOG_FRAME_BYTES)
      this.#send(this.#data.subarray(this.#sent, end))
      this.#sent = end
    }
  }
}
