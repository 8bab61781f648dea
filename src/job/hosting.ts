import { OK } from '../core/effect.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { HostState, LeaseId } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import { agreementDigest, ZERO_BYTES32 } from '../documents/agreement.ts'
import type { Agreement } from '../documents/agreement.ts'
import { MAX_LEASES_A_MESSAGE } from '../documents/message.ts'
import type { LeaseRef, MessageOf } from '../documents/message.ts'
import type { Offer } from '../documents/offer.ts'
import { commitHash } from '../documents/receipt.ts'
import type { Receipt, RunResult, Usage } from '../documents/receipt.ts'
import type { Hardware } from '../documents/resources.ts'
import { toHex } from '../codec/hasher.ts'
import type { ErrorCode } from '../errors.ts'
import { closedBecause, decideBid } from '../market/bidding.ts'
import { Capacity } from '../market/capacity.ts'
import type { SharePolicy } from '../market/share.ts'
import { PARAMS } from '../params.ts'
import { leaseKey, leaseRecord, LEASE_PREFIX } from './lease.ts'
import type { Lease, LeaseRecord, LeaseState } from './lease.ts'
import type { Parts } from './parts.ts'

/** Offers remembered, so that a proposal can be checked against what was offered. */
const MAX_OFFERS = 1024
/** Agreements held at once; far beyond what a home PC can serve. */
const MAX_HOSTED = 256
/** Suspended for its owner longer than this, a host hands its tasks back. */
const HAND_BACK_MS = 60_000
export const HOSTED_PREFIX = 'hosted/'

type HostedRecord = { v: 1, id: string, agreement: Agreement, signature: string, offer: Offer }
interface Hosted extends HostedRecord { leases: Map<string, Lease> }

/** Codes of failures that say nothing about the program: its task simply moves. */
const HOST_LEFT: ErrorCode = 'E_HOST_LEFT'

/** The provider side of a peer: bids, agreements, leases, commits and reveals. */
export class Hosting {
  readonly #parts: Parts
  readonly capacity: Capacity
  #policy: SharePolicy
  #host: HostState
  #draining = false
  #suspended = false
  readonly #offers = new Map<string, Offer>()
  readonly #hosted = new Map<string, Hosted>()
  readonly #declines = new Map<string, number>()

  constructor(parts: Parts, policy: SharePolicy, hardware: Hardware, host: HostState) {
    this.#parts = parts
    this.#policy = policy
    this.#host = host
    this.capacity = new Capacity(hardware)
  }

  get policy(): SharePolicy {
    return this.#policy
  }

  /** Declines by code since the start, for `why idle`. */
  get declines(): ReadonlyMap<string, number> {
    return this.#declines
  }

