import type { StoredRecord } from '../core/effect.ts'
import { OK } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { Agreement } from '../documents/agreement.ts'
import type { Offer } from '../documents/offer.ts'
import type { ErrorCode } from '../errors.ts'
import { PARAMS } from '../params.ts'
import { SECOND_MS } from '../units.ts'
import type { Earning } from './earning.ts'
import { leaseKey, leaseRecord, LEASE_PREFIX } from './lease.ts'
import type { Lease, LeaseRecord, LeaseState } from './lease.ts'
import type { Parts } from './parts.ts'

/** Agreements over or refused that are remembered, so that a proposal that arrives late or again does not bring one back. */
const MAX_OVER = 1024
export const HOSTED_PREFIX = 'hosted/'

/** A requester that ended an agreement sent its verdicts before, so they are on their way. */
const JUDGED_WITHIN_MS = 5 * SECOND_MS

export type HostedRecord = { v: 1, id: string, agreement: Agreement, signature: string, offer: Offer }
export interface Hosted extends HostedRecord {
  leases: Map<string, Lease>
  /** The last attempt taken of each task: attempts grow, so an earlier one is an old message. In memory only. */
  taken: Map<number, number>
  /** Its slots are held. Not so while it only waits for verdicts: then others may have the computer. */
  reserved: boolean
  /** Its requester ended it, and what it judged is awaited. In memory only. */
  closing?: ErrorCode
}

export function hasWork({ leases }: Hosted): boolean {
  for (const { state } of leases.values()) if (state.kind === 'queued' || state.kind === 'running') return true
  return false
}

/** The agreements that a provider holds, with their leases: every change of one is written here, and nowhere else. */
export class HostedBook {
  readonly #parts: Parts
  readonly #earning: Earning
  readonly #hosted = new Map<string, Hosted>()
  /** By requester and id. */
  readonly #over = new Set<string>()

  constructor(parts: Parts, earning: Earning) {
    this.#parts = parts
    this.#earning = earning
  }

  get size(): number {
    return this.#hosted.size
  }

