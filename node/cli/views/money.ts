const WEI_DIGITS = 18
const SHOWN_DIGITS = 6
/** Digits that an amount is shown with; what follows is cut. JSON has all. */
const SIGNIFICANT = 6
const COIN_UNITS: readonly (readonly [string, number])[] = [['eth', 18], ['gwei', 9], ['wei', 0]]

/** What an amount is of, as the node says it. */
export type AssetView = { kind: 'coin' } | { kind: 'token', symbol: string, decimals: number }

/** `1500000000000000` wei -> `0.0015`, in whole coins, at most six digits after the first that is not 0. */
export function formatWei(wei: string): string {
  const digits = wei.padStart(WEI_DIGITS + 1, '0')
  const whole = digits.slice(0, -WEI_DIGITS)
  const fraction = digits.slice(-WEI_DIGITS)
  const zeros = /^0*/.exec(fraction)?.[0].length ?? 0
  const kept = fraction.slice(0, whole === '0' ? zeros + SHOWN_DIGITS : SHOWN_DIGITS).replace(/0+$/, '')
  return kept === '' ? whole : `${whole}.${kept}`
}

function cut(units: bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, '0')
  const at = digits.length - decimals
  const whole = digits.slice(0, at)
  const fraction = digits.slice(at)
  const zeros = whole === '0' ? /^0*/.exec(fraction)?.[0].length ?? 0 : 0
  const room = whole === '0' ? zeros + SIGNIFICANT : Math.max(0, SIGNIFICANT - whole.length)
  const kept = fraction.slice(0, room).replace(/0+$/, '')
  return kept === '' ? whole : `${whole}.${kept}`
}

/** `20000000000000` -> `20000 gwei`: in the unit that reads best, cut after six digits. What is below zero has its sign. */
export function amount(wei: string | bigint, asset: AssetView = { kind: 'coin' }): string {
  const value = BigInt(wei)
  const sign = value < 0n ? '-' : ''
  const units = value < 0n ? -value : value
  if (asset.kind === 'token') return `${sign}${cut(units, asset.decimals)} ${asset.symbol}`
  if (units === 0n) return '0 eth'
  const [name, decimals] = COIN_UNITS.find(([, decimals]) => units * 1000n >= 10n ** BigInt(decimals)) ?? ['wei', 0]
  return `${sign}${cut(units, decimals)} ${name}`
}

export function cost({ low, high }: { low: string, high: string }): string {
  if (high === '0') return 'nothing: these peers work for free'
  if (low === '0') return `at most ${amount(high)}`
  return low === high ? amount(low) : `${amount(low)} to ${amount(high)}`
}
