import type { JobDetail, JobState, JobSummary, Timestamped } from '../../api/contract.ts'

/** Providers a live view follows; more than anybody reads. */
const MAX_PROVIDERS = 1_000
/** Completions that the rate is made of. */
const RATE_WINDOW = 64
const RATE_WITHIN_MS = 30_000
const MAX_RECENT = 8
/** A rate from fewer completions, or over a shorter time, is a guess. */
const MIN_RATE_COMPLETIONS = 3
const MIN_RATE_MS = 200

export interface ProviderLive { peer: string, active: Map<number, number>, done: number, wrong: number, failed: number }

/** What a live view knows of a job, kept up by its notices: who does what, how fast, and what happened last. */
export class JobModel {
  readonly id: string
  readonly name: string
  readonly tasks: number
  readonly createdWallMs: number
  state: JobState
  readonly done = new Set<number>()
  readonly failed = new Set<number>()
  readonly providers = new Map<string, ProviderLive>()
  readonly caught: string[] = []
  tender = { asked: 0, bids: 0, declines: 0 }
  /** Newest last. */
  readonly recent: Timestamped[] = []
  readonly #completedWallMs: number[] = []

  constructor(summary: JobSummary) {
    this.id = summary.id
    this.name = summary.name
    this.tasks = summary.tasks
    this.createdWallMs = summary.createdWallMs
    this.state = summary.state
  }

  /** A view of a job that was seen before: counts come from its notices, which repeat what happened. */
  static of(detail: JobDetail): JobModel {
    return new JobModel(detail)
  }

  get ended(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'cancelled'
  }

  apply(notice: Timestamped): void {
    switch (notice.kind) {
      case 'job': this.state = notice.state; break
      case 'tender': this.tender = { asked: notice.asked, bids: notice.bids, declines: notice.declines }; break
      case 'task': this.#task(notice); break
      case 'caught': {
        const provider = this.#provider(notice.peer)
        if (provider !== undefined) provider.wrong++
        if (!this.caught.includes(notice.peer) && this.caught.length < MAX_PROVIDERS) this.caught.push(notice.peer)
        break
      }
      case 'bid':
      case 'decline':
      case 'agreement':
      case 'hosting': break
    }
    if (notice.kind === 'task' && notice.state === 'running') return
    this.recent.push(notice)
    if (this.recent.length > MAX_RECENT) this.recent.shift()
  }

  /** Tasks a second over the last half minute; undefined until it means something. */
  rate(nowWallMs: number): number | undefined {
    const recent = this.#completedWallMs.filter((at) => at > nowWallMs - RATE_WITHIN_MS)
    const first = recent[0]
    if (first === undefined || recent.length < MIN_RATE_COMPLETIONS || nowWallMs - first < MIN_RATE_MS) return undefined
    return recent.length * 1000 / (nowWallMs - first)
  }

  /** Done tasks and the parts of those at work, over all. */
  fraction(): number {
    if (this.tasks === 0) return 0
    const parts = new Map<number, number>()
    for (const provider of this.providers.values()) {
      for (const [task, fraction] of provider.active) if (!this.done.has(task)) parts.set(task, Math.max(parts.get(task) ?? 0, fraction))
    }
    return (this.done.size + [...parts.values()].reduce((sum, part) => sum + part, 0)) / this.tasks
  }

  #task(notice: Extract<Timestamped, { kind: 'task' }>): void {
    const provider = this.#provider(notice.peer)
    switch (notice.state) {
      case 'leased':
      case 'running': provider?.active.set(notice.task, notice.fraction ?? 0); break
      case 'committed':
      case 'revealed': provider?.active.set(notice.task, 1); break
      case 'retry': provider?.active.delete(notice.task); break
      case 'failed':
        provider?.active.delete(notice.task)
        if (provider !== undefined) provider.failed++
        break
      case 'done':
        for (const one of this.providers.values()) if (one.active.delete(notice.task) && one !== provider) one.done++
        if (provider !== undefined) provider.done++
        this.done.add(notice.task)
        this.failed.delete(notice.task)
        this.#completedWallMs.push(notice.wallMs)
        if (this.#completedWallMs.length > RATE_WINDOW) this.#completedWallMs.shift()
        break
    }
  }

  #provider(peer: string): ProviderLive | undefined {
    const known = this.providers.get(peer)
    if (known !== undefined || peer === '' || this.providers.size >= MAX_PROVIDERS) return known
    const provider: ProviderLive = { peer, active: new Map(), done: 0, wrong: 0, failed: 0 }
    this.providers.set(peer, provider)
    return provider
  }
}
