import type { ErrorShape } from '../../src/errors.ts'
import type { Ad } from '../../src/documents/ad.ts'
import type { Usage } from '../../src/documents/receipt.ts'
import type { Notice } from '../../src/core/effect.ts'
import type { ImagesApi } from './images.ts'
import type { MoneyApi } from './money.ts'
import type { SharePolicy } from '../../src/documents/share.ts'

/**
 * Everything a person or a program can ask of a running node. Streams end at once when their `signal` aborts, also while
 * they wait: a reader that went away must not be remembered until the next event. The REPL, the command line, the local socket and the
 * JavaScript client all speak this one interface, so what one can do, each can. All values are plain JSON.
 */
export interface NodeApi extends MoneyApi, ImagesApi {
  status(): Promise<NodeStatus>
  /** Validates, imports the local files that the spec names (relative to `baseDir`), and starts the job. Throws E_PAYMENT_CONFIRM for one that may cost more than the owner's limit and is not confirmed. */
  submit(request: SubmitRequest, watch?: Watch): Promise<{ job: string, /** Where something is paid. */ costWei?: { low: string, high: string } }>
  /** What it would need and cost, and who could do it. Asks for ads, and for bids that bind nobody, unless `quick`: then from what is known. */
  estimate(request: EstimateRequest): Promise<Estimate>
  jobs(): Promise<JobSummary[]>
  job(id: string): Promise<JobDetail>
  /** Why a job waits, or ended as it did; or why this host has no work (`idle`). */
  why(idOrIdle: string): Promise<WhyReport>
  /** Bytes of a task's output while it runs and after. Ends when the task has ended, unless `follow` is false: then at once. */
  logs(request: { job: string, task?: number, stream: 'stdout' | 'stderr' | 'both', follow: boolean }, signal?: AbortSignal): AsyncIterable<LogChunk>
  /** Writes results below `to`: one folder a task (the task's folder itself for a job of one task). */
  results(request: { job: string, to: string, task?: number, /** Fetch a first result before the vote. */ unverified?: boolean }, watch?: Watch): Promise<ResultsReport>
  cancel(id: string): Promise<void>
  /** 1 (bad) to 5 (good) for a provider, or a requester, from experience. */
  rate(request: { peer: string, stars: number }): Promise<void>
  peers(): Promise<PeerSummary[]>
  ads(): Promise<AdSummary[]>
  share(): Promise<ShareReport>
  /** Changes only what is given; saved at once. */
  setShare(change: Partial<SharePolicy>): Promise<ShareReport>
  pause(): Promise<void>
  resume(): Promise<void>
  doctor(): Promise<Check[]>
  /** Live notices: of one job until it ends, or of everything until the caller stops. Begins with what happened so far when `job` is given. */
  events(request: { job?: string }, signal?: AbortSignal): AsyncIterable<Timestamped>
  dial(multiaddr: string): Promise<{ peer: string }>
  /** Stops taking work, waits for running tasks up to `withinMs`, then stops. */
  shutdown(request: { withinMs: number }): Promise<void>
}

/** Bytes on their way into the store or out of it. The total is a guess from what is known until the last is found. */
export interface ByteProgress { doneBytes: number, totalBytes: number }

/** For calls that may move much: how far they are, and a way to end them with nothing half-done. */
export interface Watch { onProgress?: (progress: ByteProgress) => void, signal?: AbortSignal }

/** `spec` is what a job file holds after YAML or JSON parsing, unchecked: checking is the node's. */
export interface SubmitRequest { spec: unknown, baseDir: string, /** Whatever it may cost, within the caps. */ confirmed?: boolean }

export interface EstimateRequest extends SubmitRequest { quick?: boolean }

export interface NodeStatus {
  peer: string
  /** On the chain: where its money is. */
  address: string
  version: string
  mode: 'free' | 'devnet' | 'chain'
  upSinceWallMs: number
  addresses: string[]
  peers: number
  sharing: boolean
  paused: boolean
  running: number
  slots: number
  jobs: { active: number, done: number, failed: number }
  residentBytes: number
}

export type JobState = 'tendering' | 'running' | 'done' | 'failed' | 'cancelled'
export interface JobSummary {
  id: string
  name: string
  state: JobState
  createdWallMs: number
  endedWallMs?: number
  tasks: number
  done: number
  failed: number
  active: number
  /** Of a job that ended badly. */
  error?: ErrorShape
}

export interface JobDetail extends JobSummary {
  quorum: number
  replicas: number
  providers: { peer: string, state: string, tasks: number, done: number, wrong: number, failed: number }[]
  taskList: { index: number, state: string, attempts: number, peers: string[], fraction: number, verified: boolean, content?: string, exitCode?: number, /** Of an accepted run, as its provider measured it: milliseconds and bytes. */ usage?: Usage, error?: ErrorShape }[]
  timeline: Timestamped[]
}

export type Timestamped = Notice & { wallMs: number }

export interface WhyReport {
  subject: string
  /** One sentence. */
  verdict: string
  /** Requirements that nobody met although all others were met, most frequent first; then each refusal. */
  missing: { code: string, requirement: string, peers: number, wouldFitOtherwise: number }[]
  refusals: { peer: string, code: string, message: string, times: number }[]
  hints: string[]
}

export interface Estimate {
  tasks: number
  replicas: number
  needs: { cores: number, memoryBytes: number, diskBytes: number, gpus: number, inputBytes: number, moduleBytes: number }
  /** Providers known now that meet every requirement, and those that miss some. */
  fit: { peer: string, hardware: string, region: string, latencyMs: number, slots: number }[]
  unfit: { peer: string, codes: string[] }[]
  /** Rough; `unknown` where this program has not run before. */
  durationMs?: { low: number, high: number }
  costWei: { low: string, high: string }
  /** What the cost rests on; absent where nothing is paid. `own`: nobody said a price, so what this node asks itself is taken. */
  costBasis?: { prices: 'bids' | 'past' | 'own', providers: number, runTime: 'seen' | 'limit', capWei?: string, confirmAboveWei?: string }
  warnings: string[]
}

export interface LogChunk {
  task: number
  peer: string
  stream: 'stdout' | 'stderr'
  /** base64. */
  bytes: string
  /** Where in its run's stream the bytes begin: readers merge replicas and retries by it. Without it, chunks of a peer follow each other. */
  offset?: number
}
/** `missing`: tasks asked for that have no result yet. */
export interface ResultsReport { to: string, files: number, bytes: number, verified: boolean, missing: number, tasks: { index: number, path: string, verified: boolean, exitCode: number }[] }
export interface PeerSummary { peer: string, addresses: string[], latencyMs: number, direction: 'inbound' | 'outbound', completed: number, failed: number, late: number, wrong: number, score: number }
/** What a provider offers, without the signatures that proved it: those were checked when it came. */
export type AdView = Omit<Ad, 'identity'> & { identity: Pick<Ad['identity'], 'peer' | 'address' | 'payee'> }
export interface AdSummary { ad: AdView, latencyMs: number, ageMs: number }
export interface ShareReport { policy: SharePolicy, reserved: { cores: number, memoryBytes: number, diskBytes: number }, running: number, slots: number, gpus: string[] }
export interface Check { name: string, state: 'ok' | 'warn' | 'fail', message: string, hint: string }
