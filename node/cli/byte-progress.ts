import { HearthError } from '../../src/errors.ts'
import { formatRate, formatSize, SECOND_MS } from '../../src/units.ts'
import { confirm } from './amounts.ts'
import { shortId } from './ids.ts'
import { bar, percent } from './term/bar.ts'
import { truncate } from './term/text.ts'
import { cost } from './views/money.ts'
import { remark } from './views/remark.ts'
import type { ByteProgress, NodeApi, ResultsReport, SubmitRequest } from '../api/contract.ts'
import type { Out } from './out.ts'
import type { View } from './term/view.ts'

/** What is over sooner needs no bar: one that flashes up only startles. */
const SHOW_AFTER_MS = 300
/** A rate over less is a guess. */
const MIN_RATE_MS = SECOND_MS
const BAR_COLUMNS = 32

/** Sends a job; on a terminal, large inputs show how far they are, and a person is asked where it may cost more than its owner's limit. */
export async function submitShown(api: NodeApi, request: SubmitRequest, out: Out): Promise<string> {
  const send = (confirmed: boolean): Promise<{ job: string, costWei?: { low: string, high: string } }> => shown(out, 'reading inputs', (onProgress) => api.submit(confirmed ? { ...request, confirmed } : request, { onProgress, signal: out.signal }))
  const { job, costWei } = await send(request.confirmed === true).catch(async (err: unknown) => {
    if (!(err instanceof HearthError) || err.code !== 'E_PAYMENT_CONFIRM') throw err
    await confirm(out, err.message)
    return await send(true)
  })
  if (costWei !== undefined) out.note((view) => remark(`costs ${cost(costWei)}, by prices known now; afterwards: bill ${shortId(job)}`, view))
  return job
}

/** Writes results; on a terminal, large ones show how far they are. */
export function resultsShown(api: NodeApi, request: Parameters<NodeApi['results']>[0], out: Out): Promise<ResultsReport> {
  return shown(out, 'writing results', (onProgress) => api.results(request, { onProgress, signal: out.signal }))
}

async function shown<T>(out: Out, title: string, work: (onProgress: (progress: ByteProgress) => void) => Promise<T>): Promise<T> {
  const startedMs = performance.now()
  let last: ByteProgress | undefined
  const progress = out.progress((view) => {
    const elapsedMs = performance.now() - startedMs
    return last === undefined || elapsedMs < SHOW_AFTER_MS ? [] : [byteLine(title, last, elapsedMs, view)]
  })
  try {
    return await work((now) => { last = now })
  } finally {
    progress.end()
  }
}

/** `██████░░░  63 %  reading inputs: 1.2 GiB of 1.9 GiB, 2100 Mbps` */
export function byteLine(title: string, { doneBytes, totalBytes }: ByteProgress, elapsedMs: number, view: View): string {
  const fraction = totalBytes > 0 ? doneBytes / totalBytes : 0
  const rate = elapsedMs < MIN_RATE_MS ? '' : `, ${formatRate(doneBytes * SECOND_MS / elapsedMs)}`
  const barColumns = Math.max(4, Math.min(BAR_COLUMNS, Math.floor(view.width / 3)))
  const text = `${percent(fraction).padStart(5)}  ${title}: ${formatSize(doneBytes)} of ${formatSize(totalBytes)}${rate}`
  return `  ${bar(fraction, barColumns, view)}  ${truncate(text, Math.max(1, view.width - barColumns - 4))}`
}
