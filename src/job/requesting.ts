import { OK } from '../core/effect.ts'
import type { Refusal } from '../codec/result.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { EventOf, LeaseId } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import type { Agreement } from '../documents/agreement.ts'
import type { JobDocument } from '../documents/job.ts'
import type { LeaseRef, MessageOf } from '../documents/message.ts'
import { MINUTE_MS, SECOND_MS } from '../units.ts'
import { Ballot } from './ballot.ts'
import { Deals, leaseName } from './deals.ts'
import type { Deal } from './deals.ts'
import { Endings } from './endings.ts'
import { JOB_PREFIX, jobRecord, newJob, storeJob } from './job.ts'
import type { Job } from './job.ts'
import { verdictKey } from './lease.ts'
import type { Parts, RequesterSettings } from './parts.ts'
import type { Paying } from './paying.ts'
import { Recovery } from './recovery.ts'
import { Scheduler } from './scheduler.ts'
import { isLive, movesOn, TASK_PREFIX, verdictOf } from './task.ts'
import type { Replica, Task } from './task.ts'
import { Tendering } from './tendering.ts'

export type { RequesterSettings } from './parts.ts'

/** A run may overshoot its limit by this before its requester gives up on it; the provider's own limit comes first. */
const RUN_SLACK_MS = 15 * SECOND_MS
/** From lease to commit: fetching and running, each at its slowest, twice over, and some waiting for the host's owner. */
const LEASE_RUNS = 4
const MAX_HELD_MS = 10 * MINUTE_MS
/** A lease missing from a beat this soon after it was sent may be on its way. */
const LEASE_FLIGHT_MS = 2 * SECOND_MS

/** A replica that a message speaks of; `deal` while its agreement lasts. */
interface Found { job: Job, task: Task, replica: Replica, deal: Deal | undefined }

/** The requester side of a peer: what its owner, its providers and its timers say, routed to the job that it concerns. */
export class Requesting {
  readonly recovery: Recovery
  readonly paying: Paying
  readonly #parts: Parts
  readonly #jobs = new Map<string, Job>()
  readonly #deals: Deals
  readonly #ballot: Ballot
  readonly #tendering: Tendering
  readonly #scheduler: Scheduler
  readonly #endings: Endings

