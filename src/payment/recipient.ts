import { toHex } from '../codec/hasher.ts'
import type { Hasher } from '../codec/hasher.ts'
import { accept, refuse } from '../codec/result.ts'
import type { Refusal, Result } from '../codec/result.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { Now } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import { PARAMS } from '../params.ts'
import { SECOND_MS } from '../units.ts'
import { fundsUntil } from './choose.ts'
import type { BondExposure } from '../documents/acceptance.ts'
import type { PayerFunds } from '../documents/account.ts'
import type { Draws } from './draws.ts'
import { offerIdOf } from './draws.ts'
import { acceptWork, claimWork, dueFor, failWork, heldBack, NO_WORK } from './ledger.ts'
import type { Results, Work } from './ledger.ts'
import type { CommitLot, PayMessageOf } from '../documents/pay-message.ts'
import { Offered } from './offered.ts'
import type { OfferedRecord } from './offered.ts'
import type { Post } from './post.ts'
import type { PaymentState } from '../documents/payment-state.ts'
import { redeemMarginSec, ticketsAhead } from '../documents/terms.ts'
import type { PaymentTerms } from '../documents/terms.ts'
import { contextOf, expectedOf, jobDigest, toWei } from '../documents/ticket.ts'
import type { Expected, Ticket, TicketHasher } from '../documents/ticket.ts'
import type { Winner } from '../documents/ticket.ts'
import type { Winners } from './winners.ts'

export const RECIPIENT_PREFIX = 'earn/'
/** Commits an acknowledgement carries, or what pays the units ahead if that is more: it always has one that the payer does not know. */
const COMMITS_A_CREDIT = 16

/** Who pays us for what; fixed for the agreement's life. */
export type Earning = {
  agreement: string
  /** The job's CID. */
  job: string
  /** PeerId of the requester. */
  requester: string
  payer: string
  payee: string
  terms: PaymentTerms
  /** What our bond stands behind since, as we signed it. */
  exposure: BondExposure
}

export type RecipientRecord = Earning & OfferedRecord & {
  v: 1
  work: Work
  tickets: number
  wins: number
  sequence: number
  refunded: Expected
  /** The payer has said its last word, and was told ours. */
  closed: boolean
  /** Its requester has closed the agreement: our bond stands behind it no more. */
  released?: true
  /** The agreement has ended: until then what was signed is kept, however often the computer starts anew. */
  keepUntilWallMs?: number
  /** The payer's last signed word: evidence of what it claims to have issued. */
  heard?: { state: PaymentState, signature: string }
}

export interface RecipientParts {
  post: Post
  draws: Draws
  tickets: TicketHasher
  winners: Winners
}

/** What a ticket is before its signature is checked: new, or one that was credited already. */
export type Screened = { kind: 'fresh' | 'repeated', digest: Uint8Array }
export type Credited = { kind: 'repeated' } | { kind: 'lost' } | { kind: 'won', winner: Winner }

/** The provider's side of one agreement: offers commits, checks tickets against its own offer, credits, and says when to stop work. */
export class Recipient {
  readonly #parts: RecipientParts
  readonly #record: RecipientRecord
  readonly #offered: Offered
  readonly #job: string

  private constructor(parts: RecipientParts, record: RecipientRecord) {
    this.#parts = parts
    this.#record = record
    this.#offered = new Offered(record.agreement, offerIdOf(record.agreement), record.terms, parts.draws, record)
    this.#job = jobDigest(record.job)
  }

  /** A new agreement's; `lots` are its first commits, to go out with its acceptance. */
  static open(turn: Turn, parts: RecipientParts, earning: Earning): Recipient {
    const recipient = new Recipient(parts, { ...earning, v: 1, work: NO_WORK, tickets: 0, wins: 0, sequence: 0, refunded: 0n, closed: false, next: 0, pieces: [] })
    recipient.#offered.refill(turn, secOf(turn.now))
    recipient.#save(turn)
    return recipient
  }

