import type { Hasher } from './codec/hasher.ts'
import type { Step, StoredRecord } from './core/effect.ts'
import type { EventOf, Now, PeerEvent, Standing } from './core/event.ts'
import { Outbox, OUTBOX_PREFIX } from './core/outbox.ts'
import { Timers } from './core/timers.ts'
import { Turn } from './core/turn.ts'
import type { Agreement } from './documents/agreement.ts'
import type { Message } from './documents/message.ts'
import type { Hardware } from './documents/resources.ts'
import type { PayMessageOf } from './documents/pay-message.ts'
import { TicketHasher } from './documents/ticket.ts'
import { invariant } from './errors.ts'
import type { ErrorCode } from './errors.ts'
import { DEAL_PREFIX } from './job/deals.ts'
import { Earning, EARNING_PREFIXES } from './job/earning.ts'
import type { EarnerSettings } from './job/earning.ts'
import { HOSTED_PREFIX } from './job/hosted.ts'
import { Hosting } from './job/hosting.ts'
import { JOB_PREFIX } from './job/job.ts'
import { LEASE_PREFIX } from './job/lease.ts'
import type { Parts, Self } from './job/parts.ts'
import { Paying, PAYING_PREFIXES } from './job/paying.ts'
import type { PayerSettings } from './job/paying.ts'
import { Requesting } from './job/requesting.ts'
import type { RequesterSettings } from './job/requesting.ts'
import { TASK_PREFIX } from './job/task.ts'
import type { SharePolicy } from './documents/share.ts'
import { GUEST_PREFIX, Guests } from './market/guests.ts'
import type { FreePolicy } from './market/guests.ts'
import { PARAMS } from './params.ts'
import { Accounts } from './payment/accounts.ts'
import type { Draws } from './payment/draws.ts'
import { Histories, PEER_PREFIX } from './reputation/history.ts'

/** The two sides of a paid agreement: PeerIds, and whose money keys sign. */
export interface PayParties { requester: string, provider: string, requesterAddress: string, providerAddress: string }

export interface PeerOptions {
  self: Self
  hasher: Hasher
  policy: SharePolicy
  hardware: Hardware
  requester: RequesterSettings
  free: FreePolicy
  /** Absent: nothing is paid. */
  payment?: { payer: PayerSettings, earner: EarnerSettings, draws: Draws }
}

/** Where nothing is paid, nothing is drawn. */
const NO_DRAWS: Draws = {
  commit: () => { invariant(false, 'a commit where nothing is paid'); return '' },
  wins: () => { invariant(false, 'a draw where nothing is paid'); return false }
}

function isPaying(prefix: string): prefix is typeof PAYING_PREFIXES[number] {
  return (PAYING_PREFIXES as readonly string[]).includes(prefix)
}

/** Timers that fire in one tick at most, so that a tick always ends. The rest fire in the next. */
const MAX_TIMERS_A_TICK = 1000
/** Records in the order in which restoring them needs each other. */
const RESTORE_ORDER = [PEER_PREFIX, GUEST_PREFIX, ...PAYING_PREFIXES, ...EARNING_PREFIXES, JOB_PREFIX, DEAL_PREFIX, TASK_PREFIX, HOSTED_PREFIX, LEASE_PREFIX, OUTBOX_PREFIX] as const

/**
 * A whole peer, requester and provider at once, without I/O: events in, records to write and effects to perform out.
 * The running node and the simulated world drive this same class.
 */
export class Peer {
  readonly requesting: Requesting
  readonly hosting: Hosting
  readonly histories = new Histories()
  readonly paying: Paying
  readonly earning: Earning
  readonly #guests: Guests
  readonly #accounts = new Accounts()
  readonly #identity: Self['identity']
  readonly #timers = new Timers()
  readonly #outbox: Outbox
  readonly #hasher: Hasher

