import { formatSize } from '../../../src/units.ts'
import type { Check, NodeStatus, ResultsReport } from '../../api/contract.ts'
import { fields, table } from '../term/table.ts'
import { clean, plural, wrap } from '../term/text.ts'
import { duration } from '../term/time.ts'
import type { Cell } from '../term/table.ts'
import type { Style } from '../term/paint.ts'
import type { View } from '../term/view.ts'

const MODES: Record<NodeStatus['mode'], string> = {
  free: 'free (no payments)',
  devnet: 'devnet (play money)',
  chain: 'chain'
}

/** What the node does for others now. */
function lending(status: NodeStatus): Cell {
  if (!status.sharing) return { text: 'nothing (this node only sends jobs)', style: 'dim' }
  if (status.paused) return { text: 'paused: `resume` lends again', style: 'yellow' }
  return { text: `${status.running} of ${plural(status.slots, 'slot')} at work`, style: 'green' }
}

export function statusView(status: NodeStatus, view: View): string[] {
  return fields([
    ['peer', status.peer],
    ['version', `hearth ${status.version}, ${MODES[status.mode]}`],
    ['up', duration(view.nowWallMs - status.upSinceWallMs)],
    ['peers', status.peers === 0 ? { text: 'none yet', style: 'yellow' } : plural(status.peers, 'peer')],
    ['lends', lending(status)],
    ['your jobs', `${status.jobs.active} active, ${status.jobs.done} done, ${status.jobs.failed} failed`],
    ['memory', formatSize(status.residentBytes)],
    ...(status.addresses.length === 0 ? [['address', 'none: others cannot reach this node'] as const] : reachableFirst(status.addresses).map((address, i) => [i === 0 ? 'address' : '', clean(address)] as const))
  ], view)
}

/** What somebody may type elsewhere stands first; addresses of this PC to itself last. */
function reachableFirst(addresses: readonly string[]): string[] {
  const isOwn = (address: string): boolean => /^\/ip4\/127\.|^\/ip6\/::1\//.test(address)
  return [...addresses.filter((address) => !isOwn(address)), ...addresses.filter(isOwn)]
}

const CHECK_MARKS: Record<Check['state'], { mark: string, style: Style }> = {
  ok: { mark: '✓', style: 'green' },
  warn: { mark: '!', style: 'yellow' },
  fail: { mark: '✗', style: 'red' }
}

export function checksView(checks: readonly Check[], view: View): string[] {
  const nameColumns = Math.max(0, ...checks.map((check) => clean(check.name).length))
  const indent = ' '.repeat(Math.min(nameColumns + 4, Math.floor(view.width / 3)))
  const lines: string[] = []
  for (const check of checks) {
    const { mark, style } = CHECK_MARKS[check.state]
    const [first = '', ...more] = wrap(clean(check.message), Math.max(16, view.width - indent.length))
    lines.push(`${view.paint(style, mark)} ${view.paint('bold', clean(check.name).padEnd(nameColumns))}  ${first}`, ...more.map((line) => indent + line))
    if (check.hint !== '' && check.state !== 'ok') lines.push(...wrap(`hint: ${clean(check.hint)}`, Math.max(16, view.width - indent.length), '      ').map((line) => indent + view.paint('cyan', line)))
  }
  const bad = checks.filter((check) => check.state !== 'ok').length
  return [...lines, '', bad === 0 ? view.paint('green', 'all is well') : view.paint('yellow', `${plural(bad, 'thing')} to look at`)]
}

export function resultsView(report: ResultsReport, view: View): string[] {
  const verified = report.verified ? { text: 'yes: as many providers agree as the job asks for', style: 'green' as const } : { text: 'no: these were not compared yet', style: 'yellow' as const }
  const bad = report.tasks.filter((task) => task.exitCode !== 0)
  return [
    ...fields([
      ['results', report.to],
      ...(report.missing > 0 ? [['tasks', { text: `${report.tasks.length} of ${report.tasks.length + report.missing}: the others have no result yet`, style: 'yellow' as const }] as const] : []),
      ['files', `${plural(report.files, 'file')}, ${formatSize(report.bytes)}`],
      ['verified', verified]
    ], view),
    ...(bad.length === 0 ? [] : ['', ...table([{ title: 'task', align: 'right' }, { title: 'exit', align: 'right' }, { title: 'folder', min: 12, cut: 'middle' }], bad.slice(0, 20).map((task) => [String(task.index), { text: String(task.exitCode), style: 'red' }, task.path]), view)])
  ]
}

