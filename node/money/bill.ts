import { carriageOf } from '../../src/documents/terms.ts'
import { dueFor, heldBack, totalOf } from '../../src/payment/ledger.ts'
import type { Sender } from '../../src/payment/sender.ts'
import { toWei } from '../../src/documents/ticket.ts'
import type { Job } from '../../src/job/job.ts'
import type { Bill, BillRow, BillSums } from '../api/money.ts'
import type { MoneyJournal } from './journal.ts'

const NOTHING: BillSums = { workedMs: 0, acceptedMs: 0, failedMs: 0, waitingMs: 0, movedBytes: 0, movedWei: '0', tickets: 0, paidWei: '0', aheadWei: '0', heldBackWei: '0', refundWei: '0', refundDueWei: '0', winners: 0, winnersWei: '0' }

/** What a job cost, by provider: what was signed for, and what winners took of it. */
export function billOf(job: Job, senders: Iterable<Sender>, journal: MoneyJournal, capWei: bigint | undefined): Omit<Bill, 'asset'> {
  const drawn = new Map<string, { count: number, wei: bigint }>()
  for (const { job: of, agreement, faceWei } of journal.spent) {
    if (of !== job.id) continue
    const before = drawn.get(agreement) ?? { count: 0, wei: 0n }
    drawn.set(agreement, { count: before.count + 1, wei: before.wei + faceWei })
  }
  const providers = [...senders].filter(({ payment }) => payment.job === job.id).map((sender) => rowOf(sender, drawn.get(sender.id)))
  return { job: job.id, name: job.document.name, state: job.state.kind, providers, total: providers.reduce<BillSums>(add, NOTHING), ...capWei === undefined ? {} : { capWei: capWei.toString() } }
}

function rowOf(sender: Sender, drawn: { count: number, wei: bigint } | undefined): BillRow {
  const { payment: { provider, agreement, terms }, work, state } = sender
  const ahead = sender.paid - dueFor(terms, work, 0)
  return {
    peer: provider, agreement, state: state.kind, unitMs: terms.unit.size, unitPriceWei: terms.unitPriceWei.toString(),
    workedMs: totalOf(work), acceptedMs: work.accepted, failedMs: work.failed, waitingMs: work.unsettled, movedBytes: work.moved, movedWei: toWei(carriageOf(terms, work.moved)).toString(),
    tickets: sender.issued, paidWei: toWei(sender.paid).toString(), aheadWei: toWei(ahead > 0n ? ahead : 0n).toString(), heldBackWei: toWei(heldBack(terms, work)).toString(),
    refundWei: (sender.refund?.amountWei ?? 0n).toString(), refundDueWei: toWei(sender.refundDue).toString(),
    winners: drawn?.count ?? 0, winnersWei: (drawn?.wei ?? 0n).toString()
  }
}

function add(a: BillSums, b: BillSums): BillSums {
  const wei = (x: string, y: string): string => (BigInt(x) + BigInt(y)).toString()
  return {
    workedMs: a.workedMs + b.workedMs, acceptedMs: a.acceptedMs + b.acceptedMs, failedMs: a.failedMs + b.failedMs, waitingMs: a.waitingMs + b.waitingMs, movedBytes: a.movedBytes + b.movedBytes, movedWei: wei(a.movedWei, b.movedWei),
    tickets: a.tickets + b.tickets, paidWei: wei(a.paidWei, b.paidWei), aheadWei: wei(a.aheadWei, b.aheadWei), heldBackWei: wei(a.heldBackWei, b.heldBackWei),
    refundWei: wei(a.refundWei, b.refundWei), refundDueWei: wei(a.refundDueWei, b.refundDueWei), winners: a.winners + b.winners, winnersWei: wei(a.winnersWei, b.winnersWei)
  }
}
