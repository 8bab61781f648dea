import { hkdfSync } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { invariant } from '../../src/errors.ts'
import type { Identity } from '../../src/documents/identity.ts'
import { ed25519Signer } from './ed25519.ts'
import { makeIdentity } from './identity.ts'
import { isMoneyKey, moneyAddress, signDigest } from './money.ts'

export const SEED_BYTES = 32

const SALT = 'hearth:keys:1'
/** Changing a label changes every node's identity. */
const LABEL = { peer: 'ed25519', money: 'secp256k1' } as const

/** What a node can sign with. The keys themselves stay inside, but for libp2p's own, which its handshake needs. */
export interface NodeKeys {
  /** `12D3KooW…` */
  readonly peerId: string
  /** EVM address, `0x…`, lower-case hex. */
  readonly address: string
  readonly identity: Identity
  readonly libp2pKey: Ed25519PrivateKey
  /** 64 bytes. Callers put a domain separator in front of what they sign. */
  signEd25519(message: Uint8Array): Uint8Array
  /** Over a 32-byte digest; `0x…`, 65 bytes r | s | v, low s, v 27 or 28, the same each time. */
  signMoney(digest: Uint8Array): string
}

function derive(seed: Uint8Array, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', seed, SALT, label, SEED_BYTES))
}

function deriveMoneyKey(seed: Uint8Array): Uint8Array {
  // one 32-byte string in 2^128 is no scalar of the curve: then the next label serves, so that no seed is bad
  for (let i = 0; i < 8; i++) {
    const key = derive(seed, i === 0 ? LABEL.money : `${LABEL.money}:${i}`)
    if (isMoneyKey(key)) return key
  }
  throw new Error('unreachable: eight digests outside the curve in a row')
}

/** Both keys of a seed (RFC 5869, HKDF-SHA-256). `payee` is where earnings go: the money address unless the owner chose a cold one. */
export async function nodeKeys(seed: Uint8Array, payee?: string): Promise<NodeKeys> {
  invariant(seed.length === SEED_BYTES, `a seed of ${seed.length} bytes`)
  const peerSeed = derive(seed, LABEL.peer)
  const moneyKey = deriveMoneyKey(seed)
  const libp2pKey = await generateKeyPairFromSeed('Ed25519', peerSeed)
  const address = moneyAddress(moneyKey)
  const signer = {
    peerId: peerIdFromPrivateKey(libp2pKey).toString(),
    address,
    signEd25519: ed25519Signer(peerSeed),
    signMoney: (digest: Uint8Array) => signDigest(moneyKey, digest)
  }
  return Object.freeze({ ...signer, libp2pKey, identity: makeIdentity({ ...signer, payee: payee?.toLowerCase() ?? address }) })
}
