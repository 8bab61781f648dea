import { utf8ToBytes } from '@noble/hashes/utils.js'
import { z } from 'zod'
import { documentCodec } from '../../src/codec/document.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { address, peerId } from '../../src/codec/schema.ts'
import type { Identity } from '../../src/documents/identity.ts'
import type { Ed25519Verifier } from './ed25519.ts'
import { Lru } from './lru.ts'
import { recoverMoney } from './money.ts'
import { nativeHasher } from './native-hasher.ts'

const SEPARATOR = utf8ToBytes('hearth:identity:1:')

/** Identities that checked: a peer sends its own with each ad, bid and proposal. */
const MAX_CACHED_IDENTITIES = 2048

/** What each key says of the other, in canonical DAG-CBOR. */
const saidByPeer = documentCodec('identity', z.strictObject({ address, payee: address }), 256)
const saidByMoney = documentCodec('identity', z.strictObject({ peer: peerId, payee: address }), 256)

function peerPreimage(identity: Pick<Identity, 'address' | 'payee'>): Uint8Array {
  return Buffer.concat([SEPARATOR, saidByPeer.encode({ address: identity.address, payee: identity.payee })])
}

function moneyDigest(identity: Pick<Identity, 'peer' | 'payee'>): Uint8Array {
  return nativeHasher.keccak256(Buffer.concat([SEPARATOR, saidByMoney.encode({ peer: identity.peer, payee: identity.payee })]))
}

interface IdentitySigner {
  peerId: string
  address: string
  payee: string
  signEd25519: (message: Uint8Array) => Uint8Array
  signMoney: (digest: Uint8Array) => string
}

/** Signs each key with the other. Once a node: the pair never changes while its seed and payee do not. */
export function makeIdentity(signer: IdentitySigner): Identity {
  const pair = { peer: signer.peerId, address: signer.address, payee: signer.payee }
  return Object.freeze({ ...pair, peerSignature: signer.signEd25519(peerPreimage(pair)), moneySignature: signer.signMoney(moneyDigest(pair)) })
}

/** Checks pairs of keys, and remembers those that held. */
export class IdentityVerifier {
  readonly #ed25519: Ed25519Verifier
  readonly #known = new Lru<true>(MAX_CACHED_IDENTITIES)

  constructor(ed25519: Ed25519Verifier) {
    this.#ed25519 = ed25519
  }

  /** Accepts the identity when both signatures hold and, where `peer` is given, it is that peer's. Refused: E_IDENTITY_PEER, E_IDENTITY. */
  check(identity: Identity, peer?: string): Result<Identity> {
    if (peer !== undefined && identity.peer !== peer) return refuse('E_IDENTITY_PEER', `an identity of ${identity.peer} came from ${peer}`)
    // the signatures are part of the key: remembering the pair alone would let others through with any signature
    const key = `${identity.peer} ${identity.address} ${identity.payee} ${identity.moneySignature} ${Buffer.from(identity.peerSignature).toString('latin1')}`
    if (this.#known.get(key) === true) return accept(identity)
    const refusal = this.#refusal(identity)
    if (refusal !== undefined) return refusal
    this.#known.set(key, true)
    return accept(identity)
  }

  #refusal(identity: Identity): Refusal | undefined {
    if (!this.#ed25519.verify(identity.peer, peerPreimage(identity), identity.peerSignature)) return refuse('E_IDENTITY', 'the libp2p key did not sign this money address')
    const signer = recoverMoney(moneyDigest(identity), identity.moneySignature)
    if (!signer.ok) return signer
    return signer.value === identity.address ? undefined : refuse('E_IDENTITY', 'the money key did not sign this peer')
  }
}
