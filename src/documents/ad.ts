import { z } from 'zod'
import { int, list, multiaddrText, real, text, wallMs } from '../codec/schema.ts'
import { documentCodec } from '../codec/document.ts'
import { PARAMS } from '../params.ts'
import { identity } from './identity.ts'
import { ENGINES, hardware, region } from './resources.ts'

/** A provider's capacity, signed, short-lived; served over a direct stream, so that a dial has succeeded before it counts. */
export const adSchema = z.strictObject({
  v: z.literal(1),
  identity,
  addresses: list(multiaddrText, 8),
  agent: text(64),
  issuedWallMs: wallMs,
  expiresWallMs: wallMs,
  region,
  engines: list(z.enum(ENGINES), ENGINES.length),
  hardware,
  /** What is not reserved now. */
  free: z.strictObject({ cores: real(0, PARAMS.maxCores), memoryBytes: int(0, PARAMS.maxMemoryBytes), diskBytes: int(0, PARAMS.maxDiskBytes), gpus: int(0, PARAMS.maxGpus) }),
  /** False while the host pauses, is in use or is outside its hours. */
  open: z.boolean()
})
export type Ad = z.output<typeof adSchema>
export const adCodec = documentCodec('ad', adSchema, PARAMS.maxAdBytes)
