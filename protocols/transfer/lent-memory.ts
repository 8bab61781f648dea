import { MAX_LEAF_BYTES } from './dag-node.ts'

/** Blocks that may wait to be acknowledged and keep their memory: a window, and those being read. Beyond it memory is left to the collector. */
const MAX_LENT = 8

/**
 * Memory for blocks on their way out, used again once the reader has acknowledged them: only then is it certain that nothing on the way
 * looks at it any more. Without it, half of a fast source's time goes into collecting megabytes.
 */
export class LentMemory {
  readonly #spares: Uint8Array[] = []
  #lent: { memory: Uint8Array, untilBytes: number }[] = []
  #sentBytes = 0
  #acknowledgedBytes = 0

  /** Room for one block. Give it back with `spare` when it was not used, or `lend` it when its block has been sent. */
  take(): Uint8Array {
    return this.#spares.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(MAX_LEAF_BYTES).buffer)
  }

  spare(memory: Uint8Array): void {
    if (this.#spares.length < MAX_LENT) this.#spares.push(memory)
  }

  onSent(bytes: number): void {
    this.#sentBytes += bytes
  }

  /** All that was sent so far must be acknowledged before this is used again. */
  lend(memory: Uint8Array): void {
    this.#lent.push({ memory, untilBytes: this.#sentBytes })
    if (this.#lent.length > MAX_LENT) this.#lent.shift()
  }

  /** False when more is acknowledged than was sent. */
  onAck(bytes: number): boolean {
    this.#acknowledgedBytes += bytes
    for (let first = this.#lent[0]; first !== undefined && first.untilBytes <= this.#acknowledgedBytes; first = this.#lent[0]) {
      this.#lent.shift()
      this.spare(first.memory)
    }
    return this.#acknowledgedBytes <= this.#sentBytes
  }

  /** Leaves memory that waits for use to the collector. */
  dropSpares(): void {
    this.#spares.length = 0
  }

  /** The reader has all that was sent: it asks for something new. */
  rest(): void {
    for (const { memory } of this.#lent) this.spare(memory)
    this.#lent = []
    this.#sentBytes = 0
    this.#acknowledgedBytes = 0
  }
}
