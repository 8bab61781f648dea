import { toWei } from '../../src/documents/ticket.ts'
import type { Audit, Earnings } from './audit.ts'
import { table } from '../cli/term/table.ts'
import type { View } from '../cli/term/view.ts'

const WEI_DIGITS = 18
const SHOWN_DIGITS = 6

/** With six digits after the point, rounded down, so that columns line up. */
export function ether(wei: bigint): string {
  const digits = (wei < 0n ? -wei : wei).toString().padStart(WEI_DIGITS + 1, '0')
  return `${wei < 0n ? '-' : ''}${digits.slice(0, -WEI_DIGITS)}.${digits.slice(-WEI_DIGITS, -WEI_DIGITS + SHOWN_DIGITS)}`
}

export interface Fates { readonly caught: readonly string[], readonly lost: readonly string[] }

/** Who earned what, in expectation and in fact, and whether it is what the chain says. */
export function moneyLines(audit: Audit, coreHourWei: bigint, fates: Fates, view: View): string[] {
  const { earnings, depositBeforeWei, depositAfterWei } = audit
  const sum = (of: (one: Earnings) => bigint): bigint => earnings.reduce((total, one) => total + of(one), 0n)
  const count = (of: (one: Earnings) => number): number => earnings.reduce((total, one) => total + of(one), 0)
  const row = (name: string, workMs: number, tickets: number, winners: number, money: readonly bigint[]): string[] =>
    [name, (workMs / 1000).toFixed(1), ether(coreHourWei), String(tickets), ...money.slice(0, 1).map(ether), String(winners), ...money.slice(1).map(ether)]
  const rows = earnings.map((one) => row(one.name, one.workMs, one.tickets, one.winners, [toWei(one.expected), one.wonWei, one.redeemedWei, one.gasWei, toWei(one.forfeited)]))
  const all = row('all', count(({ workMs }) => workMs), count(({ tickets }) => tickets), count(({ winners }) => winners), [toWei(sum(({ expected }) => expected)), sum(({ wonWei }) => wonWei), sum(({ redeemedWei }) => redeemedWei), sum(({ gasWei }) => gasWei), toWei(sum(({ forfeited }) => forfeited))])
  const mean = count(({ meanWinners }) => meanWinners)
  const deviation = Math.sqrt(count(({ variance }) => variance))
  const right = (title: string): { title: string, align: 'right' } => ({ title, align: 'right' })
  return [
    view.paint('bold', 'Who earned what (ether)'),
    ...table([{ title: 'node' }, ...['core-s', 'a core-hour', 'tickets', 'expected', 'winners', 'won', 'redeemed', 'gas', 'held back'].map(right)], [...rows, all], view),
    '',
    `${count(({ winners }) => winners)} tickets of ${count(({ tickets }) => tickets)} won, where ${mean.toFixed(1)} were to be expected, give or take ${deviation.toFixed(1)}: the luck of two minutes; over many jobs it evens out.`,
    ...earnings.flatMap(({ name, forfeited }) => fateLine(name, toWei(forfeited), fates)),
    `Of what was paid, ${ether(toWei(sum(({ ahead }) => ahead)))} were ahead of work that came no more: about a unit of one core-second a provider, which is what you risk with each.`,
    `Your deposit: ${ether(depositBeforeWei)} ether before, ${ether(depositAfterWei)} after; the chain moved for winners only.`,
    ...verdictLines(audit, view), ''
  ]
}

function fateLine(name: string, forfeitedWei: bigint, { caught, lost }: Fates): string[] {
  if (caught.includes(name)) return [`${name} lied: ${ether(forfeitedWei)} ether of its price, held back until its results matched, stay with you.`]
  if (!lost.includes(name)) return []
  return [`${name} was killed${forfeitedWei === 0n ? '' : `: ${ether(forfeitedWei)} ether, held back for work that nobody saw, stay with you`}. Back again, it said where it stood and redeemed what it had won.`]
}

function verdictLines({ checked, disagreements }: Audit, view: View): string[] {
  if (disagreements.length === 0) return [view.paint('green', `The sums agree with the chain to the wei: ${checked} comparisons of your books, the providers' books, the contract and the gas.`)]
  return [view.paint('red', `The sums do NOT agree: ${disagreements.length} of ${checked} comparisons differ.`), ...disagreements.map((words) => view.paint('red', `  ${words}`))]
}
