import { bytesToHex } from '@noble/hashes/utils.js'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { invariant } from '../errors.ts'

/** Hash functions are injected: native in the node, pure in the simulator. Both return 32 bytes. */
export interface Hasher {
  sha256(data: Uint8Array): Uint8Array
  keccak256(data: Uint8Array): Uint8Array
}

const DAG_CBOR_CODE = 0x71
const SHA2_256_CODE = 0x12
const DIGEST_BYTES = 32

/** The CIDv1 (dag-cbor, sha2-256) of a document's canonical bytes, base32. */
export function documentCid(hasher: Hasher, raw: Uint8Array): string {
  return CID.createV1(DAG_CBOR_CODE, Digest.create(SHA2_256_CODE, hasher.sha256(raw))).toString()
}

/** The 32-byte SHA-256 digest inside a CID, for fixed-width preimages. */
export function cidDigest(cid: string): Uint8Array {
  const { digest } = CID.parse(cid).multihash
  // fixed-width preimages are made of digests: another length would spill into the next field
  invariant(digest.length === DIGEST_BYTES, `the digest of ${cid} has ${digest.length} bytes`)
  return digest
}

export function toHex(raw: Uint8Array): string {
  return `0x${bytesToHex(raw)}`
}
