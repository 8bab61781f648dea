import type { EventQueue } from './event-queue.ts'
import type { Broker, Revert, Transaction } from './broker.ts'
import type { Random } from './random.ts'

export interface ChainSpec {
  blockMs: number
  /** A block this deep is never undone. */
  confirmations: number
  /** Of the contract: an unlock waits for this, and a default can be topped up for that. */
  delaySec: number
  graceSec: number
}

export interface Included { id: number, tx: Transaction, refusal: Revert | undefined }
export interface Block { number: number, atSec: number, included: readonly Included[], after: Broker }

/** Who looks at every block. */
export interface ChainWatcher {
  /** Something of it waits for blocks to come. */
  readonly waits: boolean
  blockCame(): void
}

/** A transaction reaches the next block's maker within this. */
const SPREAD_MS = 800
/** What a reorganisation does to each transaction that it undoes: most come again at once, some blocks later, some never. */
const COMES_LATER = 0.25
const COMES_NEVER = 0.15

/**
 * The chain of a simulated world: blocks at their times as long as anybody waits for one, so that a world that has
 * settled is quiet; reorganisations undo the last of them.
 */
export class Chain {
  readonly spec: ChainSpec
  readonly #queue: EventQueue
  readonly #random: Random
  readonly #epochWallMs: number
  /** From the youngest confirmed one on. */
  #blocks: Block[]
  #pool: { id: number, tx: Transaction, readyMs: number }[] = []
  readonly #watchers: ChainWatcher[] = []
  readonly #seen: (block: Block) => void
  #nextId = 0
  #scheduled = false

  constructor(queue: EventQueue, random: Random, spec: ChainSpec, genesis: Broker, epochWallMs: number, seen: (block: Block) => void) {
    this.#queue = queue
    this.#random = random
    this.spec = spec
    this.#epochWallMs = epochWallMs
    this.#seen = seen
    this.#blocks = [{ number: 0, atSec: this.#nowSec, included: [], after: genesis }]
  }

  get head(): Block {
    return this.#blocks.at(-1) ?? this.confirmed
  }

  /** The youngest block that nothing can undo. */
  get confirmed(): Block {
    const [oldest] = this.#blocks
    if (oldest === undefined) throw new Error('a chain without a block')
    return oldest
  }

  watchedBy(watcher: ChainWatcher): void {
    this.#watchers.push(watcher)
  }

  /** Its number, to ask after it. */
  submit(tx: Transaction): number {
    const id = this.#nextId++
    this.#pool.push({ id, tx, readyMs: this.#queue.nowMs + this.#random.float() * SPREAD_MS })
    this.wake()
    return id
  }

  /** On its way to a block, or in one that is not confirmed. */
  isUnderWay(id: number): boolean {
    return this.#pool.some((pending) => pending.id === id) || this.#blocks.slice(1).some(({ included }) => included.some((done) => done.id === id))
  }

  /** Blocks come again, since somebody waits for one. */
  wake(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const { blockMs } = this.spec
    this.#queue.at((Math.floor(this.#queue.nowMs / blockMs) + 1) * blockMs, () => {
      this.#scheduled = false
      this.#mine()
      if (this.#pool.length > 0 || this.head.after !== this.confirmed.after || this.#watchers.some(({ waits }) => waits)) this.wake()
    })
  }

  /** The last `depth` blocks never were. */
  reorganise(depth: number): void {
    const undone = this.#blocks.splice(Math.max(1, this.#blocks.length - depth))
    for (const { included } of undone) {
      for (const { id, tx } of included) {
        const fate = this.#random.float()
        if (fate < COMES_NEVER) continue
        const laterMs = fate < COMES_NEVER + COMES_LATER ? this.#random.between(1, 4) * this.spec.blockMs : 0
        this.#pool.push({ id, tx, readyMs: this.#queue.nowMs + laterMs })
      }
    }
    if (undone.length > 0) this.wake()
  }

  get #nowSec(): number {
    return Math.floor((this.#epochWallMs + this.#queue.nowMs) / 1000)
  }

  #mine(): void {
    const { nowMs } = this.#queue
    const ready = this.#random.shuffled(this.#pool.filter(({ readyMs }) => readyMs <= nowMs))
    this.#pool = this.#pool.filter(({ readyMs }) => readyMs > nowMs)
    const { number, after: before } = this.head
    const after = ready.length === 0 ? before : before.copy()
    const block: Block = { number: number + 1, atSec: this.#nowSec, included: ready.map(({ id, tx }) => ({ id, tx, refusal: after.apply(tx, this.#nowSec) })), after }
    this.#blocks.push(block)
    if (this.#blocks.length > this.spec.confirmations + 1) this.#blocks = this.#blocks.slice(-this.spec.confirmations - 1)
    this.#seen(block)
    for (const watcher of this.#watchers) watcher.blockCame()
  }
}
