import { MAX_BLOCKS, MAX_WANTED } from './constants.ts'
import { codecOfCid } from './content-id.ts'
import { MAX_LEAF_BYTES } from './dag-node.ts'
import type { DagRef } from './dag-walk.ts'

/** A block to be had: where it hangs, and how requests name it. */
export interface Wanted {
  ref: DagRef
  /** Positions from the root to its parent. The root itself has no position. */
  parentPath: number[]
  position: number
}

/** What a block not seen yet is expected to have: leaves of files are told by their parents. */
export function expectedBytes(wanted: Wanted): number {
  return wanted.ref.sizeBytes !== undefined && codecOfCid(wanted.ref.cid) === 'raw' ? wanted.ref.sizeBytes : MAX_LEAF_BYTES / 16
}

/**
 * What of a DAG is still to be had, depth first, each address once. Items are taken, and then settled or given back; it is done when
 * nothing is left and nothing is taken.
 */
export class Frontier {
  /** The next one stands last. */
  readonly #open: Wanted[] = []
  readonly #seen = new Set<string>()
  #openBytes = 0
  #taken = 0
  #waiters: (() => void)[] = []

  /** Adds the children of a node. False when the DAG has more blocks than any may have. */
  addChildren(children: readonly DagRef[], path: number[]): boolean {
    for (let position = children.length - 1; position >= 0; position--) {
      const ref = children[position]
      if (ref === undefined || this.#seen.has(ref.cid)) continue
      this.#seen.add(ref.cid)
      this.#push({ ref, parentPath: path, position })
    }
    this.notify()
    return this.#seen.size <= MAX_BLOCKS
  }

  addRoot(ref: DagRef): void {
    this.#seen.add(ref.cid)
    this.#push({ ref, parentPath: [], position: -1 })
  }

  #push(wanted: Wanted): void {
    this.#open.push(wanted)
    this.#openBytes += expectedBytes(wanted)
  }

  #pop(): Wanted | undefined {
    const wanted = this.#open.pop()
    if (wanted === undefined) return undefined
    this.#openBytes -= expectedBytes(wanted)
    this.#taken++
    return wanted
  }

  get isDone(): boolean {
    return this.#open.length === 0 && this.#taken === 0
  }

  get isEmpty(): boolean {
    return this.#open.length === 0
  }

  /** What is known of and not taken, as far as sizes are told. */
  get openBytes(): number {
    return this.#openBytes
  }

  /** Looks at the next item without taking it. */
  peek(): Wanted | undefined {
    return this.#open.at(-1)
  }

  takeOne(): Wanted | undefined {
    return this.#pop()
  }

  /** The next items that one request can name: children of one node, `maxBytes` together but at least one, none of them passing `isPresent`. */
  takeBatch(maxItems: number, maxBytes: number, isPresent: (wanted: Wanted) => boolean): Wanted[] {
    const batch: Wanted[] = []
    let sum = 0
    while (batch.length < Math.min(maxItems, MAX_WANTED)) {
      const next = this.#open.at(-1)
      if (next === undefined || isPresent(next)) break
      const [first] = batch
      if (first !== undefined && first.parentPath !== next.parentPath) break
      sum += expectedBytes(next)
      if (first !== undefined && sum > maxBytes) break
      this.#pop()
      batch.push(next)
    }
    return batch
  }

  /** A taken item is had. */
  settle(): void {
    this.#taken--
    this.notify()
  }

  /** Taken items are not to be had where they were asked for. */
  giveBack(items: readonly Wanted[]): void {
    this.#taken -= items.length
    for (const wanted of items.toReversed()) this.#push(wanted)
    this.notify()
  }

  /** Resolves when something was added, settled or given back, or `notify` was called. */
  changed(): Promise<void> {
    return new Promise((resolve) => { this.#waiters.push(resolve) })
  }

  notify(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
