import { join } from 'node:path'
import { ContainerEngine } from './container-engine.ts'
import type { ContainerEngineOptions } from './container-engine.ts'
import { behaving } from './misbehave.ts'
import type { WorkerOptions } from './worker.ts'
import { openWasmEngine } from './wasm-engine.ts'
import type { WasmEngine } from './wasm-engine.ts'

export interface OpenEnginesOptions {
  dataDir: string
  /** WebAssembly runs at once. */
  maxRuns: number
  /** For tests and the demo: how this host cheats. */
  misbehaves: string | undefined
  containers: Omit<ContainerEngineOptions, 'dir'>
}

export interface OpenEngines {
  wasm: WasmEngine
  containers: ContainerEngine
  /** What the worker runs tasks with. */
  engines: WorkerOptions['engines']
  close: () => Promise<void>
}

/** Everything that this host runs programs with. */
export async function openEngines({ dataDir, maxRuns, misbehaves, containers: options }: OpenEnginesOptions): Promise<OpenEngines> {
  const wasm = await openWasmEngine({ dir: join(dataDir, 'sandbox'), maxRuns })
  const containers = await ContainerEngine.open({ ...options, dir: join(dataDir, 'containers') })
  return {
    wasm, containers,
    engines: behaving({ wasm, container: containers }, misbehaves),
    close: async () => {
      await wasm.close()
      await containers.close()
    }
  }
}
