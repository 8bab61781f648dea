import { availableParallelism, totalmem } from 'node:os'
import type { Hardware } from '../../src/documents/resources.ts'
import type { SharePolicy } from '../../src/documents/share.ts'

/** What the machine has, whatever of it is lent. GPUs are found by the container engine's rooms. */
export function machineHardware(): { cores: number, memoryBytes: number } {
  return { cores: availableParallelism(), memoryBytes: totalmem() }
}

/** What this host lends: its policy, bounded by what the machine has. */
export function lentHardware(policy: SharePolicy): Hardware {
  const machine = machineHardware()
  return { cores: Math.min(policy.cores, machine.cores), memoryBytes: Math.min(policy.memoryBytes, machine.memoryBytes), diskBytes: policy.diskBytes, gpus: [] }
}
