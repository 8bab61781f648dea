import { z } from 'zod'
import { cid, errorCode, int, list, text, wallMs, wei } from '../codec/schema.ts'
import { documentCodec } from '../codec/document.ts'
import { PARAMS } from '../params.ts'
import { identity } from './identity.ts'
import { hardware, region } from './resources.ts'
import { termsSchema } from './terms.ts'

/** Signed by the provider; binds it to nothing but its own terms until it expires. */
export const bidSchema = z.strictObject({
  v: z.literal(1),
  job: cid,
  round: int(0, 1_000_000),
  identity,
  /** Tasks of this job it would run at once. */
  slots: int(1, PARAMS.maxTasks),
  /** Its estimate of the wait before a first task starts. */
  startMs: int(0, PARAMS.maxTotalMs),
  expiresWallMs: wallMs,
  hardware,
  region,
  terms: termsSchema,
  /** Wei for one task of the offered shape and full run time, with all that it fetches, so that bids compare; 0 when free. */
  taskPriceWei: wei,
  /** What it would ask for 2^30 fuel of metered WebAssembly. No run is metered yet: said, and not charged. */
  fuelWei: wei.optional(),
  /** The provider's bond for jobs, and how much of it its running agreements already expose. */
  bondWei: wei,
  exposureWei: wei
})
export type Bid = z.output<typeof bidSchema>
export const bidCodec = documentCodec('bid', bidSchema, PARAMS.maxAdBytes)

/** Why a provider does not bid. `unmet` lists every requirement that failed, so the requester can say which one nobody meets. */
export const declineSchema = z.strictObject({
  v: z.literal(1),
  job: cid,
  round: int(0, 1_000_000),
  code: errorCode,
  message: text(200),
  unmet: list(errorCode, 16)
})
export type Decline = z.output<typeof declineSchema>
export const declineCodec = documentCodec('decline', declineSchema, 2048)
