import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import { Lru } from './lru.ts'

/** Importing a public key costs a third of a verification, and the same peers sign again and again. */
const MAX_CACHED_KEYS = 1024

const SIGNATURE_BYTES = 64
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** The private key of a 32-byte scalar seed, imported once: libp2p's own signing imports it at each use. */
export function ed25519Signer(seed: Uint8Array): (message: Uint8Array) => Uint8Array {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  return (message) => new Uint8Array(sign(null, message, key))
}

/** Checks signatures of peers by their PeerId, which holds the key. */
export class Ed25519Verifier {
  readonly #keys = new Lru<KeyObject>(MAX_CACHED_KEYS)

  /** False for every reason not to believe it, a PeerId of another kind of key included. */
  verify(peer: string, message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== SIGNATURE_BYTES) return false
    const key = this.#key(peer)
    return key !== undefined && verify(null, message, key, signature)
  }

  #key(peer: string): KeyObject | undefined {
    const known = this.#keys.get(peer)
    if (known !== undefined) return known
    try {
      const id = peerIdFromString(peer)
      if (id.type !== 'Ed25519') return undefined
      const x = Buffer.from(id.publicKey.raw).toString('base64url')
      const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
      this.#keys.set(peer, key)
      return key
    } catch {
      return undefined
    }
  }
}