  get leases(): Lease[] {
    return [...this.#hosted.values()].flatMap(({ leases }) => [...leases.values()])
  }

  get(id: string): Hosted | undefined {
    return this.#hosted.get(id)
  }

  /** Contents of the results committed under an agreement: its requester may read them. */
  resultsFor(agreement: string, requester: string): string[] {
    const hosted = this.#hosted.get(agreement)
    if (hosted === undefined || hosted.agreement.requester !== requester) return []
    return [...hosted.leases.values()].flatMap(({ state }) => state.kind === 'committed' || state.kind === 'revealed' ? [state.receipt.result.content] : [])
  }

  values(): Hosted[] {
    return [...this.#hosted.values()]
  }

  isOver(requester: string, id: string): boolean {
    return this.#over.has(`${requester}/${id}`)
  }

  /** Nothing may come of this agreement any more. */
  strike(requester: string, id: string): void {
    this.#over.add(`${requester}/${id}`)
    if (this.#over.size > MAX_OVER) this.#over.delete(this.#over.values().next().value ?? '')
  }

  /** What is stored of the present state, for snapshots. A run under way is not: it would start over. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const { v, id, agreement, signature, offer, leases } of this.#hosted.values()) {
      yield [HOSTED_PREFIX + id, { v, id, agreement, signature, offer }]
      for (const [key, lease] of leases) yield [LEASE_PREFIX + key, leaseRecord({ ...lease, state: lease.state.kind === 'running' ? { kind: 'queued' } : lease.state })]
    }
  }

  restoreAgreement(value: StoredRecord): void {
    const record = value as HostedRecord
    this.#hosted.set(record.id, { ...record, leases: new Map(), taken: new Map(), reserved: false })
  }

  restoreLease(value: StoredRecord): void {
    const { v: _, ...lease } = value as LeaseRecord
    const { agreement, task, attempt } = lease
    const hosted = this.#hosted.get(agreement)
    hosted?.leases.set(leaseKey({ agreement, task, attempt }), { ...lease })
    hosted?.taken.set(task, Math.max(attempt, hosted.taken.get(task) ?? 0))
  }

  add(turn: Turn, record: HostedRecord): Hosted {
    const hosted: Hosted = { ...record, leases: new Map(), taken: new Map(), reserved: true }
    this.#hosted.set(record.id, hosted)
    turn.put(HOSTED_PREFIX + record.id, record)
    this.#earning.open(turn, hosted)
    return hosted
  }

  /** Any word between the two keeps an agreement from falling asleep. */
  touch(turn: Turn, { id }: Hosted): void {
    this.#parts.timers.set(`hosted-idle|${id}`, turn.now.monoMs + PARAMS.agreementIdleMs)
  }

  set(turn: Turn, lease: Lease, state: LeaseState): void {
    if (state.kind !== 'running') this.#ran(turn, lease)
    lease.state = state
    turn.put(LEASE_PREFIX + leaseKey(lease), leaseRecord(lease))
  }

  /** A result, or a failure, that nobody asks for is kept this long. */
  keepFor(turn: Turn, { agreement, task, attempt }: Lease): void {
    this.#parts.timers.set(`keep|${agreement}|${task}|${attempt}`, turn.now.monoMs + PARAMS.keepResultMs)
  }

  fail(turn: Turn, lease: Lease, code: ErrorCode, message: string): void {
    const hosted = this.#hosted.get(lease.agreement)
    if (hosted === undefined) return
    const spent = this.#earning.ended(turn, lease, undefined)
    this.set(turn, lease, { kind: 'failed', code, message })
    const { agreement, task, attempt } = lease
    const { job, requester } = hosted.agreement
    const worked = this.#earning.total(agreement)
    if (spent !== undefined && code !== 'E_UNPAID') this.#earning.failed(turn, agreement, spent)
    this.#parts.outbox.add(turn, `failed/${leaseKey(lease)}`, requester, { kind: 'failed', agreement, task, attempt, code, message: message.slice(0, 200), ...spent === undefined || worked === undefined ? {} : { worked, spent } }, turn.now.wallMs + PARAMS.keepResultMs)
    this.keepFor(turn, lease)
    turn.notify({ kind: 'hosting', job, requester, task, state: 'failed', code, message })
  }

  /** No money came: what waits to begin ends, and with `owes`, for work that was done, what runs does too. */
  unpaid(turn: Turn, hosted: Hosted, owes: boolean): void {
    for (const lease of hosted.leases.values()) {
      if (lease.state.kind !== 'queued' && (lease.state.kind !== 'running' || !owes)) continue
      const { agreement, task, attempt } = lease
      if (lease.state.kind === 'running') turn.do({ kind: 'stop-run', lease: { agreement, task, attempt }, code: 'E_UNPAID' })
      this.fail(turn, lease, 'E_UNPAID', 'was not paid for its work')
    }
  }

  drop(turn: Turn, hosted: Hosted, lease: Lease, code: ErrorCode): void {
    const key = leaseKey(lease)
    const { agreement, task, attempt } = lease
    if (lease.state.kind === 'running') turn.do({ kind: 'stop-run', lease: { agreement, task, attempt }, code })
    this.#ran(turn, lease)
    if (lease.state.kind === 'running') this.#earning.ended(turn, lease, undefined)
    if (lease.state.kind === 'committed' || lease.state.kind === 'revealed') turn.do({ kind: 'release-result', lease: { agreement, task, attempt }, content: lease.state.receipt.result.content })
    hosted.leases.delete(key)
    for (const kind of ['commit', 'reveal', 'failed']) this.#parts.outbox.done(turn, `${kind}/${key}`)
    this.#parts.timers.clear(`keep|${agreement}|${task}|${attempt}`)
    turn.delete(LEASE_PREFIX + key)
    if (hosted.leases.size === 0) this.touch(turn, hosted)
  }

  /** However a run ended, its time counts. */
  #ran(turn: Turn, { agreement, state }: Lease): void {
    const hosted = this.#hosted.get(agreement)
    if (hosted !== undefined && state.kind === 'running') this.#parts.guests.used(turn, hosted.agreement.requester, hosted.offer.resources.cores * (turn.now.monoMs - state.sinceMonoMs))
  }

  /**
   * Its requester ended it. Verdicts come by another stream, perhaps after this word: what waits for one is kept for a
   * moment, so that both sides' books are the same. True when nothing does.
   */
  close(turn: Turn, hosted: Hosted, code: ErrorCode): boolean {
    for (const lease of [...hosted.leases.values()]) if (lease.state.kind !== 'committed' && lease.state.kind !== 'revealed') this.drop(turn, hosted, lease, code)
    if (hosted.leases.size === 0) return true
    hosted.closing = code
    this.#parts.timers.set(`closing|${hosted.id}`, turn.now.monoMs + JUDGED_WITHIN_MS)
    return false
  }

  /** A run waits for its owner, or goes on: told to people here. */
  tellHeld(turn: Turn, { agreement }: Hosted, task: number, held: boolean): void {
    turn.notify({ kind: 'hosting', job: agreement.job, requester: agreement.requester, task, state: 'running', code: OK, message: held ? 'waits while you use what it runs on' : 'goes on' })
  }

  /** What runs is stopped, what waits does not begin; what is done stays done. */
  giveBack(turn: Turn, lease: Lease, code: ErrorCode, message: string): void {
    const { agreement, task, attempt, state } = lease
    if (state.kind !== 'running' && state.kind !== 'queued') return
    if (state.kind === 'running') turn.do({ kind: 'stop-run', lease: { agreement, task, attempt }, code })
    this.fail(turn, lease, code, message)
  }

  end(turn: Turn, hosted: Hosted, code: ErrorCode): void {
    for (const lease of hosted.leases.values()) this.drop(turn, hosted, lease, code)
    this.#hosted.delete(hosted.id)
    this.strike(hosted.agreement.requester, hosted.id)
    this.#parts.timers.clear(`beat|${hosted.id}`)
    this.#parts.timers.clear(`hosted-idle|${hosted.id}`)
    this.#parts.timers.clear(`closing|${hosted.id}`)
    turn.delete(HOSTED_PREFIX + hosted.id)
    this.#earning.close(turn, hosted.id)
    const { job, requester } = hosted.agreement
    if (!this.values().some(({ agreement }) => agreement.job === job && agreement.requester === requester)) turn.do({ kind: 'release-job', job, requester })
  }
}
