import { accept, refuse } from '../codec/result.ts'
import type { Refusal, Result } from '../codec/result.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { Now } from '../core/event.ts'
import type { Timers } from '../core/timers.ts'
import type { Turn } from '../core/turn.ts'
import { invariant } from '../errors.ts'
import { PARAMS } from '../params.ts'
import { SECOND_MS } from '../units.ts'
import type { Budget } from './budget.ts'
import { Commits } from './commits.ts'
import type { OpenCommit } from './commits.ts'
import { acceptedPrice, acceptWork, claimWork, dueFor, failWork, heldBack, NO_WORK } from './ledger.ts'
import type { Results, Work } from './ledger.ts'
import type { CommitLot, PayMessageOf } from '../documents/pay-message.ts'
import type { Post } from './post.ts'
import type { Payment, SenderRecord, SenderState, SignedRefund, SignedState } from './sender-record.ts'
import type { PaymentState } from '../documents/payment-state.ts'
import { aheadQuantity, MAX_OPEN_COMMITS, MAX_TICKETS, ticketsAhead, useMarginSec } from '../documents/terms.ts'
import { contextOf, expectedOf, fromWei, jobDigest } from '../documents/ticket.ts'
import type { Expected, Ticket } from '../documents/ticket.ts'

export type { Payment, SenderRecord, SenderState, SignedRefund, SignedState } from './sender-record.ts'

export const SENDER_PREFIX = 'pay/'
/** A ticket this far behind the newest is given up: its provider remembers twice as many, so it can still tell a repetition. */
const MAX_SPAN = MAX_OPEN_COMMITS
/** Refusals of a ticket that no repetition changes. */
const NEVER_TAKEN: ReadonlySet<string> = new Set(['E_TICKET_FIELD', 'E_TICKET_UNOFFERED', 'E_TICKET_SPENT'])
/** While something is due and cannot be paid, commits are asked for and caps looked at this often. */
const ASK_MS = 5 * SECOND_MS

export interface SenderParts { post: Post, timers: Timers, budget: Budget }

/** The payer's side of one agreement: pays what is due by tickets, one signature a commit, and no more ahead than agreed. */
export class Sender {
  readonly #parts: SenderParts
  readonly #record: SenderRecord
  readonly #commits: Commits
  readonly #job: string
  #paused: Refusal | undefined
  /** The question under way is for the last word. */
  #askedFinal = false

  private constructor(parts: SenderParts, record: SenderRecord) {
    this.#parts = parts
    this.#record = record
    this.#commits = new Commits(record.agreement, record.next)
    this.#job = jobDigest(record.job)
  }

  /** A new agreement's. Nothing is signed before the provider has offered commits. */
  static open(turn: Turn, parts: SenderParts, payment: Payment): Sender {
    const sender = new Sender(parts, { ...payment, v: 1, state: { kind: 'open' }, work: NO_WORK, issued: 0, next: 0, sequence: 0, inFlight: [] })
    sender.#save(turn)
    return sender
  }

  /** Rebuilds from its own record and, after that, `restorePage` for each page of used commits. */
  static restore(parts: SenderParts, value: StoredRecord): Sender {
    return new Sender(parts, value as SenderRecord)
  }

  restorePage(value: StoredRecord): void {
    this.#commits.restorePage(value)
  }

  get id(): string {
    return this.#record.agreement
  }

  get state(): SenderState {
    return this.#record.state
  }

  get payment(): Readonly<Payment> {
    return this.#record
  }

  get work(): Readonly<Work> {
    return this.#record.work
  }

