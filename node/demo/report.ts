import { formatDuration } from '../../src/units.ts'
import type { JobDetail } from '../api/contract.ts'
import { table } from '../cli/term/table.ts'
import type { View } from '../cli/term/view.ts'

/** Who did what. */
export interface JobReport { readonly job: JobDetail, readonly png: string, readonly names: Map<string, string>, readonly caught: string[], readonly lost: string[] }

export function summarise(job: JobDetail, png: string, names: Map<string, string>): JobReport {
  const nameOf = (peer: string): string => names.get(peer) ?? peer
  const caught = new Set(job.timeline.flatMap((notice) => notice.kind === 'caught' ? [nameOf(notice.peer)] : []))
  const lost = new Set(job.timeline.flatMap((notice) => notice.kind === 'agreement' && notice.state === 'closed' && (notice.code === 'E_PEER_LOST' || notice.code === 'E_PEER_SILENT') ? [nameOf(notice.peer)] : []))
  return { job, png, names, caught: [...caught], lost: [...lost] }
}

export function reportLines({ job, png, names, caught, lost }: JobReport, size: { width: number, height: number }, view: View): string[] {
  const nameOf = (peer: string): string => names.get(peer) ?? peer
  const rows = job.providers.map((provider) => {
    const name = nameOf(provider.peer)
    const fate = caught.includes(name) ? 'caught lying, shunned' : lost.includes(name) ? 'killed; its tasks moved' : 'honest'
    return [name, String(provider.tasks), String(provider.done), String(provider.wrong), fate]
  })
  const elapsed = (job.endedWallMs ?? job.createdWallMs) - job.createdWallMs
  return [
    '', view.paint('bold', 'Who did what'),
    ...table([{ title: 'node' }, { title: 'attempts', align: 'right' }, { title: 'accepted', align: 'right' }, { title: 'wrong', align: 'right' }, { title: 'what became of it' }], rows, view),
    '', `${job.tasks} tiles, each computed by ${job.replicas} strangers that had to agree, in ${formatDuration(elapsed)}.`,
    `Caught: ${caught.length === 0 ? 'nobody' : caught.join(', ')}. Died: ${lost.length === 0 ? 'nobody' : lost.join(', ')}. Wrong tiles in the picture: 0.`,
    `The picture (${size.width} x ${size.height}): ${view.paint('bold', png)}`, ''
  ]
}
