import { formatSize } from '../../../src/units.ts'
import type { ShareReport } from '../../api/contract.ts'
import { SHARE_KEYS, SHARE_NAMES } from '../share-keys.ts'
import { table } from '../term/table.ts'
import { clean, plural } from '../term/text.ts'
import { remark } from './remark.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

/** Share of it that runs now, where that makes sense. */
function inUse(name: string, { reserved, gpus, policy, slots }: ShareReport): string {
  switch (name) {
    case 'cores': return `${Math.round(reserved.cores * 10) / 10} in use${policy.cores >= slots + 1 ? `; this PC has ${slots}` : ''}`
    case 'memory': return `${formatSize(reserved.memoryBytes)} in use`
    case 'disk': return `${formatSize(reserved.diskBytes)} in use`
    case 'gpus': return gpus.length === 0 ? 'none found' : gpus.map(clean).join(', ')
    default: return ''
  }
}

export function shareView(report: ShareReport, view: View): string[] {
  const { policy } = report
  const state: Cell = !policy.enabled ? { text: 'This PC lends nothing.', style: 'dim' }
    : policy.paused ? { text: 'Paused: `resume` lends again.', style: 'yellow' }
      : { text: `Lending: ${report.running} of ${plural(report.slots, 'slot')} at work.`, style: 'green' }
  return [
    view.paint(state.style, state.text),
    '',
    ...table([
      { title: 'key' }, { title: 'value', min: 10 }, { title: 'now', min: 8, keep: 1 }, { title: 'what it is', min: 16, keep: 0 }
    ], SHARE_NAMES.map((name) => [
      { text: name, style: 'cyan' },
      SHARE_KEYS[name].show(policy),
      inUse(name, report),
      { text: SHARE_KEYS[name].help, style: 'dim' }
    ]), view),
    '',
    ...remark('change it: share cores=4 memory=8GiB', view)
  ]
}
