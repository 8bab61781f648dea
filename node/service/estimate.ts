import type { Ad } from '../../src/documents/ad.ts'
import { taskCount } from '../../src/documents/job.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { Job } from '../../src/job/job.ts'
import { unmetResources } from '../../src/market/fit.ts'
import { formatSize } from '../../src/units.ts'
import type { Estimate } from '../api/contract.ts'
import { sameProgram } from './cost.ts'

export interface KnownAd { ad: Ad, latencyMs: number }

/** Every requirement of the job that this ad does not meet. */
function unmet(document: JobDocument, { ad, latencyMs }: KnownAd): string[] {
  const { placement, engine, resources } = document
  const codes: string[] = unmetResources(resources, ad.hardware).map(({ code }) => code)
  if (!ad.engines.includes(engine.kind)) codes.push('E_FIT_ENGINE')
  if (placement.regions !== undefined && !placement.regions.includes('any') && !placement.regions.includes(ad.region)) codes.push('E_PLACEMENT_REGION')
  if (placement.deny?.includes(ad.identity.peer) === true || (placement.allow !== undefined && !placement.allow.includes(ad.identity.peer))) codes.push('E_PLACEMENT_PEER')
  if (placement.maxLatencyMs !== undefined && latencyMs > placement.maxLatencyMs) codes.push('E_PLACEMENT_LATENCY')
  if (!ad.open) codes.push('E_HOST_CLOSED')
  return codes
}

function slots(document: JobDocument, ad: Ad): number {
  const { cores, memoryBytes } = document.resources
  return Math.max(0, Math.floor(Math.min(ad.free.cores / cores, ad.free.memoryBytes / memoryBytes)))
}

/** How long earlier jobs with the same program took a task, over all tasks at once: a guess from experience. */
function duration(document: JobDocument, past: Iterable<Job>, parallel: number): { low: number, high: number } | undefined {
  const taskMs: number[] = []
  for (const job of past) {
    if (job.state.kind !== 'done' || !sameProgram(job.document, document)) continue
    taskMs.push((job.state.endedWallMs - job.createdWallMs) / Math.ceil(job.taskCount / Math.max(1, parallel)))
  }
  if (taskMs.length === 0 || parallel === 0) return undefined
  const rounds = Math.ceil(taskCount(document) * document.replication.replicas / parallel)
  return { low: Math.round(Math.min(...taskMs) * rounds), high: Math.round(Math.max(...taskMs) * rounds) }
}

/** What a job needs and who could do it, from ads that are known now. Sends nothing. */
export function estimate(document: JobDocument, ads: readonly KnownAd[], past: Iterable<Job>): Estimate {
  const tasks = taskCount(document)
  const judged = ads.map((known) => ({ known, codes: unmet(document, known) }))
  const fit = judged.filter(({ codes }) => codes.length === 0).map(({ known: { ad, latencyMs } }) => ({
    peer: ad.identity.peer, hardware: `${ad.hardware.cores} ${ad.hardware.cores === 1 ? 'core' : 'cores'}, ${formatSize(ad.hardware.memoryBytes)}`, region: ad.region, latencyMs, slots: slots(document, ad)
  }))
  const parallel = fit.reduce((sum, row) => sum + row.slots, 0)
  const { resources, replication } = document
  const inputBytes = document.inputs.reduce((sum, input) => sum + input.sizeBytes, 0) + (document.map?.kind === 'files' ? document.map.files.reduce((sum, file) => sum + file.sizeBytes, 0) : 0)
  const warnings: string[] = []
  if (fit.length === 0) warnings.push('Nobody known now can run this; others may answer the offer')
  else if (fit.length < replication.replicas) warnings.push(`Each task needs ${replication.replicas} different providers, and ${fit.length === 1 ? '1 fits' : `${fit.length} fit`} now: it waits until more come`)
  const durationMs = duration(document, past, parallel)
  if (durationMs !== undefined && durationMs.low > document.limits.totalMs) warnings.push('It will hardly end within limits.total')
  return {
    tasks, replicas: replication.replicas,
    needs: { cores: resources.cores, memoryBytes: resources.memoryBytes, diskBytes: resources.diskBytes, gpus: resources.gpu?.count ?? 0, inputBytes, moduleBytes: document.engine.kind === 'wasm' ? document.engine.moduleBytes : 0 },
    fit, unfit: judged.filter(({ codes }) => codes.length > 0).map(({ known, codes }) => ({ peer: known.ad.identity.peer, codes })),
    ...durationMs === undefined ? {} : { durationMs },
    costWei: { low: '0', high: '0' },
    warnings
  }
}