  constructor(options: PeerOptions) {
    this.#hasher = options.hasher
    this.#outbox = new Outbox(this.#timers)
    this.#guests = new Guests(options.free)
    const outbox = this.#outbox
    const parts: Parts = {
      self: options.self, timers: this.#timers, outbox, histories: this.histories, guests: this.#guests,
      post: { send: (turn, to, message) => { turn.send(to, message) }, add: (turn, key, to, message, expiresWallMs) => { outbox.add(turn, key, to, message, expiresWallMs) }, done: (turn, key) => { outbox.done(turn, key) }, has: (key) => outbox.has(key) }
    }
    const { payment } = options
    this.#identity = options.self.identity
    this.paying = new Paying(parts, this.#accounts, payment?.payer)
    this.earning = new Earning(parts, this.#accounts, payment?.earner, payment?.draws ?? NO_DRAWS, new TicketHasher(options.hasher, options.self.separator))
    this.requesting = new Requesting(parts, options.requester, this.paying)
    this.hosting = new Hosting(parts, options.policy, options.hardware, { ownerActive: false, minuteOfDay: 0, weekday: 0, diskFreeBytes: Number.MAX_SAFE_INTEGER }, this.earning)
  }

  /** Rebuilds the state from committed records. Call before the first event; then handle `start`. */
  restore(records: Iterable<readonly [key: string, value: StoredRecord]>): void {
    const byPrefix = new Map<string, StoredRecord[]>(RESTORE_ORDER.map((prefix) => [prefix, []]))
    for (const [key, value] of records) byPrefix.get(key.slice(0, key.indexOf('/') + 1))?.push(value)
    for (const prefix of RESTORE_ORDER) for (const value of byPrefix.get(prefix) ?? []) this.#restoreOne(prefix, value)
  }

  /** The records that a restore of the present state needs: what all writes so far have left. Values are live: copy before keeping. */
  * snapshot(): Generator<[key: string, value: StoredRecord]> {
    yield* this.histories.records()
    yield* this.#guests.records()
    yield* this.requesting.records()
    yield* this.paying.records()
    yield* this.earning.records()
    yield* this.hosting.book.records()
    yield* this.#outbox.records()
  }

  /** When a `tick` is due next, in monotonic time; undefined when nothing is awaited. */
  nextTickMonoMs(): number | undefined {
    return this.#timers.next()
  }

  /** An agreement that this peer is a party to now. */
  agreement(id: string): Agreement | undefined {
    return this.requesting.agreement(id) ?? this.hosting.agreement(id)
  }

  /** Who pays whom under an agreement, also when its work is over. */
  payParties(id: string): PayParties | undefined {
    const self = this.#identity
    const sender = this.paying.senders.get(id)?.payment
    if (sender !== undefined) return { requester: self.peer, provider: sender.provider, requesterAddress: sender.payer, providerAddress: sender.providerAddress }
    const earning = this.earning.recipients.get(id)?.earning
    return earning === undefined ? undefined : { requester: earning.requester, provider: self.peer, requesterAddress: earning.payer, providerAddress: self.address }
  }

  /** Why the core would refuse a ticket, its signature apart. */
  ticketRefusal(message: PayMessageOf<'ticket'>, now: Now): { code: ErrorCode, message: string } | undefined {
    return this.earning.screens(this.#hasher, message, now)
  }

  /** Sizes of what could grow, for the checkers of bounded memory. */
  sizes(): { timers: number, outbox: number, jobs: number, deals: number, spares: number, queued: number, agreements: number, leases: number } {
    return { timers: this.#timers.size, outbox: this.#outbox.size, jobs: this.requesting.jobs.size, ...this.requesting.sizes(), ...this.hosting.sizes() }
  }

  /** `entropy` is 32 fresh random bytes: all luck of this step grows from it. */
  handle(event: PeerEvent, now: Now, entropy: Uint8Array): Step {
    const turn = new Turn(now, entropy, this.#hasher)
    this.#route(turn, event)
    return turn.finish()
  }

  #restoreOne(prefix: typeof RESTORE_ORDER[number], value: StoredRecord): void {
    switch (prefix) {
      case PEER_PREFIX: this.histories.restore(value); break
      case GUEST_PREFIX: this.#guests.restore(value); break
      case JOB_PREFIX: this.requesting.recovery.job(value); break
      case DEAL_PREFIX: this.requesting.recovery.deal(value); break
      case TASK_PREFIX: this.requesting.recovery.task(value); break
      case HOSTED_PREFIX: this.hosting.book.restoreAgreement(value); break
      case LEASE_PREFIX: this.hosting.book.restoreLease(value); break
      case OUTBOX_PREFIX: this.#outbox.restore(value); break
      default: this.#restoreMoney(prefix, value)
    }
  }

  #restoreMoney(prefix: typeof PAYING_PREFIXES[number] | typeof EARNING_PREFIXES[number], value: StoredRecord): void {
    if (isPaying(prefix)) this.paying.restore(prefix, value)
    else this.earning.restore(prefix, value)
  }

  #account(turn: Turn, { address, account }: EventOf<'account'>): void {
    const isNew = account !== undefined && !this.#accounts.isKnown(address)
    this.#accounts.seen(address, account)
    if (address === this.#identity.address) this.paying.ownAccount(turn, account)
    if (account !== undefined) this.hosting.payerSeen(turn, address)
    if (isNew) this.requesting.bondSeen(turn)
  }

  #route(turn: Turn, event: PeerEvent): void {
    switch (event.kind) {
      case 'start':
        this.hosting.setPolicy(turn, this.hosting.policy, event.hardware)
        this.hosting.setHost(turn, event.host)
        this.#outbox.start(turn)
        this.paying.start(turn, this.#identity.address)
        this.earning.start(turn, this.hosting.agreements.map(({ id }) => id))
        this.requesting.recovery.start(turn)
        this.hosting.start(turn)
        break
      case 'tick': this.#tick(turn); break
      case 'woke':
        this.requesting.recovery.woke(turn)
        this.hosting.woke(turn)
        break
      case 'message': this.#message(turn, event.from, event.message, event.standing); break
      case 'peer-connected':
        this.#timers.clear(`gone|${event.peer}`)
        this.#outbox.peerConnected(turn, event.peer)
        this.paying.peerConnected(turn, event.peer)
        this.requesting.newcomer(turn)
        break
      case 'peer-disconnected': this.#timers.set(`gone|${event.peer}`, turn.now.monoMs + PARAMS.reconnectMs); break
      case 'unreachable': this.requesting.unreachable(turn, event.peer); break
      case 'ad':
        this.requesting.latency(event.ad.identity.peer, event.latencyMs)
        if (event.ad.open) this.requesting.newcomer(turn)
        break
      case 'offer-sent': this.requesting.offerSent(turn, event.job, event.round, event.recipients); break
      case 'host': this.hosting.setHost(turn, event.host); break
      case 'share': this.hosting.setPolicy(turn, event.policy, event.hardware); break
      case 'money':
        if (event.prices !== undefined) this.earning.setPrices(event.prices)
        if (event.caps !== undefined) this.paying.budget.setCaps(event.caps)
        break
      case 'submit': this.requesting.submit(turn, event.job, event.document); break
      case 'cancel': this.requesting.cancel(turn, event.job); break
      case 'forget': this.requesting.forget(turn, event.job); break
      case 'rate': this.histories.rate(turn, event.peer, event.stars); break
      case 'run-progress': this.hosting.progress(turn, event.lease, event.phase, event.fraction); break
      case 'run-finished': this.hosting.finished(turn, event.lease, event.result, event.usage); break
      case 'run-failed': this.hosting.failed(turn, event.lease, event.code, event.message); break
      case 'result-fetched': this.requesting.resultFetched(turn, event.job, event.task, event.content); break
      case 'result-lost': this.requesting.resultLost(turn, event.job, event.task, event.content); break
      case 'compared': this.requesting.compared(turn, event); break
      case 'draining': this.hosting.drain(turn); break
      case 'account': this.#account(turn, event); break
      case 'chain-costs': this.hosting.costs(turn, event.costs); break
      case 'redeemed': this.earning.redeemed(turn, event.agreement, event.index); break
    }
  }

  #message(turn: Turn, from: string, message: Message, standing: Standing | undefined): void {
    switch (message.kind) {
      case 'offer': if (message.offer.requester === from) this.hosting.offer(turn, message.offer, standing); break
      // who proposes is connected; should that have ended already, it is a stranger
      case 'propose': this.hosting.propose(turn, from, message, standing ?? 'remote'); break
      case 'lease': this.hosting.lease(turn, from, message); break
      case 'probe': this.hosting.probe(turn, from, message); break
      case 'cancel': this.hosting.cancel(turn, from, message); break
      case 'closed-set': this.hosting.closedSet(turn, from, message); break
      case 'verdict': this.hosting.verdict(turn, from, message); break
      case 'peek': this.hosting.peek(turn, from, message); break
      case 'bid': this.requesting.bid(turn, from, message); break
      case 'decline': this.requesting.decline(turn, from, message); break
      case 'agreed': this.requesting.agreed(turn, from, message); break
      case 'refused': this.requesting.refused(turn, from, message); break
      case 'beat': this.requesting.beat(turn, from, message); break
      case 'progress': this.requesting.progress(turn, from, message); break
      case 'commit': this.requesting.commit(turn, from, message); break
      case 'reveal': this.requesting.reveal(turn, from, message); break
      case 'peeked': this.requesting.peeked(turn, from, message); break
      case 'failed': this.requesting.failed(turn, from, message); break
      case 'closed':
        this.earning.released(turn, from, message.agreement)
        this.requesting.closed(turn, from, message)
        break
      case 'ticket': this.hosting.ticket(turn, from, message); break
      case 'reconcile': this.earning.message(turn, from, message); break
      case 'credit':
      case 'ticket-refused':
      case 'refund': {
        const broken = this.paying.message(turn, from, message)
        if (broken !== undefined) this.requesting.unpayable(turn, message.agreement, broken)
        break
      }
      case 'settled':
        this.requesting.settled(turn, from, message)
        this.hosting.settled(turn, from, message)
        break
      case 'close':
        this.earning.released(turn, from, message.agreement)
        if (this.requesting.holds(message.agreement)) this.requesting.close(turn, from, message)
        else this.hosting.close(turn, from, message)
        break
    }
  }

  #tick(turn: Turn): void {
    for (let fired = 0; fired < MAX_TIMERS_A_TICK; fired++) {
      const timer = this.#timers.takeDue(turn.now.monoMs)
      if (timer === undefined) return
      if (this.#outbox.timer(turn, timer) || this.hosting.timer(turn, timer) || this.paying.timer(turn, timer) || this.requesting.timer(turn, timer)) continue
      const [kind, peer = ''] = timer.split('|')
      if (kind !== 'gone') continue
      this.requesting.gone(turn, peer)
      this.hosting.gone(turn, peer)
    }
  }
}
