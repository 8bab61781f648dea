import { invariant } from '../errors.ts'
import type { Hardware, Resources } from '../documents/resources.ts'

export interface Free { cores: number, memoryBytes: number, diskBytes: number, gpus: number }
interface Reservation { slots: number, each: Resources }

/** Sums of fractional cores may carry this much rounding. */
const CORE_EPSILON = 1e-9

/** What a host lends and what its agreements hold of it. Commitments never exceed capacity. */
export class Capacity {
  #total: Hardware
  readonly #held = new Map<string, Reservation>()

  constructor(total: Hardware) {
    this.#total = total
  }

  get total(): Hardware {
    return this.#total
  }

  /** A smaller total takes nothing back: what is agreed runs on, nothing new is taken. */
  resize(total: Hardware): void {
    this.#total = total
  }

  free(): Free {
    const free: Free = { cores: this.#total.cores, memoryBytes: this.#total.memoryBytes, diskBytes: this.#total.diskBytes, gpus: this.#total.gpus.length }
    for (const { slots, each } of this.#held.values()) {
      free.cores -= slots * each.cores
      free.memoryBytes -= slots * each.memoryBytes
      free.diskBytes -= slots * each.diskBytes
      free.gpus -= slots * (each.gpu?.count ?? 0)
    }
    if (free.cores < 0 && free.cores > -CORE_EPSILON) free.cores = 0
    return { cores: Math.max(0, free.cores), memoryBytes: Math.max(0, free.memoryBytes), diskBytes: Math.max(0, free.diskBytes), gpus: Math.max(0, free.gpus) }
  }

  /** How many tasks of this shape fit beside what is held now. */
  slotsFor(each: Resources): number {
    const free = this.free()
    const bounds = [(free.cores + CORE_EPSILON) / each.cores, free.memoryBytes / each.memoryBytes]
    if (each.diskBytes > 0) bounds.push(free.diskBytes / each.diskBytes)
    if (each.gpu !== undefined) bounds.push(free.gpus / each.gpu.count)
    return Math.max(0, Math.floor(Math.min(...bounds)))
  }

  reserve(agreement: string, slots: number, each: Resources): void {
    invariant(slots <= this.slotsFor(each), `agreement ${agreement} would exceed capacity`)
    this.#held.set(agreement, { slots, each })
  }

  /** After a restart, when the owner may have lowered what is lent: what was agreed is kept. */
  restore(agreement: string, slots: number, each: Resources): void {
    this.#held.set(agreement, { slots, each })
  }

  release(agreement: string): void {
    this.#held.delete(agreement)
  }
}
