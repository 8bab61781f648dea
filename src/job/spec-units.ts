import { HearthError } from '../errors.ts'
import { DAY_MS, GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS, TIB } from '../units.ts'

/** Amounts of money and exact texts of sizes and durations, for what people write and what we write back to them. */

const WEI_DECIMALS: Record<string, number> = { wei: 0, gwei: 9, ether: 18, eth: 18 }
/** Wei amounts are unsigned 128-bit, as in the contracts. */
const MAX_WEI = (1n << 128n) - 1n

/** `"0.01 ether"` -> `10n ** 16n`. Throws `E_UNIT`; an amount is never rounded. */
export function parseWei(text: string): bigint {
  const match = /^(\d{1,40})(?:\.(\d{1,18}))? ?([a-z]+)$/.exec(text.trim())
  const decimals = match === null || !Object.hasOwn(WEI_DECIMALS, match[3] ?? '') ? undefined : WEI_DECIMALS[match[3] ?? '']
  const fraction = match?.[2] ?? ''
  if (match === null || decimals === undefined || fraction.length > decimals) throw badAmount(text)
  const wei = BigInt(match[1] ?? '0') * 10n ** BigInt(decimals) + BigInt(fraction.padEnd(decimals, '0') || '0')
  if (wei > MAX_WEI) throw badAmount(text)
  return wei
}

function badAmount(text: string): HearthError {
  return new HearthError('E_UNIT', `"${text}" is not an amount`, 'Write a number and a unit, such as "0.01 ether", "20 gwei" or "1000 wei"')
}

const SIZES: readonly (readonly [string, number])[] = [['TiB', TIB], ['GiB', GIB], ['MiB', MIB], ['KiB', KIB], ['B', 1]]
const DURATIONS: readonly (readonly [string, number])[] = [['d', DAY_MS], ['h', HOUR_MS], ['m', MINUTE_MS], ['s', SECOND_MS], ['ms', 1]]

function exact(value: number, units: readonly (readonly [string, number])[]): string {
  const [name, factor] = units.find(([, size]) => value !== 0 && value % size === 0) ?? units.at(-1) ?? ['', 1]
  return `${value / factor} ${name}`
}

/** `1536` -> `"1536 B"`, `2 ** 30` -> `"1 GiB"`: `parseSize` gives the same bytes back. */
export function exactSize(bytes: number): string {
  return exact(bytes, SIZES)
}

/** `90_000` -> `"90 s"`: `parseDuration` gives the same milliseconds back. */
export function exactDuration(ms: number): string {
  return exact(ms, DURATIONS)
}

/** `10n ** 16n` -> `"0.01 ether"`: `parseWei` gives the same amount back. */
export function exactWei(wei: bigint): string {
  for (const [name, decimals] of [['ether', 18], ['gwei', 9]] as const) {
    const unit = 10n ** BigInt(decimals)
    if (wei === 0n || wei * 1000n < unit) continue
    const fraction = (wei % unit).toString().padStart(decimals, '0').replace(/0+$/, '')
    if (fraction.length <= 6) return `${wei / unit}${fraction === '' ? '' : `.${fraction}`} ${name}`
  }
  return `${wei} wei`
}
