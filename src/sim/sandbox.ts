import type { LeaseId, PeerEvent } from '../core/event.ts'
import type { RunResult } from '../documents/receipt.ts'
import type { ErrorCode } from '../errors.ts'
import { leaseKey } from '../job/lease.ts'
import { SECOND_MS } from '../units.ts'
import type { EventQueue } from './event-queue.ts'

/** What a run will come to, decided when it starts. */
export type RunPlan =
  | { kind: 'finishes', afterMs: number, result: RunResult }
  | { kind: 'fails', afterMs: number, code: ErrorCode, message: string }
  | { kind: 'power-cut', afterMs: number }

export interface Run {
  lease: LeaseId
  job: string
  cores: number
  phase: 'fetching' | 'running'
  plan: RunPlan
  /** Left of its phase; counts down only while nothing is frozen. */
  leftMs: number
  sinceMs: number
  epoch: number
  /** Its requester does not pay. */
  held: boolean
  /** Its owner uses what it runs on, such as a graphics card. */
  aside: boolean
}

export interface SandboxHooks {
  receive(event: PeerEvent): void
  canFetch(job: string): boolean
  powerCut(): void
  stored(lease: LeaseId, result: RunResult): void
}

const FETCH_MS = 40
const FETCH_RETRY_MS = 2 * SECOND_MS
const FETCH_TRIES = 10
/** Of so many first attempts at tasks, one meets an owner who wants the card, for so long. */
const ASIDE_EVERY = 7
const ASIDE_MS = 3 * SECOND_MS

/** Without luck, so that it moves no other event of a seed. */
function stepsAside({ task, attempt }: LeaseId): boolean {
  return attempt === 0 && task % ASIDE_EVERY === ASIDE_EVERY - 1
}

/** The runs of one computer: fetch, run, suspend, stop. Its memory dies with the power. */
export class Sandbox {
  readonly #queue: EventQueue
  readonly #hooks: SandboxHooks
  readonly #runs = new Map<string, Run>()
  readonly #ranMs = new Map<string, number>()
  /** Jobs whose module and inputs are here. */
  readonly #fetched = new Set<string>()
  #frozen = false
  #suspended = false

  constructor(queue: EventQueue, hooks: SandboxHooks) {
    this.#queue = queue
    this.#hooks = hooks
  }

