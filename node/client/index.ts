import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { socketPath } from '../api/socket-path.ts'
import { Job } from './job.ts'
import { RemoteApi } from './remote-api.ts'
import type { AdSummary, Check, Estimate, JobSummary, NodeApi, NodeStatus, PeerSummary, ShareReport, SubmitRequest, Timestamped, Watch, WhyReport } from '../api/contract.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import type { JobSpec } from './job-spec.ts'

export { HearthError } from '../../src/errors.ts'
export type { ErrorCode, ErrorShape } from '../../src/errors.ts'
export type { AdSummary, Check, Estimate, JobDetail, JobState, JobSummary, LogChunk, NodeApi, NodeStatus, PeerSummary, ResultsReport, ShareReport, SubmitRequest, Timestamped, ByteProgress, Watch, WhyReport } from '../api/contract.ts'
export type { Notice } from '../../src/core/effect.ts'
export type { SharePolicy } from '../../src/documents/share.ts'
export { Job } from './job.ts'
export type { LogOptions, ResultsOptions } from './job.ts'
export type { JobSpec } from './job-spec.ts'

export interface ConnectOptions {
  /** The node's socket; else it follows from `dataDir`. */
  socket?: string
  /** The node's folder; else HEARTH_DATA_DIR, else `~/.hearth`. */
  dataDir?: string
}

/** `onProgress` hears how far large inputs are; `signal` ends the sending with nothing half-done. */
export interface SubmitOptions extends Watch {
  /** Where relative paths of an object begin: the current folder by default. A file's paths are relative to the file. */
  baseDir?: string
  /** Send it whatever it may cost, within the node's caps. Without it a job above payment.confirmAbove is refused with E_PAYMENT_CONFIRM. */
  confirmed?: boolean
}

/**
 * Connects to the node that runs on this computer. Throws `HearthError` E_NODE_DOWN when none does: `hearth up` starts one.
 *
 * ```ts
 * import { connect } from 'hearth'
 *
 * const hearth = await connect()
 * const job = await hearth.submit({ module: 'tracer.wasm', map: { range: [0, 64] }, replicas: 3, args: ['{index}'] })
 * for await (const event of job.events()) console.log(event.kind)
 * await job.done
 * await job.results('./out')
 * ```
 *
 * A script that has nothing left to wait for ends by itself; `close` is for those that go on without the node.
 */
export async function connect({ socket, dataDir }: ConnectOptions = {}): Promise<Hearth> {
  const hearth = new Hearth(new RemoteApi(socket ?? socketPath(dataDir === undefined ? defaultDataDir() : resolve(dataDir))))
  await hearth.status()
  return hearth
}

function defaultDataDir(): string {
  const named = process.env['HEARTH_DATA_DIR']
  return named === undefined || named === '' ? join(homedir(), '.hearth') : resolve(named)
}

/**
 * A running node. It connects again by itself after the node was restarted; calls that were under way then are rejected
 * with E_NODE_GONE. Every error is a `HearthError` with `code`, `message` and `hint`.
 */
export class Hearth {
  /** All that a node can be asked, call by call; the methods here are its comfortable side. */
  readonly api: NodeApi
  readonly #remote: RemoteApi

  constructor(remote: RemoteApi) {
    this.api = remote
    this.#remote = remote
  }

  /**
   * Sends a job: an object, or the path of a job file. It is checked as a whole before anything is sent (E_JOB_… names the
   * key at fault).
   *
   * ```ts
   * const job = await hearth.submit('render.yaml')
   * ```
   */
  async submit(spec: JobSpec | string, options: SubmitOptions = {}): Promise<Job> {
    const { baseDir: _baseDir, confirmed, ...watch } = options
    const { job } = await this.api.submit({ ...await request(spec, options), ...confirmed === undefined ? {} : { confirmed } }, watch)
    return new Job(this.api, job)
  }

  /** What a job would need, take and cost, and who could do it now. Nothing is sent. */
  async estimate(spec: JobSpec | string, options: SubmitOptions = {}): Promise<Estimate> {
    return this.api.estimate(await request(spec, options))
  }

  /** A job sent before, by its full id. Throws E_JOB_UNKNOWN. */
  async job(id: string): Promise<Job> {
    const { id: full } = await this.api.job(id)
    return new Job(this.api, full)
  }

  /** All jobs, newest first. */
  async jobs(): Promise<JobSummary[]> {
    const jobs = await this.api.jobs()
    return jobs.toSorted((a, b) => b.createdWallMs - a.createdWallMs)
  }

  /**
   * Everything that happens on this node, until you stop.
   *
   * ```ts
   * for await (const event of hearth.events(AbortSignal.timeout(60_000))) console.log(event.kind, event.job)
   * ```
   */
  events(signal?: AbortSignal): AsyncIterable<Timestamped> {
    return this.api.events({}, signal)
  }

  status(): Promise<NodeStatus> { return this.api.status() }
  peers(): Promise<PeerSummary[]> { return this.api.peers() }
  /** What others offer now. */
  ads(): Promise<AdSummary[]> { return this.api.ads() }
  /** What keeps work away from this node. */
  whyIdle(): Promise<WhyReport> { return this.api.why('idle') }
  /** Your rating of a peer from experience, 1 to 5 stars. */
  rate(peer: string, stars: number): Promise<void> { return this.api.rate({ peer, stars }) }
  /** Connects to a node by its multiaddr. */
  dial(multiaddr: string): Promise<{ peer: string }> { return this.api.dial(multiaddr) }

  /** What this computer lends; with a change, after making it. */
  share(change?: Partial<SharePolicy>): Promise<ShareReport> {
    return change === undefined ? this.api.share() : this.api.setShare(change)
  }

  pause(): Promise<void> { return this.api.pause() }
  resume(): Promise<void> { return this.api.resume() }
  doctor(): Promise<Check[]> { return this.api.doctor() }

  /** Ends the connection; what is under way is rejected with E_CLIENT_CLOSED. */
  close(): Promise<void> {
    return this.#remote.close()
  }

  /** `await using hearth = await connect()` closes it at the block's end. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function request(spec: JobSpec | string, { baseDir }: SubmitOptions): Promise<SubmitRequest> {
  if (typeof spec !== 'string') return { spec, baseDir: resolve(baseDir ?? '.') }
  // loaded here: who submits objects needs no YAML
  const { readJobFile } = await import('../jobfile/read.ts')
  return readJobFile(spec)
}
