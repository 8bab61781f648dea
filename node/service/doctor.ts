import { statfs } from 'node:fs/promises'
import { formatDuration, formatSize, GIB } from '../../src/units.ts'
import type { Check } from '../api/contract.ts'
import type { ContainersReport } from '../work/container-engine.ts'
import { judgeClocks } from './clocks.ts'
import type { PeerLook } from './clocks.ts'

/** Below this a job's inputs and outputs may not fit. */
const LOW_DISK_BYTES = 2 * GIB
/** Above this part of its quota the store evicts what the next job might use again. */
const STORE_FULL_SHARE = 0.95

export interface DoctorView {
  dataDir: string
  platform: NodeJS.Platform
  addresses: string[]
  publicAddress: boolean
  peers: number
  look: PeerLook
  sharing: boolean
  closed: { code: string, message: string } | undefined
  containers: ContainersReport
  memoryBytes: { lent: number, free: number }
  storeUsage: { bytes: number, quotaBytes: number }
}

function check(name: string, state: Check['state'], message: string, hint = ''): Check {
  return { name, state, message, hint }
}

/** What is well, what is not, and what to do about it: the first thing to run when no work comes or goes. */
export async function doctor(view: DoctorView): Promise<Check[]> {
  const { bavail, bsize } = await statfs(view.dataDir)
  const { memoryBytes: { lent, free }, storeUsage } = view
  const freeBytes = bavail * bsize
  const ports = [...new Set(view.addresses.flatMap((address) => /\/(?:tcp|udp)\/(\d+)/.exec(address)?.[1] ?? []))]
  return [
    view.addresses.length === 0
      ? check('listening', 'fail', 'this node listens nowhere, so nobody can connect to it', 'Another program may have the port: `hearth config show` has network.port and network.listen, and `hearth up --network.port=0` takes any that is free')
      : check('listening', 'ok', `on port ${ports.join(', ')}; \`status\` lists the addresses`),
    view.peers > 0
      ? check('peers', 'ok', `${view.peers} connected`)
      : check('peers', 'fail', 'no peer is connected, so no job can go out or come in', 'PCs on one network find each other within seconds once `hearth up` runs on both. Elsewhere: `dial ADDRESS` with an address that `status` prints there, and to keep it, add it to network.bootstrap in the configuration'),
    ...view.peers > 0 ? [offersCheck(view.look)] : [],
    clockCheck(view),
    view.publicAddress
      ? check('reachable', 'ok', 'it has an address that others on the internet may dial')
      : check('reachable', 'warn', 'no address is known that others on the internet can dial', 'No matter if all your PCs are on one network. Else forward the TCP port of `listening` in your router, turn on UPnP there, or use IPv6'),
    freeBytes > LOW_DISK_BYTES
      ? check('disk', 'ok', `${formatSize(freeBytes)} free`)
      : check('disk', 'warn', `only ${formatSize(freeBytes)} free where ${view.dataDir} lies`, 'Free some space there, lend less with `share disk=…`, or lower store.quota in the configuration'),
    storeUsage.bytes < storeUsage.quotaBytes * STORE_FULL_SHARE
      ? check('store', 'ok', `${formatSize(storeUsage.bytes)} of ${formatSize(storeUsage.quotaBytes)} used`)
      : check('store', 'warn', `full: ${formatSize(storeUsage.bytes)} of ${formatSize(storeUsage.quotaBytes)} used`, 'What nobody needs is dropped by itself. If jobs are refused for it, raise store.quota in the configuration'),
    ...view.sharing ? [free > lent
      ? check('memory', 'ok', `${formatSize(free)} free, ${formatSize(lent)} lent`)
      : check('memory', 'warn', `${formatSize(free)} free, less than the ${formatSize(lent)} lent`, 'Lend less with `share memory=…`, or close programs')] : [],
    check('wasm', 'ok', 'the WebAssembly sandbox is ready'),
    ...view.sharing ? containerChecks(view.containers) : [],
    sharingCheck(view)
  ]
}

