import type { Notice } from '../../src/core/effect.ts'
import type { RecordStore } from '../store/record-store.ts'
import { tellsStory } from './story.ts'

export type Timestamped = Notice & { wallMs: number }

/** Entries of one job's timeline read back; older ones are in the store and too many to show. */
export const MAX_TIMELINE = 2000
/** A subscriber that reads slower than this many notices behind loses the oldest: people want the newest. */
const MAX_BEHIND = 10_000
/** Persisted together after this long, or when the node stops. */
const FLUSH_MS = 50

interface Subscriber { job: string | undefined, queue: Timestamped[], wake: (() => void) | undefined, ended: boolean }

function endsJob(notice: Notice): boolean {
  return notice.kind === 'job' && (notice.state === 'done' || notice.state === 'failed' || notice.state === 'cancelled')
}

/** What people and API clients hear: live to those who listen, and a stored timeline a job. */
export class Notices {
  readonly #store: Pick<RecordStore, 'appendTimeline' | 'timeline'>
  readonly #subscribers = new Set<Subscriber>()
  #unsaved: { job: string, wallMs: number, order: number, value: Timestamped }[] = []
  #order = 0
  #closed = false
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(store: Pick<RecordStore, 'appendTimeline' | 'timeline'>) {
    this.#store = store
  }

  publish(notice: Notice): void {
    const stamped: Timestamped = { ...notice, wallMs: Date.now() }
    if (tellsStory(notice)) {
      this.#unsaved.push({ job: notice.job, wallMs: stamped.wallMs, order: this.#order++ % 1e8, value: stamped })
      this.#timer ??= setTimeout(() => { void this.flush() }, FLUSH_MS)
    }
    for (const subscriber of this.#subscribers) {
      if (subscriber.job !== undefined && (subscriber.job !== notice.job || notice.kind === 'hosting')) continue
      subscriber.queue.push(stamped)
      if (subscriber.queue.length > MAX_BEHIND) subscriber.queue.shift()
      if (subscriber.job !== undefined && endsJob(notice)) subscriber.ended = true
      subscriber.wake?.()
    }
  }

  async timeline(job: string): Promise<Timestamped[]> {
    await this.flush()
    return await this.#store.timeline(job, MAX_TIMELINE) as Timestamped[]
  }

  /** What happened so far of a job, then what comes, to its end; of everything when `job` is not given. */
  async * follow(job: string | undefined, ended: boolean, signal?: AbortSignal): AsyncGenerator<Timestamped> {
    const subscriber: Subscriber = { job, queue: [], wake: undefined, ended }
    this.#subscribers.add(subscriber)
    const wake = (): void => { subscriber.wake?.() }
    signal?.addEventListener('abort', wake)
    try {
      if (job !== undefined) yield * await this.#past(job, subscriber)
      while (signal?.aborted !== true) {
        const next = subscriber.queue.shift()
        if (next !== undefined) { yield next; continue }
        if (subscriber.ended) return
        await new Promise<void>((resolve) => {
          subscriber.wake = resolve
          if (this.#closed || signal?.aborted === true) resolve()
        })
      }
    } finally {
      signal?.removeEventListener('abort', wake)
      this.#subscribers.delete(subscriber)
    }
  }

  /** Resolves at the next notice of a job, or when `signal` fires. */
  async changed(job: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#closed) return
    const subscriber: Subscriber = { job, queue: [], wake: undefined, ended: false }
    this.#subscribers.add(subscriber)
    await new Promise<void>((resolve) => {
      subscriber.wake = resolve
      signal.addEventListener('abort', () => { resolve() }, { once: true })
    })
    this.#subscribers.delete(subscriber)
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const entries = this.#unsaved
    this.#unsaved = []
    // a timeline is for people: a disk that does not take it ends nothing, and the peer's own records say so themselves
    if (entries.length > 0) this.#saving = this.#saving.then(() => this.#store.appendTimeline(entries)).catch(() => undefined)
    await this.#saving
  }

  /** Ends every subscription: the node stops. */
  async close(): Promise<void> {
    this.#closed = true
    for (const subscriber of this.#subscribers) { subscriber.ended = true; subscriber.wake?.() }
    await this.flush()
  }

  /** The stored past, less what already waits in the queue. */
  async #past(job: string, subscriber: Subscriber): Promise<Timestamped[]> {
    const past = await this.timeline(job)
    const live = new Set(subscriber.queue.filter(tellsStory).map((notice) => JSON.stringify(notice)))
    return past.filter((notice) => !live.has(JSON.stringify(notice)))
  }
}
