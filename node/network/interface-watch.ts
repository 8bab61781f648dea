import { networkInterfaces } from 'node:os'
import { SECOND_MS } from '../../src/units.ts'

/** Neither Linux, macOS nor Windows tells a process without native code; looking costs a fifth of a millisecond. */
const LOOK_EVERY_MS = 5 * SECOND_MS

function addresses(): string {
  return Object.entries(networkInterfaces()).flatMap(([name, list]) => (list ?? []).map(({ address }) => `${name} ${address}`)).sort().join('\n')
}

/** Calls `onChange` when this machine's addresses change: another Wi-Fi, a cable, a VPN, waking up elsewhere. Returns how to stop. */
export function watchInterfaces(onChange: () => void): () => void {
  let last = addresses()
  const timer = setInterval(() => {
    const now = addresses()
    if (now === last) return
    last = now
    onChange()
  }, LOOK_EVERY_MS)
  timer.unref()
  return () => { clearInterval(timer) }
}