  /** Rebuilds from its own record; then `restoreCredited` for each credited ticket, then `start`. */
  static restore(parts: RecipientParts, value: StoredRecord): Recipient {
    return new Recipient(parts, value as RecipientRecord)
  }

  restoreCredited(value: StoredRecord): void {
    this.#offered.restoreCredited(value)
  }

  start(turn: Turn): void {
    this.#offered.start(secOf(turn.now))
    this.#offered.refill(turn, secOf(turn.now))
    this.#save(turn)
  }

  get id(): string {
    return this.#record.agreement
  }

  get earning(): Readonly<Earning> {
    return this.#record
  }

  get work(): Readonly<Work> {
    return this.#record.work
  }

  get isClosed(): boolean {
    return this.#record.closed
  }

  /** What of our bond this agreement takes: all until its requester closes it or it expires on anybody's clock, though its work is over here. */
  exposedWei(wallMs: number): bigint {
    const { closed, released, exposure } = this.#record
    return closed || released === true || wallMs > exposure.expiresWallMs + PARAMS.clockSkewMs ? 0n : exposure.ownWei
  }

  /** Its requester says that nothing more is paid ahead. */
  release(turn: Turn): void {
    if (this.#record.released === true) return
    this.#record.released = true
    this.#save(turn)
  }

  get tickets(): number {
    return this.#record.tickets
  }

  get wins(): number {
    return this.#record.wins
  }

  /** Expected value of the tickets credited. */
  get credit(): Expected {
    return BigInt(this.#record.tickets) * expectedOf(this.#record.terms)
  }

  /** What the payer owes by what was worked and judged; negative when it is ahead. */
  get owed(): Expected {
    return dueFor(this.#record.terms, this.#record.work, 0) - this.credit
  }

  /** The newest commits that a ticket may use. */
  get lots(): CommitLot[] {
    return this.#offered.lots(Math.max(COMMITS_A_CREDIT, ticketsAhead(this.#record.terms)))
  }

  get size(): number {
    return this.#offered.size
  }

  /** No ticket, no work: whether this much more of the unit is paid for. */
  mayWork(quantity: number): boolean {
    const { terms, work } = this.#record
    return !this.#record.closed && this.credit >= dueFor(terms, work, quantity)
  }

  /** We have worked `total` of the unit in all. Say it to the payer after this turn, not before. */
  worked(turn: Turn, total: number): void {
    const work = claimWork(this.#record.work, total)
    if (work !== this.#record.work) this.#setWork(turn, work)
  }

  /** Our reveal matched. Refused: E_PAY_QUANTITY. */
  accepted(turn: Turn, quantity: number, results?: Results): Result<undefined> {
    const work = acceptWork(this.#record.terms, this.#record.work, quantity, results)
    if (!work.ok) return work
    this.#setWork(turn, work.value)
    return accept(undefined)
  }

  /**
   * This quantity gave nothing. With `refund`, a signed promise of the agreed share of what it was paid goes to the
   * requester, never more than was credited; it can be taken from our bond until `refundExpirySec`. Refused: E_PAY_QUANTITY.
   */
  failed(turn: Turn, quantity: number, refund?: { expirySec: number }): Result<undefined> {
    const record = this.#record
    const before = record.work.refundable
    const work = failWork(record.terms, record.work, quantity)
    if (!work.ok) return work
    if (refund !== undefined) {
      const wanted = record.refunded + work.value.refundable - before
      record.refunded = wanted < this.credit ? wanted : this.credit
    }
    this.#setWork(turn, work.value)
    if (refund !== undefined && record.refunded > 0n) this.#sayRefund(turn, refund.expirySec)
    return accept(undefined)
  }

  /**
   * All that can be checked of a ticket for next to nothing, in this order: its number is offered and remembered; it is the
   * same as before or the first; each field is what we offered; it lives long enough; the payer's money carries it.
   * The signature is checked after this, outside. Refused: E_TICKET_UNOFFERED, E_TICKET_OLD, E_TICKET_SPENT, E_TICKET_FIELD,
   * E_TICKET_EXPIRED, E_PAYER_BOND, E_PAYER_FUNDS.
   */
  screen(hasher: Hasher, { index, ticket }: Pick<PayMessageOf<'ticket'>, 'index' | 'ticket'>, funds: PayerFunds, now: Now): Result<Screened> {
    if (this.#offered.isForgotten(index)) return refuse('E_TICKET_OLD', `ticket ${index} is older than what is remembered`)
    const expirySec = this.#offered.expirySec(index)
    if (expirySec === undefined) return refuse('E_TICKET_UNOFFERED', `no commit ${index} was offered`)
    const known = this.#offered.credited(index)
    if (known !== undefined) {
      const digest = this.#parts.tickets.digest(ticket)
      return toHex(digest) === known ? accept({ kind: 'repeated', digest }) : refuse('E_TICKET_SPENT', `commit ${index} has a ticket already`)
    }
    const wrong = this.#wrongField(hasher, index, ticket, expirySec)
    if (wrong !== undefined) return refuse('E_TICKET_FIELD', `${wrong} of ticket ${index} is not what was offered`)
    if (expirySec - secOf(now) < redeemMarginSec(this.#record.terms)) return refuse('E_TICKET_EXPIRED', `ticket ${index} could not be redeemed in time`)
    const unfunded = this.#unfunded(ticket, funds)
    return unfunded ?? accept({ kind: 'fresh', digest: this.#parts.tickets.digest(ticket) })
  }

  /**
   * A ticket whose signature holds: drawn, written and credited in this turn; only then acknowledged, with fresh commits.
   * A repeated one is acknowledged again and changes nothing. The payer learns nothing of the draw.
   */
  ticket(turn: Turn, message: PayMessageOf<'ticket'>, funds: PayerFunds): Result<Credited> {
    const screened = this.screen(turn.hasher, message, funds, turn.now)
    const { index, agreement } = message
    if (!screened.ok) {
      this.#parts.post.send(turn, this.#record.requester, { kind: 'ticket-refused', agreement, index, code: screened.code, message: screened.message.slice(0, 200) })
      return screened
    }
    const { kind, digest } = screened.value
    const credited: Credited = kind === 'repeated' ? { kind } : this.#credit(turn, message, digest)
    this.#answer(turn, index)
    return accept(credited)
  }

  /** The payer says where it stands; it hears where we do. `owed` at its last word is what it leaves unpaid. */
  reconcile(turn: Turn, message: PayMessageOf<'reconcile'>): void {
    const record = this.#record
    const { state, final, signature } = message
    const { heard } = record
    const { next } = this.#offered.record()
    const isLast = final && !record.closed
    if (heard === undefined || state.sequence > heard.state.sequence) record.heard = { state, signature: signature ?? '' }
    if (final) record.closed = true
    // the payer says what it holds of ours: enough of saying it
    if (toWei(state.refunded) >= toWei(record.refunded)) this.#parts.post.done(turn, this.#refundKey)
    this.#offered.refill(turn, secOf(turn.now))
    if (isLast || record.heard !== heard || this.#offered.record().next !== next) this.#save(turn)
    this.#answer(turn, undefined)
  }

  /** The agreement has ended: says until when its books are kept, which is decided once. */
  retire(turn: Turn, keepMs: number): number {
    const record = this.#record
    if (record.keepUntilWallMs === undefined) {
      record.keepUntilWallMs = turn.now.wallMs + keepMs
      this.#save(turn)
    }
    return record.keepUntilWallMs
  }

  /** Everything of it leaves the disk; its winners stay until the chain has paid them. */
  forget(turn: Turn): void {
    this.#parts.post.done(turn, this.#refundKey)
    this.#offered.forget(turn)
    turn.delete(RECIPIENT_PREFIX + this.id)
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    yield [RECIPIENT_PREFIX + this.id, this.#stored()]
    yield* this.#offered.records()
  }

  #credit(turn: Turn, { index, ticket, signature }: PayMessageOf<'ticket'>, digest: Uint8Array): Credited {
    const record = this.#record
    const { agreement } = record
    const offerId = offerIdOf(agreement)
    const won = this.#parts.draws.wins(offerId, index, digest, ticket.winProb)
    const winner: Winner | undefined = won ? { v: 1, agreement, offerId, index, ticket, signature: signature ?? '', digest: toHex(digest) } : undefined
    this.#offered.use(turn, index, toHex(digest))
    this.#offered.refill(turn, secOf(turn.now))
    record.tickets++
    record.sequence++
    if (winner !== undefined) {
      record.wins++
      this.#parts.winners.add(turn, winner)
    }
    this.#save(turn)
    return winner === undefined ? { kind: 'lost' } : { kind: 'won', winner }
  }

  /** The name of the first field that is not our own offer's. Never compared with what the payer says it was. */
  #wrongField(hasher: Hasher, index: number, ticket: Ticket, expirySec: number): keyof Ticket | undefined {
    const { payer, payee, terms, agreement } = this.#record
    if (ticket.payer !== payer) return 'payer'
    if (ticket.payee !== payee) return 'payee'
    if (ticket.faceValueWei !== terms.faceValueWei) return 'faceValueWei'
    if (ticket.winProb !== terms.winProb) return 'winProb'
    if (ticket.expirySec !== expirySec) return 'expirySec'
    if (ticket.commit !== this.#offered.commit(index)) return 'commit'
    return ticket.context === contextOf(hasher, this.#job, agreement, index) ? undefined : 'context'
  }

  /** A payer without a bond could drain its deposit by a winner of its own; the bond that burns then must hurt more. */
  #unfunded(ticket: Ticket, funds: PayerFunds): Refusal | undefined {
    const sure = fundsUntil(funds, ticket.expirySec)
    if (ticket.faceValueWei * 2n > sure.bondWei) return refuse('E_PAYER_BOND', `a bond of ${sure.bondWei} wei does not stand behind tickets of ${ticket.faceValueWei} wei`)
    const pendingWei = this.#parts.winners.pendingWei(ticket.payer)
    if (pendingWei + ticket.faceValueWei > sure.depositWei) return refuse('E_PAYER_FUNDS', `a deposit of ${sure.depositWei} wei does not cover ${pendingWei} wei of winners and this ticket`)
    return undefined
  }

  #setWork(turn: Turn, work: Work): void {
    this.#record.work = work
    this.#record.sequence++
    this.#save(turn)
  }

  get #refundKey(): string {
    return `refund/${this.id}`
  }

  get #state(): PaymentState {
    const { agreement, sequence, tickets, terms, work, refunded } = this.#record
    return { agreement, sequence, tickets, expectedPaid: this.credit, heldBack: heldBack(terms, work), refunded }
  }

  #answer(turn: Turn, index: number | undefined): void {
    const { agreement, requester, closed } = this.#record
    this.#parts.post.send(turn, requester, { kind: 'credit', agreement, ...index === undefined ? {} : { index }, state: this.#state, lots: this.lots, final: closed })
  }

  /** Repeated like anything that must arrive; the same until a later failure adds to it. */
  #sayRefund(turn: Turn, expirySec: number): void {
    const { agreement, requester, sequence, refunded } = this.#record
    this.#parts.post.add(turn, this.#refundKey, requester, { kind: 'refund', agreement, sequence, paidWei: toWei(this.credit), amountWei: toWei(refunded), expirySec }, expirySec * SECOND_MS)
  }

  #stored(): RecipientRecord {
    return { ...this.#record, ...this.#offered.record() }
  }

  #save(turn: Turn): void {
    turn.put(RECIPIENT_PREFIX + this.id, this.#stored())
  }
}

function secOf({ wallMs }: Now): number {
  return Math.floor(wallMs / SECOND_MS)
}
