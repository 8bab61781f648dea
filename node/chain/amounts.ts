import { HearthError } from '../../src/errors.ts'
import { exactWei, parseWei } from '../../src/job/spec-units.ts'
import { SECOND_MS } from '../../src/units.ts'

/** What a broker holds: the chain's coin, or a token. Amounts are whole numbers of its smallest unit, always. */
export type Asset = { readonly kind: 'coin' } | { readonly kind: 'token', readonly symbol: string, readonly decimals: number }

export const COIN: Asset = Object.freeze({ kind: 'coin' })

/** The contracts keep amounts in 128 bits. */
const MAX_AMOUNT = (1n << 128n) - 1n

/** `0.5 eth`, `20 gwei`, `1000 wei`; of a token `12.5 USDC` or, in its smallest unit, `12500000 units`. Throws E_UNIT; nothing is ever rounded. */
export function parseAmount(text: string, asset: Asset = COIN): bigint {
  const match = /^(\d{1,40})(?:\.(\d{1,36}))? ?(\S+)$/.exec(text.trim())
  if (asset.kind === 'coin') {
    if (match === null) throw badAmount(text, '"0.5 eth", "20 gwei" or "1000 wei"')
    return parseWei(`${text.trim().slice(0, -(match[3] ?? '').length)}${(match[3] ?? '').toLowerCase()}`)
  }
  const unit = match?.[3]?.toLowerCase()
  const decimals = unit === 'units' ? 0 : unit === asset.symbol.toLowerCase() ? asset.decimals : undefined
  const fraction = match?.[2] ?? ''
  if (match === null || decimals === undefined || fraction.length > decimals) throw badAmount(text, `"12.5 ${asset.symbol}" (at most ${asset.decimals} digits after the point) or "1000 units"`)
  const amount = BigInt(match[1] ?? '0') * 10n ** BigInt(decimals) + BigInt(fraction.padEnd(decimals, '0') || '0')
  if (amount > MAX_AMOUNT) throw badAmount(text, 'less than 2^128 of the smallest unit')
  return amount
}

/** Exact, and readable by `parseAmount`: `"0.01 ether"`, `"12.5 USDC"`. */
export function formatAmount(amount: bigint, asset: Asset = COIN): string {
  if (asset.kind === 'coin') return exactWei(amount)
  const digits = amount.toString().padStart(asset.decimals + 1, '0')
  const at = digits.length - asset.decimals
  const fraction = digits.slice(at).replace(/0+$/, '')
  return `${digits.slice(0, at)}${fraction === '' ? '' : `.${fraction}`} ${asset.symbol}`
}

/** Seconds of the chain's clock, for people: `2026-03-01 12:00:05 UTC`. */
export function formatWhen(timeSec: number): string {
  if (timeSec * SECOND_MS > 8.64e15) return 'the end of time'
  return new Date(timeSec * SECOND_MS).toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
}

function badAmount(text: string, such: string): HearthError {
  return new HearthError('E_UNIT', `"${text}" is not an amount`, `Write a number and a unit, such as ${such}`)
}
