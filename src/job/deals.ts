import { OK } from '../core/effect.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import { agreementDigest, ZERO_BYTES32 } from '../documents/agreement.ts'
import type { Agreement } from '../documents/agreement.ts'
import type { Bid } from '../documents/bid.ts'
import { toHex } from '../codec/hasher.ts'
import { PARAMS } from '../params.ts'
import { MINUTE_MS } from '../units.ts'
import type { ErrorCode } from '../errors.ts'
import { MAX_LEASES_A_MESSAGE } from '../documents/message.ts'
import type { LeaseRef, MessageOf } from '../documents/message.ts'
import { deadlineWallMs } from './job.ts'
import type { Job } from './job.ts'
import type { Parts } from './parts.ts'
import type { Paying } from './paying.ts'

export const DEAL_PREFIX = 'deal/'
/** Leases in flight beyond the slots, so that a provider never waits a round trip for its next task. */
const QUEUE_FACTOR = 2
/** Agreements are numbered in 16 bits; their time of making tells later ones of the same number apart. */
const MAX_ATTEMPT_NUMBERS = 65_536

export type DealRecord = { v: 1, id: string, job: string, provider: string, payee: string, agreement: Agreement, state: 'proposed' | 'active' }

/** An agreement as the requester holds it. proposed -> active -> (closed: gone) */
export interface Deal extends DealRecord {
  /** The proposal was sent. */
  said: boolean
  /** Replicas leased or running, by `task/attempt`. */
  leases: Map<string, LeaseRef>
  lastHeardMonoMs: number
  proposedMonoMs: number
  done: number
  wrong: number
  failed: number
}

function dealRecord({ v, id, job, provider, payee, agreement, state }: Deal): DealRecord {
  return { v, id, job, provider, payee, agreement, state }
}

export function leaseName({ task, attempt }: LeaseRef): string {
  return `${task}/${attempt}`
}

/** How many more leases this deal may hold: bounded by slots when work is scarce, by twice the slots when it is not. */
export function room(deal: Deal, plenty: boolean): number {
  const bound = Math.min(deal.agreement.slots * (plenty ? QUEUE_FACTOR : 1), MAX_LEASES_A_MESSAGE)
  return Math.max(0, bound - deal.leases.size)
}

/** The requester's agreements: proposing, hearing, losing and closing them. */
export class Deals {
  readonly #parts: Parts
  readonly paying: Paying
  readonly #byId = new Map<string, { job: Job, deal: Deal }>()
  /** Agreements of jobs that are not forgotten, ended ones too: what was on its way still arrives. */
  readonly #jobs = new Map<string, Job>()

  constructor(parts: Parts, paying: Paying) {
    this.#parts = parts
    this.paying = paying
  }

  get(id: string): { job: Job, deal: Deal } | undefined {
    return this.#byId.get(id)
  }

  /** The job of an agreement, though it may have ended. */
  jobOf(id: string): Job | undefined {
    return this.#jobs.get(id)
  }

  /** An agreement of a former life that had ended, as its job's tasks remember it. */
  remember(id: string, job: Job): void {
    this.#jobs.set(id, job)
  }

