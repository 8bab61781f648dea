import { createHash } from 'node:crypto'
import { HearthError } from '../../src/errors.ts'
import type { RunInput, RunResult, RunSpec } from '../sandbox/run-spec.ts'
import { WasmSandbox } from '../sandbox/sandbox.ts'
import { MAX_OUT_FILES } from './engine.ts'
import type { Engine, RunWatch, TaskRun } from './engine.ts'

/** The most children that wait for work; each takes some 30 MB. */
const MAX_PRESTARTED = 4

export interface WasmEngine extends Engine {
  /** For the node's own programs, such as comparators of results. */
  readonly sandbox: WasmSandbox
  /** A bid is out: have a process ready. */
  warm(): void
  close(): Promise<void>
}

/** The node's WebAssembly sandbox as an engine. */
export async function openWasmEngine(options: { dir: string, maxRuns: number }): Promise<WasmEngine> {
  const maxRuns = Math.max(1, options.maxRuns)
  const sandbox = await WasmSandbox.open({ dir: options.dir, maxRuns, prestarted: Math.min(MAX_PRESTARTED, maxRuns) })
  return {
    sandbox,
    run: async (task, watch): Promise<RunResult> => {
      const spec = await specOf(task, watch)
      watch.onStart()
      return await sandbox.run(spec, { onLog: (stream, bytes) => { watch.onLog(stream === 1 ? 'stdout' : 'stderr', bytes) }, signal: watch.signal })
    },
    prefetch: async ({ engine }, files) => { if (engine.kind === 'wasm') await files.path(engine.module, engine.moduleBytes) },
    suspend: (suspended) => { sandbox.suspend(suspended) },
    hold: (runId, held) => { sandbox.hold(runId, held) },
    warm: () => { sandbox.warm().catch(() => undefined) },
    close: async () => { await sandbox.close() }
  }
}

async function specOf({ runId, effect, document, plan, files }: TaskRun, { signal, onFetch }: RunWatch): Promise<RunSpec> {
  const { engine, resources, limits } = document
  if (engine.kind !== 'wasm') throw new HearthError('E_FIT_ENGINE', 'this engine runs wasm jobs only')
  const [modulePath, stdinPath, inputs] = await Promise.all([
    files.path(engine.module, engine.moduleBytes, signal, onFetch),
    document.stdin === undefined ? undefined : files.path(document.stdin, effect.offer.inputBytes, signal),
    Promise.all(plan.inputs.map((input): Promise<RunInput[]> => files.inputs(input, signal, onFetch)))
  ])
  return {
    runId, modulePath, args: [document.name, ...plan.args], env: plan.env,
    ...stdinPath === undefined ? {} : { stdinPath },
    inputs: inputs.flat(),
    limits: { memoryBytes: resources.memoryBytes, outBytes: resources.diskBytes, outFiles: MAX_OUT_FILES, logBytes: limits.logBytes, wallMs: limits.runMs },
    // every replica of a task gets the same luck and the same clock, so honest results match
    seed: createHash('sha256').update(`hearth:seed:1:${effect.job}:${effect.lease.task}`).digest(),
    baseTimeMs: document.createdWallMs
  }
}
