import { shortId } from '../ids.ts'
import { bar, percent } from '../term/bar.ts'
import { table } from '../term/table.ts'
import { clean, plural, truncate } from '../term/text.ts'
import { duration } from '../term/time.ts'
import { JOB_MARKS, JOB_WORDS } from './icons.ts'
import { noticeLine } from './notice.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'
import type { JobModel, ProviderLive } from './job-model.ts'

const MAX_BAR_COLUMNS = 48
const MAX_PROVIDERS_SHOWN = 10
const MAX_ACTIVE_NAMED = 6
const MAX_RECENT_SHOWN = 4
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const SPINNER_MS = 100

/** A job while it goes on: how far it is, who does what, what happened last, and the end of its output. */
export function jobLiveView(model: JobModel, logTail: readonly string[], view: View): string[] {
  const lines = [headLine(model, view), progressLine(model, view)]
  const providers = [...model.providers.values()]
  if (providers.length > 0) lines.push('', ...providersTable(providers, model, view))
  const recent = model.ended ? model.recent.filter(({ kind }) => kind === 'caught') : model.recent.slice(-MAX_RECENT_SHOWN)
  if (recent.length > 0) lines.push('', ...recent.map((notice) => `  ${noticeLine(notice, { ...view, width: view.width - 2 })}`))
  if (logTail.length > 0) lines.push('', ...logTail.map((line) => view.paint('dim', `  │ ${truncate(clean(line), view.width - 4)}`)))
  return lines
}

function headLine(model: JobModel, view: View): string {
  const { mark, style } = JOB_MARKS[model.state]
  const spinner = model.ended ? mark : SPINNER[Math.floor(view.nowWallMs / SPINNER_MS) % SPINNER.length] ?? mark
  const name = truncate(clean(model.name), Math.max(8, view.width - 44))
  return `${view.paint(style, spinner)} ${view.paint('bold', name)}  ${view.paint('cyan', shortId(model.id))}  ${view.paint(style, JOB_WORDS[model.state])}  ${view.paint('dim', duration(view.nowWallMs - model.createdWallMs))}`
}

function progressLine(model: JobModel, view: View): string {
  if (model.state === 'tendering' && model.providers.size === 0) {
    const { round, asked, bids, declines } = model.tender
    // one empty round is soon over; more of them are worth a word
    if (asked === 0 && round > 1) return view.paint('yellow', `  ${truncate(`nobody to ask yet: no known peer serves such jobs. It keeps looking; \`why ${shortId(model.id)}\` says more`, view.width - 2)}`)
    return view.paint('dim', `  ${asked === 0 ? 'asking the market' : `${plural(asked, 'provider')} asked, ${plural(bids, 'bid')}, ${plural(declines, 'refusal')}`}`)
  }
  const rate = model.rate(view.nowWallMs)
  const left = model.tasks - model.done.size
  const notes = [
    percent(model.fraction()).padStart(5),
    `${model.done.size} of ${plural(model.tasks, 'task')}`,
    ...(rate === undefined || model.tasks < 2 || model.ended ? [] : [`${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tasks/s`]),
    ...(rate === undefined || left === 0 || model.tasks < 2 || model.ended ? [] : [`${duration(Math.ceil(left / rate) * 1000)} left`])
  ]
  const barColumns = Math.max(8, Math.min(MAX_BAR_COLUMNS, view.width - notes.join('  ').length - 4))
  const text = truncate(notes.join('  '), Math.max(0, view.width - barColumns - 4))
  return `  ${bar(model.fraction(), barColumns, view)}  ${text}`
}

function providersTable(providers: readonly ProviderLive[], model: JobModel, view: View): string[] {
  const most = Math.max(1, ...providers.map((one) => one.done))
  const shown = providers.toSorted((a, b) => b.active.size - a.active.size || b.done - a.done).slice(0, MAX_PROVIDERS_SHOWN)
  const lines = table([
    { title: 'provider' },
    { title: 'done', align: 'right' },
    { title: '', keep: 1 },
    { title: 'failed', align: 'right', keep: 0 },
    { title: model.ended ? '' : 'working on', min: 10, keep: 3 }
  ], shown.map((one) => [
    { text: shortId(one.peer), style: model.caught.includes(one.peer) ? 'red' : 'cyan' },
    String(one.done),
    { text: '▇'.repeat(Math.ceil(one.done / most * 10)), style: 'ember' },
    one.failed > 0 ? { text: String(one.failed), style: 'red' } : '0',
    workingOn(one, model.ended)
  ]), { ...view, width: view.width - 2 }).map((line) => `  ${line}`)
  if (providers.length > shown.length) lines.push(view.paint('dim', `  and ${plural(providers.length - shown.length, 'more provider')}`))
  return lines
}

function workingOn({ active, wrong }: ProviderLive, ended: boolean): Cell {
  if (wrong > 0) return { text: 'caught: its result was wrong', style: 'red' }
  const named = [...active].slice(0, MAX_ACTIVE_NAMED).map(([task, fraction]) => fraction > 0 && fraction < 1 ? `${task} (${percent(fraction)})` : String(task))
  if (ended) return ''
  if (named.length === 0) return { text: '–', style: 'dim' }
  return active.size > named.length ? `${named.join(', ')} and ${active.size - named.length} more` : named.join(', ')
}
