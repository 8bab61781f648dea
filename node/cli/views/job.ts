import type { ErrorShape } from '../../../src/errors.ts'
import { formatSize } from '../../../src/units.ts'
import type { JobDetail } from '../../api/contract.ts'
import { shortId } from '../ids.ts'
import { percent } from '../term/bar.ts'
import { fields, table } from '../term/table.ts'
import { clean, groupDigits, plural } from '../term/text.ts'
import { duration, relative } from '../term/time.ts'
import { errorLines } from './error.ts'
import { jobHead } from './jobs.ts'
import { noticeLine } from './notice.ts'
import { remark } from './remark.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

/** Tasks listed for a person: those that matter first. JSON has them all. */
const MAX_TASKS_SHOWN = 20
const MAX_TIMELINE_SHOWN = 15

type Task = JobDetail['taskList'][number]

export function jobView(job: JobDetail, view: View): string[] {
  return [
    ...jobHead(job, view),
    '',
    ...fields([
      ['id', job.id],
      ['sent', relative(job.createdWallMs, view.nowWallMs)],
      ['accepts', job.quorum === 1 && job.replicas === 1 ? 'the first result' : `${job.quorum} equal results of ${job.replicas}`]
    ], view),
    '',
    ...section('providers', providersTable(job.providers, view), view),
    ...section('tasks', tasksTable(job, view), view),
    ...section('timeline', timeline(job, view), view),
    ...next(job, view)
  ]
}

function section(title: string, lines: readonly string[], view: View): string[] {
  return lines.length === 0 ? [] : [view.paint('bold', title), ...lines.map((line) => `  ${line}`), '']
}

export function providersTable(providers: JobDetail['providers'], view: View): string[] {
  if (providers.length === 0) return ['none yet: `why` says what the job waits for']
  return table([
    { title: 'peer' },
    { title: 'state', min: 6, keep: 2 },
    { title: 'tasks', align: 'right', keep: 1 },
    { title: 'done', align: 'right' },
    { title: 'wrong', align: 'right' },
    { title: 'failed', align: 'right' }
  ], providers.map((one) => [
    { text: shortId(one.peer), style: 'cyan' },
    clean(one.state),
    String(one.tasks),
    String(one.done),
    alarm(one.wrong),
    alarm(one.failed)
  ]), { ...view, width: view.width - 2 })
}

function alarm(count: number): Cell {
  return count > 0 ? { text: String(count), style: 'red' } : '0'
}

/** Failed first, then at work, then waiting, then done. */
function urgency(task: Task): number {
  if (task.error !== undefined || task.state === 'failed') return 0
  if (task.state === 'done') return 3
  return task.fraction > 0 || task.peers.length > 0 ? 1 : 2
}

function tasksTable({ taskList: tasks, quorum }: JobDetail, view: View): string[] {
  const inner = { ...view, width: view.width - 2 }
  const telling = tasks.length <= MAX_TASKS_SHOWN ? tasks : tasks.filter((task) => urgency(task) < 2)
  const shown = telling.toSorted((a, b) => urgency(a) - urgency(b) || a.index - b.index).slice(0, MAX_TASKS_SHOWN)
  if (shown.length === 0) return rest(tasks, inner)
  const lines = table([
    { title: 'task', align: 'right' },
    { title: 'state', min: 6 },
    { title: 'at', align: 'right', keep: 3 },
    { title: 'tries', align: 'right', keep: 1 },
    { title: 'exit', align: 'right', keep: 2 },
    { title: 'took', align: 'right', keep: 4 },
    { title: 'memory', align: 'right', keep: 6 },
    { title: 'peers', min: 8, keep: 4 },
    { title: 'problem', min: 10, keep: 5 }
  ], shown.map((task) => [
    String(task.index),
    task.state === 'done' ? doneCell(task, quorum) : task.state === 'failed' ? { text: 'failed', style: 'red' } : clean(task.state),
    task.state === 'done' || task.fraction === 0 ? '' : percent(task.fraction),
    String(task.attempts),
    task.exitCode === undefined ? '' : String(task.exitCode),
    task.usage === undefined ? '' : duration(task.usage.wallMs),
    task.usage === undefined ? '' : formatSize(task.usage.peakMemoryBytes),
    task.peers.map(shortId).join(' '),
    task.error === undefined ? '' : { text: problem(task.error), style: 'red' }
  ]), inner)
  const hidden = tasks.filter((task) => !shown.includes(task))
  return hidden.length === 0 ? lines : [...lines, ...rest(hidden, inner)]
}

function problem({ code, message }: ErrorShape): string {
  const text = clean(message)
  return `${code}: ${text.replace(` (${code})`, '')}`
}

/** A job that takes the first result has nothing to compare it with: that is no fault of a task. */
function doneCell({ verified }: Task, quorum: number): Cell {
  return verified || quorum === 1 ? { text: 'done', style: 'green' } : { text: 'unverified', style: 'yellow' }
}

/** `28 waiting, 20 done`: tasks that are not listed, by state. */
function rest(tasks: readonly Task[], view: View): string[] {
  const counts = new Map<string, number>()
  for (const { state } of tasks) counts.set(state, (counts.get(state) ?? 0) + 1)
  return remark(`${[...counts].map(([state, count]) => `${groupDigits(count)} ${clean(state)}`).join(', ')}: all of them with --json`, view)
}

function timeline(job: JobDetail, view: View): string[] {
  const inner = { ...view, width: view.width - 2 }
  const shown = job.timeline.slice(-MAX_TIMELINE_SHOWN)
  const lines = shown.map((notice) => noticeLine(notice, inner))
  const hidden = job.timeline.length - shown.length
  return hidden > 0 ? [...remark(`${plural(hidden, 'earlier line')}: all of them with --json`, inner), ...lines] : lines
}

/** What to do now. */
function next(job: JobDetail, view: View): string[] {
  const id = shortId(job.id)
  const failed = job.taskList.find((task) => task.error !== undefined)?.error
  const say = (text: string): string[] => remark(text, view)
  switch (job.state) {
    case 'done': return say(`fetch the results: results ${id}`)
    case 'tendering': return say(`what it waits for: why ${id}`)
    case 'running': return say(`follow it: watch ${id} · its output: logs ${id} -f`)
    case 'failed': return job.error === undefined && failed !== undefined ? errorLines(failed, view) : say(`why: why ${id} · what it printed: logs ${id}`)
    case 'cancelled': return []
  }
}
