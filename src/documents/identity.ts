import { z } from 'zod'
import { address, bytes, peerId, signature65 } from '../codec/schema.ts'

/**
 * Who a peer is: its libp2p key and its money key, each signed by the other once. It travels in ads and bids;
 * a pair that does not check is refused.
 */
export const identity = z.strictObject({
  peer: peerId,
  /** secp256k1 money key's EVM address. */
  address,
  /** Where earnings go; the money address unless the owner chose a cold one. */
  payee: address,
  /** Ed25519 by `peer` over `hearth:identity:1:` and the canonical {address, payee}. */
  peerSignature: bytes(64, 64),
  /** secp256k1 by `address` over keccak256 of `hearth:identity:1:` and the canonical {peer, payee}. */
  moneySignature: signature65
})
export type Identity = z.output<typeof identity>