  get leases(): Lease[] {
    return [...this.#hosted.values()].flatMap(({ leases }) => [...leases.values()])
  }

  get agreements(): readonly { id: string, agreement: Agreement, leases: number }[] {
    return [...this.#hosted.values()].map(({ id, agreement, leases }) => ({ id, agreement, leases: leases.size }))
  }

  /** Contents of the results committed under an agreement: its requester may read them. */
  resultsFor(agreement: string, requester: string): string[] {
    const hosted = this.#hosted.get(agreement)
    if (hosted === undefined || hosted.agreement.requester !== requester) return []
    return [...hosted.leases.values()].flatMap(({ state }) => state.kind === 'committed' || state.kind === 'revealed' ? [state.receipt.result.content] : [])
  }

  agreement(id: string): Agreement | undefined {
    return this.#hosted.get(id)?.agreement
  }

  closedBecause(): { code: ErrorCode, message: string } | undefined {
    return closedBecause({ policy: this.#policy, host: this.#host, draining: this.#draining })
  }

  start(turn: Turn): void {
    for (const hosted of this.#hosted.values()) {
      this.#touch(turn, hosted)
      if (hosted.leases.size > 0) this.#beat(turn, hosted)
      this.#pump(turn, hosted)
      for (const lease of hosted.leases.values()) if (lease.state.kind === 'committed' || lease.state.kind === 'revealed') this.#keepFor(turn, lease)
    }
    this.#advertise(turn)
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
    this.#hosted.set(record.id, { ...record, leases: new Map() })
    this.capacity.restore(record.id, record.agreement.slots, record.offer.resources)
  }

  restoreLease(value: StoredRecord): void {
    const { agreement, task, attempt, state } = value as LeaseRecord
    this.#hosted.get(agreement)?.leases.set(leaseKey({ agreement, task, attempt }), { agreement, task, attempt, state })
  }

  setPolicy(turn: Turn, policy: SharePolicy, hardware: Hardware): void {
    this.#policy = policy
    this.capacity.resize(hardware)
    this.#ownerChanged(turn)
    this.#advertise(turn)
  }

  setHost(turn: Turn, host: HostState): void {
    this.#host = host
    this.#ownerChanged(turn)
  }

  /** Take nothing new; give back what has not begun; let the rest finish. */
  drain(turn: Turn): void {
    this.#draining = true
    for (const lease of this.leases) if (lease.state.kind === 'queued') this.#fail(turn, lease, 'E_HOST_DRAINING', 'the host is shutting down')
    this.#advertise(turn)
  }

  offer(turn: Turn, offer: Offer): void {
    if (offer.requester === this.#parts.self.identity.peer || offer.deadlineWallMs <= turn.now.wallMs) return
    this.#offers.delete(offer.job)
    this.#offers.set(offer.job, offer)
    if (this.#offers.size > MAX_OFFERS) this.#offers.delete(this.#offers.keys().next().value ?? '')
    const decision = decideBid(offer, this.#view(turn, offer.requester))
    if (decision.kind === 'bid') {
      const { identity } = this.#parts.self
      turn.send(offer.requester, { kind: 'bid', bid: {
        v: 1, job: offer.job, round: offer.round, identity, slots: decision.slots, startMs: 0, expiresWallMs: turn.now.wallMs + PARAMS.bidLifeMs,
        hardware: this.capacity.total, region: this.#policy.region, terms: { mode: 'free' }, taskPriceWei: 0n, bondWei: 0n, exposureWei: 0n
      } })
      return
    }
    this.#declines.set(decision.code, (this.#declines.get(decision.code) ?? 0) + 1)
    if (turn.random() * 65_535 <= offer.declineShare) {
      turn.send(offer.requester, { kind: 'decline', decline: { v: 1, job: offer.job, round: offer.round, code: decision.code, message: decision.message, unmet: decision.unmet } })
    }
  }

  propose(turn: Turn, from: string, message: MessageOf<'propose'>): void {
    const { agreement } = message
    const id = toHex(agreementDigest(turn.hasher, this.#parts.self.separator, agreement))
    const known = this.#hosted.get(id)
    if (known !== undefined) {
      turn.send(from, { kind: 'agreed', agreement: id })
      this.#take(turn, known, message.leases)
      return
    }
    const refusal = this.#refusal(turn, from, agreement)
    const offer = this.#offers.get(agreement.job)
    if (refusal !== undefined || offer === undefined) {
      turn.send(from, { kind: 'refused', agreement: id, code: refusal?.code ?? 'E_OFFER_UNKNOWN', message: refusal?.message ?? 'knows no such offer' })
      return
    }
    const record: HostedRecord = { v: 1, id, agreement, signature: message.signature ?? '', offer }
    const hosted = { ...record, leases: new Map<string, Lease>() }
    this.#hosted.set(id, hosted)
    this.capacity.reserve(id, agreement.slots, offer.resources)
    turn.put(HOSTED_PREFIX + id, record)
    turn.send(from, { kind: 'agreed', agreement: id })
    this.#advertise(turn)
    this.#take(turn, hosted, message.leases)
    this.#touch(turn, hosted)
  }

  lease(turn: Turn, from: string, message: MessageOf<'lease'>): void {
    const hosted = this.#of(turn, from, message.agreement)
    if (hosted !== undefined) this.#take(turn, hosted, message.leases)
  }

  probe(turn: Turn, from: string, message: MessageOf<'probe'>): void {
    const hosted = this.#of(turn, from, message.agreement)
    if (hosted !== undefined) this.#beat(turn, hosted)
  }

  cancel(turn: Turn, from: string, message: MessageOf<'cancel'>): void {
    const hosted = this.#of(turn, from, message.agreement)
    if (hosted === undefined) return
    for (const ref of message.leases) {
      const lease = hosted.leases.get(leaseKey({ agreement: hosted.id, ...ref }))
      if (lease !== undefined) this.#drop(turn, hosted, lease, message.code)
    }
    this.#pump(turn, hosted)
  }

  close(turn: Turn, from: string, message: MessageOf<'close'>): void {
    turn.send(from, { kind: 'closed', agreement: message.agreement })
    const hosted = this.#hosted.get(message.agreement)
    if (hosted !== undefined && hosted.agreement.requester === from) this.#end(turn, hosted, message.code)
  }

  /** The set of commits is closed and ours is in it: show what we committed to. */
  closedSet(turn: Turn, from: string, message: MessageOf<'closed-set'>): void {
    const lease = this.#leaseOf(turn, from, message)
    if (lease === undefined || (lease.state.kind !== 'committed' && lease.state.kind !== 'revealed')) return
    const { receipt, nonce } = lease.state
    if (lease.state.kind === 'committed') {
      if (message.set.task !== lease.task || !message.set.commits.includes(lease.state.commit)) return
      this.#parts.outbox.done(turn, `commit/${leaseKey(lease)}`)
      this.#set(turn, lease, { kind: 'revealed', receipt, nonce })
      this.#parts.outbox.add(turn, `reveal/${leaseKey(lease)}`, from, { kind: 'reveal', receipt, nonce }, turn.now.wallMs + PARAMS.keepResultMs)
    } else {
      turn.send(from, { kind: 'reveal', receipt, nonce })
    }
  }

  verdict(turn: Turn, from: string, message: MessageOf<'verdict'>): void {
    const lease = this.#leaseOf(turn, from, message)
    turn.send(from, { kind: 'settled', agreement: message.agreement, task: message.task, attempt: message.attempt })
    const hosted = this.#hosted.get(message.agreement)
    if (lease === undefined || hosted === undefined) return
    if (lease.state.kind === 'committed' || lease.state.kind === 'revealed') {
      const { result } = lease.state.receipt
      this.#parts.histories.record(turn, from, 'served')
      if (result.status === 'trapped') this.#parts.histories.record(turn, from, 'faulty')
    }
    turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: from, task: lease.task, state: 'settled', code: message.code, message: message.verdict })
    this.#drop(turn, hosted, lease, message.code)
    this.#pump(turn, hosted)
  }

  /** The requester knows of our failure. */
  settled(turn: Turn, from: string, message: MessageOf<'settled'>): void {
    const lease = this.#leaseOf(turn, from, message)
    const hosted = this.#hosted.get(message.agreement)
    if (lease !== undefined && hosted !== undefined && lease.state.kind === 'failed') this.#drop(turn, hosted, lease, OK)
  }

  progress(turn: Turn, id: LeaseId, phase: 'fetching' | 'running', fraction: number): void {
    const lease = this.#hosted.get(id.agreement)?.leases.get(leaseKey(id))
    const hosted = this.#hosted.get(id.agreement)
    if (lease === undefined || hosted === undefined || lease.state.kind !== 'running') return
    lease.state = { kind: 'running', phase, fraction }
    turn.send(hosted.agreement.requester, { kind: 'progress', ...id, phase, fraction })
  }

  /** A run ended with a result: bind ourselves to it, show nothing yet. */
  finished(turn: Turn, id: LeaseId, result: RunResult, usage: Usage): void {
    const hosted = this.#hosted.get(id.agreement)
    const lease = hosted?.leases.get(leaseKey(id))
    if (hosted === undefined || lease === undefined || lease.state.kind !== 'running') {
      if (lease === undefined) turn.do({ kind: 'release-result', lease: id, content: result.content })
      return
    }
    const receipt: Receipt = { agreement: id.agreement, task: id.task, attempt: id.attempt, result, usage, finalRoot: ZERO_BYTES32 }
    const nonce = turn.nonce()
    const commit = commitHash(turn.hasher, receipt, this.#parts.self.identity.address, nonce)
    this.#set(turn, lease, { kind: 'committed', receipt, nonce, commit })
    this.#parts.outbox.add(turn, `commit/${leaseKey(id)}`, hosted.agreement.requester, { kind: 'commit', ...id, commit }, turn.now.wallMs + PARAMS.keepResultMs)
    this.#keepFor(turn, lease)
    turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: hosted.agreement.requester, task: id.task, state: 'finished', code: OK, message: `${result.status} ${result.exitCode}` })
    this.#pump(turn, hosted)
  }

  failed(turn: Turn, id: LeaseId, code: ErrorCode, message: string): void {
    const hosted = this.#hosted.get(id.agreement)
    const lease = hosted?.leases.get(leaseKey(id))
    if (hosted === undefined || lease === undefined || lease.state.kind !== 'running') return
    this.#fail(turn, lease, code, message)
    this.#pump(turn, hosted)
  }

  /** True when `timer` was one of ours. */
  timer(turn: Turn, timer: string): boolean {
    const [kind, agreement = '', task, attempt] = timer.split('|')
    const hosted = this.#hosted.get(agreement)
    switch (kind) {
      case 'beat':
        if (hosted !== undefined && hosted.leases.size > 0) this.#beat(turn, hosted)
        return true
      case 'hosted-idle':
        if (hosted !== undefined && hosted.leases.size === 0) {
          turn.send(hosted.agreement.requester, { kind: 'close', agreement, code: 'E_AGREEMENT_IDLE', message: 'nothing was leased for a minute' })
          this.#end(turn, hosted, 'E_AGREEMENT_IDLE')
        }
        return true
      case 'keep': {
        const lease = hosted?.leases.get(leaseKey({ agreement, task: Number(task), attempt: Number(attempt) }))
        if (hosted !== undefined && lease !== undefined) this.#drop(turn, hosted, lease, 'E_REQUESTER_GONE')
        return true
      }
      case 'hand-back':
        if (this.#suspended) this.#handBack(turn)
        return true
      default: return false
    }
  }

  #view(turn: Turn, requester: string): Parameters<typeof decideBid>[1] {
    return { policy: this.#policy, capacity: this.capacity, host: this.#host, draining: this.#draining, history: this.#parts.histories.get(requester, turn.now.wallMs) }
  }

  #refusal(turn: Turn, from: string, agreement: Agreement): { code: ErrorCode, message: string } | undefined {
    const { self } = this.#parts
    const offer = this.#offers.get(agreement.job)
    if (offer === undefined) return { code: 'E_OFFER_UNKNOWN', message: 'knows no such offer' }
    if (agreement.requester !== from || offer.requester !== from) return { code: 'E_AGREEMENT_PARTY', message: 'the requester is another' }
    if (agreement.provider !== self.identity.peer || agreement.providerAddress !== self.identity.address || agreement.payee !== self.identity.payee) return { code: 'E_AGREEMENT_PARTY', message: 'the provider is another' }
    if (agreement.paramsHash !== self.paramsHash) return { code: 'E_PARAMS', message: 'speaks another version of the protocol' }
    if (agreement.chainId !== self.chainId || agreement.contract !== self.contract) return { code: 'E_AGREEMENT_CHAIN', message: 'is on another chain' }
    if (agreement.expiresWallMs <= turn.now.wallMs || agreement.createdWallMs > turn.now.wallMs + PARAMS.clockSkewMs) return { code: 'E_AGREEMENT_TIME', message: 'the agreement is over or in the future: check the clocks' }
    if (this.#hosted.size >= MAX_HOSTED) return { code: 'E_HOST_BUSY', message: 'holds too many agreements' }
    const decision = decideBid(offer, this.#view(turn, from))
    if (decision.kind === 'decline') return decision
    return decision.slots < agreement.slots ? { code: 'E_HOST_BUSY', message: `has room for ${decision.slots} tasks, not ${agreement.slots}` } : undefined
  }

  /** The agreement, when it is this requester's; a requester of an unknown one learns that it is void. */
  #of(turn: Turn, from: string, id: string): Hosted | undefined {
    const hosted = this.#hosted.get(id)
    if (hosted === undefined) {
      turn.send(from, { kind: 'close', agreement: id, code: 'E_AGREEMENT_UNKNOWN', message: 'no such agreement here' })
      return undefined
    }
    if (hosted.agreement.requester !== from) return undefined
    this.#touch(turn, hosted)
    return hosted
  }

  #leaseOf(turn: Turn, from: string, id: LeaseId): Lease | undefined {
    const hosted = this.#hosted.get(id.agreement)
    if (hosted === undefined || hosted.agreement.requester !== from) return undefined
    this.#touch(turn, hosted)
    return hosted.leases.get(leaseKey(id))
  }

  #take(turn: Turn, hosted: Hosted, refs: readonly LeaseRef[]): void {
    for (const ref of refs) {
      const id = { agreement: hosted.id, ...ref }
      if (hosted.leases.has(leaseKey(id)) || ref.task >= hosted.offer.tasks) continue
      if (hosted.leases.size >= MAX_LEASES_A_MESSAGE) break
      const lease: Lease = { ...id, state: { kind: 'queued' } }
      hosted.leases.set(leaseKey(id), lease)
      this.#set(turn, lease, lease.state)
      if (this.#draining) this.#fail(turn, lease, 'E_HOST_DRAINING', 'the host is shutting down')
    }
    this.#pump(turn, hosted)
    const beat = `beat|${hosted.id}`
    if (hosted.leases.size > 0 && !this.#parts.timers.has(beat)) this.#parts.timers.set(beat, turn.now.monoMs + PARAMS.beatMs)
  }

  /** Starts queued leases while slots are free. */
  #pump(turn: Turn, hosted: Hosted): void {
    if (this.#suspended) return
    const leases = [...hosted.leases.values()]
    let free = hosted.agreement.slots - leases.filter(({ state }) => state.kind === 'running').length
    const waiting: number[] = []
    for (const lease of leases) {
      if (lease.state.kind !== 'queued') continue
      if (free <= 0) { waiting.push(lease.task); continue }
      free--
      lease.state = { kind: 'running', phase: 'fetching', fraction: 0 }
      const { agreement, task, attempt } = lease
      turn.do({ kind: 'run', lease: { agreement, task, attempt }, job: hosted.agreement.job, requester: hosted.agreement.requester, offer: hosted.offer })
      turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: hosted.agreement.requester, task, state: 'running', code: OK, message: '' })
    }
    if (waiting.length > 0) turn.do({ kind: 'prefetch', job: hosted.agreement.job, requester: hosted.agreement.requester, agreement: hosted.id, tasks: waiting })
  }

  #fail(turn: Turn, lease: Lease, code: ErrorCode, message: string): void {
    const hosted = this.#hosted.get(lease.agreement)
    if (hosted === undefined) return
    this.#set(turn, lease, { kind: 'failed', code, message })
    const { agreement, task, attempt } = lease
    this.#parts.outbox.add(turn, `failed/${leaseKey(lease)}`, hosted.agreement.requester, { kind: 'failed', agreement, task, attempt, code, message: message.slice(0, 200) }, turn.now.wallMs + PARAMS.keepResultMs)
    this.#keepFor(turn, lease)
    turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: hosted.agreement.requester, task, state: 'failed', code, message })
  }

  #set(turn: Turn, lease: Lease, state: LeaseState): void {
    lease.state = state
    turn.put(LEASE_PREFIX + leaseKey(lease), leaseRecord(lease))
  }

  #keepFor(turn: Turn, lease: Lease): void {
    this.#parts.timers.set(`keep|${lease.agreement}|${lease.task}|${lease.attempt}`, turn.now.monoMs + PARAMS.keepResultMs)
  }

