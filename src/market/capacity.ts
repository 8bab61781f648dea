import { invariant } from '../errors.ts'
import type { GpuCard, Hardware, Resources } from '../documents/resources.ts'
import { formatSize } from '../units.ts'
import { CardSeats } from './card-seats.ts'
import { cardWords, clipped, MAX_REASON_CHARS, wishWords } from './fit.ts'

export interface Free { cores: number, memoryBytes: number, diskBytes: number, gpus: number }
interface Reservation { slots: number, each: Resources }

/** Sums of fractional cores may carry this much rounding. */
const CORE_EPSILON = 1e-9

/** What a host lends and what its agreements hold of it. Commitments never exceed capacity. */
export class Capacity {
  #total: Hardware
  readonly #held = new Map<string, Reservation>()
  readonly #cards: CardSeats

  constructor(total: Hardware) {
    this.#total = total
    this.#cards = new CardSeats(total.gpus)
  }

  get total(): Hardware {
    return this.#total
  }

  /** A smaller total takes nothing back: what is agreed runs on, nothing new is taken. */
  resize(total: Hardware): void {
    this.#total = total
    this.#cards.resize(total.gpus)
  }

  free(): Free {
    const free: Free = { cores: this.#total.cores, memoryBytes: this.#total.memoryBytes, diskBytes: this.#total.diskBytes, gpus: this.#cards.free().length }
    for (const { slots, each } of this.#held.values()) {
      free.cores -= slots * each.cores
      free.memoryBytes -= slots * each.memoryBytes
      free.diskBytes -= slots * each.diskBytes
    }
    if (free.cores < 0 && free.cores > -CORE_EPSILON) free.cores = 0
    return { cores: Math.max(0, free.cores), memoryBytes: Math.max(0, free.memoryBytes), diskBytes: Math.max(0, free.diskBytes), gpus: free.gpus }
  }

  /** How many tasks of this shape fit beside what is held now. */
  slotsFor(each: Resources): number {
    const free = this.free()
    const bounds = [(free.cores + CORE_EPSILON) / each.cores, free.memoryBytes / each.memoryBytes]
    if (each.diskBytes > 0) bounds.push(free.diskBytes / each.diskBytes)
    if (each.gpu !== undefined) bounds.push(this.#cards.slotsFor(each.gpu))
    return Math.max(0, Math.floor(Math.min(...bounds)))
  }

  /** Why not one more task of this shape fits now; what is lent at all is another question. */
  shortOf(each: Resources): string {
    const { cores, memoryBytes, diskBytes } = this.free()
    const short: string[] = []
    if (each.gpu !== undefined && this.#cards.slotsFor(each.gpu) === 0) short.push(`${wishWords(each.gpu)} wanted, ${cardWords(this.#cards.free())} free`)
    if (each.cores > cores + CORE_EPSILON) short.push(`${each.cores} cores wanted, ${Math.round(cores * 10) / 10} free`)
    if (each.memoryBytes > memoryBytes) short.push(`${formatSize(each.memoryBytes)} of memory wanted, ${formatSize(memoryBytes)} free`)
    if (each.diskBytes > diskBytes) short.push(`${formatSize(each.diskBytes)} of disk wanted, ${formatSize(diskBytes)} free`)
    return clipped(['has no room now', ...short].join('; '), MAX_REASON_CHARS)
  }

  /** The cards that this agreement's runs may use, by description: those of one description are interchangeable. */
  cardsOf(agreement: string): GpuCard[] {
    return this.#cards.of(agreement)
  }

  reserve(agreement: string, slots: number, each: Resources): void {
    invariant(slots <= this.slotsFor(each), `agreement ${agreement} would exceed capacity`)
    this.#held.set(agreement, { slots, each })
    if (each.gpu !== undefined) this.#cards.reserve(agreement, slots, each.gpu)
  }

  /** After a restart, when the owner may have lowered what is lent: what was agreed is kept. */
  restore(agreement: string, slots: number, each: Resources): void {
    this.#held.set(agreement, { slots, each })
    if (each.gpu !== undefined) this.#cards.restore(agreement, slots, each.gpu)
  }

  release(agreement: string): void {
    this.#held.delete(agreement)
    this.#cards.release(agreement)
  }
}
