import { formatSize } from '../../../src/units.ts'
import type { Bill, BillSums, CapsReport, PriceReport } from '../../api/money.ts'
import { shortId } from '../ids.ts'
import { fields, table } from '../term/table.ts'
import { clean, groupDigits, truncate, wrap } from '../term/text.ts'
import { duration } from '../term/time.ts'
import { amount } from './money.ts'
import { remark } from './remark.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

const PERCENT = 100

export function billView({ asset, job, name, state, providers, total, capWei }: Bill, view: View): string[] {
  const money = (wei: string): string => amount(wei, asset)
  if (providers.length === 0) return wrap(`${clean(name)} (${shortId(job)}) has cost nothing: no provider was paid`, view.width)
  const row = (who: Cell, one: BillSums, price: string): Cell[] => [who, groupDigits(one.tickets), duration(one.workedMs), price, { text: money(one.paidWei), style: 'yellow' }, money(one.heldBackWei), money(one.refundWei), money(one.winnersWei)]
  return [
    `${view.paint('bold', truncate(clean(name), Math.max(8, view.width - 22)))} ${view.paint('dim', shortId(job))} ${state}`,
    '',
    ...table([
      { title: 'provider' }, { title: 'tickets', align: 'right', keep: 1 }, { title: 'worked', align: 'right', keep: 3 }, { title: 'price', align: 'right', keep: 2 }, { title: 'paid', align: 'right' }, { title: 'held back', align: 'right', keep: 5 }, { title: 'refunded', align: 'right', keep: 4 }, { title: 'drawn', align: 'right', keep: 6 }
    ], [
      ...providers.map((one) => row({ text: shortId(one.peer), style: 'cyan' }, one, `${money(one.unitPriceWei)} / ${duration(one.unitMs)}`)),
      row({ text: 'in all', style: 'bold' }, total, '')
    ], view),
    '',
    ...wrap(`Paid is what the tickets cost on average${total.aheadWei === '0' ? '' : `; ${money(total.aheadWei)} of it was paid ahead and not worked off`}. In fact ${total.winners} of them won so far and took ${money(total.winnersWei)} from your deposit. Of ${duration(total.workedMs)} of work, ${duration(total.acceptedMs)} gave results that count and ${duration(total.failedMs)} failed${total.movedBytes === 0 ? '' : `; ${formatSize(total.movedBytes)} were moved for ${money(total.movedWei)}`}${total.refundDueWei === '0' ? '' : `; of what that was paid, ${money(total.refundDueWei)} is due back by the agreements and ${money(total.refundWei)} was signed over`}.`, view.width),
    ...capWei === undefined ? [] : remark(`its cap: ${money(capWei)}`, view)
  ]
}

export function priceView({ asset, coreHourWei, gibHourWei, gpuHourWei, movedWei, fuelWei, unitMs, holdback, refund }: PriceReport, view: View): string[] {
  const money = (wei: string): string => amount(wei, asset)
  return [
    ...fields([
      ['coreHour', `${money(coreHourWei)} for one processor core for an hour`],
      ['gibHour', `${money(gibHourWei)} for one GiB of memory for an hour`],
      ['gpuHour', `${money(gpuHourWei)} for one graphics card for an hour`],
      ['moved', `${money(movedWei)} for one GiB of program, inputs and results, with each result that is accepted`],
      ['fuel', `${money(fuelWei)} for 2^30 fuel: said in bids, and charged once runs are metered`],
      ['paid', `by a ticket for each ${duration(unitMs)} of work of a task`],
      ['held back', `${Math.round(holdback * PERCENT)} %, until a result matches`],
      ['refunded', `${Math.round(refund * PERCENT)} % of what failed work was paid`]
    ], view),
    '',
    ...remark('change it: price coreHour=20000gwei. Bids from then on ask it; what is agreed keeps its price', view)
  ]
}

export function capsView({ asset, jobWei, dayWei, peerDayWei, confirmAboveWei, spentTodayWei, peers }: CapsReport, view: View): string[] {
  const cap = (wei: string | undefined): Cell => wei === undefined ? { text: 'none', style: 'dim' } : amount(wei, asset)
  return [
    ...fields([
      ['job', cap(jobWei)], ['day', cap(dayWei)], ['peer', cap(peerDayWei)], ['confirm above', cap(confirmAboveWei)],
      ['spent today', `${amount(spentTodayWei, asset)} on average${peers.length === 0 ? '' : `: ${peers.slice(0, 3).map(({ peer, spentWei }) => `${amount(spentWei, asset)} to ${shortId(peer)}`).join(', ')}${peers.length > 3 ? ', …' : ''}`}`]
    ], view),
    '',
    ...remark('job: any job; day: all of a day (UTC); peer: one provider in a day. Change: caps day=0.1eth job=none', view)
  ]
}
