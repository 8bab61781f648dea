import { HearthError } from '../../src/errors.ts'

/** A block by its hash: what is said of one is said of this block alone. */
export interface Block {
  readonly number: number
  /** 0x… of 32 bytes. */
  readonly hash: string
  /** Seconds since 1970, by the chain's clock. */
  readonly timeSec: number
  /** Undefined on chains without a base fee (before EIP-1559). */
  readonly baseFeeWei: bigint | undefined
}

/** Reads an answer to eth_getBlockByNumber or ByHash; undefined when there is no such block. Throws E_CHAIN_RPC for what is no block. */
export function parseBlock(raw: unknown): Block | undefined {
  if (raw === null) return undefined
  const { number, hash, timestamp, baseFeePerGas } = raw as Record<string, unknown>
  return {
    number: Number(quantity(number)),
    hash: hash32(hash),
    timeSec: Number(quantity(timestamp)),
    baseFeeWei: baseFeePerGas === undefined || baseFeePerGas === null ? undefined : quantity(baseFeePerGas)
  }
}

/** A JSON-RPC quantity. Throws E_CHAIN_RPC. */
export function quantity(raw: unknown): bigint {
  if (typeof raw !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(raw)) throw garbage('a number')
  return BigInt(raw)
}

/** 32 bytes in hex. Throws E_CHAIN_RPC. */
export function hash32(raw: unknown): string {
  if (typeof raw !== 'string' || !/^0x[0-9a-fA-F]{64}$/.test(raw)) throw garbage('a hash')
  return raw.toLowerCase()
}

/** Bytes in hex. Throws E_CHAIN_RPC. */
export function hexBytes(raw: unknown): string {
  if (typeof raw !== 'string' || !/^0x(?:[0-9a-fA-F]{2})*$/.test(raw)) throw garbage('bytes')
  return raw
}

export function toQuantity(value: bigint | number): string {
  return `0x${value.toString(16)}`
}

function garbage(wanted: string): HearthError {
  return new HearthError('E_CHAIN_RPC', `The chain's RPC service answered with something else than ${wanted}`, 'It is no Ethereum JSON-RPC service, or a broken one')
}
