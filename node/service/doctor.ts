import { statfs } from 'node:fs/promises'
import { formatSize, GIB, SECOND_MS } from '../../src/units.ts'
import type { Check } from '../api/contract.ts'

/** Below this a job's inputs and outputs may not fit. */
const LOW_DISK_BYTES = 2 * GIB
/** A clock this far off breaks bids and agreements. */
const MAX_SKEW_MS = 60 * SECOND_MS

export interface DoctorView {
  dataDir: string
  addresses: string[]
  publicAddress: boolean
  peers: number
  /** Median offset of connected peers' clocks from ours, where known. */
  skewMs: number | undefined
  sharing: boolean
  closed: { code: string, message: string } | undefined
  engines: { name: string, ok: boolean, detail: string }[]
  memoryBytes: { lent: number, free: number }
  storeUsage: { bytes: number, quotaBytes: number }
}

function check(name: string, state: Check['state'], message: string, hint = ''): Check {
  return { name, state, message, hint }
}

/** What is well, what is not, and what to do about it: the first thing to run when no work comes or goes. */
export async function doctor(view: DoctorView): Promise<Check[]> {
  const { bavail, bsize } = await statfs(view.dataDir)
  const freeBytes = bavail * bsize
  const checks = [
    view.addresses.length > 0 ? check('listening', 'ok', view.addresses[0] ?? '') : check('listening', 'fail', 'this node listens nowhere', 'See network.listen in the configuration: is the port taken?'),
    view.peers > 0 ? check('peers', 'ok', `${view.peers} connected`) : check('peers', 'fail', 'no peer is connected', 'On one LAN peers find each other; elsewhere add a multiaddr to network.bootstrap, or `dial` one'),
    view.publicAddress ? check('reachable', 'ok', 'others can dial this node') : check('reachable', 'warn', 'no public address is confirmed', 'Fine on a LAN. Else forward the TCP port in your router, enable UPnP there, or use IPv6'),
    freeBytes > LOW_DISK_BYTES ? check('disk', 'ok', `${formatSize(freeBytes)} free`) : check('disk', 'warn', `only ${formatSize(freeBytes)} free`, `Free some space where ${view.dataDir} lies, or lower share.disk and store.quota`),
    check('store', view.storeUsage.bytes < view.storeUsage.quotaBytes * 0.95 ? 'ok' : 'warn', `${formatSize(view.storeUsage.bytes)} of ${formatSize(view.storeUsage.quotaBytes)} used`, 'Old content is evicted by itself; raise store.quota if jobs are refused'),
    view.memoryBytes.free > view.memoryBytes.lent ? check('memory', 'ok', `${formatSize(view.memoryBytes.free)} free, ${formatSize(view.memoryBytes.lent)} lent`) : check('memory', 'warn', `${formatSize(view.memoryBytes.free)} free, less than the ${formatSize(view.memoryBytes.lent)} lent`, 'Lower share.memory, or close programs'),
    view.skewMs === undefined ? check('clock', 'ok', 'no peer to compare with yet')
      : Math.abs(view.skewMs) < MAX_SKEW_MS ? check('clock', 'ok', `within ${Math.round(Math.abs(view.skewMs) / 1000)} s of the peers`) : check('clock', 'fail', `${Math.round(view.skewMs / 1000)} s off from the peers`, 'Turn on the system\'s time synchronisation'),
    ...view.engines.map(({ name, ok, detail }) => check(name, ok ? 'ok' : 'warn', detail, ok ? '' : 'Container jobs are declined; WebAssembly jobs run all the same')),
    view.closed === undefined ? check('sharing', 'ok', view.sharing ? 'open for work' : 'lends nothing') : check('sharing', 'warn', `this PC ${view.closed.message}`, view.closed.code === 'E_HOST_PAUSED' ? 'Type `resume`' : 'See `share`')
  ]
  return checks
}
