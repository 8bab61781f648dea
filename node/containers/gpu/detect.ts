import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PARAMS } from '../../../src/params.ts'
import { findAmd } from './amd.ts'
import type { Found, GpuProblem } from './found.ts'
import { findNvidia } from './nvidia.ts'
import { busCards } from './pci.ts'
import type { ToolOptions } from './tool.ts'

export interface DetectOptions extends ToolOptions {
  /** Default `/sys` and `/dev`. */
  sysDir?: string
  devDir?: string
}

export interface DetectedGpus extends Found {
  /** Under WSL2 cards have no nodes of their own: a container sees all of them or none. */
  readonly wsl: boolean
}

/** Every card of this computer, and what keeps those back that are not lent. Runs the vendors' tools: seconds. Never rejects. */
export async function detectGpus(options: DetectOptions = {}): Promise<DetectedGpus> {
  const { sysDir = '/sys', devDir = '/dev' } = options
  const bus = await busCards(sysDir)
  const [nvidia, amd, wsl] = await Promise.all([findNvidia(options), findAmd(bus, { sysDir, devDir }, options), stat(join(devDir, 'dxg')).then(() => true, () => false)])
  const problems: GpuProblem[] = [...nvidia.problems, ...amd.problems]
  if (!nvidia.asked && bus.some(({ vendor }) => vendor === 'nvidia')) problems.push({ code: 'E_GPU_DRIVER', vendor: 'nvidia', message: 'an NVIDIA card is there, but its driver is not: there is no nvidia-smi', hint: 'Install the NVIDIA driver, then restart this node' })
  if (bus.some(({ vendor }) => vendor === 'intel')) problems.push({ code: 'E_GPU_UNSUPPORTED', vendor: 'intel', message: 'an Intel graphics chip is there: they are not lent yet', hint: '' })
  return { cards: [...nvidia.cards, ...amd.cards].slice(0, PARAMS.maxGpus), problems, wsl }
}
