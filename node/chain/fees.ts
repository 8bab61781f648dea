import type { Block } from './block.ts'

/** What the owner pays for gas at most, wei a unit of gas. */
export interface GasCaps {
  readonly maxFeePerGasWei: bigint
  readonly maxTipPerGasWei: bigint
}

export const DEFAULT_GAS_CAPS: GasCaps = Object.freeze({
  // ten times what Ethereum asked on an ordinary day of 2024
  maxFeePerGasWei: 200_000_000_000n,
  maxTipPerGasWei: 5_000_000_000n
})

/** What a transaction would offer now. */
export interface Fees {
  readonly maxFeeWei: bigint
  /** Undefined on a chain of before EIP-1559, where the whole fee is one price. */
  readonly tipWei: bigint | undefined
  /** What a unit of gas would cost in the next block: for estimates. */
  readonly priceWei: bigint
  /** The chain asks more than the owner allows. */
  readonly aboveCap: boolean
}

const min = (a: bigint, b: bigint): bigint => a < b ? a : b

/** Offers twice the base fee, which then outlasts six full blocks, and the tip that the service suggests; both within the caps. */
export function feesNow({ baseFeeWei }: Block, suggested: { tipWei: bigint, gasPriceWei: bigint }, caps: GasCaps): Fees {
  if (baseFeeWei === undefined) {
    const { gasPriceWei } = suggested
    return { maxFeeWei: min(gasPriceWei, caps.maxFeePerGasWei), tipWei: undefined, priceWei: gasPriceWei, aboveCap: gasPriceWei > caps.maxFeePerGasWei }
  }
  const tipWei = min(suggested.tipWei, caps.maxTipPerGasWei)
  const priceWei = baseFeeWei + tipWei
  return { maxFeeWei: min(2n * baseFeeWei + tipWei, caps.maxFeePerGasWei), tipWei: min(tipWei, caps.maxFeePerGasWei), priceWei, aboveCap: priceWei > caps.maxFeePerGasWei }
}

/** Pools take a replacement only when it offers a tenth more in both parts; an eighth is above every rounding. */
function raised(wei: bigint): bigint {
  return wei + wei / 8n + 1n
}

interface Offered { readonly maxFeeWei: bigint, readonly tipWei: bigint | undefined }

/** Fees for replacing what offered `old`, as near to today's as `limitWei` allows; undefined when the least raise would pass it. */
export function replacementFees(old: Offered, now: Fees, limitWei: bigint): Offered | undefined {
  const wanted = min(now.maxFeeWei, limitWei)
  const maxFeeWei = wanted > raised(old.maxFeeWei) ? wanted : raised(old.maxFeeWei)
  if (maxFeeWei > limitWei) return undefined
  if (old.tipWei === undefined) return { maxFeeWei, tipWei: undefined }
  const tipWei = now.tipWei !== undefined && now.tipWei > raised(old.tipWei) ? now.tipWei : raised(old.tipWei)
  return tipWei > maxFeeWei ? undefined : { maxFeeWei, tipWei }
}
