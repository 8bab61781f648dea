import type { EarningsReport, TicketsReport } from '../../api/money.ts'
import { shortId } from '../ids.ts'
import { fields, table } from '../term/table.ts'
import { groupDigits, plural, wrap } from '../term/text.ts'
import { relative } from '../term/time.ts'
import { amount } from './money.ts'
import { remark } from './remark.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

const MAX_ROWS = 20
/** Within twice the standard deviation is where nineteen in twenty are. */
const USUAL = 2

function percent(share: number): string {
  return `${share > 0 ? '+' : ''}${Math.abs(share) < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`
}

/** What luck alone does to a sum. */
function spread(deviation: number): [string, Cell][] {
  return deviation === 0 ? [] : [['luck', `${percent(deviation).replace('+', '±')} is to be expected, seldom more than ${percent(USUAL * deviation).replace('+', '±')}`]]
}

function wins(mean: number): string {
  return mean >= 10 ? groupDigits(Math.round(mean)) : String(Number(mean.toPrecision(2)))
}

function alarm(kind: string): Cell | undefined {
  if (kind === 'too-many') return { text: 'more wins than luck explains: does the payer choose its salts well?', style: 'red' }
  return kind === 'too-few' ? { text: 'fewer wins than luck explains: does somebody know this node\'s secrets, or withhold winners?', style: 'red' } : undefined
}

export function ticketsView({ asset, received, issued, winners, sinceWallMs }: TicketsReport, view: View): string[] {
  const money = (wei: string): string => amount(wei, asset)
  if (received.tickets === 0 && issued.tickets === 0) return wrap('no tickets yet: they come and go while jobs run here, or yours elsewhere. `help money` explains them', view.width)
  const lines = [view.paint('dim', `since ${new Date(sinceWallMs).toISOString().slice(0, 10)}`)]
  if (received.tickets > 0) {
    const wrong = alarm(received.alarm)
    lines.push(view.paint('bold', 'received'), ...fields([
      ['tickets', `${groupDigits(received.tickets)}, worth ${money(received.expectedWei)} on average`],
      ['won', `${plural(received.wins, 'ticket')} of ${wins(received.expectedWins)} expected: ${money(received.wonWei)}, ${percent(received.off)} of the average`],
      ...spread(received.deviation),
      ['redeemed', `${plural(received.redeemed, 'winner')}, ${money(received.redeemedWei)} for ${amount(received.gasWei)} of gas`],
      ['on the way', `${plural(received.pending, 'winner')}, ${money(received.pendingWei)}`],
      ...received.lost === 0 ? [] : [['lost', { text: `${plural(received.lost, 'winner')}, ${money(received.lostWei)}: never paid`, style: 'red' }] as [string, Cell]],
      ...wrong === undefined ? [] : [['alarm', wrong] as [string, Cell]]
    ], view))
  }
  if (issued.tickets > 0) {
    const wrong = alarm(issued.alarm)
    lines.push(...lines.length > 1 ? [''] : [], view.paint('bold', 'issued'), ...fields([
      ['tickets', `${groupDigits(issued.tickets)}, costing ${money(issued.expectedWei)} on average`],
      ['drawn', `${plural(issued.redeemed, 'winner')} of ${wins(issued.expectedWins)} expected took ${money(issued.redeemedWei)} from the deposit`],
      ...spread(issued.deviation),
      ...wrong === undefined ? [] : [['alarm', wrong] as [string, Cell]]
    ], view), ...remark('winners of others may be redeemed days later, or never', view))
  }
  if (winners.length > 0) {
    lines.push('', view.paint('bold', 'winners here'), ...table([
      { title: 'ticket' }, { title: 'won', align: 'right' }, { title: 'state' }, { title: 'from', keep: 3 }, { title: 'job', keep: 2 }, { title: 'when', keep: 1 }
    ], winners.slice(0, MAX_ROWS).map((one) => [one.digest.slice(0, 10), money(one.faceWei), { text: one.state, style: one.state === 'redeemed' ? 'green' : one.state === 'refused' ? 'red' : 'yellow' }, one.peer === '' ? '–' : shortId(one.peer), one.job === '' ? '–' : shortId(one.job), relative(one.wonWallMs, view.nowWallMs)]), view))
  }
  return lines
}

export function earningsView({ asset, days, jobs, forecast }: EarningsReport, by: 'day' | 'job', view: View): string[] {
  const money = (wei: string): string => amount(wei, asset)
  if (days.length === 0) return wrap('nothing earned yet: work comes by itself while this PC lends, and `why idle` says what keeps it away', view.width)
  const lines = by === 'day'
    ? table([
      { title: 'day' }, { title: 'tickets', align: 'right', keep: 1 }, { title: 'on average', align: 'right' }, { title: 'won', align: 'right' }, { title: 'winners', align: 'right', keep: 2 }, { title: 'redeemed', align: 'right', keep: 4 }, { title: 'gas', align: 'right', keep: 3 }
    ], days.slice(0, MAX_ROWS).map((day) => [day.day, groupDigits(day.tickets), money(day.expectedWei), { text: money(day.wonWei), style: 'green' }, String(day.wins), money(day.redeemedWei), amount(day.gasWei)]), view)
    : table([
      { title: 'job' }, { title: 'from', keep: 2 }, { title: 'tickets', align: 'right', keep: 1 }, { title: 'on average', align: 'right' }, { title: 'won', align: 'right' }, { title: 'winners', align: 'right', keep: 3 }, { title: 'last', keep: 0 }
    ], jobs.slice(0, MAX_ROWS).map((job) => [{ text: shortId(job.job), style: 'cyan' }, shortId(job.requester), groupDigits(job.tickets), money(job.expectedWei), { text: money(job.wonWei), style: 'green' }, String(job.wins), relative(job.lastWallMs, view.nowWallMs)]), view)
  const more = (by === 'day' ? days.length : jobs.length) - MAX_ROWS
  if (more > 0) lines.push(...remark(`${plural(more, by === 'day' ? 'more day' : 'more job')}: --json has all`, view))
  lines.push('', ...wrap(forecast === undefined
    ? 'No forecast yet: it needs a whole day (UTC) with work.'
    : `The next ${forecast.days} days: about ${money(forecast.expectedWei)}, and nine times in ten between ${money(forecast.lowWei)} and ${money(forecast.highWei)}, if as much work comes as on the last ${plural(forecast.basisDays, 'whole day')}. ${Math.round(forecast.luckShare * 100)} % of that spread is the luck of tickets, the rest how much work comes.${forecast.basisDays < 3 ? ' So few days say little.' : ''}`, view.width))
  return lines
}
