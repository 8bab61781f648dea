import { resolve } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'
import { LogMerger } from './log-merger.ts'
import type { JobDetail, LogChunk, NodeApi, ResultsReport, Timestamped, WhyReport, Watch } from '../api/contract.ts'

/** A node that restarts is back within this; a job outlives it. */
const RECONNECT_MS = 60 * SECOND_MS
const RETRY_MS = 500

/** A job of yours, on its way or ended. */
export class Job {
  /** Its full id. */
  readonly id: string
  readonly #api: NodeApi
  #done: Promise<JobDetail> | undefined

  constructor(api: NodeApi, id: string) {
    this.#api = api
    this.id = id
  }

  /**
   * Settles when the job has ended: with its detail when it is done; rejected with its own error when it failed, with
   * E_JOB_CANCELLED when it was cancelled. It waits through a restart of the node, which continues its jobs.
   *
   * ```ts
   * const { taskList } = await job.done
   * ```
   */
  get done(): Promise<JobDetail> {
    this.#done ??= this.#wait()
    return this.#done
  }

  /** State, tasks, who runs them and what happened, as of now. */
  detail(): Promise<JobDetail> {
    return this.#api.job(this.id)
  }

  /**
   * What happened so far, then what happens, until the job ends or you stop.
   *
   * ```ts
   * for await (const event of job.events()) {
   *   if (event.kind === 'caught') console.log(`${event.peer} lied about task ${event.task}`)
   * }
   * ```
   */
  events(signal?: AbortSignal): AsyncIterable<Timestamped> {
    return this.#api.events({ job: this.id }, signal)
  }

  /**
   * What the tasks print, as bytes, until they end (or only what there is, without `follow`). Replicas print the same, so
   * each byte comes once.
   *
   * ```ts
   * for await (const { task, bytes } of job.logs()) process.stdout.write(bytes)
   * ```
   */
  async * logs({ task, stream = 'both', follow = true, signal }: LogOptions = {}): AsyncGenerator<{ task: number, stream: LogChunk['stream'], bytes: Uint8Array }, void, undefined> {
    const merger = new LogMerger()
    for await (const chunk of this.#api.logs({ job: this.id, stream, follow, ...(task === undefined ? {} : { task }) }, signal)) {
      const bytes = merger.next(chunk)
      if (bytes !== undefined) yield { task: chunk.task, stream: chunk.stream, bytes }
    }
  }

  /**
   * Writes the results below `to`: the files themselves for a job of one task, else one folder a task. With `unverified`
   * also a first result that nobody has confirmed yet.
   *
   * ```ts
   * await job.done
   * const { tasks } = await job.results('./out')
   * ```
   */
  results(to: string, { task, unverified, ...watch }: ResultsOptions = {}): Promise<ResultsReport> {
    return this.#api.results({ job: this.id, to: resolve(to), ...(task === undefined ? {} : { task }), ...(unverified === undefined ? {} : { unverified }) }, watch)
  }

  /** Why it waits, or ended as it did: each refusal, and the requirement that nobody meets. */
  why(): Promise<WhyReport> {
    return this.#api.why(this.id)
  }

  cancel(): Promise<void> {
    return this.#api.cancel(this.id)
  }

  async #wait(): Promise<JobDetail> {
    let lostMs: number | undefined
    for (;;) {
      try {
        for await (const _ of this.events()) lostMs = undefined
        const detail = await this.detail()
        if (detail.state === 'done') return detail
        if (detail.state === 'failed') throw failure(detail)
        if (detail.state === 'cancelled') throw new HearthError('E_JOB_CANCELLED', `Job ${this.id} was cancelled`, 'Submit it again if that was not meant')
        // the stream ended before the job: the node stops
        throw new HearthError('E_NODE_GONE', 'The node ended the stream', 'It was stopped; `hearth up` starts it again')
      } catch (err) {
        lostMs ??= performance.now()
        if (!isLoss(err) || performance.now() - lostMs > RECONNECT_MS) throw err
        await new Promise((resolve) => { setTimeout(resolve, RETRY_MS) })
      }
    }
  }
}

export interface LogOptions { task?: number, stream?: 'stdout' | 'stderr' | 'both', follow?: boolean, signal?: AbortSignal }
/** `onProgress` hears how far large results are; `signal` ends the writing with nothing half-done. */
export interface ResultsOptions extends Watch { task?: number, unverified?: boolean }

function failure({ id, error }: JobDetail): HearthError {
  return error === undefined ? new HearthError('E_JOB_FAILED', `Job ${id} failed`, '`hearth why` says more') : new HearthError(error.code, error.message, error.hint)
}

/** The connection, not the job, is at fault. */
function isLoss(err: unknown): boolean {
  return err instanceof HearthError && ['E_NODE_DOWN', 'E_NODE_GONE', 'E_SLOW_READER'].includes(err.code)
}
