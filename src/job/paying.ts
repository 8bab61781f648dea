import { refuse } from '../codec/result.ts'
import type { Refusal } from '../codec/result.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { SignedAcceptance } from '../documents/acceptance.ts'
import type { Account } from '../documents/account.ts'
import type { Agreement } from '../documents/agreement.ts'
import type { Bid } from '../documents/bid.ts'
import type { Identity } from '../documents/identity.ts'
import type { MessageOf } from '../documents/message.ts'
import type { Moves } from '../documents/moves.ts'
import type { PayMessage } from '../documents/pay-message.ts'
import { termsRefusal } from '../documents/terms.ts'
import type { TermsPolicy } from '../documents/terms.ts'
import type { ErrorCode, ErrorShape } from '../errors.ts'
import type { Accounts } from '../payment/accounts.ts'
import { Budget, SPENT_PREFIX } from '../payment/budget.ts'
import type { Caps } from '../payment/budget.ts'
import { Commits, SPENT_COMMITS_PREFIX } from '../payment/commits.ts'
import { exposureConflict } from '../payment/exposure.ts'
import type { ExposureConflict } from '../payment/exposure.ts'
import type { Results } from '../payment/ledger.ts'
import { Sender, SENDER_PREFIX } from '../payment/sender.ts'
import type { Parts } from './parts.ts'

/** How a requester pays; absent when nothing is paid. */
export interface PayerSettings { caps: Caps, terms: TermsPolicy }

const CONFLICT_PREFIX = 'conflict/'
/** Providers whose conflicts are remembered. */
const MAX_CONFLICTS = 256
/** Agreements with one provider that a kept conflict names: far more than one bond is shared among. */
const MAX_OTHERS = 64
const NO_RESULTS: Results = Object.freeze({ tasks: 0, bytes: 0 })
/** Evidence against a provider, and until when it is not trusted for it. */
type ConflictRecord = ExposureConflict & { v: 1, provider: string, untilWallMs: number }
/** Records of this room, in the order in which restoring them needs each other. */
export const PAYING_PREFIXES = [CONFLICT_PREFIX, SPENT_PREFIX, SENDER_PREFIX, SPENT_COMMITS_PREFIX] as const

/** The requester's money: one sender an agreement, one budget over all. */
export class Paying {
  readonly #parts: Parts
  readonly #accounts: Accounts
  readonly #settings: PayerSettings | undefined
  readonly #budget: Budget
  readonly #senders = new Map<string, Sender>()
  readonly #byProvider = new Map<string, Set<string>>()
  /** By PeerId. */
  readonly #conflicts = new Map<string, ConflictRecord>()
  /** What was heard and judged of agreements whose provider's word to them is still on its way: one that works has accepted. */
  readonly #early = new Map<string, { total: number, accepted: number, failed: number, results: Results }>()

  constructor(parts: Parts, accounts: Accounts, settings: PayerSettings | undefined) {
    this.#parts = parts
    this.#accounts = accounts
    this.#settings = settings
    this.#budget = new Budget(settings?.caps ?? {})
  }

  /** What an offer says of who pays; nothing where nothing is paid. */
  asPayer(identity: Identity): { payer?: Identity, maxPrepayWei?: bigint } {
    return this.#settings === undefined ? {} : { payer: identity, maxPrepayWei: this.#settings.terms.maxPrepayWei }
  }

  get budget(): Budget {
    return this.#budget
  }

  get senders(): ReadonlyMap<string, Sender> {
    return this.#senders
  }

