const WEI_DIGITS = 18
const SHOWN_DIGITS = 6

/** `1500000000000000` wei -> `0.0015`, in whole coins, at most six digits after the first that is not 0. */
export function formatWei(wei: string): string {
  const digits = wei.padStart(WEI_DIGITS + 1, '0')
  const whole = digits.slice(0, -WEI_DIGITS)
  const fraction = digits.slice(-WEI_DIGITS)
  const zeros = /^0*/.exec(fraction)?.[0].length ?? 0
  const kept = fraction.slice(0, whole === '0' ? zeros + SHOWN_DIGITS : SHOWN_DIGITS).replace(/0+$/, '')
  return kept === '' ? whole : `${whole}.${kept}`
}

export function cost({ low, high }: { low: string, high: string }): string {
  if (high === '0') return 'nothing: these peers work for free'
  return low === high ? formatWei(low) : `${formatWei(low)} to ${formatWei(high)}`
}
