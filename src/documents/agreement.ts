import { z } from 'zod'
import { address, bytes32, cid, int, peerId, wallMs, wei } from '../codec/schema.ts'
import { cidDigest, toHex } from '../codec/hasher.ts'
import type { Hasher } from '../codec/hasher.ts'
import { typedDigest } from '../codec/eip712.ts'
import type { StructType } from '../codec/eip712.ts'
import { PARAMS } from '../params.ts'
import { termsHash, termsSchema } from './terms.ts'

/**
 * One agreement a (job, provider), signed by both money keys: the provider signs its `Acceptance` where work is paid, else the
 * same digest. Its id is the EIP-712 digest of the fixed-width core.
 * Fields for payment and proofs are reserved now, because adding them later would be a fork.
 */
export const agreementSchema = z.strictObject({
  v: z.literal(1),
  job: cid,
  requester: peerId,
  provider: peerId,
  requesterAddress: address,
  providerAddress: address,
  payee: address,
  chainId: int(0, Number.MAX_SAFE_INTEGER),
  contract: address,
  paramsHash: bytes32,
  /** Zero until jobs are provable. */
  programRoot: bytes32,
  initialRoot: bytes32,
  meterVersion: int(0, 65_535),
  /** Counts this pair's agreements for this job from 0. */
  attempt: int(0, 65_535),
  slots: int(1, PARAMS.maxTasks),
  taskPriceWei: wei,
  terms: termsSchema,
  createdWallMs: wallMs,
  expiresWallMs: wallMs
})
export type Agreement = z.output<typeof agreementSchema>

const AGREEMENT_TYPE: StructType = {
  name: 'Agreement',
  fields: [
    ['job', 'bytes32'], ['requester', 'address'], ['provider', 'address'], ['payee', 'address'],
    ['paramsHash', 'bytes32'], ['programRoot', 'bytes32'], ['initialRoot', 'bytes32'], ['meterVersion', 'uint16'],
    ['attempt', 'uint16'], ['slots', 'uint32'], ['taskPrice', 'uint128'], ['terms', 'bytes32'],
    ['createdAt', 'uint64'], ['expiresAt', 'uint64']
  ]
}

/** The 32-byte digest that both sides sign; `0x…` hex of it is the agreement's id. */
export function agreementDigest(hasher: Hasher, separator: Uint8Array, agreement: Agreement): Uint8Array {
  return typedDigest(hasher, separator, AGREEMENT_TYPE, {
    job: toHex(cidDigest(agreement.job)),
    requester: agreement.requesterAddress,
    provider: agreement.providerAddress,
    payee: agreement.payee,
    paramsHash: agreement.paramsHash,
    programRoot: agreement.programRoot,
    initialRoot: agreement.initialRoot,
    meterVersion: agreement.meterVersion,
    attempt: agreement.attempt,
    slots: agreement.slots,
    taskPrice: agreement.taskPriceWei,
    terms: termsHash(hasher, agreement.terms),
    createdAt: agreement.createdWallMs,
    expiresAt: agreement.expiresWallMs
  })
}

export const ZERO_BYTES32 = `0x${'00'.repeat(32)}`
export const ZERO_ADDRESS = `0x${'00'.repeat(20)}`
