/** The most recently used small blocks, up to a number of bytes. */
export class BlockCache {
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get(cid: string): Uint8Array | undefined {
    const bytes = this.#blocks.get(cid)
    if (bytes === undefined) return undefined
    this.#blocks.delete(cid)
    this.#blocks.set(cid, bytes)
    return bytes
  }

  add(cid: string, bytes: Uint8Array): void {
    if (bytes.byteLength > this.#maxBytes) return
    this.remove(cid)
    // a view would keep the whole buffer it looks into
    this.#blocks.set(cid, bytes.byteLength < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes)
    this.#bytes += bytes.byteLength
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#maxBytes) break
      this.remove(oldest)
    }
  }

  remove(cid: string): void {
    this.#bytes -= this.#blocks.get(cid)?.byteLength ?? 0
    this.#blocks.delete(cid)
  }
}
