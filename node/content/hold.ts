import type { BlockIndex } from './block-index.ts'

/** Blocks that one running operation needs: eviction leaves them alone until it lets go. */
export class Hold {
  readonly #index: BlockIndex
  readonly #cids = new Set<string>()

  constructor(index: BlockIndex) {
    this.#index = index
  }

  add(cid: string): void {
    if (this.#cids.has(cid)) return
    this.#cids.add(cid)
    this.#index.need(cid)
  }

  /** The blocks held; they stay needed, and the caller takes over releasing them. */
  take(): string[] {
    const cids = [...this.#cids]
    this.#cids.clear()
    return cids
  }

  /** Lets go of everything; a second call does nothing. */
  release(): void {
    for (const cid of this.take()) this.#index.release(cid)
  }
}
