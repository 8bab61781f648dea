import { OK } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { ErrorShape } from '../errors.ts'
import type { Ballot } from './ballot.ts'
import type { Deals } from './deals.ts'
import { deadlineWallMs, storeJob } from './job.ts'
import type { Job } from './job.ts'
import type { Parts } from './parts.ts'
import type { Scheduler } from './scheduler.ts'
import { blamesProgram, isLive } from './task.ts'
import type { Task } from './task.ts'
import type { Tendering } from './tendering.ts'

/** Attempts at one task, whatever their ends: a bound for fights among many liars. */
const MAX_ATTEMPTS = 200
/** A job whose first tasks all fail is not tried further. */
const GIVE_UP_AFTER = 8

/** Whether a task or a job is over, and what its end ends. A job ends in one state, once. */
export class Endings {
  readonly #parts: Parts
  readonly #deals: Deals
  readonly #ballot: Ballot
  readonly #scheduler: Scheduler
  readonly #tendering: Tendering

  constructor(parts: Parts, deals: Deals, ballot: Ballot, scheduler: Scheduler, tendering: Tendering) {
    this.#parts = parts
    this.#deals = deals
    this.#ballot = ballot
    this.#scheduler = scheduler
    this.#tendering = tendering
  }

  /** A task changed: queue it when it wants replicas, or end it when it was tried enough. */
  look(turn: Turn, job: Job, task: Task): void {
    const error = task.state.kind === 'active' && !task.replicas.some(isLive) ? exhaustion(job, task) : undefined
    if (error === undefined) {
      this.#scheduler.enqueue(job, task)
      return
    }
    task.state = { kind: 'failed', error }
    this.#ballot.store(turn, job, task)
    this.taskEnded(turn, job, task)
  }

  taskEnded(turn: Turn, job: Job, task: Task): void {
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
    this.finishIfComplete(turn, job)
  }

  finishIfComplete(turn: Turn, job: Job): void {
    if (job.state.kind !== 'running') return
    const hopeless = job.done === 0 && job.failed >= GIVE_UP_AFTER
    if (job.done + job.failed < job.taskCount && !hopeless) return
    if (job.failed === 0) { this.end(turn, job, { kind: 'done', endedWallMs: turn.now.wallMs }); return }
    const first = [...job.tasks.values()].find(({ state }) => state.kind === 'failed')?.state
    const error = first?.kind === 'failed' ? first.error : { code: 'E_TASKS' as const, message: '', hint: '' }
    this.fail(turn, job, job.taskCount === 1 ? error : { code: error.code, message: `${job.failed} of ${job.taskCount} tasks failed${hopeless ? ' and none succeeded, so the rest was not tried' : ''}; first: ${error.message}`, hint: error.hint })
  }

  /** What a liar gave alone counts no more: those tasks run again, for as many voices as the job asked for. */
  distrust(turn: Turn, job: Job, provider: string): void {
    if (job.state.kind !== 'running') return
    for (const task of job.tasks.values()) {
      if (task.state.kind !== 'done' || task.state.verified) continue
      const replica = task.replicas.find(({ state }) => state.kind === 'accepted')
      if (replica?.provider !== provider) continue
      replica.state = { kind: 'void', hash: task.state.hash }
      task.state = { kind: 'active' }
      delete task.findings
      task.quorum = job.document.replication.quorum
      task.spread = job.document.replication.replicas
      job.done--
      this.#ballot.store(turn, job, task)
      this.#scheduler.enqueue(job, task)
      turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: provider, code: 'E_RESULT_DIFFERS', message: 'its only provider was caught with a wrong result' })
    }
    for (const deal of [...job.deals.values()]) if (deal.provider === provider) this.#scheduler.lose(turn, job, deal, 'E_RESULT_DIFFERS', { tell: true })
  }

  /** The job's total time is over. */
  overdue(turn: Turn, job: Job): void {
    if (!job.begun) { this.unwanted(turn, job); return }
    this.fail(turn, job, { code: 'E_JOB_DEADLINE', message: `${job.taskCount - job.done} of ${job.taskCount} tasks were not done when the job's total time was over`, hint: 'Raise limits.total, or see `why` for what kept providers away' })
  }

  /** Nobody took it in time. */
  unwanted(turn: Turn, job: Job): void {
    this.fail(turn, job, this.#tendering.nobody(job))
  }

  fail(turn: Turn, job: Job, error: ErrorShape): void {
    this.end(turn, job, { kind: 'failed', endedWallMs: turn.now.wallMs, error })
  }

  end(turn: Turn, job: Job, state: Exclude<Job['state'], { kind: 'running' }>): void {
    job.state = state
    storeJob(turn, job)
    for (const task of job.tasks.values()) {
      for (const replica of task.replicas) if (isLive(replica)) this.#ballot.dismiss(turn, job, task, replica, { kind: 'lost', code: 'E_JOB_ENDED' })
    }
    for (const deal of [...job.deals.values()]) this.#deals.end(turn, deal, 'E_JOB_ENDED', 'the job has ended', { tell: true })
    for (const timer of ['tender', 'retender', 'rested', 'queue', 'total']) this.#parts.timers.clear(`${timer}|${job.id}`)
    job.queue.clear()
    job.spares = []
    job.resting.clear()
    job.tender = undefined
    const error = state.kind === 'failed' ? state.error : undefined
    turn.notify({ kind: 'job', job: job.id, state: state.kind, code: error?.code ?? OK, message: error?.message ?? `${job.done} of ${job.taskCount} tasks done` })
  }

  /** Sets the times at which the job must have begun and ended, from now on. */
  watch(turn: Turn, job: Job): void {
    const { timers } = this.#parts
    const inMs = (wallMs: number): number => turn.now.monoMs + Math.max(0, wallMs - turn.now.wallMs)
    timers.set(`total|${job.id}`, inMs(deadlineWallMs(job)))
    if (!job.begun) timers.set(`queue|${job.id}`, inMs(job.createdWallMs + job.document.limits.queueMs))
  }
}

/** Why a task is not tried again; undefined while it may be. Only what can be the program's fault counts against its retries. */
function exhaustion(job: Job, task: Task): ErrorShape | undefined {
  const failures = task.replicas.filter(blamesProgram)
  if (failures.length > job.document.retries) {
    const last = failures.at(-1)?.state
    return {
      code: 'E_PROGRAM',
      message: `task ${task.index} failed on every provider that tried it (${new Set(failures.map(({ provider }) => provider)).size}); the last said ${last?.kind === 'failed' ? `${last.code}: ${last.message}` : 'nothing'}`,
      hint: 'The program or its limits are the likely fault: try it here with `run`, or raise limits.run or resources.memory'
    }
  }
  if (task.attempts < MAX_ATTEMPTS) return undefined
  return { code: 'E_ATTEMPTS', message: `task ${task.index} was given away ${task.attempts} times and came back each time`, hint: 'See `why` for what its providers said, and name better ones in `placement`' }
}
