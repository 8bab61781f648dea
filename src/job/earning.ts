import type { StoredRecord } from '../core/effect.ts'
import type { LeaseId } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import type { ChainCosts } from '../documents/account.ts'
import type { Offer } from '../documents/offer.ts'
import type { MessageOf } from '../documents/message.ts'
import type { PayMessage, PayMessageOf } from '../documents/pay-message.ts'
import { carriageOf, priceOf } from '../documents/terms.ts'
import type { PaymentTerms, Terms } from '../documents/terms.ts'
import { toWei } from '../documents/ticket.ts'
import type { TicketHasher } from '../documents/ticket.ts'
import type { ErrorCode } from '../errors.ts'
import type { Accounts } from '../payment/accounts.ts'
import { Backing, BACKING_PREFIX } from '../payment/backing.ts'
import { chooseTicket, fundsUntil } from '../payment/choose.ts'
import type { Draws } from '../payment/draws.ts'
import { totalOf } from '../payment/ledger.ts'
import { CREDITED_PREFIX, Offered } from '../payment/offered.ts'
import { slotPriceWei } from '../payment/prices.ts'
import type { Prices } from '../payment/prices.ts'
import { Recipient, RECIPIENT_PREFIX } from '../payment/recipient.ts'
import { WINNER_PREFIX, Winners } from '../payment/winners.ts'
import { PARAMS } from '../params.ts'
import { DAY_MS, SECOND_MS } from '../units.ts'
import type { Hosted } from './hosted.ts'
import type { Parts } from './parts.ts'
import { RunClocks } from './run-clocks.ts'

/** How a host is paid; absent when it works for nothing. */
export interface EarnerSettings {
  prices: Prices
  /** One unit of work: what one ticket pays. */
  unitMs: number
  ticketLifeSec: number
  /** Basis points. */
  holdback: number
  refund: number
  /** The most that redeeming a winner may cost of it, basis points. */
  maxCostShare: number
  /** Agreements that may be behind the own bond at once: each is paid ahead of its reveals up to this part of it. */
  bondShares: number
}

export const EARNING_PREFIXES = [BACKING_PREFIX, RECIPIENT_PREFIX, CREDITED_PREFIX, WINNER_PREFIX] as const
/** Commits offered beyond the tickets that pay one unit a slot: one in flight each way. */
const SPARE_COMMITS = 4
const MAX_OPEN = 64
/** Work that nobody pays is held for this long, then it ends. */
export const UNPAID_MS = 30 * SECOND_MS
/** A refund can be claimed this long. */
const REFUND_LIFE_MS = 7 * DAY_MS

export type TermsAnswer = { kind: 'terms', terms: Terms } | { kind: 'refused', code: ErrorCode, message: string } | { kind: 'wait' }

/** The provider's money: its terms, one recipient an agreement, its winners; and when work may go on. */
export class Earning {
  readonly #parts: Parts
  readonly #accounts: Accounts
  #settings: EarnerSettings | undefined
  readonly #draws: Draws
  readonly #tickets: TicketHasher
  readonly winners = new Winners()
  readonly #recipients = new Map<string, Recipient>()
  /** Of agreements that stand here. */
  readonly #live = new Set<string>()
  readonly #backing = new Backing(this.#recipients)
  readonly #clocks = new RunClocks()
  #costs: ChainCosts | undefined

  constructor(parts: Parts, accounts: Accounts, settings: EarnerSettings | undefined, draws: Draws, tickets: TicketHasher) {
    this.#parts = parts
    this.#accounts = accounts
    this.#settings = settings
    this.#draws = draws
    this.#tickets = tickets
  }

  get recipients(): ReadonlyMap<string, Recipient> {
    return this.#recipients
  }

  /** What is asked from now on; undefined where nothing is. */
  get prices(): Prices | undefined {
    return this.#settings?.prices
  }

  /** The agreement stands here. */
  isLive(id: string): boolean {
    return this.#live.has(id)
  }

  /** Work of this agreement is held, since it is not paid. */
  isUnpaid(id: string): boolean {
    return this.#parts.timers.has(`unpaid|${id}`)
  }

