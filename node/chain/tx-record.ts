import type { RawLog } from './broker.ts'
import type { Fees } from './fees.ts'
import type { Block } from './block.ts'

/** What a transaction is for. */
export type TxPurpose =
  | { readonly kind: 'redeem', readonly digests: readonly string[] }
  | { readonly kind: 'notice', readonly digests: readonly string[] }
  | { readonly kind: 'claim', readonly digests: readonly string[] }
  | { readonly kind: 'account', readonly action: string }
  /** Nothing but using a nonce that blocks the ones after it. */
  | { readonly kind: 'fill' }

/** One signed form; a replacement is another with the same nonce. */
export interface TxAttempt { readonly hash: string, readonly raw: string, readonly maxFeeWei: bigint, readonly tipWei: bigint | undefined }

export interface TxMined { readonly hash: string, readonly blockNumber: number, readonly blockHash: string, readonly ok: boolean, readonly gasUsed: bigint, readonly feeWei: bigint }

/** sent -> mined -> confirmed -> final (forgotten); a reorganisation leads back to sent, a nonce taken by another to dead. */
export interface TxRecord {
  /** The hash of the first attempt. */
  readonly id: string
  readonly nonce: number
  readonly purpose: TxPurpose
  readonly to: string | undefined
  readonly data: string
  readonly valueWei: bigint
  readonly gasLimit: bigint
  /** What it brings: fees are never raised above it. Undefined: only the caps hold. */
  readonly worthWei: bigint | undefined
  attempts: readonly TxAttempt[]
  mined?: TxMined | undefined
  confirmed: boolean
}

export type TxChange =
  | { readonly kind: 'confirmed', readonly tx: TxRecord, readonly mined: TxMined, readonly logs: readonly RawLog[] }
  /** It was confirmed, and its block is no part of the chain any more. It is sent again. */
  | { readonly kind: 'reorged', readonly tx: TxRecord }
  /** Another transaction took its nonce: it will never be mined. */
  | { readonly kind: 'dead', readonly tx: TxRecord }
  | { readonly kind: 'final', readonly tx: TxRecord }

/** One node's view of the chain and of our account in it, in one answer. */
export interface HeadView {
  readonly block: Block
  /** Transactions of ours that the chain has. */
  readonly nonce: number
  /** And those that wait. */
  readonly pendingNonce: number
  readonly balanceWei: bigint
  readonly fees: Fees
}

export interface TxRequest {
  readonly purpose: TxPurpose
  readonly to: string | undefined
  readonly data: string
  readonly valueWei?: bigint
  readonly worthWei?: bigint
  /** Asked with the true estimate before anything is signed; false: not now. */
  readonly agree?: (gas: bigint, priceWei: bigint) => boolean
}
