import { SECOND_MS } from '../../src/units.ts'

/** How often the disk is tried again: soon enough for a person who has just made room. */
const TRY_EVERY_MS = 5 * SECOND_MS

/**
 * Results that find no room on this disk wait here until there is some, or their job is over. Their providers have done
 * their part: to run the tasks again would cost others' time and find no more room. One waiter a task, so at most as
 * many as a job's tasks.
 */
export class RoomWait {
  readonly #byJob = new Map<string, Set<(again: boolean) => void>>()

  /** Resolves with true when it is time to try again, with false when the job has ended. */
  async again(job: string): Promise<boolean> {
    const waiting = this.#byJob.get(job) ?? new Set()
    this.#byJob.set(job, waiting)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    waiting.add(resolve)
    const timer = setTimeout(() => { resolve(true) }, TRY_EVERY_MS).unref()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      waiting.delete(resolve)
      if (waiting.size === 0 && this.#byJob.get(job) === waiting) this.#byJob.delete(job)
    }
  }

  /** The job has ended: nobody needs its results. */
  over(job: string): void {
    for (const resolve of this.#byJob.get(job) ?? []) resolve(false)
  }
}