  #drop(turn: Turn, hosted: Hosted, lease: Lease, code: ErrorCode): void {
    const key = leaseKey(lease)
    const { agreement, task, attempt } = lease
    if (lease.state.kind === 'running') turn.do({ kind: 'stop-run', lease: { agreement, task, attempt }, code })
    if (lease.state.kind === 'committed' || lease.state.kind === 'revealed') turn.do({ kind: 'release-result', lease: { agreement, task, attempt }, content: lease.state.receipt.result.content })
    hosted.leases.delete(key)
    for (const kind of ['commit', 'reveal', 'failed']) this.#parts.outbox.done(turn, `${kind}/${key}`)
    this.#parts.timers.clear(`keep|${agreement}|${task}|${attempt}`)
    turn.delete(LEASE_PREFIX + key)
    if (hosted.leases.size === 0) this.#touch(turn, hosted)
  }

  #end(turn: Turn, hosted: Hosted, code: ErrorCode): void {
    for (const lease of hosted.leases.values()) this.#drop(turn, hosted, lease, code)
    this.#hosted.delete(hosted.id)
    this.capacity.release(hosted.id)
    this.#parts.timers.clear(`beat|${hosted.id}`)
    this.#parts.timers.clear(`hosted-idle|${hosted.id}`)
    turn.delete(HOSTED_PREFIX + hosted.id)
    if (![...this.#hosted.values()].some(({ agreement }) => agreement.job === hosted.agreement.job)) turn.do({ kind: 'release-job', job: hosted.agreement.job })
    this.#advertise(turn)
  }

  #beat(turn: Turn, hosted: Hosted): void {
    const running = [...hosted.leases.values()].slice(0, MAX_LEASES_A_MESSAGE).map(({ task, attempt }) => ({ task, attempt }))
    turn.send(hosted.agreement.requester, { kind: 'beat', agreement: hosted.id, running, suspended: this.#suspended })
    this.#parts.timers.set(`beat|${hosted.id}`, turn.now.monoMs + PARAMS.beatMs)
  }

  #touch(turn: Turn, hosted: Hosted): void {
    this.#parts.timers.set(`hosted-idle|${hosted.id}`, turn.now.monoMs + PARAMS.agreementIdleMs)
  }

  #ownerChanged(turn: Turn): void {
    const suspend = this.#policy.onlyWhenIdle && this.#host.ownerActive
    if (suspend === this.#suspended) return
    this.#suspended = suspend
    turn.do({ kind: 'suspend-runs', suspend })
    if (suspend) this.#parts.timers.set('hand-back', turn.now.monoMs + HAND_BACK_MS)
    else this.#parts.timers.clear('hand-back')
    for (const hosted of this.#hosted.values()) {
      if (hosted.leases.size > 0) this.#beat(turn, hosted)
      this.#pump(turn, hosted)
    }
    this.#advertise(turn)
  }

  #handBack(turn: Turn): void {
    for (const lease of this.leases) {
      if (lease.state.kind !== 'running' && lease.state.kind !== 'queued') continue
      const { agreement, task, attempt } = lease
      if (lease.state.kind === 'running') turn.do({ kind: 'stop-run', lease: { agreement, task, attempt }, code: HOST_LEFT })
      this.#fail(turn, lease, HOST_LEFT, 'its owner needs the computer')
    }
  }

  #advertise(turn: Turn): void {
    turn.do({ kind: 'advertise', open: this.closedBecause() === undefined, free: this.capacity.free() })
  }
}
