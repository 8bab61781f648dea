import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { Draws } from './draws.ts'
import type { CommitLot } from '../documents/pay-message.ts'
import { MAX_LOTS, MAX_OPEN_COMMITS, MAX_TICKETS, renewBelowSec } from '../documents/terms.ts'
import type { PaymentTerms } from '../documents/terms.ts'

export const CREDITED_PREFIX = 'credited/'
/** Credited tickets that are remembered to know a repetition: twice a payer's span of tickets under way. */
const REMEMBERED = 2 * MAX_OPEN_COMMITS
/** Expiries are rounded to this part of a ticket's life, so that commits made one by one share one. */
const EXPIRY_STEPS = 16

type CreditedRecord = { v: 1, agreement: string, index: number, digest: string }
/** Numbers from `first` on, up to the next piece, have this expiry. */
export interface Piece { first: number, expirySec: number }
export type OfferedRecord = { next: number, pieces: Piece[] }

/**
 * A provider's view of one agreement's commits: what it has offered, and which ticket came for which. The numbers only
 * grow, across restarts, so no secret is ever offered twice.
 */
export class Offered {
  readonly #agreement: string
  readonly #offerId: string
  readonly #draws: Draws
  readonly #terms: PaymentTerms
  /** Not used yet and young enough, by number. */
  readonly #open = new Map<number, { commit: string, expirySec: number }>()
  /** Digests of credited tickets, by number. */
  readonly #credited = new Map<number, string>()
  #next: number
  #pieces: Piece[]

  constructor(agreement: string, offerId: string, terms: PaymentTerms, draws: Draws, record: OfferedRecord) {
    this.#agreement = agreement
    this.#offerId = offerId
    this.#terms = terms
    this.#draws = draws
    this.#next = record.next
    this.#pieces = [...record.pieces]
  }

  get size(): number {
    return this.#open.size + this.#credited.size
  }

  record(): OfferedRecord {
    return { next: this.#next, pieces: [...this.#pieces] }
  }

  /** What is expected of the ticket of this number: its expiry; undefined for a number not offered, or forgotten. */
  expirySec(index: number): number | undefined {
    if (index >= this.#next || index < this.#floor) return undefined
    return this.#pieces.findLast(({ first }) => first <= index)?.expirySec
  }

  commit(index: number): string {
    return this.#open.get(index)?.commit ?? this.#draws.commit(this.#offerId, index)
  }

  /** The digest credited for this number. */
  credited(index: number): string | undefined {
    return this.#credited.get(index)
  }

  isForgotten(index: number): boolean {
    return index < this.#floor
  }

  use(turn: Turn, index: number, digest: string): void {
    this.#open.delete(index)
    this.#credited.set(index, digest)
    turn.put(this.#key(index), { v: 1, agreement: this.#agreement, index, digest })
  }

  /** Offers fresh ones up to the number agreed, replacing those that grow old, and forgets what is long over. */
  refill(turn: Turn, nowSec: number): void {
    const { ticketLifeSec, openCommits } = this.#terms
    for (const [index, { expirySec }] of this.#open) if (expirySec - nowSec < renewBelowSec(this.#terms)) this.#open.delete(index)
    const step = Math.max(1, Math.floor(ticketLifeSec / EXPIRY_STEPS))
    const expirySec = Math.floor((nowSec + ticketLifeSec) / step) * step
    while (this.#open.size < openCommits && this.#next < MAX_TICKETS) {
      const index = this.#next++
      const last = this.#pieces.at(-1)
      if (last?.expirySec !== expirySec) this.#pieces.push({ first: index, expirySec })
      this.#open.set(index, { commit: this.#draws.commit(this.#offerId, index), expirySec })
    }
    for (const index of this.#credited.keys()) {
      if (index >= this.#floor) break
      this.#credited.delete(index)
      turn.delete(this.#key(index))
    }
    const floor = this.#floor
    const kept = this.#pieces.findLastIndex(({ first }) => first <= floor)
    if (kept > 0) this.#pieces = this.#pieces.slice(kept)
  }

  /** The newest open commits, at most `maxCommits`, in lots of one expiry and consecutive numbers. */
  lots(maxCommits: number): CommitLot[] {
    const newest = [...this.#open].slice(-maxCommits)
    const lots: CommitLot[] = []
    for (const [index, { commit, expirySec }] of newest) {
      const last = lots.at(-1)
      if (last !== undefined && last.expirySec === expirySec && last.first + last.commits.length === index) last.commits.push(commit)
      else lots.push({ first: index, expirySec, commits: [commit] })
    }
    return lots.slice(-MAX_LOTS)
  }

  forget(turn: Turn): void {
    for (const index of this.#credited.keys()) turn.delete(this.#key(index))
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const [index, digest] of this.#credited) yield [this.#key(index), { v: 1, agreement: this.#agreement, index, digest } satisfies CreditedRecord]
  }

  restoreCredited(value: StoredRecord): void {
    const { index, digest } = value as CreditedRecord
    this.#credited.set(index, digest)
  }

  /** After all records are back: what was offered and not used is open again, in order. */
  start(nowSec: number): void {
    const inOrder = [...this.#credited].sort(([a], [b]) => a - b)
    this.#credited.clear()
    for (const [index, digest] of inOrder) this.#credited.set(index, digest)
    for (let index = Math.max(0, this.#next - REMEMBERED); index < this.#next; index++) {
      const expirySec = this.expirySec(index)
      if (expirySec === undefined || this.#credited.has(index) || expirySec - nowSec < renewBelowSec(this.#terms)) continue
      this.#open.set(index, { commit: this.#draws.commit(this.#offerId, index), expirySec })
    }
  }

  /** Whose agreement a stored credit is. */
  static agreementOf(value: StoredRecord): string {
    return (value as CreditedRecord).agreement
  }

  /** Below it nothing is remembered, and nothing is taken. */
  get #floor(): number {
    return Math.max(0, this.#next - REMEMBERED)
  }

  #key(index: number): string {
    return `${CREDITED_PREFIX}${this.#agreement}/${index}`
  }
}
