import { formatSize } from '../../../src/units.ts'
import type { Estimate } from '../../api/contract.ts'
import { shortId } from '../ids.ts'
import { fields, table } from '../term/table.ts'
import { clean, plural, wrap } from '../term/text.ts'
import { duration } from '../term/time.ts'
import { amount, cost } from './money.ts'
import { remark } from './remark.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

const MAX_ROWS = 20

/** What the cost rests on. */
function basisOf({ prices, providers, runTime, capWei }: NonNullable<Estimate['costBasis']>): [string, Cell][] {
  const price = prices === 'bids' ? `prices of ${plural(providers, 'bid')} of now` : prices === 'past' ? 'prices of past jobs of this shape' : 'your own prices, since nobody has named others'
  const time = runTime === 'seen' ? 'run times of this program' : 'limits.run, since this program has not run before'
  return [
    ['', { text: `by ${price}`, style: 'dim' }], ['', { text: `and ${time}`, style: 'dim' }],
    ...capWei === undefined ? [] : [['', { text: `never above its cap of ${amount(capWei)}`, style: 'dim' }] as [string, Cell]]
  ]
}

export function estimateView(estimate: Estimate, view: View): string[] {
  const { needs, fit, unfit } = estimate
  const gpu = needs.gpus > 0 ? `, ${plural(needs.gpus, 'GPU')}` : ''
  const takes = estimate.durationMs === undefined
    ? 'unknown: this program has not run before'
    : `${duration(estimate.durationMs.low)} to ${duration(estimate.durationMs.high)}`
  const lines = fields([
    ['tasks', estimate.replicas > 1 ? `${estimate.tasks}, each run by ${plural(estimate.replicas, 'provider')}` : `${estimate.tasks}`],
    ['a task needs', `${plural(needs.cores, 'core')}, ${formatSize(needs.memoryBytes)} memory, ${formatSize(needs.diskBytes)} disk${gpu}`],
    ['to send', `${formatSize(needs.moduleBytes)} program, ${formatSize(needs.inputBytes)} input`],
    ['takes', takes],
    ['costs', cost(estimate.costWei)],
    ...estimate.costBasis === undefined ? [] : basisOf(estimate.costBasis),
    ['fits', fit.length > 0 ? { text: `${plural(fit.length, 'provider')} now, ${plural(fit.reduce((sum, one) => sum + one.slots, 0), 'slot')}`, style: 'green' } : { text: 'nobody now', style: 'red' }]
  ], view)
  if (fit.length > 0) {
    lines.push('', ...table([
      { title: 'peer' }, { title: 'hardware', min: 10 }, { title: 'region', min: 4, keep: 1 }, { title: 'latency', align: 'right', keep: 2 }, { title: 'slots', align: 'right', keep: 3 }
    ], fit.slice(0, MAX_ROWS).map((one) => [{ text: shortId(one.peer), style: 'cyan' }, clean(one.hardware), clean(one.region), duration(one.latencyMs), String(one.slots)]), view))
    if (fit.length > MAX_ROWS) lines.push(...remark(plural(fit.length - MAX_ROWS, 'more provider'), view))
  }
  if (unfit.length > 0) {
    lines.push('', view.paint('dim', `${plural(unfit.length, 'provider')} cannot`), ...table([
      { title: 'peer' }, { title: 'misses', min: 12 }
    ], unfit.slice(0, MAX_ROWS).map((one) => [{ text: shortId(one.peer), style: 'cyan' }, one.codes.join(', ')]), view))
  }
  for (const warning of estimate.warnings) lines.push('', ...wrap(`note: ${clean(warning)}`, view.width, '      ').map((line) => view.paint('yellow', line)))
  return lines
}
