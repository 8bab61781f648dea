import type { WhyReport } from '../../api/contract.ts'
import { shortId } from '../ids.ts'
import { table } from '../term/table.ts'
import { clean, plural, wrap } from '../term/text.ts'
import { remark } from './remark.ts'
import type { View } from '../term/view.ts'

const MAX_ROWS = 20

export function whyView(report: WhyReport, view: View): string[] {
  const inner = { ...view, width: view.width - 2 }
  const lines = wrap(clean(report.verdict), view.width).map((line) => view.paint('bold', line))
  if (report.missing.length > 0) {
    lines.push('', 'nobody meets', ...table([
      { title: 'requirement', min: 12 },
      { title: 'refused', align: 'right', keep: 1 },
      { title: 'would fit otherwise', align: 'right', keep: 2 },
      { title: 'code', min: 8, keep: 0 }
    ], report.missing.slice(0, MAX_ROWS).map((one) => [{ text: clean(one.requirement), style: 'yellow' }, plural(one.peers, 'peer'), plural(one.wouldFitOtherwise, 'peer'), one.code]), inner).map((line) => `  ${line}`))
  }
  if (report.refusals.length > 0) {
    lines.push('', 'refusals', ...table([
      { title: 'peer' },
      { title: 'times', align: 'right', keep: 1 },
      { title: 'code', min: 8, keep: 2 },
      { title: 'says', min: 12 }
    ], report.refusals.slice(0, MAX_ROWS).map((one) => [{ text: shortId(one.peer), style: 'cyan' }, String(one.times), one.code, clean(one.message)]), inner).map((line) => `  ${line}`))
    if (report.refusals.length > MAX_ROWS) lines.push(...remark(`${plural(report.refusals.length - MAX_ROWS, 'more refusal')}: all of them with --json`, view))
  }
  if (report.hints.length > 0) {
    lines.push('')
    for (const hint of report.hints) {
      const [first = '', ...more] = wrap(`hint: ${clean(hint)}`, view.width, '      ')
      lines.push(view.paint('cyan', 'hint:') + first.slice('hint:'.length), ...more)
    }
  }
  return lines
}
