import { OK } from '../core/effect.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { LeaseId } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import type { Agreement } from '../documents/agreement.ts'
import type { JobDocument } from '../documents/job.ts'
import type { LeaseRef, MessageOf } from '../documents/message.ts'
import type { ErrorShape } from '../errors.ts'
import { MINUTE_MS, SECOND_MS } from '../units.ts'
import { Ballot, movesOn } from './ballot.ts'
import { Deals, leaseName } from './deals.ts'
import type { Deal, DealRecord } from './deals.ts'
import { deadlineWallMs, JOB_PREFIX, jobRecord, newJob } from './job.ts'
import type { Job, JobRecord } from './job.ts'
import type { Parts } from './parts.ts'
import { Scheduler } from './scheduler.ts'
import { Tendering } from './tendering.ts'
import { isLive, TASK_PREFIX } from './task.ts'
import type { Replica, Task, TaskRecord } from './task.ts'

export interface RequesterSettings {
  /** How long bids are awaited when the policy wants more. */
  bidWindowMs: number
  /** Most providers of one job at once. */
  maxProviders: number
}

/** Attempts at one task, whatever their ends: a bound for fights among many liars. */
const MAX_ATTEMPTS = 200
/** A job whose first tasks all fail is not tried further. */
const GIVE_UP_AFTER = 8
/** A run may overshoot its limit by this before its requester gives up on it; the provider's own limit comes first. */
const RUN_SLACK_MS = 15 * SECOND_MS
/** A lease missing from a beat this soon after it was sent may be on its way. */
const LEASE_FLIGHT_MS = 2 * SECOND_MS

/** The requester side of a peer: jobs from submit to their one end. */
export class Requesting {
  readonly #parts: Parts
  readonly #jobs = new Map<string, Job>()
  readonly #deals: Deals
  readonly #ballot: Ballot
  readonly #tendering: Tendering
  readonly #scheduler: Scheduler

