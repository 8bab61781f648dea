import type { Hasher } from '../codec/hasher.ts'

/** Multipliers of the four lanes: odd, far apart; from MurmurHash3 and xxHash. */
const LANES = [0xcc9e2d51, 0x1b873593, 0x9e3779b1, 0x85ebca77] as const

function mix(data: Uint8Array, salt: number): Uint8Array {
  const out = new Uint32Array(8)
  let [a, b, c, d] = [salt ^ LANES[0], salt ^ LANES[1], salt ^ LANES[2], data.length ^ LANES[3]]
  for (const byte of data) {
    a = Math.imul(a ^ byte, LANES[0])
    b = Math.imul(b + byte ^ (a >>> 15), LANES[1])
    c = Math.imul(c ^ byte ^ (b >>> 13), LANES[2])
    d = Math.imul(d + byte ^ (c >>> 16), LANES[3])
  }
  for (let i = 0; i < 8; i++) {
    a = Math.imul(a ^ (d >>> 15) ^ i, LANES[1])
    b = Math.imul(b ^ (a >>> 13), LANES[2])
    c = Math.imul(c ^ (b >>> 16), LANES[3])
    d = Math.imul(d ^ (c >>> 14), LANES[0])
    out[i] = a ^ b ^ c ^ d
  }
  return new Uint8Array(out.buffer)
}

/** Counts what a run would have hashed, so that cryptography's cost can be added to a figure without being paid. */
export interface CountingHasher extends Hasher { calls: number, hashedBytes: number }

/** Two 256-bit mixes that are quick and of no use against an attacker: the simulated attackers do not attack hashes. */
export function countingHasher(): CountingHasher {
  const count = (data: Uint8Array, salt: number): Uint8Array => {
    hasher.calls++
    hasher.hashedBytes += data.length
    return mix(data, salt)
  }
  const hasher: CountingHasher = { calls: 0, hashedBytes: 0, sha256: (data) => count(data, 0x5a5a), keccak256: (data) => count(data, 0xa5a5) }
  return hasher
}