  setPrices(prices: Prices): void {
    if (this.#settings !== undefined) this.#settings = { ...this.#settings, prices }
  }

  /** After a restart; `live` are the agreements that still stand. */
  start(turn: Turn, live: Iterable<string>): void {
    if (this.#settings === undefined) return
    this.#accounts.want(turn, this.#parts.self.identity.address)
    for (const id of live) if (this.#recipients.has(id)) this.#live.add(id)
    for (const recipient of this.#recipients.values()) {
      recipient.start(turn)
      this.#accounts.want(turn, recipient.earning.payer)
      if (!this.#live.has(recipient.id)) this.#keep(turn, recipient.id)
    }
    for (const winner of this.winners.all()) turn.do({ kind: 'redeem', winner })
  }

  costs(costs: ChainCosts): void {
    this.#costs = costs
  }

  /** The terms that this host would work on for this offer. `wait`: the chain is asked what stands behind the requester. */
  terms(turn: Turn, offer: Offer, slots: number): TermsAnswer {
    if (this.#settings === undefined) return { kind: 'terms', terms: { mode: 'free' } }
    if (offer.payer === undefined) return { kind: 'refused', code: 'E_TERMS_MODE', message: 'wants to be paid, and the requester pays nobody' }
    const { address } = offer.payer
    this.#accounts.want(turn, address)
    const account = this.#accounts.get(address)
    if (account === undefined || this.#costs === undefined) return { kind: 'wait' }
    const { prices, unitMs, holdback, refund, maxCostShare } = this.#settings
    const rest = { refund, slots, offer, wallMs: turn.now.wallMs }
    const ticketLifeSec = Math.min(this.#settings.ticketLifeSec, this.#costs.maxTicketLifeSec ?? Number.POSITIVE_INFINITY)
    const shape = { unit: { kind: 'resource-ms' as const, size: unitMs }, unitPriceWei: slotPriceWei(prices, offer.resources, unitMs), holdback }
    if (shape.unitPriceWei === 0n) return { kind: 'terms', terms: this.#termsOf(shape, { faceValueWei: 1n, winProb: 0n }, { ...rest, ticketLifeSec }) }
    const funds = fundsUntil(account, Math.ceil(turn.now.wallMs / SECOND_MS) + ticketLifeSec)
    const ticket = chooseTicket({ terms: shape, redemptionCostWei: this.#costs.redemptionWei, maxCostShare, funds, pendingWinnersWei: this.winners.pendingWei(address) })
    if (!ticket.ok) return { kind: 'refused', code: ticket.code, message: ticket.message }
    return { kind: 'terms', terms: this.#termsOf(shape, ticket.value, { ...rest, ticketLifeSec }) }
  }

  /** What a task of the full run time costs with all that is fetched for it, wei, rounded up. */
  taskPriceWei(terms: Terms, runMs: number): bigint {
    if (terms.mode === 'free') return 0n
    const { onceBytes = 0, taskBytes = 0 } = terms.moved ?? {}
    return toWei(priceOf(terms, runMs) + carriageOf(terms, onceBytes + taskBytes)) + 1n
  }

  get earns(): boolean {
    return this.#settings !== undefined
  }

  /** Whether our bond still stands behind what these terms let this requester pay ahead: others may have agreed since the bid. */
  covers(terms: Terms, requester: string, wallMs: number): boolean {
    return terms.mode === 'free' || terms.prepayCapWei === 0n || terms.prepayCapWei <= this.#freeFor(requester, wallMs)
  }

  /** Our bond for jobs, and what of it is behind agreements that their requesters have not closed and that have not expired. */
  bond(wallMs: number): { bondWei: bigint, exposureWei: bigint } {
    const bondWei = this.#accounts.get(this.#parts.self.identity.address)?.jobBondWei ?? 0n
    return { bondWei, exposureWei: this.#backing.exposedWei(wallMs) }
  }

  open(turn: Turn, { id, agreement }: Hosted): void {
    const { terms, job, requester, requesterAddress, payee, expiresWallMs } = agreement
    if (terms.mode === 'free' || this.#recipients.has(id)) return
    this.#live.add(id)
    const exposure = this.#backing.next(turn, terms.prepayCapWei, expiresWallMs)
    this.#recipients.set(id, Recipient.open(turn, this.#recipientParts, { agreement: id, job, requester, payer: requesterAddress, payee, terms, exposure }))
    this.#backing.add(id)
  }

  /** Its requester says that an agreement is over, be it that it never knew of our word on it. */
  released(turn: Turn, from: string, id: string): void {
    const recipient = this.#recipients.get(id)
    if (recipient?.earning.requester === from) recipient.release(turn)
  }

  /** Our word on an agreement, with its first commits and what our bond stands behind where work is paid. */
  agreed(id: string): MessageOf<'agreed'> {
    const recipient = this.#recipients.get(id)
    return { kind: 'agreed', agreement: id, ...recipient === undefined ? {} : { lots: recipient.lots, exposure: recipient.earning.exposure } }
  }

  /** No ticket, no work: whether one more run may begin. */
  mayStart(id: string): boolean {
    const recipient = this.#recipients.get(id)
    return recipient === undefined || recipient.mayWork(recipient.earning.terms.unit.size)
  }

  /** A run's program began: from now on its time is claimed. */
  began(turn: Turn, lease: LeaseId): void {
    const recipient = this.#recipients.get(lease.agreement)
    if (recipient !== undefined && this.#clocks.began(lease, turn.now.monoMs)) this.#arm(turn, recipient)
  }

  /** A run stands still for the owner of what it runs on, until it `began` again: nobody's time. */
  aside(turn: Turn, lease: LeaseId): void {
    this.#clocks.aside(lease, turn.now.monoMs)
  }

  /** A run is over, however: what it worked, at least what was claimed of it. Undefined where nothing is paid. */
  ended(turn: Turn, lease: LeaseId, wallMs: number | undefined): number | undefined {
    const recipient = this.#recipients.get(lease.agreement)
    if (recipient === undefined) return undefined
    const clock = this.#clocks.end(lease, turn.now.monoMs)
    const ranMs = Math.max(clock.claimedMs, wallMs ?? clock.ranMs)
    recipient.worked(turn, totalOf(recipient.work) + ranMs - clock.claimedMs)
    return ranMs
  }

  /** Everything worked under an agreement so far, for the requester to hear. */
  total(id: string): number | undefined {
    const recipient = this.#recipients.get(id)
    return recipient === undefined ? undefined : totalOf(recipient.work)
  }

  /** `bytes`: of the result. */
  accepted(turn: Turn, id: string, ms: number, bytes: number): void {
    const recipient = this.#recipients.get(id)
    if (recipient !== undefined) recipient.accepted(turn, Math.min(ms, recipient.work.unsettled), { tasks: 1, bytes })
  }

  /** Our own failure: an honest provider gives a part back. */
  failed(turn: Turn, id: string, ms: number): void {
    const recipient = this.#recipients.get(id)
    if (recipient !== undefined) recipient.failed(turn, Math.min(ms, recipient.work.unsettled), { expirySec: Math.ceil((turn.now.wallMs + REFUND_LIFE_MS) / SECOND_MS) })
  }

  /** A ticket, checked by the driver against its signature. True when work may go on that could not before. */
  ticket(turn: Turn, from: string, message: PayMessageOf<'ticket'>): boolean {
    const recipient = this.#recipients.get(message.agreement)
    const account = recipient === undefined ? undefined : this.#accounts.get(recipient.earning.payer)
    if (recipient === undefined || recipient.earning.requester !== from) return false
    this.#accounts.want(turn, recipient.earning.payer)
    if (message.signature === undefined) {
      // the driver saw that it cannot be taken, and spared itself its signature
      const { code, message: words } = this.screens(turn.hasher, message, turn.now) ?? { code: 'E_SIGNATURE_MISSING' as const, message: 'the ticket is not signed' }
      turn.send(from, { kind: 'ticket-refused', agreement: message.agreement, index: message.index, code, message: words.slice(0, 200) })
      return false
    }
    const credited = recipient.ticket(turn, message, account ?? { depositWei: 0n, bondWei: 0n })
    if (!credited.ok) return false
    if (credited.value.kind === 'won') {
      turn.do({ kind: 'redeem', winner: credited.value.winner })
      turn.notify({ kind: 'won', job: recipient.earning.job, requester: from, faceValueWei: message.ticket.faceValueWei.toString() })
    }
    // the same ticket again pays nothing, and must not put off the end of waiting for the next
    if (credited.value.kind === 'repeated') return false
    this.#release(turn, recipient)
    return true
  }

  message(turn: Turn, from: string, message: PayMessage): void {
    const recipient = this.#recipients.get(message.agreement)
    if (recipient?.earning.requester === from && message.kind === 'reconcile') recipient.reconcile(turn, message)
  }

  /** Before a ticket's signature is checked, which is the dearest check: whether it can be taken at all. */
  screens(hasher: Turn['hasher'], { agreement, index, ticket }: PayMessageOf<'ticket'>, now: Turn['now']): { code: ErrorCode, message: string } | undefined {
    const recipient = this.#recipients.get(agreement)
    const account = recipient === undefined ? undefined : this.#accounts.get(recipient.earning.payer)
    const screened = recipient?.screen(hasher, { index, ticket }, account ?? { depositWei: 0n, bondWei: 0n }, now)
    if (account === undefined && screened?.ok === false && screened.code === 'E_PAYER_BOND') return { code: 'E_CHAIN_UNSEEN', message: 'the chain has not said yet what stands behind its payer' }
    return screened === undefined || screened.ok ? undefined : screened
  }

  /** The chain paid a winner for good, or never will. */
  redeemed(turn: Turn, agreement: string, index: number): void {
    this.winners.over(turn, agreement, index)
  }

  /** Claims what running programs have worked; `say` is called when there is news. Work that is not paid is held. */
  look(turn: Turn, id: string, say: () => void): void {
    const recipient = this.#recipients.get(id)
    if (recipient === undefined || !this.#clocks.runs(id)) return
    const moreMs = this.#clocks.claim(id, turn.now.monoMs)
    if (moreMs > 0) {
      recipient.worked(turn, totalOf(recipient.work) + moreMs)
      say()
    }
    if (recipient.owed > 0n) this.#hold(turn, recipient)
    this.#arm(turn, recipient)
  }

  /** Its owner takes the computer, or gives it back: time in between is nobody's. */
  suspend(turn: Turn, suspended: boolean): void {
    this.#clocks.suspend(suspended, turn.now.monoMs)
  }

  /** A lease waits for money to begin with. True when that is new: the requester may not know of all that was worked, so it is told. */
  waits(turn: Turn, id: string): boolean {
    const recipient = this.#recipients.get(id)
    return recipient !== undefined && !this.mayStart(id) && this.#giveTime(turn, recipient)
  }

  /** Runs stand still for want of money. */
  holds(id: string): boolean {
    return this.#clocks.holds(id)
  }

  /** Whether work that was done is not paid. */
  owes(id: string): boolean {
    const recipient = this.#recipients.get(id)
    return recipient !== undefined && recipient.owed > 0n
  }

  /** The agreement is over. Its record stays until the requester has said its last word and its winners are paid. */
  close(turn: Turn, id: string): void {
    if (!this.#recipients.has(id)) return
    this.#live.delete(id)
    this.#clocks.forget(id)
    this.#parts.timers.clear(`paid|${id}`)
    this.#parts.timers.clear(`unpaid|${id}`)
    this.#keep(turn, id)
  }

  /** Nothing of it is needed any more. */
  forget(turn: Turn, id: string): void {
    this.#recipients.get(id)?.forget(turn)
    this.#recipients.delete(id)
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    yield* this.#backing.records()
    for (const recipient of this.#recipients.values()) yield* recipient.records()
    yield* this.winners.records()
  }

  restore(prefix: typeof EARNING_PREFIXES[number], value: StoredRecord): void {
    switch (prefix) {
      case BACKING_PREFIX: this.#backing.restore(value); break
      case RECIPIENT_PREFIX: {
        const recipient = Recipient.restore(this.#recipientParts, value)
        this.#recipients.set(recipient.id, recipient)
        this.#backing.add(recipient.id)
        break
      }
      case CREDITED_PREFIX: this.#recipients.get(Offered.agreementOf(value))?.restoreCredited(value); break
      case WINNER_PREFIX: this.winners.restore(value); break
    }
  }

  get #recipientParts(): { post: Parts['post'], draws: Draws, tickets: TicketHasher, winners: Winners } {
    return { post: this.#parts.post, draws: this.#draws, tickets: this.#tickets, winners: this.winners }
  }

  #termsOf(shape: Pick<PaymentTerms, 'unit' | 'unitPriceWei' | 'holdback'>, { faceValueWei, winProb }: { faceValueWei: bigint, winProb: bigint }, { ticketLifeSec, refund, slots, offer, wallMs }: { ticketLifeSec: number, refund: number, slots: number, offer: Offer, wallMs: number }): PaymentTerms {
    const share = this.bond(wallMs).bondWei / BigInt(this.#settings?.bondShares ?? 1)
    const left = this.#freeFor(offer.requester, wallMs)
    return { mode: 'tickets', ...shape, faceValueWei, winProb, ticketLifeSec, openCommits: Math.min(MAX_OPEN, 2 * slots + SPARE_COMMITS), aheadUnits: slots, refund, prepayCapWei: [share, left, offer.maxPrepayWei ?? 0n].reduce((least, wei) => wei < least ? wei : least), ...shape.unitPriceWei === 0n ? {} : this.#movedOf(offer) }
  }

  /** Nothing is said where nothing is asked; nor where work is free, since tickets are sized for work: a worthless one pays no bytes. */
  #movedOf({ moves }: Offer): Pick<PaymentTerms, 'moved'> {
    const gibWei = this.prices?.movedWei ?? 0n
    return moves === undefined || gibWei === 0n ? {} : { moved: { gibWei, ...moves } }
  }

  #freeFor(requester: string, wallMs: number): bigint {
    return this.#backing.freeFor(requester, { bondWei: this.bond(wallMs).bondWei, shares: this.#settings?.bondShares ?? 1, wallMs })
  }

  /** Its requester may still settle, and asks for what we signed. */
  #keep(turn: Turn, id: string): void {
    const recipient = this.#recipients.get(id)
    if (recipient !== undefined) this.#parts.timers.set(`earned|${id}`, turn.now.monoMs + Math.max(0, recipient.retire(turn, Math.max(REFUND_LIFE_MS, recipient.earning.exposure.expiresWallMs + PARAMS.clockSkewMs - turn.now.wallMs)) - turn.now.wallMs))
  }

  /** Looks again after half a unit of what runs at once, so that the next ticket comes before the last is worked off. */
  #arm(turn: Turn, recipient: Recipient): void {
    const timer = `paid|${recipient.id}`
    if (!this.#parts.timers.has(timer)) this.#parts.timers.set(timer, turn.now.monoMs + Math.max(100, recipient.earning.terms.unit.size / 2))
  }

  #hold(turn: Turn, recipient: Recipient): void {
    for (const lease of this.#clocks.hold(recipient.id, true, turn.now.monoMs)) turn.do({ kind: 'hold-run', lease, held: true })
    this.#giveTime(turn, recipient)
  }

  #giveTime(turn: Turn, { id }: Recipient): boolean {
    const timer = `unpaid|${id}`
    if (this.#parts.timers.has(timer)) return false
    this.#parts.timers.set(timer, turn.now.monoMs + UNPAID_MS)
    return true
  }

  #release(turn: Turn, recipient: Recipient): void {
    const timer = `unpaid|${recipient.id}`
    // who pays off a debt ticket by ticket is paying
    if (recipient.owed > 0n) {
      if (this.#parts.timers.has(timer)) this.#parts.timers.set(timer, turn.now.monoMs + UNPAID_MS)
      return
    }
    this.#parts.timers.clear(timer)
    for (const lease of this.#clocks.hold(recipient.id, false, turn.now.monoMs)) turn.do({ kind: 'hold-run', lease, held: false })
    this.#arm(turn, recipient)
  }
}