  /** Nothing is known of this job any more. */
  forget(job: Job): void {
    for (const [id, of] of this.#jobs) if (of === job) this.#jobs.delete(id)
  }

  with(peer: string): { job: Job, deal: Deal }[] {
    return [...this.#byId.values()].filter(({ deal }) => deal.provider === peer)
  }

  all(): Iterable<{ job: Job, deal: Deal }> {
    return this.#byId.values()
  }

  /** What is stored of the present state, for snapshots. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const { deal } of this.#byId.values()) yield [DEAL_PREFIX + deal.id, dealRecord(deal)]
  }

  restore(value: StoredRecord, job: Job): void {
    const deal: Deal = { ...value as DealRecord, said: true, leases: new Map(), lastHeardMonoMs: 0, proposedMonoMs: 0, done: 0, wrong: 0, failed: 0 }
    this.#add(job, deal)
  }

  /** A new deal for this bid; nothing is said before `propose`, which carries its first leases. */
  open(turn: Turn, job: Job, bid: Bid, slots: number): Deal {
    const { self } = this.#parts
    const agreement: Agreement = {
      v: 1, job: job.id, requester: self.identity.peer, provider: bid.identity.peer,
      requesterAddress: self.identity.address, providerAddress: bid.identity.address, payee: bid.identity.payee,
      chainId: self.chainId, contract: self.contract, paramsHash: self.paramsHash,
      programRoot: ZERO_BYTES32, initialRoot: ZERO_BYTES32, meterVersion: 0, attempt: job.proposals++ % MAX_ATTEMPT_NUMBERS, slots, taskPriceWei: bid.taskPriceWei, terms: bid.terms,
      createdWallMs: turn.now.wallMs, expiresWallMs: deadlineWallMs(job) + MINUTE_MS
    }
    const id = toHex(agreementDigest(turn.hasher, self.separator, agreement))
    const record: DealRecord = { v: 1, id, job: job.id, provider: bid.identity.peer, payee: bid.identity.payee, agreement, state: 'proposed' }
    const deal: Deal = { ...record, said: false, leases: new Map(), lastHeardMonoMs: turn.now.monoMs, proposedMonoMs: turn.now.monoMs, done: 0, wrong: 0, failed: 0 }
    this.#add(job, deal)
    turn.put(DEAL_PREFIX + id, record)
    return deal
  }

  propose(turn: Turn, deal: Deal): void {
    deal.said = true
    deal.proposedMonoMs = turn.now.monoMs
    turn.send(deal.provider, { kind: 'propose', agreement: deal.agreement, identity: this.#parts.self.identity, leases: [...deal.leases.values()] })
    this.#parts.timers.set(`accept|${deal.id}`, turn.now.monoMs + PARAMS.acceptWithinMs)
    turn.notify({ kind: 'agreement', job: deal.job, peer: deal.provider, state: 'proposed', code: OK, message: `${deal.agreement.slots} slots` })
  }

  /** The time to accept is over: true when nothing was heard. Who works on it has accepted, though its word of that was lost: it is asked again. */
  unanswered(turn: Turn, deal: Deal): boolean {
    if (deal.lastHeardMonoMs <= deal.proposedMonoMs) return true
    this.propose(turn, deal)
    return false
  }

  /** `agreed`: its provider's word. */
  activate(turn: Turn, deal: Deal, agreed: MessageOf<'agreed'>): void {
    this.#parts.timers.clear(`accept|${deal.id}`)
    deal.state = 'active'
    this.heard(turn, deal)
    turn.put(DEAL_PREFIX + deal.id, dealRecord(deal))
    this.paying.open(turn, deal.agreement, agreed)
    turn.notify({ kind: 'agreement', job: deal.job, peer: deal.provider, state: 'active', code: OK, message: '' })
  }

  /** Any word from its provider keeps a deal alive. */
  heard(turn: Turn, deal: Deal): void {
    deal.lastHeardMonoMs = turn.now.monoMs
    if (!this.#parts.timers.has(`silence|${deal.id}`)) this.#parts.timers.set(`silence|${deal.id}`, turn.now.monoMs + PARAMS.silenceMs)
  }

  /** The silence timer fired: lost, or heard of since? */
  silent(turn: Turn, deal: Deal): boolean {
    const dueMonoMs = deal.lastHeardMonoMs + PARAMS.silenceMs
    if (turn.now.monoMs >= dueMonoMs) return true
    this.#parts.timers.set(`silence|${deal.id}`, dueMonoMs)
    return false
  }

  /** Ends a deal here at once, and tells its provider until it answers. */
  end(turn: Turn, deal: Deal, code: ErrorCode, message: string, options: { tell: boolean }): void {
    const entry = this.#byId.get(deal.id)
    if (entry === undefined) return
    this.#byId.delete(deal.id)
    entry.job.deals.delete(deal.id)
    for (const timer of ['accept', 'silence']) this.#parts.timers.clear(`${timer}|${deal.id}`)
    turn.delete(DEAL_PREFIX + deal.id)
    this.paying.close(turn, deal.id)
    if (options.tell) this.#parts.outbox.add(turn, `close/${deal.id}`, deal.provider, { kind: 'close', agreement: deal.id, code, message }, turn.now.wallMs + PARAMS.keepResultMs)
    turn.notify({ kind: 'agreement', job: deal.job, peer: deal.provider, state: 'closed', code, message })
  }

  #add(job: Job, deal: Deal): void {
    this.#byId.set(deal.id, { job, deal })
    this.#jobs.set(deal.id, job)
    job.deals.set(deal.id, deal)
  }
}
