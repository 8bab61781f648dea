import type { Hasher } from '../codec/hasher.ts'
import { invariant } from '../errors.ts'
import { commitOf, isWin } from '../documents/ticket.ts'
import { putHex } from '../codec/words.ts'

/**
 * A payee's secrets as the rules may see them: commits and outcomes, never the secret itself. It is injected like the
 * hasher, and like it gives the same answer to the same question: a replay, or a restart, is no new draw.
 */
export interface Draws {
  /** `keccak256(rand)` of the index-th secret of an offer. */
  commit(offerId: string, index: number): string
  /** Whether the ticket of this digest wins against that secret. */
  wins(offerId: string, index: number, digest: Uint8Array, winProb: bigint): boolean
}

/** What only the node's keeper of keys and its chain client hold: a redemption shows the secret. */
export interface Secrets extends Draws {
  rand(offerId: string, index: number): Uint8Array
}

const BLOCK_BYTES = 64
const OFFER_BYTES = 32
const MESSAGE_BYTES = OFFER_BYTES + 8

/**
 * `rand = HMAC-SHA-256(key, offerId | uint64 index)`, RFC 2104 over the injected hasher, in two reused buffers. No table of
 * secrets to lose, and the offer's id is durable, so that a claimed crash brings the same secret again.
 */
export function hmacDraws(hasher: Hasher, key: Uint8Array): Secrets {
  invariant(key.length === 32, `a key of ${key.length} bytes for drawing tickets`)
  const inner = new Uint8Array(BLOCK_BYTES + MESSAGE_BYTES).fill(0x36, 0, BLOCK_BYTES)
  const outer = new Uint8Array(BLOCK_BYTES + 32).fill(0x5c, 0, BLOCK_BYTES)
  key.forEach((byte, i) => {
    inner[i] = byte ^ 0x36
    outer[i] = byte ^ 0x5c
  })
  const view = new DataView(inner.buffer)
  const rand = (offerId: string, index: number): Uint8Array => {
    putHex(inner, BLOCK_BYTES, offerId, OFFER_BYTES)
    view.setBigUint64(BLOCK_BYTES + OFFER_BYTES, BigInt(index))
    outer.set(hasher.sha256(inner), BLOCK_BYTES)
    return hasher.sha256(outer)
  }
  return Object.freeze({
    rand,
    commit: (offerId: string, index: number) => commitOf(hasher, rand(offerId, index)),
    wins: (offerId: string, index: number, digest: Uint8Array, winProb: bigint) => isWin(hasher, rand(offerId, index), digest, winProb)
  })
}

/** The offer of an agreement: its id is durable and no other agreement has it. */
export function offerIdOf(agreement: string): string {
  return agreement
}

