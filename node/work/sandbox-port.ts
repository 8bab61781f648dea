import { WasmSandbox } from '../sandbox/sandbox.ts'
import { lyingSandbox } from './misbehave.ts'
import type { SandboxPort } from './worker.ts'

export interface OpenSandbox extends SandboxPort {
  /** A bid is out: have a process ready. */
  warm(): void
  close(): Promise<void>
}

/** The node's WebAssembly sandbox behind the port that the worker knows. */
export async function openSandbox(options: { dir: string, maxRuns: number, misbehave: string | undefined }): Promise<OpenSandbox> {
  const sandbox = await WasmSandbox.open({ dir: options.dir, maxRuns: Math.max(1, options.maxRuns), prestarted: Math.min(4, Math.max(1, options.maxRuns)) })
  const honest: SandboxPort = {
    run: async (spec, { onLog, signal }) => await sandbox.run(spec, { onLog: (stream, bytes) => { onLog(stream === 1 ? 'stdout' : 'stderr', bytes) }, signal }),
    suspend: (suspended) => { sandbox.suspend(suspended) },
    hold: (runId, held) => { sandbox.hold(runId, held) }
  }
  return {
    ...options.misbehave === 'lie' ? lyingSandbox(honest) : honest,
    warm: () => { sandbox.warm().catch(() => undefined) },
    close: async () => { await sandbox.close() }
  }
}
