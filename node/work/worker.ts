import { readdir, rm } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { LeaseId, PeerEvent } from '../../src/core/event.ts'
import type { EffectOf } from '../../src/core/effect.ts'
import { outputsOf, taskPlan } from '../../src/documents/job.ts'
import type { RunPhase } from '../../src/documents/message.ts'
import type { RunResult, Usage } from '../../src/documents/receipt.ts'
import type { EngineKind } from '../../src/documents/resources.ts'
import { HearthError, toErrorShape } from '../../src/errors.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { leaseKey } from '../../src/job/lease.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { RunFiles, RunOutcome, RunUsage } from '../sandbox/run-spec.ts'
import type { ContentPort, FetchContent } from './content-port.ts'
import type { Engine } from './engine.ts'
import { isDiskCode, isDiskFault, runFault } from './host-fault.ts'
import { JobFiles } from './job-files.ts'
import type { HostedJob } from './job-files.ts'
import type { LogHub } from './log-hub.ts'

/** A run that ends sooner is not told of before its result: for the many short tasks of a map that would be a message each. */
const WORTH_TELLING_MS = 200
/** A requester that has not taken a result this long after the last run ended is away: the result waits for it on the disk. */
const HAND_OVER_MS = 30 * SECOND_MS
/** Queued tasks whose inputs are fetched ahead. */
const PREFETCHED_TASKS = 2
/** Of a PeerId, in the name of a job's folder. */
const REQUESTER_CHARS = 12
/** The core hears of a task's progress at most this often. */
const PROGRESS_EVERY_MS = SECOND_MS

export interface WorkerOptions {
  dir: string
  content: ContentPort
  fetch: FetchContent
  engines: Readonly<Partial<Record<EngineKind, Engine>>>
  logs: LogHub
  dispatch: (event: PeerEvent) => void
}

/** The provider's hands: brings what a lease needs, runs it, stores its result, and reports to the core. */
export class Worker {
  readonly #options: WorkerOptions
  readonly #jobs = new Map<string, JobFiles>()
  readonly #running = new Map<string, AbortController>()
  /** Leases whose results were made since the start and are not released: their requesters may still fetch them. */
  readonly #untaken = new Set<string>()
  #whenChanged: (() => void)[] = []

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  /** Resolves when nothing runs and what was made has been handed over, or waited half a minute for its requester. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await this.#changed()
    const over = Promise.withResolvers<'over'>()
    const timer = setTimeout(() => { over.resolve('over') }, HAND_OVER_MS)
    while (this.#untaken.size > 0) if (await Promise.race([this.#changed(), over.promise]) === 'over') break
    clearTimeout(timer)
  }

  get running(): number {
    return this.#running.size
  }

  run(effect: EffectOf<'run'>): void {
    const key = leaseKey(effect.lease)
    if (this.#running.has(key)) return
    const abort = new AbortController()
    this.#running.set(key, abort)
    this.#options.logs.open(key)
    this.#execute(effect, abort.signal).then(
      (event) => { this.#end(key, event) },
      (err: unknown) => {
        this.#end(key, { kind: 'run-failed', lease: effect.lease, ...runFault(toErrorShape(err), isDiskFault(err)) })
      }
    )
  }

  /** Fetches ahead what queued leases will need, while they wait for a slot or for money; its failures show when they run. */
  prefetch(effect: EffectOf<'prefetch'>): void {
    const files = this.#filesOf(effect).under(effect.agreement)
    const bring = async (): Promise<void> => {
      const document = await files.document(effect.offer)
      const inputs = effect.tasks.slice(0, PREFETCHED_TASKS).flatMap((task) => taskPlan(document, task).inputs)
      await this.#options.engines[document.engine.kind]?.prefetch(document, files)
      for (const { cid, sizeBytes } of inputs) await files.path(cid, sizeBytes)
    }
    bring().catch(() => undefined)
  }

