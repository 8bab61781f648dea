import type { ErrorShape } from '../errors.ts'
import { taskCount } from '../documents/job.ts'
import type { JobDocument } from '../documents/job.ts'
import { Refusals } from '../market/tender.ts'
import type { Spare, Tender } from '../market/tender.ts'
import type { Turn } from '../core/turn.ts'
import type { Deal } from './deals.ts'
import type { Task } from './task.ts'

export type JobState =
  | { kind: 'running' }
  | { kind: 'done', endedWallMs: number }
  | { kind: 'failed', endedWallMs: number, error: ErrorShape }
  | { kind: 'cancelled', endedWallMs: number }

/** A job ends in exactly one terminal state, once: this is what is stored of it beside its tasks. */
export type JobRecord = { v: 1, id: string, document: JobDocument, createdWallMs: number, offerRound: number, begun: boolean, state: JobState }
export const JOB_PREFIX = 'job/'

/** A job in memory. Tasks are made when they are first leased: a map over 10,000 items costs nothing before. */
export interface Job extends JobRecord {
  readonly taskCount: number
  /** First index never made. */
  nextTask: number
  tasks: Map<number, Task>
  /** Made tasks that want a replica, first come first served. */
  queue: Set<number>
  done: number
  failed: number
  deals: Map<string, Deal>
  tender: Tender | undefined
  /** Unexpired bids not taken up: the spares. Best first. */
  spares: Spare[]
  /** The last round that each peer bid for: a bid serves once, however often it arrives. */
  bidRounds: Map<string, number>
  refusals: Refusals
  /** Providers needed beyond those agreed with, because a task found none that may vote on it. */
  blocked: boolean
  /** Rounds of asking since the last agreement was proposed. */
  fruitlessRounds: number
  /** Providers in trouble get nothing for a while; `times` counts the troubles in a row. */
  resting: Map<string, { times: number, untilMonoMs: number }>
  /** Agreements proposed in this life: numbers them. */
  proposals: number
}

export function newJob(record: JobRecord): Job {
  return {
    ...record, taskCount: taskCount(record.document), nextTask: 0, tasks: new Map(), queue: new Set(), done: 0, failed: 0,
    deals: new Map(), tender: undefined, spares: [], bidRounds: new Map(), refusals: new Refusals(), blocked: false, fruitlessRounds: 0, resting: new Map(), proposals: 0
  }
}

export function jobRecord({ v, id, document, createdWallMs, offerRound, begun, state }: Job): JobRecord {
  return { v, id, document, createdWallMs, offerRound, begun, state }
}

export function storeJob(turn: Turn, job: Job): void {
  turn.put(JOB_PREFIX + job.id, jobRecord(job))
}

export function deadlineWallMs(job: Pick<Job, 'createdWallMs' | 'document'>): number {
  return job.createdWallMs + job.document.limits.totalMs
}

/** As a function, because what is called in between may end a job. */
export function isRunning(job: Job): boolean {
  return job.state.kind === 'running'
}

/** Tasks not made yet, and those queued again. */
export function waitingCount(job: Job): number {
  return job.taskCount - job.nextTask + job.queue.size
}