  constructor(parts: Parts, settings: RequesterSettings, paying: Paying) {
    this.#parts = parts
    this.paying = paying
    this.#deals = new Deals(parts, paying)
    this.#ballot = new Ballot(parts, this.#deals, {
      changed: (turn, job, task) => { this.#endings.look(turn, job, task) },
      ended: (turn, job, task) => { this.#endings.taskEnded(turn, job, task) },
      caught: (turn, job, provider) => { this.#endings.distrust(turn, job, provider) },
      broken: (turn, job, error) => { this.#endings.fail(turn, job, error) }
    })
    this.#tendering = new Tendering(parts, settings, paying)
    this.#scheduler = new Scheduler(parts, settings, this.#deals, this.#ballot, this.#tendering)
    this.#endings = new Endings(parts, this.#deals, this.#ballot, this.#scheduler, this.#tendering)
    this.recovery = new Recovery(parts, this.#jobs, this.#deals, this.#ballot, this.#scheduler, this.#endings)
  }

  get jobs(): ReadonlyMap<string, Job> {
    return this.#jobs
  }

  /** Sizes of what could grow. */
  sizes(): { deals: number, spares: number, queued: number } {
    let [deals, spares, queued] = [0, 0, 0]
    for (const job of this.#jobs.values()) {
      deals += job.deals.size
      spares += job.spares.length
      queued += job.queue.size
    }
    return { deals, spares, queued }
  }

  submit(turn: Turn, id: string, document: JobDocument): void {
    if (this.#jobs.has(id)) return
    const job = newJob({ v: 1, id, document, createdWallMs: turn.now.wallMs, offerRound: 0, begun: false, state: { kind: 'running' } })
    this.#jobs.set(id, job)
    this.paying.budget.capJob(id, document.priceCapWei)
    storeJob(turn, job)
    this.#endings.watch(turn, job)
    turn.notify({ kind: 'job', job: id, state: 'tendering', code: OK, message: `${job.taskCount} ${job.taskCount === 1 ? 'task' : 'tasks'}` })
    this.#scheduler.pump(turn, job)
  }

  cancel(turn: Turn, id: string): void {
    const job = this.#running(id)
    if (job !== undefined) this.#endings.end(turn, job, { kind: 'cancelled', endedWallMs: turn.now.wallMs })
  }

  /** Forgets an ended job and what it left in the store. */
  forget(turn: Turn, id: string): void {
    const job = this.#jobs.get(id)
    if (job === undefined || job.state.kind === 'running') return
    for (const index of job.tasks.keys()) turn.delete(`${TASK_PREFIX}${id}/${index}`)
    turn.delete(JOB_PREFIX + id)
    turn.do({ kind: 'release-job', job: id, requester: this.#parts.self.identity.peer })
    this.#jobs.delete(id)
    this.paying.forgetJob(turn, id)
    this.#deals.forget(job)
  }

  /** What is stored of the present state, for snapshots. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const job of this.#jobs.values()) {
      yield [JOB_PREFIX + job.id, jobRecord(job)]
      for (const task of job.tasks.values()) if (task.attempts > 0) yield [`${TASK_PREFIX}${job.id}/${task.index}`, { v: 1, job: job.id, task }]
    }
    yield* this.#deals.records()
  }

  offerSent(turn: Turn, id: string, round: number, recipients: string[]): void {
    const job = this.#running(id)
    if (job?.tender?.round !== round) return
    job.tender.asks(recipients)
    this.#settleTender(turn, job)
  }

  bid(turn: Turn, from: string, { bid }: MessageOf<'bid'>): void {
    const job = this.#running(bid.job)
    if (job === undefined || bid.identity.peer !== from) return
    if (this.#tendering.bid(turn, job, bid)) this.#scheduler.pump(turn, job)
    else this.#settleTender(turn, job)
  }

  decline(turn: Turn, from: string, { decline }: MessageOf<'decline'>): void {
    const job = this.#running(decline.job)
    if (job === undefined) return
    // a host that works for the job already has nothing to spare because of the job itself: that is no news
    if (![...job.deals.values()].some(({ provider }) => provider === from)) {
      job.refusals.add(from, decline.code, decline.message, decline.unmet)
      turn.notify({ kind: 'decline', job: job.id, peer: from, code: decline.code, message: decline.message })
    }
    if (job.tender?.round !== decline.round) return
    job.tender.declined(from)
    this.#settleTender(turn, job)
  }

  agreed(turn: Turn, from: string, message: MessageOf<'agreed'>): void {
    const found = this.#dealOf(turn, from, message.agreement)
    if (found === undefined) {
      turn.send(from, { kind: 'close', agreement: message.agreement, code: 'E_AGREEMENT_UNKNOWN', message: 'came too late' })
      return
    }
    const { job, deal } = found
    if (deal.state === 'active') return
    const doubt = this.paying.doubts(turn, deal.agreement, message)
    if (doubt !== undefined) {
      job.refusals.add(from, doubt.code, doubt.message, [doubt.code])
      this.paying.letGo(turn, deal.agreement, message)
      this.#lose(turn, found, doubt.code, { tell: true })
      return
    }
    this.#deals.activate(turn, deal, message)
    if (!job.begun) {
      job.begun = true
      this.#parts.timers.clear(`queue|${job.id}`)
      storeJob(turn, job)
      turn.notify({ kind: 'job', job: job.id, state: 'running', code: OK, message: '' })
    }
    this.#scheduler.pump(turn, job)
  }

  refused(turn: Turn, from: string, message: MessageOf<'refused'>): void {
    const found = this.#dealOf(turn, from, message.agreement)
    if (found === undefined || found.deal.state !== 'proposed') return
    found.job.refusals.add(from, message.code, message.message, [message.code])
    turn.notify({ kind: 'agreement', job: found.job.id, peer: from, state: 'refused', code: message.code, message: message.message })
    this.#lose(turn, found, message.code, { tell: false })
  }

  /** The provider ended the agreement. */
  close(turn: Turn, from: string, message: MessageOf<'close'>): void {
    turn.send(from, { kind: 'closed', agreement: message.agreement })
    const found = this.#dealOf(turn, from, message.agreement)
    if (found !== undefined) this.#lose(turn, found, message.code, { tell: false })
  }

  closed(turn: Turn, from: string, message: MessageOf<'closed'>): void {
    this.#parts.outbox.answered(turn, `close/${message.agreement}`, from)
  }

  /** A sign of life, and what the provider holds: what it lacks is sent again, what it holds in vain is called off. */
  beat(turn: Turn, from: string, message: MessageOf<'beat'>): void {
    const found = this.#dealOf(turn, from, message.agreement)
    if (found === undefined) {
      if (!this.#deals.get(message.agreement)) turn.send(from, { kind: 'close', agreement: message.agreement, code: 'E_AGREEMENT_UNKNOWN', message: 'no such agreement here' })
      return
    }
    const { job, deal } = found
    this.paying.worked(turn, deal.agreement, deal.id, message.worked)
    const unknown = message.running.filter((ref) => !this.#answersFor(turn, deal, ref, message.suspended))
    if (unknown.length > 0) turn.send(from, { kind: 'cancel', agreement: deal.id, leases: unknown, code: 'E_NOT_NEEDED' })
    const held = new Set(message.running.map(leaseName))
    const missing = [...deal.leases.values()].filter((ref) => {
      const replica = this.#replica({ agreement: deal.id, ...ref })?.replica
      return !held.has(leaseName(ref)) && replica !== undefined && turn.now.monoMs - replica.sinceMonoMs > LEASE_FLIGHT_MS
    })
    if (missing.length > 0) turn.send(from, { kind: 'lease', agreement: deal.id, leases: missing })
    if (job.queue.size > 0) this.#scheduler.pump(turn, job)
  }

  progress(turn: Turn, from: string, message: MessageOf<'progress'>): void {
    const found = this.#replicaFrom(turn, from, message)
    if (found === undefined) return
    const { job, task, replica } = found
    if (replica.state.kind !== 'leased' && replica.state.kind !== 'running') return
    // held runs are not slow: their time starts again
    if (message.phase === 'held' || (replica.state.kind === 'leased' && message.phase === 'running')) this.#watchRun(turn, job, replica, message)
    replica.state = message.phase === 'fetching' ? replica.state : { kind: 'running', fraction: message.fraction }
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'running', peer: from, code: OK, message: message.phase === 'held' ? 'waits while its host\'s owner uses the card' : message.phase, fraction: message.fraction })
  }

  commit(turn: Turn, from: string, message: MessageOf<'commit'>): void {
    const found = this.#replicaFrom(turn, from, message)
    if (found === undefined) { this.#disown(turn, from, message); return }
    if (found.deal !== undefined) this.paying.worked(turn, found.deal.agreement, found.deal.id, message.worked)
    if (this.#ballot.tell(turn, found.task, found.replica)) return
    this.#ballot.commit(turn, found.job, found.task, found.replica, message.commit)
    this.#scheduler.pump(turn, found.job)
  }

  peeked(turn: Turn, from: string, message: MessageOf<'peeked'>): void {
    const found = this.#replicaFrom(turn, from, message)
    if (found === undefined) return
    const { content, contentBytes, exitCode } = message.result
    turn.notify({ kind: 'early', job: found.job.id, task: found.task.index, peer: from, agreement: message.agreement, content, contentBytes, exitCode })
  }

  reveal(turn: Turn, from: string, message: MessageOf<'reveal'>): void {
    const found = this.#replicaFrom(turn, from, message.receipt)
    if (found === undefined) { this.#disown(turn, from, message.receipt); return }
    if (this.#ballot.tell(turn, found.task, found.replica)) return
    this.#ballot.reveal(turn, found.job, found.task, found.replica, message)
    this.#scheduler.pump(turn, found.job)
  }

  /** The provider could not decide the task: somebody else tries. The first reason is told at once. */
  failed(turn: Turn, from: string, message: MessageOf<'failed'>): void {
    const { agreement, task: index, attempt, code } = message
    turn.send(from, { kind: 'settled', agreement, task: index, attempt })
    const found = this.#replicaFrom(turn, from, message)
    if (found === undefined || !isLive(found.replica)) return
    const { job, task, replica } = found
    if (found.deal !== undefined) {
      this.paying.worked(turn, found.deal.agreement, agreement, message.worked)
      this.paying.failed(turn, agreement, message.spent ?? 0)
    }
    const broke = code === 'E_UNPAID' ? this.paying.capOf(agreement) : undefined
    if (broke !== undefined) { this.#endings.fail(turn, job, broke); return }
    if (movesOn(code)) this.#scheduler.rest(turn, job, from)
    this.#ballot.setState(turn, job, task, replica, movesOn(code) ? { kind: 'lost', code } : { kind: 'failed', code, message: message.message })
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: from, code, message: message.message })
    this.#ballot.advance(turn, job, task)
    this.#scheduler.pump(turn, job)
  }

  settled(turn: Turn, from: string, message: MessageOf<'settled'>): void {
    this.#parts.outbox.answered(turn, verdictKey(message), from)
  }

  resultFetched(turn: Turn, id: string, index: number, content: string): void {
    const job = this.#running(id)
    const task = job?.tasks.get(index)
    if (job === undefined || task === undefined) return
    this.#ballot.fetched(turn, job, task, content)
    this.#scheduler.pump(turn, job)
  }

  resultLost(turn: Turn, id: string, index: number, content: string): void {
    const job = this.#running(id)
    const task = job?.tasks.get(index)
    if (job === undefined || task === undefined) return
    this.#ballot.lost(turn, job, task, content)
    this.#scheduler.pump(turn, job)
  }

  compared(turn: Turn, event: EventOf<'compared'>): void {
    const job = this.#running(event.job)
    const task = job?.tasks.get(event.task)
    if (job === undefined || task === undefined) return
    this.#ballot.compared(turn, job, task, event)
    this.#scheduler.pump(turn, job)
  }

  /** The running job that this provider has an agreement for: it may read what the job needs. */
  jobOf(agreement: string, provider: string): Job | undefined {
    const found = this.#deals.get(agreement)
    return found?.deal.provider === provider ? found.job : undefined
  }

  /** Whether this lease is held under the agreement and not over. */
  leases(agreement: string, ref: LeaseRef): boolean {
    return this.#deals.get(agreement)?.deal.leases.has(leaseName(ref)) === true
  }

  agreement(id: string): Agreement | undefined {
    return this.#deals.get(id)?.deal.agreement
  }

  holds(agreement: string): boolean {
    return this.#deals.get(agreement) !== undefined
  }

  latency(peer: string, latencyMs: number): void {
    this.#tendering.latency(peer, latencyMs)
  }

  /** Something new may serve a job that lacks providers. */
  newcomer(turn: Turn): void {
    for (const job of this.#jobs.values()) if (job.state.kind === 'running') this.#tendering.hurry(turn, job)
  }

  /** The chain has spoken of a provider's bond: a bid that waited for it can be taken up. */
  bondSeen(turn: Turn): void {
    for (const job of this.#jobs.values()) if (job.state.kind === 'running' && job.spares.length > 0) this.#scheduler.pump(turn, job)
  }

  /** A provider broke a rule of payment, so that nothing is signed for it any more: its work goes to others at once. */
  unpayable(turn: Turn, agreement: string, { code }: Refusal): void {
    const found = this.#deals.get(agreement)
    if (found !== undefined) this.#lose(turn, found, code, { tell: true })
  }

  unreachable(turn: Turn, peer: string): void {
    for (const job of this.#jobs.values()) {
      if (job.tender === undefined || job.state.kind !== 'running') continue
      job.tender.gone(peer)
      this.#settleTender(turn, job)
    }
    for (const found of this.#deals.with(peer)) if (found.deal.state === 'proposed') this.#lose(turn, found, 'E_PEER_UNREACHABLE', { tell: true })
  }

  /** The peer's connection broke and did not come back in time. */
  gone(turn: Turn, peer: string): void {
    this.unreachable(turn, peer)
    for (const found of this.#deals.with(peer)) this.#lose(turn, found, 'E_PEER_LOST', { tell: true })
  }

  /** True when `timer` was one of ours. */
  timer(turn: Turn, timer: string): boolean {
    const [kind = '', id = '', second, third] = timer.split('|')
    if (this.#agreementTimer(turn, kind, { agreement: id, task: Number(second), attempt: Number(third) })) return true
    const job = this.#running(id)
    const task = job?.tasks.get(Number(second))
    switch (kind) {
      case 'tender': if (job !== undefined) this.#settleTender(turn, job, { windowOver: true }); return true
      case 'retender': if (job !== undefined) this.#scheduler.pump(turn, job); return true
      case 'rested': if (job !== undefined) this.#scheduler.rested(turn, job); return true
      case 'queue': if (job !== undefined && !job.begun) this.#endings.unwanted(turn, job); return true
      case 'total': if (job !== undefined) this.#endings.overdue(turn, job); return true
      case 'reveal': if (job !== undefined && task !== undefined) { this.#ballot.revealDue(turn, job, task, Number(third)); this.#scheduler.pump(turn, job) } return true
      case 'straggler': if (job !== undefined && task !== undefined) { this.#ballot.stragglerDue(turn, job, task); this.#scheduler.pump(turn, job) } return true
      default: return false
    }
  }

  #agreementTimer(turn: Turn, kind: string, id: LeaseId): boolean {
    const found = this.#deals.get(id.agreement)
    switch (kind) {
      case 'accept': if (found?.deal.state === 'proposed' && this.#deals.unanswered(turn, found.deal)) this.#lose(turn, found, 'E_ACCEPT_TIMEOUT', { tell: true }); return true
      case 'silence': if (found !== undefined && this.#deals.silent(turn, found.deal)) this.#lose(turn, found, 'E_PEER_SILENT', { tell: true }); return true
      case 'run': this.#runOverdue(turn, id); return true
      default: return false
    }
  }

  #running(id: string): Job | undefined {
    const job = this.#jobs.get(id)
    return job?.state.kind === 'running' ? job : undefined
  }

  #dealOf(turn: Turn, from: string, id: string): { job: Job, deal: Deal } | undefined {
    const found = this.#deals.get(id)
    if (found === undefined || found.deal.provider !== from) return undefined
    this.#deals.heard(turn, found.deal)
    return found
  }

  #replica({ agreement, task: index, attempt }: LeaseId): Found | undefined {
    const job = this.#deals.jobOf(agreement)
    const task = job?.tasks.get(index)
    const replica = task?.replicas.find((candidate) => candidate.agreement === agreement && candidate.attempt === attempt)
    return job === undefined || task === undefined || replica === undefined ? undefined : { job, task, replica, deal: job.deals.get(agreement) }
  }

  /** What a provider's message speaks of, also when the agreement has ended since. */
  #replicaFrom(turn: Turn, from: string, id: LeaseId): Found | undefined {
    this.#dealOf(turn, from, id.agreement)
    const found = this.#replica(id)
    return found?.replica.provider === from ? found : undefined
  }

  /** Whether a lease in a beat is known; if it has ended here, its provider is told so. */
  #answersFor(turn: Turn, deal: Deal, ref: LeaseRef, suspended: boolean): boolean {
    const id = { agreement: deal.id, ...ref }
    const found = this.#replica(id)
    if (found === undefined) return false
    if (verdictOf(found.replica) !== undefined && !this.#parts.outbox.has(verdictKey(id))) this.#ballot.tell(turn, found.task, found.replica)
    // A host that gave its owner the computer for a while is not slow: its run's time starts again.
    if (suspended && found.replica.state.kind === 'running') this.#watchRun(turn, found.job, found.replica, id)
    return true
  }

  /** Somebody works on what nobody here asked for, or what is long forgotten. */
  #disown(turn: Turn, from: string, { agreement, task, attempt }: LeaseId): void {
    const found = this.#deals.get(agreement)
    if (found === undefined) turn.send(from, { kind: 'close', agreement, code: 'E_AGREEMENT_UNKNOWN', message: 'no such agreement here' })
    else if (found.deal.provider === from) turn.send(from, { kind: 'cancel', agreement, leases: [{ task, attempt }], code: 'E_NOT_NEEDED' })
  }

  #lose(turn: Turn, { job, deal }: { job: Job, deal: Deal }, code: `E_${string}`, options: { tell: boolean }): void {
    this.#scheduler.lose(turn, job, deal, code, options)
    this.#scheduler.pump(turn, job)
  }

  #settleTender(turn: Turn, job: Job, options: { windowOver?: boolean } = {}): void {
    if (this.#tendering.settle(turn, job, options.windowOver === true)) this.#scheduler.pump(turn, job)
  }

  /** A host that waits for its owner gets time for that, but a lease is not for ever: honest ones give up after a minute each. */
  #watchRun(turn: Turn, { document: { limits } }: Job, { sinceMonoMs }: Replica, { agreement, task, attempt }: LeaseId): void {
    const latestMonoMs = sinceMonoMs + limits.queueMs + LEASE_RUNS * limits.runMs + MAX_HELD_MS
    this.#parts.timers.set(`run|${agreement}|${task}|${attempt}`, Math.min(latestMonoMs, turn.now.monoMs + limits.runMs + RUN_SLACK_MS))
  }

  #runOverdue(turn: Turn, id: LeaseId): void {
    const found = this.#replica(id)
    if (found === undefined || !isLive(found.replica)) return
    const { job, task, replica } = found
    const fault = 'did not end within its run limit'
    this.#parts.histories.record(turn, replica.provider, 'late')
    this.#ballot.dismiss(turn, job, task, replica, { kind: 'failed', code: 'E_RUN_TIME', message: fault })
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: replica.provider, code: 'E_RUN_TIME', message: fault })
    this.#ballot.advance(turn, job, task)
    this.#scheduler.pump(turn, job)
  }
}