  /** Evidence against providers that put one bond behind too much, signed by themselves. */
  get conflicts(): readonly ExposureConflict[] {
    return [...this.#conflicts.values()]
  }

  /** Why this bid's terms are not agreed to; undefined when they are. The provider's bond is looked up while other bids come in. */
  refuses(turn: Turn, bid: Bid, moves: Moves): { code: ErrorCode, message: string } | undefined {
    const { terms } = bid
    if (this.#settings === undefined) return terms.mode === 'free' ? undefined : { code: 'E_TERMS_MODE', message: 'wants to be paid, and this node pays nobody' }
    if (terms.mode === 'free') return { code: 'E_TERMS_MODE', message: 'works for nothing, on no chain' }
    this.#accounts.want(turn, bid.identity.address)
    if (terms.moved !== undefined && (terms.moved.onceBytes > moves.onceBytes || terms.moved.taskBytes > moves.taskBytes)) return { code: 'E_TERMS_MOVED', message: 'charges for more bytes than the job has' }
    return termsRefusal(terms, this.#settings.terms)
  }

  /** Why this provider is not trusted with money ahead of its reveals, now that the chain was asked. */
  distrusts(turn: Turn, bid: Bid): { code: ErrorCode, message: string } | undefined {
    const { terms, identity, exposureWei } = bid
    if ((this.#conflicts.get(identity.peer)?.untilWallMs ?? 0) > turn.now.wallMs) return { code: 'E_EXPOSURE_CONFLICT', message: 'signed two accounts of its bond that cannot both be true' }
    if (terms.mode === 'free' || terms.prepayCapWei === 0n) return undefined
    const account = this.#accounts.get(identity.address)
    if (account === undefined) return { code: 'E_BOND_UNKNOWN', message: 'has a bond that the chain has not confirmed yet' }
    // a liar says that its bond is free: what stands between us two is known here
    const oursWei = this.#exposedTo(identity.peer)
    return (exposureWei > oursWei ? exposureWei : oursWei) + terms.prepayCapWei > account.jobBondWei ? { code: 'E_BOND_EXPOSED', message: `asks for more ahead than its bond of ${account.jobBondWei} wei stands behind` } : undefined
  }

  /**
   * Why this provider's word on an agreement is not taken: it does not say what its bond stands behind, the bond is too small
   * for it, or it is at odds with its earlier words to us. That conflict is kept, and is reason enough not to trust it again
   * until all that it put its bond behind has expired.
   */
  doubts(turn: Turn, agreement: Agreement, message: MessageOf<'agreed'>): Refusal | undefined {
    const { terms, providerAddress, provider, expiresWallMs } = agreement
    if (terms.mode === 'free' || this.#senders.has(message.agreement)) return undefined
    const acceptance = acceptanceOf(agreement, message)
    if (acceptance === undefined || acceptance.ownWei !== terms.prepayCapWei || acceptance.expiresWallMs !== expiresWallMs) return refuse('E_EXPOSURE_UNSAID', 'did not say what its bond stands behind')
    const conflict = exposureConflict([...this.#openWith(provider).map(({ payment }) => payment.acceptance), acceptance], turn.now.wallMs)
    if (conflict !== undefined) {
      this.#keepConflict(turn, provider, conflict)
      return refuse('E_EXPOSURE_CONFLICT', 'signed two accounts of its bond that cannot both be true')
    }
    if (terms.prepayCapWei === 0n) return undefined
    const account = this.#accounts.get(providerAddress)
    if (account === undefined) return refuse('E_BOND_UNKNOWN', 'has a bond that the chain has not confirmed yet')
    return acceptance.totalWei > account.jobBondWei ? refuse('E_BOND_EXPOSED', `has put ${acceptance.totalWei} wei behind its agreements, and its bond is ${account.jobBondWei}`) : undefined
  }

  /** The agreement holds on both sides: its provider's word and first commits are here, and not doubted. */
  open(turn: Turn, agreement: Agreement, message: MessageOf<'agreed'>): void {
    const id = message.agreement
    const sender = this.#opened(turn, agreement, message)
    if (sender === undefined) return
    sender.offered(turn, message.lots ?? [])
    const early = this.#early.get(id)
    this.#early.delete(id)
    if (early === undefined) return
    sender.worked(turn, early.total)
    this.accepted(turn, id, early.accepted, early.results)
    this.failed(turn, id, early.failed)
  }

  /** An agreement that is doubted is never paid: its provider hears that no more comes, so that its bond is free for others. */
  letGo(turn: Turn, agreement: Agreement, message: MessageOf<'agreed'>): void {
    this.#opened(turn, agreement, message)?.close(turn)
  }

  /** A provider says how much it has worked. More than its slots can have done since the agreement is not believed. */
  worked(turn: Turn, agreement: Agreement, id: string, total: number | undefined): void {
    if (total === undefined) return
    const most = agreement.slots * Math.max(0, turn.now.wallMs - agreement.createdWallMs)
    const worked = Math.min(total, most)
    const sender = this.#senders.get(id)
    if (sender !== undefined) sender.worked(turn, worked)
    else if (agreement.terms.mode !== 'free') this.#noteWork(id, worked)
  }

  /** A reveal matched: `ms` of its provider's work are paid in full. */
  accepted(turn: Turn, id: string, ms: number, results: Results): void {
    const sender = this.#senders.get(id)
    if (sender !== undefined) sender.accepted(turn, Math.min(ms, sender.work.unsettled), results)
    else this.#note(id, { accepted: ms, results })
  }

  failed(turn: Turn, id: string, ms: number): void {
    const sender = this.#senders.get(id)
    if (sender !== undefined) sender.failed(turn, Math.min(ms, sender.work.unsettled))
    else this.#note(id, { failed: ms })
  }

  /** What the owner lets this agreement cost is used up, or its deposit is: the job cannot go on. */
  capOf(id: string): ErrorShape | undefined {
    const paused = this.#senders.get(id)?.paused
    if (paused?.code === 'E_DEPOSIT_LOW') return { code: paused.code, message: paused.message, hint: 'Add to the deposit with `fund`' }
    return paused?.code.startsWith('E_BUDGET_') === true ? { code: paused.code, message: paused.message, hint: 'Raise priceCap in the job, or the caps: see `caps`' } : undefined
  }

  close(turn: Turn, id: string): void {
    this.#early.delete(id)
    this.#senders.get(id)?.close(turn)
  }

  /** What the provider says of money. Returned is the rule that it broke, after which nothing is signed for it. */
  message(turn: Turn, from: string, message: PayMessage): Refusal | undefined {
    const sender = this.#senders.get(message.agreement)
    if (sender === undefined || sender.payment.provider !== from) return undefined
    switch (message.kind) {
      case 'credit': {
        const credited = sender.credited(turn, message)
        return credited.ok ? undefined : credited
      }
      case 'ticket-refused': sender.ticketRefused(turn, message); break
      case 'refund': sender.refunded(turn, message); break
      default: break
    }
    return undefined
  }

  peerConnected(turn: Turn, peer: string): void {
    for (const id of this.#byProvider.get(peer) ?? []) this.#senders.get(id)?.reconnected(turn)
  }

  /** Every agreement whose money is not settled says where it stands. */
  start(turn: Turn, self: string): void {
    if (this.#settings === undefined) return
    this.ownAccount(turn, undefined)
    this.#accounts.want(turn, self)
    for (const sender of this.#senders.values()) {
      sender.recount(turn.now)
      sender.reconnected(turn)
    }
  }

  /** The chain said something of our own account: nothing new is signed while it cannot be seen. */
  ownAccount(turn: Turn, account: Account | undefined): void {
    this.#budget.cover.setDeposit(account?.depositWei)
    this.#budget.pause(account === undefined ? { ok: false, code: 'E_CHAIN_UNSEEN', message: 'the chain cannot be seen, so nothing new is signed' } : undefined)
    if (account !== undefined) for (const sender of this.#senders.values()) sender.resume(turn)
  }

  timer(turn: Turn, timer: string): boolean {
    const [kind, id = ''] = timer.split('|')
    if (kind !== 'pay-close' && kind !== 'pay-ask') return false
    this.#senders.get(id)?.timer(turn, timer)
    return true
  }

  /** Nothing is shown of this job any more. */
  forgetJob(turn: Turn, job: string): void {
    for (const sender of [...this.#senders.values()]) {
      if (sender.payment.job !== job) continue
      sender.forget(turn)
      this.#senders.delete(sender.id)
      this.#byProvider.get(sender.payment.provider)?.delete(sender.id)
    }
    this.#budget.forgetJob(turn, job)
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const conflict of this.#conflicts.values()) yield [CONFLICT_PREFIX + conflict.provider, conflict]
    yield* this.#budget.records()
    for (const sender of this.#senders.values()) yield* sender.records()
  }

  restore(prefix: typeof PAYING_PREFIXES[number], value: StoredRecord): void {
    switch (prefix) {
      case CONFLICT_PREFIX: this.#conflicts.set((value as ConflictRecord).provider, value as ConflictRecord); break
      case SPENT_PREFIX: this.#budget.restore(value); break
      case SENDER_PREFIX: this.#index(Sender.restore(this.#senderParts, value)); break
      case SPENT_COMMITS_PREFIX: this.#senders.get(Commits.agreementOf(value))?.restorePage(value); break
    }
  }

  #opened(turn: Turn, agreement: Agreement, message: MessageOf<'agreed'>): Sender | undefined {
    const { terms } = agreement
    const id = message.agreement
    const acceptance = acceptanceOf(agreement, message)
    if (terms.mode === 'free' || acceptance === undefined || this.#senders.has(id)) return undefined
    const sender = Sender.open(turn, this.#senderParts, {
      agreement: id, job: agreement.job, provider: agreement.provider, providerAddress: agreement.providerAddress, payer: agreement.requesterAddress, payee: agreement.payee, terms, acceptance
    })
    this.#index(sender)
    return sender
  }

  #noteWork(id: string, worked: number): void {
    const known = this.#early.get(id) ?? { total: 0, accepted: 0, failed: 0, results: NO_RESULTS }
    this.#early.set(id, { ...known, total: Math.max(known.total, worked) })
  }

  /** Only what was said to be worked can be judged, so only of that something is remembered. */
  #note(id: string, { accepted = 0, failed = 0, results = NO_RESULTS }: { accepted?: number, failed?: number, results?: Results }): void {
    const known = this.#early.get(id)
    if (known !== undefined) this.#early.set(id, { total: known.total, accepted: known.accepted + accepted, failed: known.failed + failed, results: { tasks: known.results.tasks + results.tasks, bytes: known.results.bytes + results.bytes } })
  }

  /** What may have been paid this provider ahead of its reveals, under agreements that are not settled. */
  #exposedTo(provider: string): bigint {
    let sumWei = 0n
    for (const id of this.#byProvider.get(provider) ?? []) {
      const sender = this.#senders.get(id)
      if (sender !== undefined && sender.state.kind !== 'closed') sumWei += sender.payment.terms.prepayCapWei
    }
    return sumWei
  }

  /** Agreements with a provider that we have not closed. */
  #openWith(provider: string): Sender[] {
    return [...this.#byProvider.get(provider) ?? []].flatMap((id) => this.#senders.get(id) ?? []).filter(({ state }) => state.kind === 'open')
  }

  #keepConflict(turn: Turn, provider: string, { liar, others }: ExposureConflict): void {
    const untilWallMs = Math.max(...[liar, ...others].map(({ expiresWallMs }) => expiresWallMs))
    const record: ConflictRecord = { v: 1, provider, liar, others: others.slice(0, MAX_OTHERS), untilWallMs }
    this.#conflicts.set(provider, record)
    turn.put(CONFLICT_PREFIX + provider, record)
    if (this.#conflicts.size <= MAX_CONFLICTS) return
    const [oldest = ''] = this.#conflicts.keys()
    this.#conflicts.delete(oldest)
    turn.delete(CONFLICT_PREFIX + oldest)
  }

  get #senderParts(): { post: Parts['post'], timers: Parts['timers'], budget: Budget } {
    return { post: this.#parts.post, timers: this.#parts.timers, budget: this.#budget }
  }

  #index(sender: Sender): void {
    this.#senders.set(sender.id, sender)
    const { provider } = sender.payment
    const ids = this.#byProvider.get(provider) ?? new Set()
    ids.add(sender.id)
    this.#byProvider.set(provider, ids)
  }
}

function acceptanceOf({ providerAddress, requesterAddress }: Agreement, { agreement, exposure, signature }: MessageOf<'agreed'>): SignedAcceptance | undefined {
  return exposure === undefined ? undefined : { agreement, provider: providerAddress, requester: requesterAddress, ...exposure, signature: signature ?? '' }
}
