import { z } from 'zod'
import { typedDigest } from '../codec/eip712.ts'
import type { StructType } from '../codec/eip712.ts'
import type { Hasher } from '../codec/hasher.ts'
import { int, wallMs, wei } from '../codec/schema.ts'
import type { Parties } from './payment-state.ts'

/**
 * What a provider's bond stands behind from this agreement on. It is no part of the agreement, which its requester writes:
 * only the provider knows what else it agrees to, and only at the moment in which it does. A number in the bid would be
 * stale as soon as two bids are out, or each bid would reserve, which bids never do.
 */
export const exposureSchema = z.strictObject({
  /** Each agreement of a provider has a higher one than all before; at least its wall clock's milliseconds, so that one who restores nothing but its seed repeats none. */
  sequence: int(1, Number.MAX_SAFE_INTEGER),
  /** The most that may be paid ahead of this agreement's reveals: its terms' `prepayCapWei`. */
  ownWei: wei,
  /** The same of all agreements that its bond stands behind now, this one included. */
  totalWei: wei,
  /** The agreement's own end: until then it counts, unless its requester has closed it. */
  expiresWallMs: wallMs
})
export type BondExposure = z.output<typeof exposureSchema>

/** A provider's word on a paid agreement, as it signs it: it takes it, and its bond covers it. Addresses are of money keys. */
export interface Acceptance extends Parties, BondExposure {}

/** Kept by its requester: evidence, alone or with another. */
export interface SignedAcceptance extends Acceptance { signature: string }

const ACCEPTANCE_TYPE: StructType = {
  name: 'Acceptance',
  fields: [
    ['agreement', 'bytes32'], ['provider', 'address'], ['requester', 'address'],
    ['sequence', 'uint64'], ['own', 'uint128'], ['total', 'uint128'], ['expiresAt', 'uint64']
  ]
}

/** The 32 bytes that the provider's money key signs in `agreed`, where work is paid. */
export function acceptanceDigest(hasher: Hasher, separator: Uint8Array, { agreement, provider, requester, sequence, ownWei, totalWei, expiresWallMs }: Acceptance): Uint8Array {
  return typedDigest(hasher, separator, ACCEPTANCE_TYPE, { agreement, provider, requester, sequence, own: ownWei, total: totalWei, expiresAt: expiresWallMs })
}
