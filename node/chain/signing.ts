import { Transaction } from 'ethers/transaction'
import { invariant } from '../../src/errors.ts'

/** A transaction before its signature. */
export interface UnsignedTx {
  readonly chainId: number
  readonly nonce: number
  /** Undefined creates a contract. */
  readonly to: string | undefined
  readonly data: string
  readonly valueWei: bigint
  readonly gasLimit: bigint
  readonly maxFeeWei: bigint
  /** Undefined on a chain of before EIP-1559. */
  readonly tipWei: bigint | undefined
}

export interface SignedTx { readonly hash: string, readonly raw: string }

/** Who pays and is asked to sign: the node's money key, which stays where it is, or a deployer's. */
export interface MoneySigner {
  /** 0x…, lower-case hex. */
  readonly address: string
  /** Over a 32-byte digest; `0x…`, 65 bytes r | s | v. */
  signMoney(digest: Uint8Array): string
}

/** The key sees a digest of 32 bytes and nothing of the library; the library sees a signature and nothing of the key. */
export function signTransaction(unsigned: UnsignedTx, signer: MoneySigner): SignedTx {
  const { chainId, nonce, to, data, valueWei, gasLimit, maxFeeWei, tipWei } = unsigned
  const tx = Transaction.from({
    chainId, nonce, to: to ?? null, data, value: valueWei, gasLimit,
    ...tipWei === undefined ? { type: 0, gasPrice: maxFeeWei } : { type: 2, maxFeePerGas: maxFeeWei, maxPriorityFeePerGas: tipWei }
  })
  tx.signature = signer.signMoney(Uint8Array.from(Buffer.from(tx.unsignedHash.slice(2), 'hex')))
  invariant(tx.hash !== null && tx.from?.toLowerCase() === signer.address, 'a transaction was signed by another key than the one that pays')
  return { hash: tx.hash, raw: tx.serialized }
}
