import { formatSize } from '../../../src/units.ts'
import type { AdSummary, PeerSummary } from '../../api/contract.ts'
import { shortId } from '../ids.ts'
import { table } from '../term/table.ts'
import { clean, groupDigits, wrap } from '../term/text.ts'
import { duration } from '../term/time.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

export function peersView(peers: readonly PeerSummary[], view: View): string[] {
  if (peers.length === 0) return wrap('no peers yet: nodes on the same network find each other within seconds; others with `dial ADDRESS`, and `doctor` says what is in the way', view.width)
  return table([
    { title: 'peer' },
    { title: 'latency', align: 'right' },
    { title: 'way', keep: 2 },
    { title: 'done', align: 'right', keep: 5 },
    { title: 'failed', align: 'right', keep: 4 },
    { title: 'late', align: 'right', keep: 3 },
    { title: 'wrong', align: 'right', keep: 6 },
    { title: 'score', align: 'right', keep: 7 },
    { title: 'address', min: 16, keep: 1, cut: 'middle' }
  ], peers.toSorted((a, b) => a.latencyMs - b.latencyMs).map((one) => [
    { text: shortId(one.peer), style: 'cyan' },
    duration(one.latencyMs),
    one.direction === 'inbound' ? 'in' : 'out',
    count(one.completed),
    count(one.failed),
    count(one.late),
    one.wrong > 0 ? { text: count(one.wrong), style: 'red' } : '0',
    score(one.score),
    clean(one.addresses[0] ?? '')
  ]), view)
}

/** Experience fades, so that counts have fractions. */
function count(value: number): string {
  return groupDigits(Math.round(value))
}

function score(value: number): Cell {
  return { text: value.toFixed(2), style: value < 0 ? 'red' : 'dim' }
}

export function adsView(ads: readonly AdSummary[], view: View): string[] {
  if (ads.length === 0) return wrap('no ads yet: nobody near offers capacity. `peers` shows who is connected, `doctor` what is in the way', view.width)
  return table([
    { title: 'peer' },
    { title: 'open' },
    { title: 'cores', align: 'right' },
    { title: 'memory', align: 'right' },
    { title: 'disk', align: 'right', keep: 2 },
    { title: 'gpu', min: 6, keep: 5 },
    { title: 'engines', min: 4, keep: 3 },
    { title: 'region', min: 6, keep: 4 },
    { title: 'latency', align: 'right', keep: 6 },
    { title: 'age', align: 'right', keep: 1 }
  ], ads.toSorted((a, b) => Number(b.ad.open) - Number(a.ad.open) || a.latencyMs - b.latencyMs).map(({ ad, latencyMs, ageMs }) => [
    { text: shortId(ad.identity.peer), style: 'cyan' },
    ad.open ? { text: 'yes', style: 'green' } : { text: 'no', style: 'dim' },
    `${trim(ad.free.cores)}/${trim(ad.hardware.cores)}`,
    `${formatSize(ad.free.memoryBytes)}/${formatSize(ad.hardware.memoryBytes)}`,
    formatSize(ad.free.diskBytes),
    ad.hardware.gpus.length === 0 ? '' : `${ad.free.gpus}/${ad.hardware.gpus.length} ${clean(ad.hardware.gpus[0]?.model ?? '')}`,
    ad.engines.join(' '),
    clean(ad.region),
    duration(latencyMs),
    duration(ageMs)
  ]), view)
}

function trim(value: number): string {
  return String(Math.round(value * 10) / 10)
}
