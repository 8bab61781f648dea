import type { GpuCard, GpuRequest } from '../documents/resources.ts'
import { PARAMS } from '../params.ts'
import { cardFits, smallestFirst } from './fit.ts'

/** One graphics card that an agreement holds for a request; without a card where none such is lent any more. */
interface Seat { request: GpuRequest, card: GpuCard | undefined }

function sameCard(a: GpuCard, b: GpuCard): boolean {
  return a.vendor === b.vendor && a.model === b.model && a.vramBytes === b.vramBytes && a.driver === b.driver
}

function without(cards: readonly GpuCard[], taken: readonly GpuCard[]): GpuCard[] {
  const left = [...cards]
  for (const card of taken) {
    const at = left.findIndex((other) => sameCard(other, card))
    if (at !== -1) left.splice(at, 1)
  }
  return left
}

/**
 * Which of the lent cards each agreement holds. A card is known by its description, not by its place in a list: places
 * shift when the owner lends more or less, and cards of one description serve as well as one another. What an agreement
 * holds does not change while it runs, so a request that only other seats would make room for is declined.
 */
export class CardSeats {
  #cards: readonly GpuCard[]
  readonly #held = new Map<string, Seat[]>()

  constructor(cards: readonly GpuCard[]) {
    this.#cards = cards
  }

  /** Who lost a card when less was lent gets one back when there is one again. */
  resize(cards: readonly GpuCard[]): void {
    this.#cards = cards
    let pool = [...cards]
    for (const seat of this.#seats()) {
      const { card } = seat
      if (card === undefined) continue
      const at = pool.findIndex((other) => sameCard(other, card))
      if (at === -1) seat.card = undefined
      else pool.splice(at, 1)
    }
    for (const seat of this.#seats()) {
      if (seat.card !== undefined) continue
      seat.card = smallestFirst(pool, seat.request)[0]
      if (seat.card !== undefined) pool = without(pool, [seat.card])
    }
  }

  /** Nobody's, in the order in which they are lent. */
  free(): GpuCard[] {
    return without(this.#cards, this.#seats().flatMap(({ card }) => card ?? []))
  }

  /** How many tasks of this wish the free cards serve. */
  slotsFor(request: GpuRequest): number {
    return Math.floor(this.free().filter((card) => cardFits(card, request)).length / request.count)
  }

  /** The smallest cards that fit, so that large ones stay for those who need them. */
  reserve(agreement: string, slots: number, request: GpuRequest): void {
    const cards = smallestFirst(this.free(), request)
    this.#held.set(agreement, Array.from({ length: slots * request.count }, (_, index) => ({ request, card: cards[index] })))
  }

  /**
   * After a restart nothing runs yet, so all are seated anew: agreements that fitted together before do so in whichever
   * order they come back. Where less is lent since, the later ones stay without.
   */
  restore(agreement: string, slots: number, request: GpuRequest): void {
    this.#held.set(agreement, Array.from({ length: Math.min(slots * request.count, PARAMS.maxGpus) }, () => ({ request, card: undefined })))
    const seats = this.#seats()
    const taken = new Map<number, Seat>()
    for (const seat of seats) this.#place(seat, taken, new Set())
    for (const seat of seats) seat.card = undefined
    for (const [place, seat] of taken) seat.card = this.#cards[place]
  }

  release(agreement: string): void {
    this.#held.delete(agreement)
  }

  /** What a provider's runs under this agreement may use. */
  of(agreement: string): GpuCard[] {
    return (this.#held.get(agreement) ?? []).flatMap(({ card }) => card ?? [])
  }

  #seats(): Seat[] {
    return [...this.#held.values()].flat()
  }

  /** Kuhn's augmenting paths: who sits on a wanted card moves over if there is another for it. */
  #place(seat: Seat, taken: Map<number, Seat>, tried: Set<number>): boolean {
    const places = smallestFirst(this.#cards.map((card, place) => ({ ...card, place })), seat.request)
    for (const { place } of places) {
      if (tried.has(place)) continue
      tried.add(place)
      const sitting = taken.get(place)
      if (sitting === undefined || this.#place(sitting, taken, tried)) {
        taken.set(place, seat)
        return true
      }
    }
    return false
  }
}
