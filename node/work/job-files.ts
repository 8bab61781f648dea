import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { jobCodec } from '../../src/documents/job.ts'
import type { ContentInput, JobDocument } from '../../src/documents/job.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { beyondOffer } from '../../src/job/offered-job.ts'
import { HearthError } from '../../src/errors.ts'
import { PARAMS } from '../../src/params.ts'
import type { RunInput } from '../sandbox/run-spec.ts'
import type { ContentPort, FetchContent } from './content-port.ts'

const RAW_CODE = 0x55
/** What is kept while this host works for somebody's job. */
export const HOSTED_OWNER = 'hosted:'

type Progress = (fraction: number) => void
/** A file or folder on its way to the disk, or there, and who follows it. */
interface Brought { path: Promise<string>, watchers: Set<Progress> }

/** A job as a requester offered it: a stranger that names another's job has its own. */
export interface HostedJob { job: string, requester: string }

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
  /** Under which its requester serves it now. */
  #agreement = ''
  /** Fetches are the job's, not of the run that asked first: others wait for them too. */
  readonly #released = new AbortController()
  #document: Promise<JobDocument> | undefined
  readonly #onDisk = new Map<string, Brought>()

  constructor(content: ContentPort, fetch: FetchContent, dir: string, hosted: HostedJob) {
    this.#content = content
    this.#fetch = fetch
    this.#dir = dir
    this.#hosted = hosted
    this.#pinOwner = `${HOSTED_OWNER}${hosted.requester}:${hosted.job}`
  }

  /** Of several agreements about one job the latest is used. */
  under(agreement: string): this {
    this.#agreement = agreement
    return this
  }

  /** The job document; throws `E_OFFER_MISMATCH` when it asks for more than this offer of it said. */
  async document(offer: Offer, signal?: AbortSignal): Promise<JobDocument> {
    this.#document ??= this.#loadDocument().catch((err: unknown) => { this.#document = undefined; throw err })
    const document = await until(this.#document, signal)
    const beyond = beyondOffer(document, offer)
    if (beyond !== undefined) throw new HearthError('E_OFFER_MISMATCH', `the job asks for more than its offer said: ${beyond}`)
    return document
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
    const { job, requester } = this.#hosted
    const cid = jobBlockCid(job)
    await this.#fetch({ cid, from: [requester], agreementId: this.#agreement, maxBytes: PARAMS.maxJobBytes, pinFor: this.#pinOwner, signal: this.#released.signal })
    const decoded = jobCodec.decode(await this.#content.readFile(cid, { maxBytes: PARAMS.maxJobBytes }))
    if (!decoded.ok) throw new HearthError(decoded.code, decoded.message)
    return decoded.value
  }

  #begin(cid: string, sizeBytes: number): Brought {
    const watchers = new Set<Progress>()
    const path = this.#bring(cid, sizeBytes, watchers).catch((err: unknown) => { this.#onDisk.delete(cid); throw err })
    const brought = { path, watchers }
    this.#onDisk.set(cid, brought)
    return brought
  }

  async #bring(cid: string, sizeBytes: number, watchers: ReadonlySet<Progress>): Promise<string> {
    const { requester } = this.#hosted
    const { signal } = this.#released
    await this.#fetch({
      cid, from: [requester], agreementId: this.#agreement, maxBytes: sizeBytes, pinFor: this.#pinOwner, signal,
      onProgress: ({ bytes }) => { for (const watch of watchers) watch(Math.min(1, bytes / Math.max(1, sizeBytes))) }
    })
    // blocks that repeat are fetched once and written as often as they repeat
    const stored = await this.#content.stat(cid)
    if (stored === undefined || stored.sizeBytes > sizeBytes) throw new HearthError('E_INPUT_MISMATCH', `content ${cid} is not what the job says it is`)
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
    const path = join(this.#dir, cid)
    await rm(path, { recursive: true, force: true })
    await this.#content.export(cid, path, { signal })
    return path
  }
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
