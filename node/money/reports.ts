import { toWei } from '../../src/documents/ticket.ts'
import { alarmOf } from '../../src/payment/statistics.ts'
import type { Peer } from '../../src/peer.ts'
import { DAY_MS } from '../../src/units.ts'
import type { EarningsReport, TicketsReport, TicketSum } from '../api/money.ts'
import type { MoneyDay, MoneyJournal } from './journal.ts'
import { deviationOf } from './sums.ts'
import type { TicketTotals } from './sums.ts'

const MAX_WINNERS_SHOWN = 20
const MAX_JOBS_SHOWN = 100
/** A forecast rests on so many days at most: what was a month ago says little. */
const FORECAST_BASIS_DAYS = 14
const FORECAST_DAYS = 7
/** Of a normal distribution, nine tenths lie within so many standard deviations. */
const NINE_TENTHS = 1.645
const WEI_DIGITS = 64

function sumOf({ tickets, expected, mean }: TicketTotals, deviation: number): TicketSum {
  return { tickets, expectedWei: toWei(expected).toString(), expectedWins: mean, deviation }
}

/** (have - expected) / expected; 0 where nothing is expected. */
function offOf(haveWei: bigint, { expected }: TicketTotals): number {
  const mean = Number(expected) / 2 ** WEI_DIGITS
  return mean === 0 ? 0 : (Number(haveWei) - mean) / mean
}

/** Tickets since the journal began, and whether luck explains what came of them. */
export function ticketsReport(journal: MoneyJournal, { earning }: Pick<Peer, 'earning'>): Omit<TicketsReport, 'asset'> {
  const { received, issued, redeemed, lost, spent } = journal.total
  const pending = [...earning.winners.all()]
  return {
    sinceWallMs: journal.sinceWallMs,
    received: {
      ...sumOf(received, deviationOf(received)), wins: received.wins, wonWei: received.wonWei.toString(), redeemed: redeemed.count, redeemedWei: redeemed.wei.toString(), gasWei: redeemed.gasWei.toString(),
      pending: pending.length, pendingWei: pending.reduce((sum, { ticket }) => sum + ticket.faceValueWei, 0n).toString(), lost: lost.count, lostWei: lost.wei.toString(),
      off: offOf(received.wonWei, received), alarm: alarmOf(received, 'payee').kind
    },
    issued: { ...sumOf(issued, deviationOf(issued)), redeemed: spent.count, redeemedWei: spent.wei.toString(), off: offOf(spent.wei, issued), alarm: alarmOf({ ...issued, wins: spent.count }, 'payer').kind === 'too-many' ? 'too-many' : 'none' },
    winners: journal.winners.slice(0, MAX_WINNERS_SHOWN).map(({ digest, job, peer, faceWei, wonWallMs, state, paidWei, gasWei }) => ({
      digest, job, peer, faceWei: faceWei.toString(), wonWallMs, state, ...paidWei === 0n ? {} : { paidWei: paidWei.toString() }, ...gasWei === 0n ? {} : { gasWei: gasWei.toString() }
    }))
  }
}

export function earningsReport(journal: MoneyJournal, nowWallMs: number): Omit<EarningsReport, 'asset'> {
  const forecast = forecastOf(journal, nowWallMs)
  return {
    days: journal.days.filter(({ received, redeemed }) => received.tickets > 0 || redeemed.count !== 0).map(({ day, received, redeemed }) => ({
      day: new Date(day * DAY_MS).toISOString().slice(0, 10), tickets: received.tickets, expectedWei: toWei(received.expected).toString(), wins: received.wins, wonWei: received.wonWei.toString(), redeemedWei: redeemed.wei.toString(), gasWei: redeemed.gasWei.toString()
    })),
    jobs: journal.jobs.slice(0, MAX_JOBS_SHOWN).map(({ job, requester, lastWallMs, received }) => ({ job, requester, lastWallMs, tickets: received.tickets, expectedWei: toWei(received.expected).toString(), wins: received.wins, wonWei: received.wonWei.toString() })),
    ...forecast === undefined ? {} : { forecast }
  }
}

/**
 * The next week, if its work is as that of the whole days looked at. Two things make it uncertain: the luck of tickets (their
 * variance adds up) and how the days differ in work (sample variance of what was expected a day). An estimate, so in doubles.
 */
function forecastOf(journal: MoneyJournal, nowWallMs: number): EarningsReport['forecast'] {
  const today = Math.floor(nowWallMs / DAY_MS)
  const first = Math.max(Math.floor(journal.sinceWallMs / DAY_MS) + 1, today - FORECAST_BASIS_DAYS)
  const byDay = new Map(journal.days.map((day): [number, MoneyDay] => [day.day, day]))
  const days = Array.from({ length: Math.max(0, today - first) }, (_, i) => byDay.get(first + i)?.received)
  if (days.every((day) => day === undefined)) return undefined
  const incomes = days.map((day) => day === undefined ? 0 : Number(day.expected) / 2 ** WEI_DIGITS)
  const mean = incomes.reduce((a, b) => a + b, 0) / incomes.length
  const workVariance = incomes.length < 2 ? mean ** 2 : incomes.reduce((sum, income) => sum + (income - mean) ** 2, 0) / (incomes.length - 1)
  const luckVariance = days.reduce((sum, day) => sum + (day?.varianceWei2 ?? 0), 0) / days.length
  const deviation = Math.sqrt(FORECAST_DAYS * (workVariance + luckVariance))
  const expected = FORECAST_DAYS * mean
  const wei = (value: number): string => BigInt(Math.round(Math.max(0, value))).toString()
  return { days: FORECAST_DAYS, expectedWei: wei(expected), lowWei: wei(expected - NINE_TENTHS * deviation), highWei: wei(expected + NINE_TENTHS * deviation), basisDays: days.length, luckShare: workVariance + luckVariance === 0 ? 0 : luckVariance / (workVariance + luckVariance) }
}
