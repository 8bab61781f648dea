import { utf8ToBytes } from '@noble/hashes/utils.js'
import { z } from 'zod'
import { bytes32, cid, errorCode, int } from '../codec/schema.ts'
import { cidDigest, toHex } from '../codec/hasher.ts'
import type { Hasher } from '../codec/hasher.ts'
import { hashStruct, typedDigest } from '../codec/eip712.ts'
import type { StructType } from '../codec/eip712.ts'
import { PARAMS } from '../params.ts'

/** How a run ended, as a result that others can reproduce. A host's own trouble is no result: it abstains. */
export const resultSchema = z.strictObject({
  status: z.enum(['exited', 'trapped']),
  exitCode: int(-(2 ** 31), 2 ** 31 - 1),
  /** Of a trap, else `E_NONE`. */
  trap: errorCode,
  /** The folder {stdout, stderr, out/}. */
  content: cid,
  contentBytes: int(0, PARAMS.maxDiskBytes)
})
export type RunResult = z.output<typeof resultSchema>

/** What a run took, as its provider measured it; not part of what must match. */
export const usageSchema = z.strictObject({
  wallMs: int(0, PARAMS.maxRunMs),
  cpuMs: int(0, PARAMS.maxRunMs * 1024),
  peakMemoryBytes: int(0, PARAMS.maxMemoryBytes),
  fuel: int(0, Number.MAX_SAFE_INTEGER),
  /** Over the network that the job declared, both ways. For people: not in what is signed. */
  receivedBytes: int(0, PARAMS.maxInputBytes).optional(),
  sentBytes: int(0, PARAMS.maxInputBytes).optional()
})
export type Usage = z.output<typeof usageSchema>

/** A provider's signed statement of what a task gave. Revealed only after the set of commits is closed. */
export const receiptSchema = z.strictObject({
  agreement: bytes32,
  task: int(0, PARAMS.maxTasks - 1),
  attempt: int(0, 65_535),
  result: resultSchema,
  usage: usageSchema,
  /** Zero until runs are provable. */
  finalRoot: bytes32
})
export type Receipt = z.output<typeof receiptSchema>

const STATUS_CODE = { exited: 0, trapped: 1 } as const

/** What replicas must agree on, 32 bytes. Fixed-width preimage. `contentBytes` is in it, though `content` implies it: it is paid for. */
export function resultHash(hasher: Hasher, result: RunResult): string {
  const preimage = new Uint8Array(1 + 4 + 32 + 32 + 8)
  const view = new DataView(preimage.buffer)
  preimage[0] = STATUS_CODE[result.status]
  view.setInt32(1, result.exitCode)
  view.setBigUint64(69, BigInt(result.contentBytes))
  preimage.set(hasher.sha256(utf8ToBytes(result.trap)), 5)
  preimage.set(cidDigest(result.content), 37)
  return toHex(hasher.sha256(preimage))
}

const RECEIPT_TYPE: StructType = {
  name: 'Receipt',
  fields: [['agreement', 'bytes32'], ['task', 'uint32'], ['attempt', 'uint16'], ['resultHash', 'bytes32'], ['wallMs', 'uint64'], ['cpuMs', 'uint64'], ['memoryBytes', 'uint64'], ['fuel', 'uint64'], ['finalRoot', 'bytes32']]
}

function receiptValue(hasher: Hasher, receipt: Receipt): Record<string, string | number> {
  return {
    agreement: receipt.agreement,
    task: receipt.task,
    attempt: receipt.attempt,
    resultHash: resultHash(hasher, receipt.result),
    wallMs: receipt.usage.wallMs,
    cpuMs: receipt.usage.cpuMs,
    memoryBytes: receipt.usage.peakMemoryBytes,
    fuel: receipt.usage.fuel,
    finalRoot: receipt.finalRoot
  }
}

/** The digest that the provider's money key signs. */
export function receiptDigest(hasher: Hasher, separator: Uint8Array, receipt: Receipt): Uint8Array {
  return typedDigest(hasher, separator, RECEIPT_TYPE, receiptValue(hasher, receipt))
}

/**
 * H(agreementId, provider, attempt, receiptHash, nonce): binds the provider to its receipt without showing it.
 * The provider's address is inside, so a copied commit opens for nobody else.
 */
export function commitHash(hasher: Hasher, receipt: Receipt, providerAddress: string, nonce: string): string {
  return toHex(hashStruct(hasher, COMMIT_TYPE, {
    agreement: receipt.agreement,
    provider: providerAddress,
    attempt: receipt.attempt,
    receiptHash: toHex(hashStruct(hasher, RECEIPT_TYPE, receiptValue(hasher, receipt))),
    nonce
  }))
}

const COMMIT_TYPE: StructType = {
  name: 'Commit',
  fields: [['agreement', 'bytes32'], ['provider', 'address'], ['attempt', 'uint16'], ['receiptHash', 'bytes32'], ['nonce', 'bytes32']]
}

/** The closed set of commits of one voting round, signed by the requester: after it no commit is taken, before it none is opened. */
export const closedSetSchema = z.strictObject({
  job: cid,
  task: int(0, PARAMS.maxTasks - 1),
  round: int(0, 65_535),
  commits: z.array(bytes32).min(1).max(PARAMS.maxReplicas)
})
export type ClosedSet = z.output<typeof closedSetSchema>

const CLOSED_SET_TYPE: StructType = {
  name: 'ClosedSet',
  fields: [['job', 'bytes32'], ['task', 'uint32'], ['round', 'uint16'], ['commits', 'bytes32']]
}

/** `commits` enters as keccak256 of the concatenated 32-byte words, as EIP-712 encodes a bytes32[]. */
export function closedSetDigest(hasher: Hasher, separator: Uint8Array, set: ClosedSet): Uint8Array {
  const words = new Uint8Array(32 * set.commits.length)
  set.commits.forEach((commit, i) => { words.set(Uint8Array.from(commit.slice(2).match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)), 32 * i) })
  return typedDigest(hasher, separator, CLOSED_SET_TYPE, { job: toHex(cidDigest(set.job)), task: set.task, round: set.round, commits: toHex(hasher.keccak256(words)) })
}
