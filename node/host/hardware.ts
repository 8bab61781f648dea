import { availableParallelism, totalmem } from 'node:os'
import type { GpuCard, Hardware } from '../../src/documents/resources.ts'
import type { SharePolicy } from '../../src/documents/share.ts'

/** What the machine has, whatever of it is lent. Graphics cards are the container engine's to find. */
export function machineHardware(): { cores: number, memoryBytes: number } {
  return { cores: availableParallelism(), memoryBytes: totalmem() }
}

/** What this host lends: its policy, bounded by what the machine has, with the graphics cards that were proven. */
export function lentHardware(policy: SharePolicy, gpus: readonly GpuCard[]): Hardware {
  const machine = machineHardware()
  return { cores: Math.min(policy.cores, machine.cores), memoryBytes: Math.min(policy.memoryBytes, machine.memoryBytes), diskBytes: policy.diskBytes, gpus: policy.gpus ? [...gpus] : [] }
}
