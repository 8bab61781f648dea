import { formatSize } from '../../src/units.ts'
import type { NodeStatus, ShareReport } from '../api/contract.ts'
import { shortId } from '../cli/ids.ts'
import { FIRST_JOB } from '../cli/first-job.ts'
import { plural, truncate } from '../cli/term/text.ts'
import type { View } from '../cli/term/view.ts'

/** What a person sees first: who this node is, what it lends, and what to type. */
export function bannerLines(status: NodeStatus, { policy, gpus }: ShareReport, view: View): string[] {
  const lends = !policy.enabled ? 'lends nothing'
    : `lends ${plural(policy.cores, 'core')}, ${formatSize(policy.memoryBytes)} memory, ${formatSize(policy.diskBytes)} disk${policy.gpus && gpus.length > 0 ? `, ${plural(gpus.length, 'GPU')}` : ''}${policy.paused ? ' (paused)' : ''}`
  const peers = status.peers === 0 ? 'looking for peers' : plural(status.peers, 'peer')
  const ember = (text: string): string => view.paint('ember', text)
  const lines = [
    ['  ▄██▄  ', `hearth ${status.version} · ${status.mode}`],
    [' ▟█▀▀█▙ ', `this node is ${shortId(status.peer)} · ${peers}`],
    [' ██▄▄██ ', lends],
    ['', '']
  ].map(([art = '', text = '']) => art === '' ? '' : `${ember(art)} ${truncate(text, view.width - 10)}`)
  return [...lines, view.paint('dim', truncate(`\`${FIRST_JOB}\` sends a first job · \`help\` says more · Tab completes`, view.width)), '']
}
