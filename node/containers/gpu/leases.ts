import type { ErrorCode } from '../../../src/errors.ts'
import type { GpuCard, GpuRequest } from '../../../src/documents/resources.ts'
import { cardFits, cardWords, smallestFirst, wishWords } from '../../../src/market/fit.ts'
import type { CardAccess } from './assignment.ts'

/** A card that was proven, and how the engine hands it over. */
export interface LocalCard { readonly id: string, readonly card: GpuCard, readonly access: CardAccess }

export type LeaseOutcome = { kind: 'leased', cards: readonly LocalCard[] } | { kind: 'refused', code: ErrorCode, message: string }

function same(a: GpuCard, b: GpuCard): boolean {
  return a.vendor === b.vendor && a.model === b.model && a.vramBytes === b.vramBytes && a.driver === b.driver
}

/**
 * Whole cards, each of one run at a time. Nothing is written down: runs do not outlive the node, and containers that do
 * are `occupy`ing their cards until the reaper has removed them.
 */
export class GpuLeases {
  #cards: readonly LocalCard[]
  /** By card id. */
  readonly #holders = new Map<string, string>()

  constructor(cards: readonly LocalCard[] = []) {
    this.#cards = cards
  }

  get cards(): readonly LocalCard[] {
    return this.#cards
  }

  /** After cards were looked for again: leases of cards that are gone end with their runs. */
  setCards(cards: readonly LocalCard[]): void {
    this.#cards = cards
  }

  /**
   * Takes cards for a run, the smallest that fit. `reserved` are those that its agreement holds in the core, by
   * description (`Capacity.cardsOf`): with it no run takes the card that another agreement counts on.
   * A run that leased before keeps what it has. `barred`: ids of cards that nobody gets now, such as their owner's.
   */
  lease(run: string, request: GpuRequest, reserved: readonly GpuCard[] = this.#cards.map(({ card }) => card), barred: ReadonlySet<string> = new Set()): LeaseOutcome {
    const held = this.of(run)
    if (held.length > 0) return { kind: 'leased', cards: held }
    const fitting = this.#cards.filter(({ card }) => cardFits(card, request))
    if (fitting.length < request.count) return { kind: 'refused', code: 'E_FIT_GPU', message: `needs ${wishWords(request)}, has ${cardWords(this.#cards.map(({ card }) => card))}` }
    const free = this.#cards.filter(({ id, card }) => !this.#holders.has(id) && !barred.has(id) && reserved.some((other) => same(other, card)))
    const cards = smallestFirst(free.map((local) => ({ ...local.card, local })), request).slice(0, request.count).map(({ local }) => local)
    if (cards.length < request.count) return { kind: 'refused', code: 'E_HOST_BUSY', message: `${wishWords(request)} wanted, but ${cardWords(fitting.filter((one) => !free.includes(one)).map(({ card }) => card))} is in use` }
    for (const { id } of cards) this.#holders.set(id, run)
    return { kind: 'leased', cards }
  }

  /** A container of an earlier life still holds these cards. Ids that are unknown now count too: their card may come back. */
  occupy(run: string, cardIds: readonly string[]): void {
    for (const id of cardIds) this.#holders.set(id, run)
  }

  /** At the run's end, when its container is gone: not before. Unknown runs are no error. */
  release(run: string): void {
    for (const [id, holder] of this.#holders) if (holder === run) this.#holders.delete(id)
  }

  /** What only the given runs may still hold: those of runs that ended unseen come free. Returns the runs that lost theirs. */
  reconcile(alive: ReadonlySet<string>): string[] {
    const gone = [...new Set(this.#holders.values())].filter((run) => !alive.has(run))
    for (const run of gone) this.release(run)
    return gone
  }

  of(run: string): LocalCard[] {
    return this.#cards.filter(({ id }) => this.#holders.get(id) === run)
  }

  holder(cardId: string): string | undefined {
    return this.#holders.get(cardId)
  }

  free(): LocalCard[] {
    return this.#cards.filter(({ id }) => !this.#holders.has(id))
  }
}