  stop(lease: LeaseId): void {
    this.#running.get(leaseKey(lease))?.abort(new HearthError('E_CANCELLED', 'the lease was cancelled'))
  }

  suspend(suspended: boolean): void {
    for (const engine of Object.values(this.#options.engines)) engine.suspend(suspended)
  }

  /** Holds one run, its time limit too, or lets it go on. */
  hold(lease: LeaseId, held: boolean): void {
    for (const engine of Object.values(this.#options.engines)) engine.hold(runIdOf(lease), held)
  }

  async releaseResult(lease: LeaseId, content: string): Promise<void> {
    this.#options.logs.drop(leaseKey(lease))
    this.#untaken.delete(leaseKey(lease))
    this.#wake()
    await this.#options.content.unpin(content, `result:${leaseKey(lease)}`)
  }

  async releaseJob({ requester, job }: HostedJob): Promise<void> {
    const files = this.#jobs.get(jobKey({ requester, job }))
    this.#jobs.delete(jobKey({ requester, job }))
    await files?.release()
  }

  async close(): Promise<void> {
    for (const abort of this.#running.values()) abort.abort(new HearthError('E_HOST_DRAINING', 'the host is shutting down'))
    for (const files of this.#jobs.values()) await files.release()
    this.#jobs.clear()
  }

  #end(key: string, event: PeerEvent): void {
    this.#running.delete(key)
    this.#options.logs.end(key)
    if (event.kind === 'run-finished') this.#untaken.add(key)
    this.#options.dispatch(event)
    this.#wake()
  }

  #changed(): Promise<void> {
    return new Promise<void>((resolve) => { this.#whenChanged.push(resolve) })
  }

  #wake(): void {
    for (const resolve of this.#whenChanged.splice(0)) resolve()
  }

  async #execute(effect: EffectOf<'run'>, signal: AbortSignal): Promise<PeerEvent> {
    const { lease, segment } = effect
    const files = this.#filesOf(effect).under(lease.agreement)
    const document = await files.document(effect.offer, signal)
    if (segment !== undefined && segment >= (document.segments ?? 0)) throw new HearthError('E_OFFER_MISMATCH', `the job has no segment ${segment}`)
    const engine = this.#options.engines[document.engine.kind]
    if (engine === undefined) throw new HearthError('E_FIT_ENGINE', `this node runs no ${document.engine.kind} jobs`)
    const task = { runId: runIdOf(lease), effect, document, plan: taskPlan(document, lease.task, segment), files }
    const progress = new ProgressTeller(lease, this.#options.dispatch)
    const { outcome, files: made } = await engine.run(task, {
      signal,
      onFetch: (fraction) => { progress.tell('fetching', fraction) },
      onStart: () => { progress.start() },
      onHeld: (held) => { progress.hold(held) },
      onLog: (stream, bytes) => { this.#options.logs.append(leaseKey(lease), stream, bytes) },
      onProgress: (fraction) => { progress.tell('running', fraction) }
    }).finally(() => { progress.end() })
    try {
      if (outcome.kind === 'abstained' || made === undefined) {
        return outcome.kind === 'abstained'
          ? { kind: 'run-failed', lease, ...runFault(outcome, isDiskCode(outcome.code)) }
          : { kind: 'run-failed', lease, code: 'E_SANDBOX', message: 'the sandbox left no result' }
      }
      return { kind: 'run-finished', lease, ...await this.#store(lease, outputsOf(document, segment), outcome, made) }
    } finally {
      if (made?.kind === 'folder') await rm(made.dir, { recursive: true, force: true })
    }
  }

  #filesOf(hosted: HostedJob): JobFiles {
    const { job, requester } = hosted
    let files = this.#jobs.get(jobKey(hosted))
    if (files === undefined) {
      files = new JobFiles(this.#options.content, this.#options.fetch, join(this.#options.dir, `${job}-${requester.slice(-REQUESTER_CHARS)}`), { job, requester })
      this.#jobs.set(jobKey(hosted), files)
    }
    return files
  }

  async #store(lease: LeaseId, outputs: readonly string[], outcome: Exclude<RunOutcome, { kind: 'abstained' }>, made: RunFiles): Promise<{ result: RunResult, usage: Usage }> {
    const entries = made.kind === 'memory' ? made.files : await resultEntries(made.dir)
    const { cid, sizeBytes } = await this.#options.content.importTree(entries, { pinFor: `result:${leaseKey(lease)}` })
    const written = new Set(entries.map(({ path }) => path))
    const absent = outcome.kind === 'exited' && outcome.exitCode === 0 && outputs.some((path) => !written.has(`out/${path}`))
    const content = { content: cid, contentBytes: sizeBytes }
    const result: RunResult = outcome.kind === 'trapped' || absent
      ? { status: 'trapped', exitCode: 0, trap: absent ? 'E_OUTPUT_MISSING' : trapCode(outcome), ...content }
      : { status: 'exited', exitCode: outcome.exitCode, trap: 'E_NONE', ...content }
    return { result, usage: usageOf(outcome.usage) }
  }
}

/** Tells the core how a task goes, at most once a second; of a run that is over at once it says nothing. */
class ProgressTeller {
  readonly #lease: LeaseId
  readonly #dispatch: (event: PeerEvent) => void
  #lastMonoMs = performance.now()
  #started: NodeJS.Timeout | undefined
  #fraction = 0

  constructor(lease: LeaseId, dispatch: (event: PeerEvent) => void) {
    this.#lease = lease
    this.#dispatch = dispatch
  }

  tell(phase: 'fetching' | 'running', fraction: number): void {
    if (performance.now() - this.#lastMonoMs < PROGRESS_EVERY_MS) return
    this.#say(phase, fraction)
  }

  /** The program begins. */
  start(): void {
    this.#started = setTimeout(() => { this.#say('running', 0) }, WORTH_TELLING_MS)
  }

  /** Said at once: its requester does not pay for such time, and wants to know. */
  hold(held: boolean): void {
    // before the program begins nothing of its is held
    if (this.#started !== undefined) this.#say(held ? 'held' : 'running', this.#fraction)
  }

  end(): void {
    clearTimeout(this.#started)
  }

  #say(phase: RunPhase, fraction: number): void {
    this.#fraction = phase === 'fetching' ? 0 : fraction
    this.#lastMonoMs = performance.now()
    this.#dispatch({ kind: 'run-progress', lease: this.#lease, phase, fraction })
  }
}

/** `stdout`, `stderr` and every file below `out/`, sorted. */
async function resultEntries(resultDir: string): Promise<{ path: string, hostPath: string }[]> {
  const found = await readdir(resultDir, { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile()).map((entry) => {
    const hostPath = join(entry.parentPath, entry.name)
    return { path: relative(resultDir, hostPath).split(sep).join('/'), hostPath }
  }).sort((a, b) => a.path < b.path ? -1 : 1)
}

function trapCode(outcome: RunOutcome): ErrorCode {
  if (outcome.kind !== 'trapped') return 'E_NONE'
  if (outcome.trap.startsWith('E_')) return outcome.trap as ErrorCode
  return `E_TRAP_${outcome.trap.toUpperCase().replaceAll('-', '_')}`
}

function usageOf(usage: RunUsage): Usage {
  return { wallMs: Math.round(usage.wallMs), cpuMs: Math.round(usage.cpuMs), peakMemoryBytes: usage.residentBytes, fuel: 0, ...usage.receivedBytes === undefined ? {} : { receivedBytes: usage.receivedBytes, sentBytes: usage.sentBytes ?? 0 } }
}

/** Whose job: anybody may name a job of somebody else. */
function jobKey({ requester, job }: HostedJob): string {
  return `${requester}/${job}`
}

function runIdOf(lease: LeaseId): string {
  return leaseKey(lease).replaceAll('/', '-')
}