function offersCheck({ asked, lending, open }: PeerLook): Check {
  if (open > 0) return check('providers', 'ok', `${open} of ${asked} connected ${asked === 1 ? 'peer takes' : 'peers take'} work now`)
  if (lending > 0) return check('providers', 'warn', 'peers lend something, but none takes work now', 'They may be in use, paused or outside their hours. A job sent now waits for them; `ads` shows them')
  return check('providers', 'warn', 'no connected peer lends anything', 'A job sent now waits for one. Run `hearth up` on another PC; what it lends is set there with `share`')
}

/** What would make this host more: an engine, a newer one, cards that are there and cannot be lent. */
function containerChecks({ engine, cards, problems }: ContainersReport): Check[] {
  const gpus = [
    ...cards.map(({ card, state }) => check('gpu', 'ok', `${card.model}, ${formatSize(card.vramBytes)}: ${state === 'owner' ? 'you use it' : state === 'leased' ? 'a job uses it' : 'free'}`)),
    ...problems.map(({ message, hint }) => check('gpu', 'warn', message, hint))
  ]
  if (engine === undefined) return [check('containers', 'ok', 'this PC lends none; `share engines=wasm,container` lends them')]
  switch (engine.kind) {
    case 'none': return [check('containers', 'warn', engine.reason, engine.hint), ...gpus]
    case 'unfit': return [check('containers', 'warn', `${engine.name} ${engine.version} cannot hold a job: ${engine.faults.join('; ')}`, engine.hint), ...gpus]
    case 'ready': return [
      engine.warnings.length === 0
        ? check('containers', 'ok', `${engine.name} ${engine.version}${engine.isRootless ? ', rootless' : ''}`)
        : check('containers', 'warn', `${engine.name} ${engine.version}: ${engine.warnings.join('; ')}`, 'Jobs run all the same; update the engine to close what is known'),
      ...gpus
    ]
  }
}

function clockCheck({ look, platform }: Pick<DoctorView, 'look' | 'platform'>): Check {
  const { state, whose, oursMs, compared, off } = judgeClocks(look.aheadMs)
  if (compared === 0) return check('clock', 'ok', 'no peer to compare with yet')
  if (state === 'ok') return check('clock', 'ok', off === 0 ? `agrees with ${compared === 1 ? 'the peer' : `all ${compared} peers`}` : `agrees with ${compared - off} of ${compared} peers; ${off === 1 ? 'the clock of the other differs' : 'those of the others differ'}`)
  if (whose === 'unknown' && compared > 1) return check('clock', state, `it agrees with none of ${compared} peers, nor do they with each other`, `Compare it with a clock you trust. To set it: ${setClock(platform)}`)
  const apart = `${formatDuration(Math.abs(oursMs))} or more`
  const harm = state === 'fail' ? ': what one signs is too old or too new for the other, and no job passes between them' : ''
  const set = setClock(platform)
  return whose === 'unknown'
    ? check('clock', state, `this PC's clock and that of the only peer to compare with are ${apart} apart${harm}`, `One of them is wrong: compare both with a clock you trust. To set one: ${set}`)
    : check('clock', state, `this PC's clock is ${apart} ${oursMs < 0 ? 'behind' : 'ahead of'} those of ${off} of ${compared} peers${harm}`, `Turn on automatic time: ${set}`)
}

/** How automatic time is turned on there. */
function setClock(platform: NodeJS.Platform): string {
  switch (platform) {
    case 'win32': return 'Settings > Time & language > Date & time > Sync now'
    case 'darwin': return 'System Settings > General > Date & Time > Set time and date automatically'
    default: return 'sudo timedatectl set-ntp true'
  }
}

function sharingCheck({ sharing, closed }: Pick<DoctorView, 'sharing' | 'closed'>): Check {
  // choosing to lend nothing is no fault
  if (!sharing) return check('sharing', 'ok', 'this PC lends nothing, as you chose; `share enabled on` lends')
  if (closed === undefined) return check('sharing', 'ok', 'open for work')
  return check('sharing', 'warn', `this PC ${closed.message}, so it takes no work now`, closed.code === 'E_HOST_PAUSED' ? '`resume` lends again' : closed.code === 'E_HOST_DRAINING' ? 'Start it again with `hearth up`' : '`share` shows the hours and limits, and changes them')
}
