import { invariant } from '../../src/errors.ts'

export interface BlockEntry {
  sizeBytes: number
  /** In the database instead of a file of its own. */
  inline: boolean
  lastUseMs: number
  /** Whether `lastUseMs` is newer than what is stored. */
  touched: boolean
}

/** Which blocks are here, in the order of their last use, and which must stay. Memory only. */
export class BlockIndex {
  /** Oldest use first: a Map keeps the order of insertion, and a use inserts anew. */
  readonly #entries = new Map<string, BlockEntry>()
  /** How many pins and running operations need a block, also of blocks that are lost or not here yet. */
  readonly #needs = new Map<string, number>()
  #bytes = 0
  #neededBytes = 0

  get blocks(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that eviction cannot free. */
  get neededBytes(): number {
    return this.#neededBytes
  }

  get(cid: string): BlockEntry | undefined {
    return this.#entries.get(cid)
  }

  add(cid: string, entry: BlockEntry): void {
    this.remove(cid)
    this.#entries.set(cid, entry)
    this.#bytes += entry.sizeBytes
    if (this.#needs.has(cid)) this.#neededBytes += entry.sizeBytes
  }

  remove(cid: string): void {
    const entry = this.#entries.get(cid)
    if (entry === undefined) return
    this.#entries.delete(cid)
    this.#bytes -= entry.sizeBytes
    if (this.#needs.has(cid)) this.#neededBytes -= entry.sizeBytes
  }

  touch(cid: string, nowMs: number): void {
    const entry = this.#entries.get(cid)
    if (entry === undefined) return
    this.#entries.delete(cid)
    this.#entries.set(cid, entry)
    entry.lastUseMs = nowMs
    entry.touched = true
  }

  need(cid: string): void {
    const needs = this.#needs.get(cid) ?? 0
    this.#needs.set(cid, needs + 1)
    if (needs === 0) this.#neededBytes += this.#entries.get(cid)?.sizeBytes ?? 0
  }

  release(cid: string): void {
    const needs = this.#needs.get(cid) ?? 0
    invariant(needs > 0, `A block was released more often than it was needed: ${cid}`)
    if (needs > 1) {
      this.#needs.set(cid, needs - 1)
      return
    }
    this.#needs.delete(cid)
    this.#neededBytes -= this.#entries.get(cid)?.sizeBytes ?? 0
  }

  isNeeded(cid: string): boolean {
    return this.#needs.has(cid)
  }

  /** Blocks nobody needs, the one unused for longest first, until they are `bytes` together. */
  evictable(bytes: number): string[] {
    const victims: string[] = []
    let sum = 0
    for (const [cid, entry] of this.#entries) {
      if (sum >= bytes) break
      if (this.#needs.has(cid)) continue
      victims.push(cid)
      sum += entry.sizeBytes
    }
    return victims
  }

  * entries(): Generator<[string, BlockEntry]> {
    yield * this.#entries
  }
}