  /** Expected value signed for so far, acknowledged or not. */
  get paid(): Expected {
    return BigInt(this.#record.issued) * this.#value
  }

  get issued(): number {
    return this.#record.issued
  }

  /** Tickets signed that no signed word of the provider counts: what it may have and deny. */
  get unacknowledged(): number {
    return this.#record.issued - (this.#record.acknowledged?.state.tickets ?? 0)
  }

  /** Why nothing is signed just now although something is due: the owner's caps, no commits, nothing acknowledged. */
  get paused(): Refusal | undefined {
    return this.#paused
  }

  /** What the provider has acknowledged and signed. */
  get acknowledged(): SignedState | undefined {
    return this.#record.acknowledged
  }

  /** The refund that the provider signed; set against `refundDue` it shows whether it keeps its word. */
  get refund(): SignedRefund | undefined {
    return this.#record.refund
  }

  get refundDue(): Expected {
    return this.#record.work.refundable
  }

  /** After a restart: what was signed may still win, and its expiry is not in the records, so the latest is assumed. */
  recount(now: Now): void {
    const { terms, issued } = this.#record
    if (issued > 0) this.#parts.budget.cover.issued({ ...terms, expirySec: Math.ceil(now.wallMs / SECOND_MS) + terms.ticketLifeSec }, issued)
  }

  /** What kept it from paying may be over. */
  resume(turn: Turn): void {
    if (this.#paused !== undefined) this.#pump(turn)
  }

  /** After a restart, and whenever the provider comes back: both sides say where they stand. */
  reconnected(turn: Turn): void {
    const { state } = this.#record
    if (state.kind === 'closed' || state.kind === 'stopped') return
    if (state.kind === 'closing') this.#closeTimer(turn)
    this.#reconcile(turn, true)
    this.#pump(turn)
  }

  /** The provider says that it has worked `total` of the unit in all. The caller has checked that so much can have been done. */
  worked(turn: Turn, total: number): void {
    if (this.#record.state.kind !== 'open') return
    this.#setWork(turn, claimWork(this.#record.work, total))
  }

  /** A reveal matched: the held-back share of this quantity is due. Refused: E_PAY_QUANTITY. */
  accepted(turn: Turn, quantity: number, results?: Results): Result<undefined> {
    const work = acceptWork(this.#record.terms, this.#record.work, quantity, results)
    if (!work.ok) return work
    this.#setWork(turn, work.value)
    return accept(undefined)
  }

  /** This quantity gave nothing. Refused: E_PAY_QUANTITY. */
  failed(turn: Turn, quantity: number): Result<undefined> {
    const work = failWork(this.#record.terms, this.#record.work, quantity)
    if (!work.ok) return work
    this.#setWork(turn, work.value)
    return accept(undefined)
  }

  /** Commits that came with the agreement. Refused: E_COMMIT_…; then nothing is signed for it. */
  offered(turn: Turn, lots: readonly CommitLot[]): Result<undefined> {
    const { kind } = this.#record.state
    if (kind === 'closed' || kind === 'stopped') return accept(undefined)
    const refusal = this.#take(turn, lots)
    if (refusal !== undefined) return this.#stop(turn, refusal)
    this.#pump(turn)
    return accept(undefined)
  }

  /** The provider's word on what it has credited. A refusal (E_PAY_…, E_COMMIT_…) says that it broke a rule: nothing is signed for it again. */
  credited(turn: Turn, message: PayMessageOf<'credit'>): Result<undefined> {
    const { state } = this.#record
    // a ticket's acknowledgement, or an old word, is no answer to the question for the last one
    if (message.final || (message.index === undefined && !this.#askedFinal)) this.#parts.post.done(turn, this.#reconcileKey)
    if (state.kind === 'closed' || state.kind === 'stopped') return accept(undefined)
    const { acknowledged, inFlight } = this.#record
    const flying = inFlight.length
    if (message.index !== undefined) this.#arrived(turn, message.index)
    const refusal = this.#hear(message) ?? this.#take(turn, message.lots)
    if (refusal !== undefined) return this.#stop(turn, refusal)
    const isNews = this.#record.acknowledged !== acknowledged || inFlight.length !== flying
    if (message.final && this.#isSettled) this.#finish(turn, true)
    else this.#pump(turn)
    if (isNews || this.#record.state.kind === 'closed') this.#save(turn)
    return accept(undefined)
  }

  /** The provider took a ticket not. It stays signed and is sent again until it expires: a provider may say no and redeem all the same. */
  ticketRefused(turn: Turn, { index, code, message }: PayMessageOf<'ticket-refused'>): void {
    if (!this.#record.inFlight.some((ticket) => ticket.index === index)) return
    this.#paused = refuse(code, message)
    // saying it again would only count against us there
    if (NEVER_TAKEN.has(code)) this.#parts.post.done(turn, this.#ticketKey(index))
  }

  /** A refund that the provider signed; only a larger one replaces it. Refused: E_PAY_REFUND. */
  refunded(turn: Turn, message: PayMessageOf<'refund'>): Result<undefined> {
    const { kind: _, agreement: __, ...refund } = message
    if (refund.refundSignature === undefined || refund.statementSignature === undefined || refund.amountWei > refund.paidWei) return refuse('E_PAY_REFUND', 'a refund that the contract would not pay')
    if (refund.amountWei > (this.#record.refund?.amountWei ?? 0n)) {
      this.#record.refund = refund
      this.#save(turn)
    }
    // said once: the provider asks again until it hears this
    this.#parts.post.send(turn, this.#record.provider, this.#question)
    return accept(undefined)
  }

  /** No more work: pays what is due and asks for the provider's last word. Ends without it after PARAMS.keepResultMs. */
  close(turn: Turn): void {
    if (this.#record.state.kind !== 'open') return
    this.#record.state = { kind: 'closing' }
    this.#closeTimer(turn)
    this.#pump(turn)
    this.#save(turn)
  }

  /** True when `timer` was ours. */
  timer(turn: Turn, timer: string): boolean {
    if (timer === this.#askTimer) {
      this.#pump(turn)
      return true
    }
    if (timer !== this.#timer) return false
    if (this.#record.state.kind === 'closing') this.#finish(turn, false)
    this.#save(turn)
    return true
  }

  /** Everything of it leaves the disk: its job is forgotten. */
  forget(turn: Turn): void {
    this.#quiet(turn)
    this.#commits.forget(turn)
    turn.delete(SENDER_PREFIX + this.id)
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    yield [SENDER_PREFIX + this.id, this.#stored()]
    yield* this.#commits.records()
  }

  get #value(): Expected {
    return expectedOf(this.#record.terms)
  }

  get #timer(): string {
    return `pay-close|${this.id}`
  }

  get #askTimer(): string {
    return `pay-ask|${this.id}`
  }

  get #reconcileKey(): string {
    return `reconcile/${this.id}`
  }

  #ticketKey(index: number): string {
    return `ticket/${this.id}/${index}`
  }

  #setWork(turn: Turn, work: Work): void {
    if (work === this.#record.work) return
    this.#record.work = work
    this.#record.sequence++
    this.#pump(turn)
    this.#save(turn)
  }

  get #due(): Expected {
    const { state, terms, work } = this.#record
    return dueFor(terms, work, state.kind === 'open' ? aheadQuantity(terms) : 0)
  }

  /** Closing, and nothing is left to pay or under way. What the owner's caps do not let out stays owed. */
  get #isSettled(): boolean {
    const { state, inFlight } = this.#record
    return state.kind === 'closing' && inFlight.length === 0 && (this.paid >= this.#due || this.#paused?.code.startsWith('E_BUDGET_') === true)
  }

  /** Signs for what is due, as far as commits, caps and the tickets under way let it. */
  #pump(turn: Turn): void {
    const { state } = this.#record
    if (state.kind !== 'open' && state.kind !== 'closing') return
    this.#giveUpExpired(turn)
    const due = this.#due
    this.#paused = undefined
    while (this.paid < due && this.#paused === undefined) this.#paused = this.#issueOne(turn)
    if (this.#paused !== undefined && !this.#parts.timers.has(this.#askTimer)) this.#parts.timers.set(this.#askTimer, turn.now.monoMs + ASK_MS)
    if (this.#isSettled) this.#reconcile(turn)
  }

  /** One ticket, or why not. The mark, the count and the ticket leave in one batch; only after it is on disk is it signed. */
  #issueOne(turn: Turn): Refusal | undefined {
    const { terms, job, provider, issued, inFlight, work, acknowledged } = this.#record
    // what was accepted is owed, acknowledged or not: a debt that grew at once is not paid off one round trip at a time
    const heard = BigInt(acknowledged?.state.tickets ?? 0) * this.#value
    const owed = acceptedPrice(terms, work)
    const safe = heard > owed ? heard : owed
    if (this.paid + this.#value > safe + BigInt(ticketsAhead(terms)) * this.#value) return refuse('E_PAY_UNACKNOWLEDGED', 'what is paid ahead is not acknowledged')
    if (issued >= MAX_TICKETS) return refuse('E_PAY_TICKETS', 'the agreement has used up its tickets')
    const { budget } = this.#parts
    const refusal = budget.refusal(turn.now, { job, peer: provider }, this.#value) ?? budget.cover.refusal(turn.now, terms)
    if (refusal !== undefined) return refusal
    const open = this.#commits.peek(Math.ceil(turn.now.wallMs / SECOND_MS) + useMarginSec(terms))
    if (open === undefined) {
      if (!this.#parts.timers.has(this.#askTimer)) this.#reconcile(turn)
      return refuse('E_PAY_COMMITS', 'waits for commits of the provider')
    }
    const oldest = inFlight[0]
    if (oldest !== undefined && open.index - oldest.index > MAX_SPAN) return refuse('E_PAY_UNACKNOWLEDGED', 'an early ticket is not acknowledged')
    this.#issue(turn, open)
    return undefined
  }

  #issue(turn: Turn, open: OpenCommit): void {
    const record = this.#record
    const { terms, job, provider, payer, payee, agreement } = record
    const { index, commit, expirySec } = open
    invariant(index >= record.next, 'a commit is about to be used again')
    this.#commits.use(turn, open)
    const ticket: Ticket = {
      payer, payee, faceValueWei: terms.faceValueWei, winProb: terms.winProb, expirySec, commit,
      salt: turn.nonce(), context: contextOf(turn.hasher, this.#job, agreement, index)
    }
    record.next = this.#commits.next
    record.issued++
    record.sequence++
    record.inFlight.push({ index, expirySec })
    this.#parts.budget.spend(turn, { job, peer: provider }, this.#value)
    this.#parts.budget.cover.issued(ticket)
    this.#parts.post.add(turn, this.#ticketKey(index), provider, { kind: 'ticket', agreement, index, ticket }, expirySec * SECOND_MS)
    this.#save(turn)
  }

  /** Nobody takes them any more. They count as paid: they may have arrived, and won. */
  #giveUpExpired(turn: Turn): void {
    const { inFlight } = this.#record
    const flying = inFlight.length
    for (let oldest = inFlight[0]; oldest !== undefined && turn.now.wallMs > oldest.expirySec * SECOND_MS + PARAMS.clockSkewMs; oldest = inFlight[0]) this.#arrived(turn, oldest.index)
    if (inFlight.length !== flying) this.#save(turn)
  }

  #arrived(turn: Turn, index: number): void {
    const at = this.#record.inFlight.findIndex((flying) => flying.index === index)
    if (at !== -1) this.#record.inFlight.splice(at, 1)
    this.#parts.post.done(turn, this.#ticketKey(index))
  }

  /** Checks the provider's state against our own books. */
  #hear({ state, signature }: PayMessageOf<'credit'>): Refusal | undefined {
    const record = this.#record
    if (state.agreement !== record.agreement) return refuse('E_PAY_STATE', 'a state of another agreement')
    // more than was ever signed: it invents, or our store is older than what we signed, and then signing on could sign a commit twice
    if (state.tickets > record.issued) return refuse('E_PAY_STATE_AHEAD', `it credits ${state.tickets} tickets of ${record.issued} issued`)
    if (state.expectedPaid !== BigInt(state.tickets) * this.#value) return refuse('E_PAY_STATE', 'its tickets and its sum do not match')
    const last = record.acknowledged?.state
    if (last === undefined || state.sequence > last.sequence) {
      if (last !== undefined && (state.tickets < last.tickets || state.refunded < last.refunded)) return refuse('E_PAY_STATE_BACK', 'it takes back what it had acknowledged')
      record.acknowledged = { state, signature: signature ?? '' }
    } else if (state.sequence === last.sequence && state.tickets !== last.tickets) {
      return refuse('E_PAY_STATE_BACK', 'it signed two states of one number')
    }
    return undefined
  }

  #take(turn: Turn, lots: readonly CommitLot[]): Refusal | undefined {
    const { ticketLifeSec } = this.#record.terms
    const maxExpirySec = Math.ceil((turn.now.wallMs + PARAMS.clockSkewMs) / SECOND_MS) + ticketLifeSec
    const taken = this.#commits.offered(lots, maxExpirySec)
    return taken.ok ? undefined : taken
  }

  #stop(turn: Turn, refusal: Refusal): Refusal {
    this.#quiet(turn)
    this.#record.state = { kind: 'stopped', code: refusal.code, message: refusal.message }
    this.#save(turn)
    return refusal
  }

  /** Says where we stand and asks where the provider does; once at a time, unless `again`. */
  #reconcile(turn: Turn, again = false): void {
    const final = this.#isFinal
    if (!again && this.#askedFinal === final && this.#parts.post.has(this.#reconcileKey)) return
    this.#askedFinal = final
    this.#parts.post.add(turn, this.#reconcileKey, this.#record.provider, this.#question, turn.now.wallMs + PARAMS.keepResultMs)
  }

  /** Nothing will be signed after this word. */
  get #isFinal(): boolean {
    return this.#record.state.kind === 'closed' || this.#isSettled
  }

  get #question(): PayMessageOf<'reconcile'> {
    const { agreement, work, sequence, issued, terms, refund } = this.#record
    const state: PaymentState = { agreement, sequence, tickets: issued, expectedPaid: this.paid, heldBack: heldBack(terms, work), refunded: fromWei(refund?.amountWei ?? 0n) }
    return { kind: 'reconcile', agreement, state, final: this.#isFinal }
  }

  #finish(turn: Turn, agreed: boolean): void {
    this.#quiet(turn)
    this.#record.state = { kind: 'closed', agreed }
  }

  #closeTimer(turn: Turn): void {
    this.#parts.timers.set(this.#timer, turn.now.monoMs + PARAMS.keepResultMs)
  }

  #quiet(turn: Turn): void {
    this.#parts.timers.clear(this.#timer)
    this.#parts.timers.clear(this.#askTimer)
    this.#parts.post.done(turn, this.#reconcileKey)
    for (const { index } of this.#record.inFlight) this.#parts.post.done(turn, this.#ticketKey(index))
  }

  #stored(): SenderRecord {
    return { ...this.#record, inFlight: [...this.#record.inFlight] }
  }

  #save(turn: Turn): void {
    turn.put(SENDER_PREFIX + this.id, this.#stored())
  }
}
