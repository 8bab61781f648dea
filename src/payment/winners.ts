import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { Winner } from '../documents/ticket.ts'

export const WINNER_PREFIX = 'winner/'

/** A provider's winners, until the chain has paid them for good: in any order, none behind another. */
export class Winners {
  readonly #byKey = new Map<string, Winner>()
  readonly #pendingWei = new Map<string, bigint>()

  get size(): number {
    return this.#byKey.size
  }

  /** Face values not redeemed yet of one payer, over all its agreements. */
  pendingWei(payer: string): bigint {
    return this.#pendingWei.get(payer) ?? 0n
  }

  all(): Iterable<Winner> {
    return this.#byKey.values()
  }

  add(turn: Turn, winner: Winner): void {
    if (this.#byKey.has(keyOf(winner))) return
    this.#index(winner)
    turn.put(WINNER_PREFIX + keyOf(winner), winner)
  }

  /** Paid beyond any reorganisation, or worth nothing any more. A redemption that a reorganisation may undo is not the end. */
  over(turn: Turn, agreement: string, index: number): void {
    const key = keyOf({ agreement, index })
    const winner = this.#byKey.get(key)
    if (winner === undefined) return
    const { payer, faceValueWei } = winner.ticket
    this.#byKey.delete(key)
    const left = this.pendingWei(payer) - faceValueWei
    if (left > 0n) this.#pendingWei.set(payer, left)
    else this.#pendingWei.delete(payer)
    turn.delete(WINNER_PREFIX + key)
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const [key, winner] of this.#byKey) yield [WINNER_PREFIX + key, winner]
  }

  restore(value: StoredRecord): void {
    this.#index(value as Winner)
  }

  #index(winner: Winner): void {
    this.#byKey.set(keyOf(winner), winner)
    this.#pendingWei.set(winner.ticket.payer, this.pendingWei(winner.ticket.payer) + winner.ticket.faceValueWei)
  }
}

function keyOf({ agreement, index }: Pick<Winner, 'agreement' | 'index'>): string {
  return `${agreement}/${index}`
}
