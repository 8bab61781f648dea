import { z } from 'zod'
import { PARAMS } from '../params.ts'
import { int, list, real, text } from '../codec/schema.ts'

export const GPU_VENDORS = ['nvidia', 'amd', 'intel'] as const
export type GpuVendor = typeof GPU_VENDORS[number]
export const ENGINES = ['wasm', 'container'] as const
export type EngineKind = typeof ENGINES[number]

/** What a task asks for. `model` matches a card whose name contains it, without regard to case. */
export const gpuRequest = z.strictObject({
  vendor: z.enum(GPU_VENDORS).optional(),
  model: text(64, 1).optional(),
  vramBytes: int(0, PARAMS.maxMemoryBytes),
  count: int(1, PARAMS.maxGpus)
})
export type GpuRequest = z.output<typeof gpuRequest>

/** Resources one task holds while it runs. Cores may be a fraction for containers. */
export const resources = z.strictObject({
  cores: real(0.1, PARAMS.maxCores),
  memoryBytes: int(PARAMS.minMemoryBytes, PARAMS.maxMemoryBytes),
  diskBytes: int(0, PARAMS.maxDiskBytes),
  gpu: gpuRequest.optional()
})
export type Resources = z.output<typeof resources>

export const gpuCard = z.strictObject({
  vendor: z.enum(GPU_VENDORS),
  model: text(64, 1),
  vramBytes: int(0, PARAMS.maxMemoryBytes),
  driver: text(32)
})
export type GpuCard = z.output<typeof gpuCard>

/** What a provider lends at most. */
export const hardware = z.strictObject({
  cores: real(0.1, PARAMS.maxCores),
  memoryBytes: int(PARAMS.minMemoryBytes, PARAMS.maxMemoryBytes),
  diskBytes: int(0, PARAMS.maxDiskBytes),
  gpus: list(gpuCard, PARAMS.maxGpus)
})
export type Hardware = z.output<typeof hardware>

/** A region is a lower-case label that hosts choose, such as `eu-west`; `any` where none is set. */
export const region = z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be 1 to 32 of a-z, 0-9 and -')

/** Coarse hardware classes: the key of a sub-market with runtime and region, so that gossip stays with those who could bid. */
export const HARDWARE_CLASSES = ['cpu', 'gpu'] as const
export type HardwareClass = typeof HARDWARE_CLASSES[number]
