import { hash } from 'node:crypto'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Hasher } from '../../src/codec/hasher.ts'

/** The running node's hasher: SHA-256 by OpenSSL. OpenSSL as Node builds it has no Keccak (SHA-3 pads differently), so that one is noble's, 5 us a digest. */
export const nativeHasher: Hasher = Object.freeze({
  sha256: (data: Uint8Array): Uint8Array => new Uint8Array(hash('sha256', data, 'buffer')),
  keccak256: (data: Uint8Array): Uint8Array => keccak_256(data)
})
