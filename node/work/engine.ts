import type { EffectOf } from '../../src/core/effect.ts'
import type { JobDocument, TaskPlan } from '../../src/documents/job.ts'
import type { RunResult } from '../sandbox/run-spec.ts'
import type { JobFiles } from './job-files.ts'
import type { LogStreamName } from './log-hub.ts'

/** Files and directories that one task may leave in /out and /tmp. */
export const MAX_OUT_FILES = 20_000

/** A task as a provider runs it: what was leased, what its job says, and where its files come from. */
export interface TaskRun {
  /** Letters, digits, `_` and `-`; a lease's own. */
  runId: string
  effect: EffectOf<'run'>
  document: JobDocument
  plan: TaskPlan
  files: JobFiles
}

export interface RunWatch {
  signal: AbortSignal
  /** Of what is fetched before the program runs. */
  onFetch: (fraction: number) => void
  /** Everything is here: the program begins now. */
  onStart: () => void
  onLog: (stream: LogStreamName, bytes: Uint8Array) => void
  /** The owner uses what it runs on, or no more. */
  onHeld: (held: boolean) => void
  /** What the program says of itself, where its engine has a way to. */
  onProgress: (fraction: number) => void
}

/** What runs tasks of one kind: WebAssembly, or containers. */
export interface Engine {
  /** Brings what the task needs and runs it to its end. Throws when it could not begin. */
  run(task: TaskRun, watch: RunWatch): Promise<RunResult>
  /** What queued tasks of this job will need beside their inputs. */
  prefetch(document: JobDocument, files: JobFiles): Promise<void>
  /** Holds every run, those to come included, or lets them go on. */
  suspend(suspended: boolean): void
  /** The same for one run. */
  hold(runId: string, held: boolean): void
}
