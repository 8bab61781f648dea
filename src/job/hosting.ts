import { OK } from '../core/effect.ts'
import type { ChainCosts } from '../documents/account.ts'
import type { PayMessageOf } from '../documents/pay-message.ts'
import type { HostState, LeaseId, Standing } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import { agreementDigest, ZERO_BYTES32 } from '../documents/agreement.ts'
import type { Agreement } from '../documents/agreement.ts'
import { MAX_LEASES_A_MESSAGE } from '../documents/message.ts'
import type { LeaseRef, MessageOf, RunPhase } from '../documents/message.ts'
import type { Offer } from '../documents/offer.ts'
import { commitHash } from '../documents/receipt.ts'
import type { Receipt, RunResult, Usage } from '../documents/receipt.ts'
import type { Hardware } from '../documents/resources.ts'
import { toHex } from '../codec/hasher.ts'
import type { ErrorCode } from '../errors.ts'
import { Capacity } from '../market/capacity.ts'
import { heldBy } from '../market/fit.ts'
import { isDenied } from '../market/images.ts'
import type { SharePolicy } from '../documents/share.ts'
import { PARAMS } from '../params.ts'
import { Bidder } from './bidder.ts'
import type { Earning } from './earning.ts'
import type { HostSide } from './bidder.ts'
import { hasWork, HostedBook } from './hosted.ts'
import type { Hosted } from './hosted.ts'
import { leaseKey } from './lease.ts'
import type { Lease } from './lease.ts'
import type { Parts } from './parts.ts'

/** Agreements held at once; far beyond what a home PC can serve. */
const MAX_HOSTED = 256
/** Suspended for its owner longer than this, a host hands its tasks back. */
const HAND_BACK_MS = 60_000
const HOST_LEFT: ErrorCode = 'E_HOST_LEFT'

/** The provider side of a peer: bids, agreements, leases, commits and reveals. */
export class Hosting {
  readonly #parts: Parts
  readonly capacity: Capacity
  readonly earning: Earning
  readonly #bidder: Bidder
  readonly book: HostedBook
  #side: HostSide
  #suspended = false

  constructor(parts: Parts, policy: SharePolicy, hardware: Hardware, host: HostState, earning: Earning) {
    this.#parts = parts
    this.earning = earning
    this.#side = { policy, host, draining: false }
    this.capacity = new Capacity(hardware)
    this.#bidder = new Bidder(parts, this.capacity, earning)
    this.book = new HostedBook(parts, earning)
  }

  get policy(): SharePolicy {
    return this.#side.policy
  }

  /** Declines by code since the start, for `why idle`. */
  get declines(): ReadonlyMap<string, number> {
    return this.#bidder.declines
  }

  get leases(): Lease[] {
    return this.book.leases
  }

  /** Sizes of what could grow. */
  sizes(): { agreements: number, leases: number } {
    return { agreements: this.book.size, leases: this.leases.length }
  }

  get agreements(): readonly { id: string, agreement: Agreement, leases: number }[] {
    return this.book.values().map(({ id, agreement, leases }) => ({ id, agreement, leases: leases.size }))
  }

  agreement(id: string): Agreement | undefined {
    return this.book.get(id)?.agreement
  }

  closedBecause(): { code: ErrorCode, message: string } | undefined {
    return this.#bidder.closedBecause(this.#side)
  }

  start(turn: Turn): void {
    // Agreements with work first: what they promised is kept, even if the owner lends less since.
    for (const hosted of this.book.values()) {
      if (!hasWork(hosted)) continue
      hosted.reserved = true
      this.capacity.restore(hosted.id, hosted.agreement.slots, heldBy(hosted.offer))
    }
    for (const hosted of this.book.values()) hosted.reserved = this.#reserve(turn, hosted)
    for (const hosted of this.book.values()) {
      this.book.touch(turn, hosted)
      if (hosted.leases.size > 0) this.#beat(turn, hosted)
      this.#pump(turn, hosted)
      for (const lease of hosted.leases.values()) if (lease.state.kind !== 'queued' && lease.state.kind !== 'running') this.book.keepFor(turn, lease)
    }
    this.#advertise(turn)
  }

  /** We slept: requesters hear at once that their work goes on. */
  woke(turn: Turn): void {
    for (const hosted of this.book.values()) if (hosted.leases.size > 0) this.#beat(turn, hosted)
  }

