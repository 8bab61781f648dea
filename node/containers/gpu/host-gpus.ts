import type { ErrorCode } from '../../../src/errors.ts'
import type { GpuCard, GpuRequest } from '../../../src/documents/resources.ts'
import { assignCards, NO_GPU } from './assignment.ts'
import type { GpuAssignment } from './assignment.ts'
import { detectGpus } from './detect.ts'
import type { DetectOptions } from './detect.ts'
import type { GpuEngine } from './engine-gpus.ts'
import type { FoundCard, GpuProblem } from './found.ts'
import { GpuLeases } from './leases.ts'
import { OwnerWatch } from './owner-watch.ts'
import { GpuProber } from './probe.ts'
import type { ProbeRunner } from './probe.ts'

export interface HostGpusOptions {
  runner: ProbeRunner
  /** What the engine says of itself now; undefined where there is none. */
  engine: () => Promise<GpuEngine | undefined>
  /** Process ids of all jobs' containers, as this host counts them. Rejects when nobody knows. */
  pids: () => Promise<ReadonlySet<number>>
  /** Every run is held at the moment, such as by the owner's pause. */
  suspended: () => boolean
  detect?: DetectOptions
}

/** One card as a person is told of it. */
export interface CardStatus { card: GpuCard, state: 'free' | 'leased' | 'owner' }

/**
 * The graphics cards of this host: found, proven, leased, and given back while their owner uses them.
 *
 * ```ts
 * await gpus.refresh()                                          // at start, and after the engine or a driver changed
 * const hardware = { ...lent, gpus: gpus.offered() }            // for ads and bids
 * const granted = gpus.assign(runId, resources.gpu, capacity.cardsOf(agreement))
 * if (granted.kind === 'assigned') await sandbox.run({ ...spec, gpus: granted.gpus })
 * await sandbox.settled()                                       // the card is free when the container is gone
 * gpus.release(runId)
 * ```
 */
export class HostGpus {
  readonly #options: HostGpusOptions
  readonly #prober: GpuProber
  readonly #watch: OwnerWatch
  readonly #leases = new GpuLeases()
  #found: readonly FoundCard[] = []
  #problems: readonly GpuProblem[] = []
  #refreshing: Promise<void> | undefined
  /** Runs that wait for their card's owner. */
  readonly #held = new Set<string>()

  constructor(options: HostGpusOptions) {
    this.#options = options
    this.#prober = new GpuProber(options.runner)
    this.#watch = new OwnerWatch({ pids: options.pids, working: () => this.#working() }, options.detect)
  }

  /** Looks for cards and proves those that nobody works on: a leased one stays as it is. Calls at one time are one. Never rejects. */
  async refresh(): Promise<void> {
    await (this.#refreshing ??= this.#refresh().finally(() => { this.#refreshing = undefined }))
  }

  /** What is advertised: proven cards, without those that their owner uses and no run holds. */
  offered(): GpuCard[] {
    const owners = new Set(this.#watch.owners)
    return this.#leases.cards.filter(({ id }) => !owners.has(id) || this.#leases.holder(id) !== undefined).map(({ card }) => card)
  }

  /** Cards that are there and cannot be lent, each with what is missing. */
  get problems(): readonly GpuProblem[] { return this.#problems }

  status(): CardStatus[] {
    const owners = new Set(this.#watch.owners)
    return this.#leases.cards.map(({ id, card }) => ({ card, state: owners.has(id) ? 'owner' : this.#leases.holder(id) === undefined ? 'free' : 'leased' }))
  }

  /** The cards of one run, until `release`. `reserved`: what its agreement holds in the core, by description. */
  assign(run: string, request: GpuRequest | undefined, reserved: readonly GpuCard[]): { kind: 'assigned', gpus: GpuAssignment } | { kind: 'refused', code: ErrorCode, message: string } {
    if (request === undefined) return { kind: 'assigned', gpus: NO_GPU }
    const outcome = this.#leases.lease(run, request, reserved, new Set(this.#watch.owners))
    return outcome.kind === 'refused' ? outcome : { kind: 'assigned', gpus: assignCards(outcome.cards) }
  }

  /** When the run's container is gone, not before. */
  release(run: string): void {
    this.#leases.release(run)
    this.#held.delete(run)
  }

  /**
   * One look at who else uses the cards, to be repeated every few seconds while `watches`. `hold`: runs that shall step
   * aside now; `go`: runs that may go on. A held run keeps its card's memory, so one that is held for long is better ended.
   */
  async look(nowMonoMs: number): Promise<{ hold: string[], go: string[] }> {
    const proven = new Set(this.#leases.cards.map(({ id }) => id))
    await this.#watch.look(this.#found.filter(({ id }) => proven.has(id)), nowMonoMs)
    const wanted = new Set(this.#watch.owners.flatMap((id) => this.#leases.holder(id) ?? []))
    const hold = [...wanted].filter((run) => !this.#held.has(run))
    const go = [...this.#held].filter((run) => !wanted.has(run))
    for (const run of hold) this.#held.add(run)
    for (const run of go) this.#held.delete(run)
    return { hold, go }
  }

  /** Whether there is anything to look for. */
  get watches(): boolean { return this.#leases.cards.length > 0 }

  #working(): ReadonlySet<string> {
    if (this.#options.suspended()) return new Set()
    return new Set(this.#leases.cards.map(({ id }) => id).filter((id) => {
      const run = this.#leases.holder(id)
      return run !== undefined && !this.#held.has(run)
    }))
  }

  async #refresh(): Promise<void> {
    const detected = await detectGpus(this.#options.detect)
    const engine = await this.#options.engine().catch(() => undefined)
    const leased = this.#leases.cards.filter(({ id }) => this.#leases.holder(id) !== undefined)
    const idle = detected.cards.filter(({ id }) => this.#leases.holder(id) === undefined)
    const { cards, problems } = engine === undefined ? { cards: [], problems: [...detected.problems, ...idle.map(noEngine)] } : await this.#prober.prove({ ...detected, cards: idle, all: detected.cards }, engine)
    this.#found = detected.cards
    this.#problems = problems
    const order = detected.cards.map(({ id }) => id)
    this.#leases.setCards([...leased, ...cards].sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id)))
  }
}

function noEngine({ card }: FoundCard): GpuProblem {
  return { code: 'E_GPU_ENGINE', vendor: card.vendor, message: `${card.model} is there, but no container engine`, hint: 'Install Docker, then nvidia-container-toolkit or ROCm: jobs use cards in containers only' }
}