  get runs(): readonly Run[] {
    return [...this.#runs.values()]
  }

  start(lease: LeaseId, job: string, cores: number, plan: RunPlan): void {
    const key = leaseKey(lease)
    if (this.#runs.has(key)) return
    const run: Run = { lease, job, cores, phase: 'fetching', plan, leftMs: this.#fetched.has(job) ? 0 : FETCH_MS, sinceMs: this.#queue.nowMs, epoch: 0, held: false, aside: false }
    this.#runs.set(key, run)
    this.#arm(run, FETCH_TRIES)
  }

  stop(lease: LeaseId): void {
    const run = this.#runs.get(leaseKey(lease))
    if (run !== undefined) this.#ran(run)
    this.#runs.delete(leaseKey(lease))
  }

  /** Process memory is gone; nothing is told to anybody. */
  clear(): void {
    for (const run of this.#runs.values()) this.#ran(run)
    this.#runs.clear()
    this.#suspended = false
    this.#frozen = false
  }

  forget(job: string): void {
    this.#fetched.delete(job)
  }

  suspend(suspend: boolean): void {
    this.#halt(() => { this.#suspended = suspend })
  }

  /** The machine sleeps: virtual time goes on, the runs do not. */
  freeze(frozen: boolean): void {
    this.#halt(() => { this.#frozen = frozen })
  }

  /** One run stays where it is, or goes on. */
  hold(lease: LeaseId, held: boolean): void {
    const run = this.#runs.get(leaseKey(lease))
    if (run === undefined || run.held === held) return
    this.#pause(run)
    run.held = held
    this.#arm(run, FETCH_TRIES)
  }

  /** The owner wants the card for a while; the program waits, and says so. */
  #stepAside(run: Run): void {
    if (this.#runs.get(leaseKey(run.lease)) !== run || !this.#isMoving(run)) return
    const say = (aside: boolean): void => {
      this.#pause(run)
      run.aside = aside
      this.#arm(run, FETCH_TRIES)
      this.#hooks.receive({ kind: 'run-progress', lease: run.lease, phase: aside ? 'held' : 'running', fraction: 0 })
    }
    say(true)
    this.#queue.after(ASIDE_MS, () => { if (this.#runs.get(leaseKey(run.lease)) === run) say(false) })
  }

  /** Milliseconds that programs truly ran under an agreement, up to now, in all lives. */
  ranMs(agreement: string): number {
    let ranMs = this.#ranMs.get(agreement) ?? 0
    for (const run of this.#runs.values()) if (run.lease.agreement === agreement) ranMs += this.#movedMs(run)
    return ranMs
  }

  #halt(change: () => void): void {
    for (const run of this.#runs.values()) this.#pause(run)
    change()
    for (const run of this.#runs.values()) this.#arm(run, FETCH_TRIES)
  }

  #isMoving(run: Run): boolean {
    return !this.#frozen && !this.#suspended && !run.held && !run.aside
  }

  /** Since it was armed. */
  #movedMs(run: Run): number {
    return this.#isMoving(run) && run.phase === 'running' ? Math.min(run.leftMs, this.#queue.nowMs - run.sinceMs) : 0
  }

  #pause(run: Run): void {
    this.#ran(run)
    if (this.#isMoving(run)) run.leftMs = Math.max(0, run.leftMs - (this.#queue.nowMs - run.sinceMs))
    run.sinceMs = this.#queue.nowMs
    run.epoch++
  }

  #ran(run: Run): void {
    const { agreement } = run.lease
    this.#ranMs.set(agreement, (this.#ranMs.get(agreement) ?? 0) + this.#movedMs(run))
  }

  #arm(run: Run, tries: number): void {
    run.sinceMs = this.#queue.nowMs
    run.epoch++
    if (!this.#isMoving(run)) return
    const { epoch } = run
    this.#queue.after(run.leftMs, () => {
      if (this.#runs.get(leaseKey(run.lease)) === run && run.epoch === epoch) this.#due(run, tries)
    })
  }

  #due(run: Run, tries: number): void {
    const key = leaseKey(run.lease)
    if (run.phase === 'running') {
      this.#ran(run)
      this.#runs.delete(key)
      this.#end(run)
    } else if (this.#fetched.has(run.job) || this.#hooks.canFetch(run.job)) {
      this.#fetched.add(run.job)
      run.phase = 'running'
      run.leftMs = run.plan.afterMs
      this.#arm(run, 0)
      this.#hooks.receive({ kind: 'run-progress', lease: run.lease, phase: 'running', fraction: 0 })
      if (stepsAside(run.lease)) this.#queue.after(run.plan.afterMs / 2, () => { this.#stepAside(run) })
    } else if (tries > 0) {
      run.leftMs = FETCH_RETRY_MS
      this.#arm(run, tries - 1)
    } else {
      this.#runs.delete(key)
      this.#hooks.receive({ kind: 'run-failed', lease: run.lease, code: 'E_HOST_FETCH', message: 'could not fetch the inputs' })
    }
  }

  #end(run: Run): void {
    const { plan, lease } = run
    switch (plan.kind) {
      case 'power-cut': this.#hooks.powerCut(); break
      case 'fails': this.#hooks.receive({ kind: 'run-failed', lease, code: plan.code, message: plan.message }); break
      case 'finishes':
        this.#hooks.stored(lease, plan.result)
        this.#hooks.receive({ kind: 'run-finished', lease, result: plan.result, usage: { wallMs: Math.round(plan.afterMs), cpuMs: Math.round(plan.afterMs), peakMemoryBytes: 1 << 20, fuel: 1000 } })
        break
    }
  }
}