  setPolicy(turn: Turn, policy: SharePolicy, hardware: Hardware): void {
    this.#side = { ...this.#side, policy }
    this.capacity.resize(hardware)
    for (const hosted of this.book.values()) {
      if (isDenied(hosted.offer, policy)) for (const lease of hosted.leases.values()) this.book.giveBack(turn, lease, 'E_HOST_DENIES', 'does not run this image any more')
    }
    this.#ownerChanged(turn)
    this.#advertise(turn)
  }

  setHost(turn: Turn, host: HostState): void {
    this.#side = { ...this.#side, host }
    this.#ownerChanged(turn)
  }

  /** Take nothing new; give back what has not begun; let the rest finish. */
  drain(turn: Turn): void {
    this.#side = { ...this.#side, draining: true }
    for (const lease of this.leases) if (lease.state.kind === 'queued') this.book.fail(turn, lease, 'E_HOST_DRAINING', 'the host is shutting down')
    this.#advertise(turn)
  }

  /** `standing`: how the requester is connected, if it is. */
  offer(turn: Turn, offer: Offer, standing: Standing | undefined): void {
    this.#bidder.offer(turn, offer, this.#side, standing)
  }

  propose(turn: Turn, from: string, message: MessageOf<'propose'>, standing: Standing): void {
    const { agreement } = message
    const id = toHex(agreementDigest(turn.hasher, this.#parts.self.separator, agreement))
    const known = this.book.get(id)
    if (known !== undefined) {
      if (known.agreement.requester !== from) return
      turn.send(from, this.earning.agreed(id))
      this.#take(turn, known, message.leases)
      return
    }
    const answer = this.#accepts(turn, from, id, agreement, standing)
    if (answer.kind === 'refused') {
      this.book.strike(from, id)
      turn.send(from, { kind: 'refused', agreement: id, code: answer.code, message: answer.message })
      return
    }
    const hosted = this.book.add(turn, { v: 1, id, agreement, signature: message.signature ?? '', offer: answer.offer })
    this.capacity.reserve(id, agreement.slots, heldBy(answer.offer))
    turn.send(from, this.earning.agreed(id))
    this.#advertise(turn)
    this.#take(turn, hosted, message.leases)
    this.book.touch(turn, hosted)
  }

  /** The chain has spoken of this payer. */
  payerSeen(turn: Turn, address: string): void {
    this.#bidder.payerSeen(turn, address, this.#side)
  }

  /** The chain has said what a redemption costs. */
  costs(turn: Turn, costs: ChainCosts): void {
    this.earning.costs(costs)
    this.#bidder.costsSeen(turn, this.#side)
  }

  /** A ticket whose signature holds: what waited for it may go on. */
  ticket(turn: Turn, from: string, message: PayMessageOf<'ticket'>): void {
    const hosted = this.book.get(message.agreement)
    if (!this.earning.ticket(turn, from, message) || hosted === undefined) return
    this.book.touch(turn, hosted)
    this.#pump(turn, hosted)
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
      if (lease !== undefined) this.book.drop(turn, hosted, lease, message.code)
    }
    this.#pump(turn, hosted)
  }

  close(turn: Turn, from: string, message: MessageOf<'close'>): void {
    turn.send(from, { kind: 'closed', agreement: message.agreement })
    const hosted = this.book.get(message.agreement)
    if (hosted === undefined) this.book.strike(from, message.agreement)
    else if (hosted.agreement.requester === from && this.book.close(turn, hosted, message.code)) this.#end(turn, hosted, message.code)
  }

  /** The set of commits is closed and ours is in it: show what we committed to. */
  closedSet(turn: Turn, from: string, message: MessageOf<'closed-set'>): void {
    const lease = this.#leaseOf(turn, from, message)
    if (lease === undefined || (lease.state.kind !== 'committed' && lease.state.kind !== 'revealed')) return
    const { receipt, nonce } = lease.state
    if (lease.state.kind === 'committed') {
      if (message.set.job !== this.book.get(lease.agreement)?.agreement.job || message.set.task !== lease.task || !message.set.commits.includes(lease.state.commit)) return
      this.#parts.outbox.done(turn, `commit/${leaseKey(lease)}`)
      this.book.set(turn, lease, { kind: 'revealed', receipt, nonce })
      this.#parts.outbox.add(turn, `reveal/${leaseKey(lease)}`, from, { kind: 'reveal', receipt, nonce }, turn.now.wallMs + PARAMS.keepResultMs)
    } else {
      turn.send(from, { kind: 'reveal', receipt, nonce })
    }
  }

  /** Its requester may see a committed result before the vote: it is the one who pays and decides. */
  peek(turn: Turn, from: string, message: MessageOf<'peek'>): void {
    const lease = this.#leaseOf(turn, from, message)
    if (lease?.state.kind !== 'committed' && lease?.state.kind !== 'revealed') return
    const { agreement, task, attempt } = message
    turn.send(from, { kind: 'peeked', agreement, task, attempt, result: lease.state.receipt.result })
  }

  verdict(turn: Turn, from: string, message: MessageOf<'verdict'>): void {
    const lease = this.#leaseOf(turn, from, message)
    turn.send(from, { kind: 'settled', agreement: message.agreement, task: message.task, attempt: message.attempt })
    const hosted = this.book.get(message.agreement)
    if (lease === undefined || hosted === undefined) return
    if (lease.state.kind === 'committed' || lease.state.kind === 'revealed') {
      const { result } = lease.state.receipt
      this.#parts.histories.record(turn, from, 'served')
      if (result.status === 'trapped') this.#parts.histories.record(turn, from, 'faulty')
      if (message.verdict === 'accepted') this.earning.accepted(turn, hosted.id, lease.state.receipt.usage.wallMs, result.contentBytes)
    }
    turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: from, task: lease.task, state: 'settled', code: message.code, message: message.verdict })
    this.book.drop(turn, hosted, lease, message.code)
    if (hosted.closing !== undefined && hosted.leases.size === 0) this.#end(turn, hosted, hosted.closing)
    else this.#pump(turn, hosted)
  }

  /** The requester knows of our failure. */
  settled(turn: Turn, from: string, message: MessageOf<'settled'>): void {
    const lease = this.#leaseOf(turn, from, message)
    const hosted = this.book.get(message.agreement)
    if (lease !== undefined && hosted !== undefined && lease.state.kind === 'failed') this.book.drop(turn, hosted, lease, OK)
  }

  progress(turn: Turn, id: LeaseId, phase: RunPhase, fraction: number): void {
    const lease = this.book.get(id.agreement)?.leases.get(leaseKey(id))
    const hosted = this.book.get(id.agreement)
    if (lease === undefined || hosted === undefined || lease.state.kind !== 'running') return
    const before = lease.state.phase
    lease.state = { ...lease.state, phase, fraction }
    if (phase === 'running') this.earning.began(turn, id)
    if (phase === 'held') this.earning.aside(turn, id)
    if (before !== phase && (before === 'held' || phase === 'held')) this.book.tellHeld(turn, hosted, id.task, phase === 'held')
    turn.send(hosted.agreement.requester, { kind: 'progress', ...id, phase, fraction })
  }

  /** A run ended with a result: bind ourselves to it, show nothing yet. */
  finished(turn: Turn, id: LeaseId, result: RunResult, usage: Usage): void {
    const hosted = this.book.get(id.agreement)
    const lease = hosted?.leases.get(leaseKey(id))
    if (hosted === undefined || lease === undefined || lease.state.kind !== 'running') {
      // Twice the same news of a committed run is one; any other run that ends here nobody waits for.
      if (lease?.state.kind !== 'committed' && lease?.state.kind !== 'revealed') turn.do({ kind: 'release-result', lease: id, content: result.content })
      return
    }
    const wallMs = this.earning.ended(turn, id, usage.wallMs) ?? usage.wallMs
    const worked = this.earning.total(id.agreement)
    const receipt: Receipt = { agreement: id.agreement, task: id.task, attempt: id.attempt, result, usage: { ...usage, wallMs }, finalRoot: ZERO_BYTES32 }
    const nonce = turn.nonce()
    const commit = commitHash(turn.hasher, receipt, this.#parts.self.identity.address, nonce)
    this.book.set(turn, lease, { kind: 'committed', receipt, nonce, commit })
    this.#parts.outbox.add(turn, `commit/${leaseKey(id)}`, hosted.agreement.requester, { kind: 'commit', ...id, commit, ...worked === undefined ? {} : { worked } }, turn.now.wallMs + PARAMS.keepResultMs)
    this.book.keepFor(turn, lease)
    turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: hosted.agreement.requester, task: id.task, state: 'finished', code: OK, message: `${result.status} ${result.exitCode}` })
    this.#pump(turn, hosted)
  }

  failed(turn: Turn, id: LeaseId, code: ErrorCode, message: string): void {
    const hosted = this.book.get(id.agreement)
    const lease = hosted?.leases.get(leaseKey(id))
    if (hosted === undefined || lease === undefined || lease.state.kind !== 'running') return
    this.book.fail(turn, lease, code, message)
    this.#pump(turn, hosted)
  }

  /** A requester went away: what it holds but does not use is free again; its running tasks go on for a while. */
  gone(turn: Turn, peer: string): void {
    for (const hosted of this.book.values()) {
      if (hosted.agreement.requester === peer && hosted.leases.size === 0) this.#end(turn, hosted, 'E_REQUESTER_GONE')
    }
  }

  /** True when `timer` was one of ours. */
  timer(turn: Turn, timer: string): boolean {
    const [kind, agreement = '', task, attempt] = timer.split('|')
    const hosted = this.book.get(agreement)
    switch (kind) {
      case 'beat':
        if (hosted !== undefined && hosted.leases.size > 0) this.#beat(turn, hosted)
        return true
      case 'hosted-idle':
        if (hosted !== undefined) this.#idle(turn, hosted)
        return true
      case 'closing': if (hosted?.closing !== undefined) this.#end(turn, hosted, hosted.closing); return true
      case 'keep': {
        const lease = hosted?.leases.get(leaseKey({ agreement, task: Number(task), attempt: Number(attempt) }))
        if (hosted !== undefined && lease !== undefined) this.book.drop(turn, hosted, lease, 'E_REQUESTER_GONE')
        return true
      }
      case 'paid': if (hosted !== undefined) this.earning.look(turn, agreement, () => { this.#beat(turn, hosted) }); return true
      case 'unpaid': if (hosted !== undefined) this.book.unpaid(turn, hosted, this.earning.owes(hosted.id)); return true
      case 'earned': this.earning.forget(turn, agreement); return true
      case 'hand-back':
        if (this.#suspended) this.#handBack(turn)
        return true
      default: return false
    }
  }

  #accepts(turn: Turn, from: string, id: string, agreement: Agreement, standing: Standing): ReturnType<Bidder['check']> {
    if (this.book.isOver(from, id)) return { kind: 'refused', code: 'E_AGREEMENT_ENDED', message: 'the agreement has ended' }
    if (this.book.size >= MAX_HOSTED) return { kind: 'refused', code: 'E_HOST_BUSY', message: 'holds too many agreements' }
    return this.#bidder.check(turn, from, agreement, this.#side, standing)
  }

  /** The agreement, when it is this requester's; a requester of an unknown one learns that it is void. */
  #of(turn: Turn, from: string, id: string): Hosted | undefined {
    const hosted = this.book.get(id)
    if (hosted === undefined || hosted.closing !== undefined) {
      turn.send(from, { kind: 'close', agreement: id, code: 'E_AGREEMENT_UNKNOWN', message: 'no such agreement here' })
      return undefined
    }
    if (hosted.agreement.requester !== from) return undefined
    this.book.touch(turn, hosted)
    return hosted
  }

  #leaseOf(turn: Turn, from: string, id: LeaseId): Lease | undefined {
    const hosted = this.book.get(id.agreement)
    if (hosted === undefined || hosted.agreement.requester !== from) return undefined
    this.book.touch(turn, hosted)
    return hosted.leases.get(leaseKey(id))
  }

  #take(turn: Turn, hosted: Hosted, refs: readonly LeaseRef[]): void {
    for (const ref of refs) {
      const id = { agreement: hosted.id, task: ref.task, attempt: ref.attempt, ...ref.segment === undefined ? {} : { segment: ref.segment } }
      if (ref.attempt <= (hosted.taken.get(ref.task) ?? -1) || ref.task >= hosted.offer.tasks) continue
      if (hosted.leases.size >= MAX_LEASES_A_MESSAGE) break
      hosted.taken.set(ref.task, ref.attempt)
      const lease: Lease = { ...id, state: { kind: 'queued' } }
      hosted.leases.set(leaseKey(id), lease)
      this.book.set(turn, lease, lease.state)
      hosted.reserved = this.#reserve(turn, hosted)
      if (this.#side.draining) this.book.fail(turn, lease, 'E_HOST_DRAINING', 'the host is shutting down')
      else if (!hosted.reserved) this.book.fail(turn, lease, 'E_HOST_BUSY', 'works for somebody else by now')
    }
    this.#pump(turn, hosted)
    const beat = `beat|${hosted.id}`
    if (this.#suspended && !this.#parts.timers.has('hand-back')) this.#parts.timers.set('hand-back', turn.now.monoMs + HAND_BACK_MS)
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
      if (free <= 0 || !this.earning.mayStart(hosted.id)) { waiting.push(lease.task); continue }
      free--
      lease.state = { kind: 'running', phase: 'fetching', fraction: 0, sinceMonoMs: turn.now.monoMs }
      const { agreement, task, attempt, segment } = lease
      turn.do({ kind: 'run', lease: { agreement, task, attempt }, ...segment === undefined ? {} : { segment }, job: hosted.agreement.job, requester: hosted.agreement.requester, offer: hosted.offer })
      turn.notify({ kind: 'hosting', job: hosted.agreement.job, requester: hosted.agreement.requester, task, state: 'running', code: OK, message: '' })
    }
    if (!hasWork(hosted)) this.book.touch(turn, hosted)
    if (waiting.length > 0 && free > 0 && this.earning.waits(turn, hosted.id)) this.#beat(turn, hosted)
    if (waiting.length > 0) turn.do({ kind: 'prefetch', job: hosted.agreement.job, requester: hosted.agreement.requester, agreement: hosted.id, offer: hosted.offer, tasks: waiting })
  }

  /** Nothing came for a while: an empty agreement ends, one that only waits for verdicts lets go of its slots. */
  #idle(turn: Turn, hosted: Hosted): void {
    if (hosted.leases.size === 0) {
      turn.send(hosted.agreement.requester, { kind: 'close', agreement: hosted.id, code: 'E_AGREEMENT_IDLE', message: 'nothing was leased for a minute' })
      this.#end(turn, hosted, 'E_AGREEMENT_IDLE')
    } else if (!hasWork(hosted)) {
      hosted.reserved = false
      this.capacity.release(hosted.id)
      this.#advertise(turn)
    }
  }

  /** Whether the slots of an agreement are held, now that there is work for them again. */
  #reserve(turn: Turn, { id, agreement, offer, reserved }: Hosted): boolean {
    if (reserved) return true
    if (this.capacity.slotsFor(heldBy(offer)) < agreement.slots) return false
    this.capacity.reserve(id, agreement.slots, heldBy(offer))
    this.#advertise(turn)
    return true
  }

  #end(turn: Turn, hosted: Hosted, code: ErrorCode): void {
    this.book.end(turn, hosted, code)
    this.capacity.release(hosted.id)
    this.#advertise(turn)
  }

  #beat(turn: Turn, hosted: Hosted): void {
    const running = [...hosted.leases.values()].slice(0, MAX_LEASES_A_MESSAGE).map(({ task, attempt }) => ({ task, attempt }))
    const worked = this.earning.total(hosted.id)
    turn.send(hosted.agreement.requester, { kind: 'beat', agreement: hosted.id, running, suspended: this.#suspended || this.earning.holds(hosted.id), ...worked === undefined ? {} : { worked } })
    this.#parts.timers.set(`beat|${hosted.id}`, turn.now.monoMs + PARAMS.beatMs)
  }

  #ownerChanged(turn: Turn): void {
    const suspend = this.#side.policy.onlyWhenIdle && this.#side.host.ownerActive
    if (suspend === this.#suspended) return
    this.#suspended = suspend
    turn.do({ kind: 'suspend-runs', suspend })
    this.earning.suspend(turn, suspend)
    if (suspend) this.#parts.timers.set('hand-back', turn.now.monoMs + HAND_BACK_MS)
    else this.#parts.timers.clear('hand-back')
    for (const hosted of this.book.values()) {
      if (hosted.leases.size > 0) this.#beat(turn, hosted)
      this.#pump(turn, hosted)
    }
    this.#advertise(turn)
  }

  #handBack(turn: Turn): void {
    for (const lease of this.leases) this.book.giveBack(turn, lease, HOST_LEFT, 'its owner needs the computer')
  }

  #advertise(turn: Turn): void {
    turn.do({ kind: 'advertise', open: this.closedBecause() === undefined, free: this.capacity.free() })
  }
}
