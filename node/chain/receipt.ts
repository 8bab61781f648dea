import { hash32, hexBytes, quantity } from './block.ts'
import type { RawLog } from './broker.ts'
import type { TxMined } from './tx-record.ts'

export interface Receipt extends TxMined { readonly logs: readonly RawLog[], readonly contract: string | undefined }

/** Reads an answer to eth_getTransactionReceipt; undefined where the chain does not have it. Throws E_CHAIN_RPC. */
export function parseReceipt(raw: unknown): Receipt | undefined {
  if (raw === null) return undefined
  const { transactionHash, blockNumber, blockHash, status, gasUsed, effectiveGasPrice, logs, contractAddress } = raw as Record<string, unknown>
  const gas = quantity(gasUsed)
  return {
    hash: hash32(transactionHash),
    blockNumber: Number(quantity(blockNumber)),
    blockHash: hash32(blockHash),
    ok: quantity(status) === 1n,
    gasUsed: gas,
    feeWei: gas * (effectiveGasPrice === undefined ? 0n : quantity(effectiveGasPrice)),
    contract: typeof contractAddress === 'string' ? contractAddress.toLowerCase() : undefined,
    logs: (Array.isArray(logs) ? logs as unknown[] : []).map((log) => {
      const { address, topics, data } = (log ?? {}) as Record<string, unknown>
      return { address: hexBytes(address), topics: (Array.isArray(topics) ? topics as unknown[] : []).map(hash32), data: hexBytes(data) }
    })
  }
}
