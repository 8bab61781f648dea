import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { invariant } from '../../src/errors.ts'
import { nativeHasher } from './native-hasher.ts'
import { curve } from './secp256k1.ts'

/** secp256k1 as the EVM reads it: 65-byte signatures r | s | v over a 32-byte digest, low s, v 27 or 28, nonce of RFC 6979. */

const DIGEST_BYTES = 32
const ADDRESS_BYTES = 20
const SIGNATURE_PATTERN = /^0x[0-9a-f]{130}$/
const V_BASE = 27

/** Half the group's order, rounded down: of s and n - s exactly one is at most this. Without the rule anyone could respell a signature. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex')
const ZERO_WORD = Buffer.alloc(32)

/** Whether `scalar` (32 bytes) can be a private key: above zero and below the group's order. */
export function isMoneyKey(scalar: Uint8Array): boolean {
  return scalar.length === 32 && curve.isPrivateKey(scalar)
}

/** The EVM address of a private key: the last 20 bytes of the public key's Keccak, lower-case hex. */
export function moneyAddress(privateKey: Uint8Array): string {
  return addressOf(curve.publicKey(privateKey))
}

/** Signs a 32-byte digest: `0x…`, 65 bytes. The same digest always gives the same signature. */
export function signDigest(privateKey: Uint8Array, digest: Uint8Array): string {
  invariant(digest.length === DIGEST_BYTES, `a digest of ${digest.length} bytes was given to the money key`)
  const { signature, recoveryId } = curve.sign(digest, privateKey)
  const out = new Uint8Array(65)
  out.set(signature)
  out[64] = V_BASE + recoveryId
  return toHex(out)
}

/**
 * The address that signed a 32-byte digest. Refused with E_SIGNATURE_FORM: not 65 bytes of lower-case hex, v other than 27 and 28,
 * r or s zero or not below the order, high s; with E_SIGNATURE: no key gives this signature.
 * Any other well-formed signature recovers to some address, so the caller must compare it.
 */
export function recoverMoney(digest: Uint8Array, signature: string): Result<string> {
  if (digest.length !== DIGEST_BYTES) return refuse('E_SIGNATURE_FORM', `a digest has ${DIGEST_BYTES} bytes, not ${digest.length}`)
  if (!SIGNATURE_PATTERN.test(signature)) return refuse('E_SIGNATURE_FORM', 'a signature is 65 bytes in lower-case hex')
  const raw = Buffer.from(signature.slice(2), 'hex')
  const v = raw[64]
  if (v !== V_BASE && v !== V_BASE + 1) return refuse('E_SIGNATURE_FORM', `v of a signature is 27 or 28, not ${v}`)
  const r = raw.subarray(0, 32)
  const s = raw.subarray(32, 64)
  if (r.equals(ZERO_WORD) || s.equals(ZERO_WORD)) return refuse('E_SIGNATURE_FORM', 'r and s of a signature are not zero')
  if (Buffer.compare(s, HALF_ORDER) > 0) return refuse('E_SIGNATURE_FORM', 's of a signature is in the upper half')
  const publicKey = curve.recover(digest, raw.subarray(0, 64), v - V_BASE)
  return publicKey === undefined ? refuse('E_SIGNATURE', 'no key gives this signature') : accept(addressOf(publicKey))
}

function addressOf(publicKey: Uint8Array): string {
  return toHex(nativeHasher.keccak256(publicKey.subarray(1)).subarray(32 - ADDRESS_BYTES))
}