  constructor(parts: Parts, settings: RequesterSettings) {
    this.#parts = parts
    this.#deals = new Deals(parts)
    this.#ballot = new Ballot(parts, this.#deals, {
      changed: (turn, job, task) => { this.#look(turn, job, task) },
      ended: (turn, job, task) => { this.#taskEnded(turn, job, task) },
      caught: (turn, job, provider) => { this.#distrust(turn, job, provider) }
    })
    this.#tendering = new Tendering(parts, settings)
    this.#scheduler = new Scheduler(parts, settings, this.#deals, this.#ballot, this.#tendering)
  }

  get jobs(): ReadonlyMap<string, Job> {
    return this.#jobs
  }

  submit(turn: Turn, id: string, document: JobDocument): void {
    if (this.#jobs.has(id)) return
    const job = newJob({ v: 1, id, document, createdWallMs: turn.now.wallMs, offerRound: 0, begun: false, state: { kind: 'running' } })
    this.#jobs.set(id, job)
    this.#storeJob(turn, job)
    this.#watchDeadlines(turn, job)
    turn.notify({ kind: 'job', job: id, state: 'tendering', code: OK, message: `${job.taskCount} ${job.taskCount === 1 ? 'task' : 'tasks'}` })
    this.#scheduler.pump(turn, job)
  }

  cancel(turn: Turn, id: string): void {
    const job = this.#jobs.get(id)
    if (job?.state.kind === 'running') this.#end(turn, job, { kind: 'cancelled', endedWallMs: turn.now.wallMs })
  }

  /** Forgets an ended job and what it left in the store. */
  forget(turn: Turn, id: string): void {
    const job = this.#jobs.get(id)
    if (job === undefined || job.state.kind === 'running') return
    for (const index of job.tasks.keys()) turn.delete(`${TASK_PREFIX}${id}/${index}`)
    turn.delete(JOB_PREFIX + id)
    turn.do({ kind: 'release-job', job: id })
    this.#jobs.delete(id)
  }

  /** What is stored of the present state, for snapshots. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const job of this.#jobs.values()) {
      yield [JOB_PREFIX + job.id, jobRecord(job)]
      for (const task of job.tasks.values()) if (task.attempts > 0) yield [`${TASK_PREFIX}${job.id}/${task.index}`, { v: 1, job: job.id, task }]
    }
    yield* this.#deals.records()
  }

  restoreJob(value: StoredRecord): void {
    const job = newJob(value as JobRecord)
    this.#jobs.set(job.id, job)
  }

  restoreTask(value: StoredRecord): void {
    const { job: id, task } = value as TaskRecord
    const job = this.#jobs.get(id)
    if (job === undefined) return
    job.tasks.set(task.index, task)
    job.nextTask = Math.max(job.nextTask, task.index + 1)
    if (task.state.kind === 'done') job.done++
    if (task.state.kind === 'failed') job.failed++
  }

  restoreDeal(value: StoredRecord): void {
    const job = this.#jobs.get((value as DealRecord).job)
    if (job !== undefined) this.#deals.restore(value, job)
  }

  /** After restore: every job goes on where it stands. */
  start(turn: Turn): void {
    for (const job of this.#jobs.values()) {
      for (const task of job.tasks.values()) this.#rejoinTask(turn, job, task)
      for (const deal of [...job.deals.values()]) {
        if (job.state.kind !== 'running') this.#deals.end(turn, deal, 'E_JOB_ENDED', 'the job has ended', { tell: true })
        else if (deal.state === 'proposed') this.#lose(turn, job, deal, 'E_REQUESTER_RESTARTED')
        else this.#rejoinDeal(turn, deal)
      }
      if (job.state.kind !== 'running') continue
      this.#watchDeadlines(turn, job)
      for (const task of job.tasks.values()) this.#ballot.advance(turn, job, task)
      this.#scheduler.pump(turn, job)
      this.#finishIfComplete(turn, job)
    }
  }

  offerSent(turn: Turn, id: string, round: number, recipients: string[]): void {
    const job = this.#running(id)
    if (job?.tender?.round !== round) return
    job.tender.asks(recipients)
    this.#settleTender(turn, job)
  }

  bid(turn: Turn, from: string, { bid }: MessageOf<'bid'>): void {
    const job = this.#running(bid.job)
    if (job === undefined || bid.identity.peer !== from || bid.expiresWallMs <= turn.now.wallMs) return
    this.#tendering.bid(turn, job, bid)
    this.#settleTender(turn, job)
  }

  decline(turn: Turn, from: string, { decline }: MessageOf<'decline'>): void {
    const job = this.#running(decline.job)
    if (job === undefined) return
    job.refusals.add(from, decline.code, decline.message, decline.unmet)
    turn.notify({ kind: 'decline', job: job.id, peer: from, code: decline.code, message: decline.message })
    job.tender?.declined(from)
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
    this.#deals.activate(turn, deal)
    if (!job.begun) {
      job.begun = true
      this.#parts.timers.clear(`queue|${job.id}`)
      this.#storeJob(turn, job)
      turn.notify({ kind: 'job', job: job.id, state: 'running', code: OK, message: '' })
    }
    this.#scheduler.pump(turn, job)
  }

  refused(turn: Turn, from: string, message: MessageOf<'refused'>): void {
    const found = this.#dealOf(turn, from, message.agreement)
    if (found === undefined || found.deal.state !== 'proposed') return
    found.job.refusals.add(from, message.code, message.message, [message.code])
    turn.notify({ kind: 'agreement', job: found.job.id, peer: from, state: 'refused', code: message.code, message: message.message })
    this.#lose(turn, found.job, found.deal, message.code, { tell: false })
  }

  /** The provider ended the agreement. */
  close(turn: Turn, from: string, message: MessageOf<'close'>): void {
    turn.send(from, { kind: 'closed', agreement: message.agreement })
    const found = this.#dealOf(turn, from, message.agreement)
    if (found !== undefined) this.#lose(turn, found.job, found.deal, message.code, { tell: false })
  }

  closed(turn: Turn, message: MessageOf<'closed'>): void {
    this.#parts.outbox.done(turn, `close/${message.agreement}`)
  }

  beat(turn: Turn, from: string, message: MessageOf<'beat'>): void {
    const found = this.#dealOf(turn, from, message.agreement)
    if (found === undefined) {
      if (!this.#deals.get(message.agreement)) turn.send(from, { kind: 'close', agreement: message.agreement, code: 'E_AGREEMENT_UNKNOWN', message: 'no such agreement here' })
      return
    }
    const { job, deal } = found
    const held = new Set(message.running.map(leaseName))
    const stale = message.running.filter(({ task, attempt }) => {
      const state = this.#replica({ agreement: deal.id, task, attempt })?.replica.state.kind
      return state === undefined || state === 'lost' || state === 'late'
    })
    if (stale.length > 0) turn.send(from, { kind: 'cancel', agreement: deal.id, leases: stale, code: 'E_NOT_NEEDED' })
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
    if (replica.state.kind === 'leased' && message.phase === 'running') this.#parts.timers.set(`run|${message.agreement}|${message.task}|${message.attempt}`, turn.now.monoMs + job.document.limits.runMs + RUN_SLACK_MS)
    replica.state = message.phase === 'running' ? { kind: 'running', fraction: message.fraction } : replica.state
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'running', peer: from, code: OK, message: message.phase, fraction: message.fraction })
  }

  commit(turn: Turn, from: string, message: MessageOf<'commit'>): void {
    const found = this.#replicaFrom(turn, from, message)
    if (found === undefined || found.replica.state.kind === 'lost' || found.replica.state.kind === 'late' || found.replica.state.kind === 'failed') {
      const { agreement, task, attempt } = message
      turn.send(from, { kind: 'verdict', agreement, task, attempt, verdict: 'late', code: 'E_LATE' })
      return
    }
    this.#ballot.commit(turn, found.job, found.task, found.replica, message.commit)
    this.#scheduler.pump(turn, found.job)
  }

  reveal(turn: Turn, from: string, message: MessageOf<'reveal'>): void {
    const found = this.#replicaFrom(turn, from, message.receipt)
    if (found !== undefined) this.#ballot.reveal(turn, found.job, found.task, found.replica, message)
  }

  /** The provider could not decide the task: somebody else tries. The first reason is told at once. */
  failed(turn: Turn, from: string, message: MessageOf<'failed'>): void {
    const { agreement, task: index, attempt, code } = message
    turn.send(from, { kind: 'settled', agreement, task: index, attempt })
    const found = this.#replicaFrom(turn, from, message)
    if (found === undefined || !isLive(found.replica)) return
    const { job, task, replica } = found
    this.#ballot.setState(turn, job, task, replica, movesOn(code) ? { kind: 'lost', code } : { kind: 'failed', code, message: message.message })
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: from, code, message: message.message })
    this.#ballot.advance(turn, job, task)
    this.#scheduler.pump(turn, job)
  }

  settled(turn: Turn, message: MessageOf<'settled'>): void {
    this.#parts.outbox.done(turn, `verdict/${message.agreement}/${message.task}/${message.attempt}`)
  }

  resultFetched(turn: Turn, id: string, index: number, content: string): void {
    const job = this.#running(id)
    const task = job?.tasks.get(index)
    if (job === undefined || task === undefined) return
    this.#ballot.fetched(turn, job, task, content)
    if (job.state.kind === 'running') this.#scheduler.pump(turn, job)
  }

  resultLost(turn: Turn, id: string, index: number, content: string): void {
    const job = this.#running(id)
    const task = job?.tasks.get(index)
    if (job === undefined || task === undefined) return
    this.#ballot.lost(turn, job, task, content)
    this.#scheduler.pump(turn, job)
  }

  /** The running job that this provider has an agreement for: it may read what the job needs. */
  jobOf(agreement: string, provider: string): Job | undefined {
    const found = this.#deals.get(agreement)
    return found?.deal.provider === provider ? found.job : undefined
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

  unreachable(turn: Turn, peer: string): void {
    for (const job of this.#jobs.values()) {
      if (job.tender === undefined || job.state.kind !== 'running') continue
      job.tender.gone(peer)
      this.#settleTender(turn, job)
    }
    for (const { job, deal } of this.#deals.with(peer)) if (deal.state === 'proposed') this.#lose(turn, job, deal, 'E_PEER_UNREACHABLE')
  }

  /** The peer's connection broke and did not come back in time. */
  gone(turn: Turn, peer: string): void {
    this.unreachable(turn, peer)
    for (const { job, deal } of this.#deals.with(peer)) this.#lose(turn, job, deal, 'E_PEER_LOST')
  }

  /** We slept: others may have waited for us; nobody is late until it was asked again. */
  woke(turn: Turn): void {
    for (const { deal } of this.#deals.all()) this.#rejoinDeal(turn, deal)
    for (const job of this.#jobs.values()) if (job.state.kind === 'running') this.#watchDeadlines(turn, job)
  }

  /** True when `timer` was one of ours. */
  timer(turn: Turn, timer: string): boolean {
    const [kind, id = '', second, third] = timer.split('|')
    const job = this.#running(id)
    const task = job?.tasks.get(Number(second))
    const found = this.#deals.get(id)
    switch (kind) {
      case 'tender': if (job !== undefined) this.#settleTender(turn, job, { windowOver: true }); return true
      case 'retender': if (job !== undefined) this.#scheduler.pump(turn, job); return true
      case 'queue': if (job !== undefined && !job.begun) this.#fail(turn, job, this.#tendering.nobody(job)); return true
      case 'total': if (job !== undefined) this.#fail(turn, job, this.#overdue(job)); return true
      case 'accept': if (found?.deal.state === 'proposed') this.#lose(turn, found.job, found.deal, 'E_ACCEPT_TIMEOUT'); return true
      case 'silence': if (found !== undefined && this.#deals.silent(turn, found.deal)) this.#lose(turn, found.job, found.deal, 'E_PEER_SILENT'); return true
      case 'reveal': if (job !== undefined && task !== undefined) { this.#ballot.revealDue(turn, job, task, Number(third)); this.#scheduler.pump(turn, job) } return true
      case 'straggler': if (job !== undefined && task !== undefined) { this.#ballot.stragglerDue(turn, job, task); this.#scheduler.pump(turn, job) } return true
      case 'run': this.#runOverdue(turn, { agreement: id, task: Number(second), attempt: Number(third) }); return true
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

  #replica({ agreement, task: index, attempt }: LeaseId): { job: Job, task: Task, replica: Replica } | undefined {
    const found = this.#deals.get(agreement)
    const task = found?.job.tasks.get(index)
    const replica = task?.replicas.find((candidate) => candidate.agreement === agreement && candidate.attempt === attempt)
    return found === undefined || task === undefined || replica === undefined ? undefined : { job: found.job, task, replica }
  }

  #replicaFrom(turn: Turn, from: string, id: LeaseId): { job: Job, task: Task, replica: Replica } | undefined {
    return this.#dealOf(turn, from, id.agreement) === undefined ? undefined : this.#replica(id)
  }

  #settleTender(turn: Turn, job: Job, options: { windowOver?: boolean } = {}): void {
    if (this.#tendering.settle(turn, job, options.windowOver === true)) this.#scheduler.pump(turn, job)
  }

  /** A task changed: queue it when it wants replicas, or end it when it was tried enough. */
  #look(turn: Turn, job: Job, task: Task): void {
    const failures = task.replicas.filter(({ state }) => state.kind === 'failed')
    const exhausted = failures.length > job.document.retries || task.attempts >= MAX_ATTEMPTS
    if (task.state.kind === 'active' && exhausted && !task.replicas.some(isLive)) {
      const last = failures.at(-1)?.state
      const reason = last?.kind === 'failed' ? `${last.code}: ${last.message}` : 'too many attempts'
      task.state = { kind: 'failed', error: {
        code: 'E_PROGRAM',
        message: `task ${task.index} failed on every provider that tried it (${new Set(failures.map(({ provider }) => provider)).size}); the last said ${reason}`,
        hint: 'The program or its limits are the likely fault: try it here with `run`, or raise limits.run or resources.memory'
      } }
      this.#ballot.store(turn, job, task)
      this.#taskEnded(turn, job, task)
      return
    }
    this.#scheduler.enqueue(job, task)
  }

  #taskEnded(turn: Turn, job: Job, task: Task): void {
    job.queue.delete(task.index)
    const accepted = task.replicas.find(({ state }) => state.kind === 'accepted')
    for (const { agreement, state } of task.replicas) {
      const deal = job.deals.get(agreement)
      if (deal === undefined) continue
      if (state.kind === 'accepted') deal.done++
      if (state.kind === 'failed') deal.failed++
    }
    if (task.state.kind === 'done') job.done++
    if (task.state.kind === 'failed') job.failed++
    const error = task.state.kind === 'failed' ? task.state.error : undefined
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: error === undefined ? 'done' : 'failed', peer: accepted?.provider ?? '', code: error?.code ?? OK, message: error?.message ?? '' })
    this.#finishIfComplete(turn, job)
  }

  #finishIfComplete(turn: Turn, job: Job): void {
    if (job.state.kind !== 'running') return
    const hopeless = job.done === 0 && job.failed >= GIVE_UP_AFTER
    if (job.done + job.failed < job.taskCount && !hopeless) return
    if (job.failed === 0) { this.#end(turn, job, { kind: 'done', endedWallMs: turn.now.wallMs }); return }
    const first = [...job.tasks.values()].find(({ state }) => state.kind === 'failed')?.state
    const error = first?.kind === 'failed' ? first.error : { code: 'E_TASKS' as const, message: '', hint: '' }
    this.#fail(turn, job, job.taskCount === 1 ? error : { code: error.code, message: `${job.failed} of ${job.taskCount} tasks failed${hopeless ? ' and none succeeded, so the rest was not tried' : ''}; first: ${error.message}`, hint: error.hint })
  }

  /** What a liar gave alone counts no more: those tasks run again, and their answers need company. */
  #distrust(turn: Turn, job: Job, provider: string): void {
    if (job.state.kind !== 'running') return
    for (const task of job.tasks.values()) {
      if (task.state.kind !== 'done' || task.state.verified) continue
      const replica = task.replicas.find(({ state }) => state.kind === 'accepted')
      if (replica?.provider !== provider) continue
      replica.state = { kind: 'rejected', hash: task.state.hash }
      task.state = { kind: 'active' }
      job.done--
      this.#ballot.store(turn, job, task)
      this.#scheduler.enqueue(job, task)
      turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: provider, code: 'E_RESULT_DIFFERS', message: 'its only provider was caught with a wrong result' })
    }
    for (const deal of [...job.deals.values()]) if (deal.provider === provider) this.#lose(turn, job, deal, 'E_RESULT_DIFFERS', { quiet: true })
  }

  /** A deal is over before its work is: what was not revealed moves on. */
  #lose(turn: Turn, job: Job, deal: Deal, code: `E_${string}`, options: { tell?: boolean, quiet?: boolean } = {}): void {
    const silent = code === 'E_PEER_SILENT' || code === 'E_PEER_LOST'
    let lost = 0
    for (const task of job.tasks.values()) {
      for (const replica of task.replicas) {
        if (replica.agreement !== deal.id || !isLive(replica)) continue
        lost++
        this.#parts.outbox.done(turn, `closed-set/${deal.id}/${task.index}/${replica.attempt}`)
        this.#ballot.setState(turn, job, task, replica, { kind: 'lost', code })
        if (deal.said && job.begun) turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: deal.provider, code, message: silent ? 'its provider went away' : '' })
        this.#scheduler.enqueue(job, task)
      }
    }
    if (silent && lost > 0) this.#parts.histories.record(turn, deal.provider, 'failed')
    this.#deals.end(turn, deal, code, '', { tell: options.tell ?? true })
    for (const index of [...job.queue]) {
      const task = job.tasks.get(index)
      if (task !== undefined) this.#ballot.advance(turn, job, task)
    }
    if (options.quiet !== true) this.#scheduler.pump(turn, job)
  }

  #runOverdue(turn: Turn, id: LeaseId): void {
    const found = this.#replica(id)
    if (found === undefined || !isLive(found.replica)) return
    const { job, task, replica } = found
    this.#parts.histories.record(turn, replica.provider, 'late')
    this.#ballot.dismiss(turn, job, task, replica, { kind: 'failed', code: 'E_RUN_TIME', message: 'did not end within its run limit' }, 'late')
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: replica.provider, code: 'E_RUN_TIME', message: 'did not end within its run limit' })
    this.#ballot.advance(turn, job, task)
    this.#scheduler.pump(turn, job)
  }

  #overdue(job: Job): ErrorShape {
    if (!job.begun) return this.#tendering.nobody(job)
    return { code: 'E_JOB_DEADLINE', message: `${job.taskCount - job.done} of ${job.taskCount} tasks were not done when the job's total time was over`, hint: 'Raise limits.total, or see `why` for what kept providers away' }
  }

  #fail(turn: Turn, job: Job, error: ErrorShape): void {
    this.#end(turn, job, { kind: 'failed', endedWallMs: turn.now.wallMs, error })
  }

  #end(turn: Turn, job: Job, state: Exclude<Job['state'], { kind: 'running' }>): void {
    job.state = state
    this.#storeJob(turn, job)
    for (const task of job.tasks.values()) {
      for (const replica of task.replicas) if (isLive(replica)) this.#ballot.dismiss(turn, job, task, replica, { kind: 'lost', code: 'E_JOB_ENDED' }, 'cancelled')
    }
    for (const deal of [...job.deals.values()]) this.#deals.end(turn, deal, 'E_JOB_ENDED', 'the job has ended', { tell: true })
    for (const timer of ['tender', 'retender', 'queue', 'total']) this.#parts.timers.clear(`${timer}|${job.id}`)
    job.queue.clear()
    job.spares = []
    job.tender = undefined
    const error = state.kind === 'failed' ? state.error : undefined
    turn.notify({ kind: 'job', job: job.id, state: state.kind, code: error?.code ?? OK, message: error?.message ?? `${job.done} of ${job.taskCount} tasks done` })
  }

  #watchDeadlines(turn: Turn, job: Job): void {
    const { timers } = this.#parts
    const inMs = (wallMs: number): number => turn.now.monoMs + Math.max(0, wallMs - turn.now.wallMs)
    timers.set(`total|${job.id}`, inMs(deadlineWallMs(job)))
    if (!job.begun) timers.set(`queue|${job.id}`, inMs(job.createdWallMs + job.document.limits.queueMs))
  }

  #rejoinDeal(turn: Turn, deal: Deal): void {
    this.#deals.heard(turn, deal)
    turn.send(deal.provider, { kind: 'probe', agreement: deal.id })
  }

  /** Times of a former life mean nothing now: every live replica gets its full time again. */
  #rejoinTask(turn: Turn, job: Job, task: Task): void {
    for (const replica of task.replicas) {
      if (!isLive(replica)) continue
      replica.sinceMonoMs = turn.now.monoMs
      const ref: LeaseRef = { task: task.index, attempt: replica.attempt }
      const deal = job.deals.get(replica.agreement)
      if (deal === undefined) { replica.state = { kind: 'lost', code: 'E_REQUESTER_RESTARTED' }; continue }
      if (replica.state.kind === 'leased' || replica.state.kind === 'running') {
        deal.leases.set(leaseName(ref), ref)
        this.#parts.timers.set(`run|${deal.id}|${ref.task}|${ref.attempt}`, turn.now.monoMs + job.document.limits.runMs + MINUTE_MS)
      }
      if (replica.state.kind === 'closing') this.#parts.timers.set(`reveal|${job.id}|${task.index}|${task.round}`, turn.now.monoMs + MINUTE_MS)
    }
  }

  #storeJob(turn: Turn, job: Job): void {
    turn.put(JOB_PREFIX + job.id, jobRecord(job))
  }
}
