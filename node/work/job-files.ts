import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { imageKey } from '../../src/documents/image.ts'
import { jobCodec } from '../../src/documents/job.ts'
import type { ContentInput, JobDocument } from '../../src/documents/job.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { unmetResources } from '../../src/market/fit.ts'
import { HearthError } from '../../src/errors.ts'
import { PARAMS } from '../../src/params.ts'
import type { RunInput } from '../sandbox/run-spec.ts'
import type { ContentPort, FetchContent } from './content-port.ts'

const RAW_CODE = 0x55

type Progress = (fraction: number) => void
/** A file or folder on its way to the disk, or there, and who follows it. */
interface Brought { path: Promise<string>, watchers: Set<Progress> }

export interface HostedJob { job: string, requester: string, agreement: string, offer: Offer }

/**
 * A job's CID names its canonical bytes. In the content store, and on the way there, they are one raw block of the same
 * digest, so that job documents travel like everything else.
 */
export function jobBlockCid(job: string): string {
  return CID.createV1(RAW_CODE, CID.parse(job).multihash).toString()
}

/** One job's document, module and inputs on this host's disk: fetched once however many of its tasks run here. */
export class JobFiles {
  readonly #content: ContentPort
  readonly #fetch: FetchContent
  readonly #dir: string
  readonly #pinOwner: string
  readonly #hosted: HostedJob
  /** Fetches are the job's, not of the run that asked first: others wait for them too. */
  readonly #released = new AbortController()
  #document: Promise<JobDocument> | undefined
  readonly #onDisk = new Map<string, Brought>()

  constructor(content: ContentPort, fetch: FetchContent, dir: string, hosted: HostedJob) {
    this.#content = content
    this.#fetch = fetch
    this.#dir = dir
    this.#hosted = hosted
    this.#pinOwner = `hosted:${hosted.job}`
  }

  /** The job document, refused when it asks for more than was offered. */
  document(signal?: AbortSignal): Promise<JobDocument> {
    this.#document ??= this.#loadDocument().catch((err: unknown) => { this.#document = undefined; throw err })
    return until(this.#document, signal)
  }

  /** The host path of a file or folder, fetched, verified and laid out once. */
  async path(cid: string, sizeBytes: number, signal?: AbortSignal, onProgress?: Progress): Promise<string> {
    const { path, watchers } = this.#onDisk.get(cid) ?? this.#begin(cid, sizeBytes)
    if (onProgress === undefined) return await until(path, signal)
    watchers.add(onProgress)
    return await until(path, signal).finally(() => { watchers.delete(onProgress) })
  }

  /** The files that an input puts below /in. */
  async inputs(input: ContentInput, signal: AbortSignal, onProgress?: Progress): Promise<RunInput[]> {
    const path = await this.path(input.cid, input.sizeBytes, signal, onProgress)
    const { kind, sizeBytes } = await this.#content.stat(input.cid) ?? { kind: undefined, sizeBytes: 0 }
    if (kind !== input.kind || sizeBytes > input.sizeBytes) throw new HearthError('E_INPUT_MISMATCH', `input ${input.path} is not what the job says it is`)
    if (kind === 'file') return [{ path: input.path, hostPath: path, sizeBytes }]
    const files = await this.#content.list(input.cid)
    return files.map((file) => ({ path: `${input.path}/${file.path}`, hostPath: join(path, file.path), sizeBytes: file.sizeBytes }))
  }

  /** Ends what is being fetched, then forgets what was. */
  async release(): Promise<void> {
    this.#released.abort(new HearthError('E_CANCELLED', 'the job is over here'))
    const brought = [...this.#onDisk]
    await Promise.allSettled([this.#document, ...brought.map(([, { path }]) => path)])
    for (const cid of [...brought.map(([cid]) => cid), jobBlockCid(this.#hosted.job)]) await this.#content.unpin(cid, this.#pinOwner)
    this.#onDisk.clear()
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #loadDocument(): Promise<JobDocument> {
    const { job, requester, agreement, offer } = this.#hosted
    const cid = jobBlockCid(job)
    await this.#fetch({ cid, from: [requester], agreementId: agreement, maxBytes: PARAMS.maxJobBytes, pinFor: this.#pinOwner, signal: this.#released.signal })
    const decoded = jobCodec.decode(await this.#content.readFile(cid, { maxBytes: PARAMS.maxJobBytes }))
    if (!decoded.ok) throw new HearthError(decoded.code, decoded.message)
    const document = decoded.value
    const offered = { ...offer.resources, gpus: [] }
    const beyond = document.requester !== requester || document.engine.kind !== offer.market.engine || document.limits.runMs > offer.runMs ||
      unmetResources({ ...document.resources, gpu: undefined }, offered).length > 0 || asksForMore(document, offer)
    if (beyond) throw new HearthError('E_OFFER_MISMATCH', 'the job asks for more than its offer said')
    return document
  }

  #begin(cid: string, sizeBytes: number): Brought {
    const watchers = new Set<Progress>()
    const path = this.#bring(cid, sizeBytes, watchers).catch((err: unknown) => { this.#onDisk.delete(cid); throw err })
    const brought = { path, watchers }
    this.#onDisk.set(cid, brought)
    return brought
  }

  async #bring(cid: string, sizeBytes: number, watchers: ReadonlySet<Progress>): Promise<string> {
    const { requester, agreement } = this.#hosted
    const { signal } = this.#released
    await this.#fetch({
      cid, from: [requester], agreementId: agreement, maxBytes: sizeBytes, pinFor: this.#pinOwner, signal,
      onProgress: ({ bytes }) => { for (const watch of watchers) watch(Math.min(1, bytes / Math.max(1, sizeBytes))) }
    })
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
    const path = join(this.#dir, cid)
    await rm(path, { recursive: true, force: true })
    await this.#content.export(cid, path, { signal })
    return path
  }
}

/** What the owner's lists decided about is what runs: another image, or more of the network or of cards, was never bid for. */
function asksForMore({ engine, resources }: JobDocument, { container, resources: offered }: Offer): boolean {
  if (JSON.stringify(resources.gpu) !== JSON.stringify(offered.gpu)) return true
  if (engine.kind !== 'container') return false
  return container === undefined || imageKey(engine.image) !== imageKey(container.image) || (engine.network?.maxBytes ?? -1) > (container.networkBytes ?? -1)
}

/** The same promise for one that may stop waiting before it settles. */
async function until<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  signal.throwIfAborted()
  const stopped = Promise.withResolvers<never>()
  const stop = (): void => { stopped.reject(signal.reason) }
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([promise, stopped.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
