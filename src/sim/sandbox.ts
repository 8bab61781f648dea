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

/** The runs of one computer: fetch, run, suspend, stop. Its memory dies with the power. */
export class Sandbox {
  readonly #queue: EventQueue
  readonly #hooks: SandboxHooks
  readonly #runs = new Map<string, Run>()
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
    const run: Run = { lease, job, cores, phase: 'fetching', plan, leftMs: this.#fetched.has(job) ? 0 : FETCH_MS, sinceMs: this.#queue.nowMs, epoch: 0 }
    this.#runs.set(key, run)
    this.#arm(run, FETCH_TRIES)
  }

  stop(lease: LeaseId): void {
    this.#runs.delete(leaseKey(lease))
  }

  /** Process memory is gone; nothing is told to anybody. */
  clear(): void {
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

  #halt(change: () => void): void {
    const ran = this.#moves
    change()
    if (ran === this.#moves) return
    for (const run of this.#runs.values()) {
      if (ran) { run.leftMs = Math.max(0, run.leftMs - (this.#queue.nowMs - run.sinceMs)); run.epoch++ } else this.#arm(run, FETCH_TRIES)
    }
  }

  get #moves(): boolean {
    return !this.#frozen && !this.#suspended
  }

  #arm(run: Run, tries: number): void {
    run.sinceMs = this.#queue.nowMs
    run.epoch++
    if (!this.#moves) return
    const { epoch } = run
    this.#queue.after(run.leftMs, () => {
      if (this.#runs.get(leaseKey(run.lease)) === run && run.epoch === epoch) this.#due(run, tries)
    })
  }

  #due(run: Run, tries: number): void {
    const key = leaseKey(run.lease)
    if (run.phase === 'running') {
      this.#runs.delete(key)
      this.#end(run)
    } else if (this.#fetched.has(run.job) || this.#hooks.canFetch(run.job)) {
      this.#fetched.add(run.job)
      run.phase = 'running'
      run.leftMs = run.plan.afterMs
      this.#arm(run, 0)
      this.#hooks.receive({ kind: 'run-progress', lease: run.lease, phase: 'running', fraction: 0 })
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
