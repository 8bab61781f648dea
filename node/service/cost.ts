import { taskCount } from '../../src/documents/job.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import { movesOf } from '../../src/documents/moves.ts'
import { aheadQuantity, aheadShare, carriageOf, priceOf } from '../../src/documents/terms.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { expectedOf, toWei } from '../../src/documents/ticket.ts'
import type { Job } from '../../src/job/job.ts'
import { slotPriceWei } from '../../src/payment/prices.ts'
import type { Prices } from '../../src/payment/prices.ts'
import type { Sender } from '../../src/payment/sender.ts'
import type { Estimate } from '../api/contract.ts'

export interface CostParts {
  document: JobDocument
  /** Of bids that were asked for just now. */
  quoted: readonly PaymentTerms[]
  jobs: ReadonlyMap<string, Job>
  senders: Iterable<Sender>
  /** What this node asks itself: better than nothing where nobody else has said a price. */
  ownPrices: Prices
  unitMs: number
  /** Basis points. */
  holdback: number
  capWei: bigint | undefined
  confirmAboveWei: bigint | undefined
}

type Cost = Required<Pick<Estimate, 'costWei' | 'costBasis'>>
type Asked = Pick<PaymentTerms, 'unit' | 'unitPriceWei' | 'holdback' | 'aheadUnits' | 'moved'>
type Range = { low: number, high: number }

/**
 * What a job may cost, on average over the luck of its tickets: runs times time times price. Prices are those of bids, else of
 * past agreements for the same shape, else our own; times those that runs of the same program took, else up to limits.run.
 * Where bytes are charged, program and inputs count as the job says; the size of results is not known. Each provider is paid some units ahead, and what of that is not worked off when the job ends is its own: small jobs cost that.
 */
export function costOf({ document, quoted, jobs, senders, ownPrices, unitMs, holdback, capWei, confirmAboveWei }: CostParts): Cost {
  const paid = [...senders].flatMap((sender) => { const job = jobs.get(sender.payment.job); return job === undefined ? [] : [{ sender, job }] })
  const past = paid.filter(({ job }) => sameShape(job.document, document)).map(({ sender }) => sender.payment.terms)
  const own: Asked = { holdback, aheadUnits: 1, unit: { kind: 'resource-ms', size: unitMs }, unitPriceWei: slotPriceWei(ownPrices, document.resources, unitMs), moved: { gibWei: ownPrices.movedWei, ...movesOf(document) } }
  const prices = quoted.length > 0 ? 'bids' : past.length > 0 ? 'past' : 'own'
  const terms = { bids: quoted, past, own: [own] }[prices]
  const seen = runTime(document, paid)
  const { replicas } = document.replication
  const runs = taskCount(document) * replicas
  // what results will have nobody knows
  const carriage = (one: Asked, providers: number): bigint => toWei(carriageOf(one, Math.min(runs, providers) * (one.moved?.onceBytes ?? 0) + runs * (one.moved?.taskBytes ?? 0)))
  const wei = (one: Asked, ms: number, providers: number): bigint => carriage(one, providers) + BigInt(runs) * (toWei(priceOf(one, Math.ceil(ms))) + 1n) + BigInt(Math.min(runs, providers)) * toWei(aheadShare(one, priceOf(one, aheadQuantity(one))))
  // what is not known may be nothing
  const low = seen === undefined ? 0n : least(terms.map((one) => wei(one, seen.low, replicas)))
  const most = Math.max(replicas, terms.length)
  // and what is due is paid in whole tickets
  const ticket = (one: Asked | PaymentTerms): bigint => 'winProb' in one ? toWei(expectedOf(one)) + 1n : 0n
  const high = greatest(terms.map((one) => wei(one, seen?.high ?? document.limits.runMs, most) + BigInt(Math.min(runs, most)) * ticket(one)))
  // more than its cap it cannot cost: then it ends
  const capped = (amount: bigint): string => (capWei !== undefined && amount > capWei ? capWei : amount).toString()
  return {
    costWei: { low: capped(low), high: capped(high) },
    costBasis: { prices, providers: terms.length, runTime: seen === undefined ? 'limit' : 'seen', ...capWei === undefined ? {} : { capWei: capWei.toString() }, ...confirmAboveWei === undefined ? {} : { confirmAboveWei: confirmAboveWei.toString() } }
  }
}

/** Milliseconds that one run of this program was paid for, of jobs that are done: by job, the shortest and the longest average. */
function runTime(document: JobDocument, paid: readonly { sender: Sender, job: Job }[]): Range | undefined {
  const byJob = new Map<Job, number>()
  for (const { sender, job } of paid) if (job.done > 0 && sameProgram(job.document, document)) byJob.set(job, (byJob.get(job) ?? 0) + sender.work.accepted)
  const ranges = [...byJob].filter(([, ms]) => ms > 0).map(([job, ms]) => ({ low: ms / (job.done * job.document.replication.replicas), high: ms / (job.done * job.document.replication.quorum) }))
  return ranges.length === 0 ? undefined : { low: Math.min(...ranges.map(({ low }) => low)), high: Math.max(...ranges.map(({ high }) => high)) }
}

/** Of a file on the disk the content is not known before it is imported: its size tells programs apart well enough for a guess. */
export function sameProgram(a: JobDocument, b: JobDocument): boolean {
  return a.engine.kind === 'wasm' && b.engine.kind === 'wasm' && (a.engine.module === b.engine.module || a.engine.moduleBytes === b.engine.moduleBytes)
}

function sameShape({ resources: a }: JobDocument, { resources: b }: JobDocument): boolean {
  return a.cores === b.cores && a.memoryBytes === b.memoryBytes && a.gpu?.count === b.gpu?.count
}

function least(values: readonly bigint[]): bigint {
  return values.reduce((a, b) => a < b ? a : b)
}

function greatest(values: readonly bigint[]): bigint {
  return values.reduce((a, b) => a > b ? a : b)
}
