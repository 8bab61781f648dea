import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { LeaseRef } from '../documents/message.ts'
import { MINUTE_MS } from '../units.ts'
import type { Ballot } from './ballot.ts'
import { leaseName } from './deals.ts'
import type { Deal, DealRecord, Deals } from './deals.ts'
import type { Endings } from './endings.ts'
import { newJob } from './job.ts'
import type { Job, JobRecord } from './job.ts'
import type { Parts } from './parts.ts'
import type { Scheduler } from './scheduler.ts'
import { isLive } from './task.ts'
import type { Task, TaskRecord } from './task.ts'

/** How a requester goes on where its records say it stood: after a restart, and after the machine slept. */
export class Recovery {
  readonly #parts: Parts
  readonly #jobs: Map<string, Job>
  readonly #deals: Deals
  readonly #ballot: Ballot
  readonly #scheduler: Scheduler
  readonly #endings: Endings

  constructor(parts: Parts, jobs: Map<string, Job>, deals: Deals, ballot: Ballot, scheduler: Scheduler, endings: Endings) {
    this.#parts = parts
    this.#jobs = jobs
    this.#deals = deals
    this.#ballot = ballot
    this.#scheduler = scheduler
    this.#endings = endings
  }

  job(value: StoredRecord): void {
    const job = newJob(value as JobRecord)
    this.#jobs.set(job.id, job)
    this.#deals.paying.budget.capJob(job.id, job.document.priceCapWei)
  }

  deal(value: StoredRecord): void {
    const job = this.#jobs.get((value as DealRecord).job)
    if (job !== undefined) this.#deals.restore(value, job)
  }

  task(value: StoredRecord): void {
    const { job: id, task } = value as TaskRecord
    const job = this.#jobs.get(id)
    if (job === undefined) return
    job.tasks.set(task.index, task)
    job.nextTask = Math.max(job.nextTask, task.index + 1)
    if (task.state.kind === 'done') job.done++
    if (task.state.kind === 'failed') job.failed++
    for (const { agreement } of task.replicas) this.#deals.remember(agreement, job)
  }

  /** After all is restored: every job goes on. */
  start(turn: Turn): void {
    for (const job of this.#jobs.values()) {
      for (const task of job.tasks.values()) this.#rejoinTask(turn, job, task)
      for (const deal of [...job.deals.values()]) {
        if (job.state.kind !== 'running') this.#deals.end(turn, deal, 'E_JOB_ENDED', 'the job has ended', { tell: true })
        // Whether it was accepted nobody knows here: its provider hears that it is void.
        else if (deal.state === 'proposed') this.#scheduler.lose(turn, job, deal, 'E_REQUESTER_RESTARTED', { tell: true })
        else this.#rejoinDeal(turn, deal)
      }
      if (job.state.kind !== 'running') continue
      this.#endings.watch(turn, job)
      for (const task of job.tasks.values()) this.#ballot.advance(turn, job, task)
      this.#endings.finishIfComplete(turn, job)
      this.#scheduler.pump(turn, job)
    }
  }

  /** We slept: others may have waited for us; nobody is late until it was asked again. */
  woke(turn: Turn): void {
    for (const { deal } of this.#deals.all()) if (deal.state === 'active') this.#rejoinDeal(turn, deal)
    for (const job of this.#jobs.values()) if (job.state.kind === 'running') this.#endings.watch(turn, job)
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
      const ref: LeaseRef = { task: task.index, attempt: replica.attempt, ...replica.segment === undefined ? {} : { segment: replica.segment } }
      const deal = job.deals.get(replica.agreement)
      if (deal === undefined) { this.#ballot.setState(turn, job, task, replica, { kind: 'lost', code: 'E_REQUESTER_RESTARTED' }); continue }
      if (replica.state.kind === 'leased' || replica.state.kind === 'running') {
        deal.leases.set(leaseName(ref), ref)
        this.#parts.timers.set(`run|${deal.id}|${ref.task}|${ref.attempt}`, turn.now.monoMs + job.document.limits.runMs + MINUTE_MS)
      }
      if (replica.state.kind === 'committed') this.#ballot.watchStragglers(turn, job, task, replica)
      if (replica.state.kind === 'closing') this.#parts.timers.set(`reveal|${job.id}|${task.index}|${task.round}`, turn.now.monoMs + MINUTE_MS)
    }
  }
}
