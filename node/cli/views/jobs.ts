import type { JobSummary } from '../../api/contract.ts'
import { FIRST_JOB } from '../first-job.ts'
import { shortId } from '../ids.ts'
import { bar } from '../term/bar.ts'
import { table } from '../term/table.ts'
import { clean, plural, truncate, wrap } from '../term/text.ts'
import { duration, relative } from '../term/time.ts'
import { JOB_MARKS, JOB_WORDS } from './icons.ts'
import { errorLines } from './error.ts'
import { remark } from './remark.ts'
import type { View } from '../term/view.ts'

/** Newest first. */
export function jobsView(jobs: readonly JobSummary[], total: number, view: View): string[] {
  if (total === 0) return wrap(`no jobs yet: try \`${FIRST_JOB}\``, view.width)
  const rows = jobs.map((job) => [
    { text: shortId(job.id), style: 'cyan' as const },
    clean(job.name),
    { text: `${JOB_MARKS[job.state].mark} ${job.state}`, style: JOB_MARKS[job.state].style },
    `${job.done}/${job.tasks}`,
    job.failed > 0 ? { text: String(job.failed), style: 'red' as const } : '0',
    duration((job.endedWallMs ?? view.nowWallMs) - job.createdWallMs),
    relative(job.createdWallMs, view.nowWallMs)
  ])
  const lines = table([
    { title: 'job' },
    { title: 'name', min: 8, cut: 'middle' },
    { title: 'state' },
    { title: 'tasks', align: 'right', keep: 4 },
    { title: 'failed', align: 'right', keep: 1 },
    { title: 'took', align: 'right', keep: 2 },
    { title: 'sent', align: 'right', keep: 3 }
  ], rows, view)
  if (total > jobs.length) lines.push(...remark(`${plural(total - jobs.length, 'older job')} not shown: --all`, view))
  return lines
}

/** The first lines of whatever is about one job. */
export function jobHead(job: JobSummary, view: View): string[] {
  const { mark, style } = JOB_MARKS[job.state]
  const took = duration((job.endedWallMs ?? view.nowWallMs) - job.createdWallMs)
  return [
    `${view.paint(style, mark)} ${view.paint('bold', truncate(clean(job.name), Math.max(6, view.width - 44)))}  ${view.paint('cyan', shortId(job.id))}  ${view.paint(style, JOB_WORDS[job.state])}  ${view.paint('dim', took)}`,
    `  ${bar(job.tasks === 0 ? 0 : job.done / job.tasks, Math.min(40, Math.max(8, view.width - 24)), view)}  ${job.done} of ${plural(job.tasks, 'task')}`,
    ...(job.error === undefined ? [] : errorLines(job.error, { ...view, width: view.width - 2 }).map((line) => `  ${line}`))
  ]
}
