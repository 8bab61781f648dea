import type { JobDetail, JobState, Timestamped } from '../../api/contract.ts'

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
  readonly providers = new Map<string, ProviderLive>()
  readonly caught: string[] = []
  tender = { round: 0, asked: 0, bids: 0, declines: 0 }
  /** Newest last. */
  readonly recent: Timestamped[] = []
  readonly #completedWallMs: number[] = []

  /** Notices up to here are part of what the detail says. */
  readonly #seenWallMs: number

  /** Begins with what is known of a job; its notices, which repeat what happened, go on from there. */
  constructor(detail: JobDetail) {
    this.id = detail.id
    this.name = detail.name
    this.tasks = detail.tasks
    this.createdWallMs = detail.createdWallMs
    this.state = detail.state
    this.#seenWallMs = detail.timeline.at(-1)?.wallMs ?? 0
    for (const { peer, done, wrong, failed } of detail.providers.slice(0, MAX_PROVIDERS)) {
      this.providers.set(peer, { peer, active: new Map(), done, wrong, failed })
      if (wrong > 0) this.caught.push(peer)
    }
    for (const { index, state, peers, fraction } of detail.taskList) {
      if (state === 'done') this.done.add(index)
      else for (const peer of peers) this.providers.get(peer)?.active.set(index, fraction)
    }
  }

  get ended(): boolean {
    return this.state === 'done' || this.state === 'failed' || this.state === 'cancelled'
  }

  apply(notice: Timestamped): void {
    const isDone = notice.kind === 'task' && notice.state === 'done'
    if (notice.wallMs > this.#seenWallMs || (isDone && !this.done.has(notice.task))) this.#count(notice)
    else if (isDone) this.#completed(notice.wallMs)
    if (notice.kind === 'task' && notice.state === 'running') return
    this.recent.push(notice)
    if (this.recent.length > MAX_RECENT) this.recent.shift()
  }

  #count(notice: Timestamped): void {
    switch (notice.kind) {
      case 'job': this.state = notice.state; break
      case 'tender': this.tender = { round: notice.round, asked: notice.asked, bids: notice.bids, declines: notice.declines }; break
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
      case 'early':
      case 'won':
      case 'money':
      case 'hosting': break
    }
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
        this.#completed(notice.wallMs)
        break
    }
  }

  #completed(wallMs: number): void {
    this.#completedWallMs.push(wallMs)
    if (this.#completedWallMs.length > RATE_WINDOW) this.#completedWallMs.shift()
  }

  #provider(peer: string): ProviderLive | undefined {
    const known = this.providers.get(peer)
    if (known !== undefined || peer === '' || this.providers.size >= MAX_PROVIDERS) return known
    const provider: ProviderLive = { peer, active: new Map(), done: 0, wrong: 0, failed: 0 }
    this.providers.set(peer, provider)
    return provider
  }
}
