import { randomBytes } from 'node:crypto'
import { freemem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { mkdir, rmdir } from 'node:fs/promises'
import type { PeerEvent } from '../../src/core/event.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { Message } from '../../src/documents/message.ts'
import type { EngineKind } from '../../src/documents/resources.ts'
import { HearthError } from '../../src/errors.ts'
import type { Job } from '../../src/job/job.ts'
import type { Peer } from '../../src/peer.ts'
import { score } from '../../src/reputation/history.ts'
import type { AdSummary, Check, Estimate, EstimateRequest, JobDetail, JobSummary, LogChunk, NodeApi, NodeStatus, PeerSummary, ResultsReport, ShareReport, SubmitRequest, Timestamped, Watch, WhyReport } from '../api/contract.ts'
import type { ImagesApi, ImagesReport } from '../api/images.ts'
import type { Bill, CapsChange, CapsReport, EarningsReport, FundRequest, MoneyApi, MoneyMoved, PriceChange, PriceReport, RefundsReport, TicketsReport, Wallet, Withdrawal, WithdrawRequest } from '../api/money.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import type { Notices } from '../driver/notices.ts'
import { lookAtPeers } from './clocks.ts'
import { doctor } from './doctor.ts'
import type { EarlyResult } from './early.ts'
import { estimate } from './estimate.ts'
import { findJob } from './find-job.ts'
import type { KnownAd } from './estimate.ts'
import { jobDetail, jobSummary } from './job-views.ts'
import { jobLogs } from './logs.ts'
import type { LogSources } from './logs.ts'
import type { MoneyService } from './money-service.ts'
import type { Quotes } from './quotes.ts'
import { whyIdle, whyJob } from './why.ts'
import type { ContainersReport } from '../work/container-engine.ts'

/** What the service needs of the rooms around it; create-node gives the real ones. */
export interface ServiceParts {
  peer: Peer
  peerId: string
  address: string
  mode: 'free' | 'devnet' | 'chain'
  version: string
  dataDir: string
  notices: Notices
  images: ImagesApi
  money: Pick<MoneyService, keyof MoneyApi | 'checks' | 'cost' | 'checkCost' | 'hasLimit'>
  quotes: Pick<Quotes, 'ask'>
  dispatch: (event: PeerEvent) => void
  /** Waits until everything dispatched so far is on disk. */
  settled: () => Promise<void>
  /** Checks a spec, imports its files and keeps them for the job. */
  prepare: (request: SubmitRequest, nonce: Uint8Array, watch?: Watch) => Promise<{ document: JobDocument, id: string }>
  draft: (request: SubmitRequest, nonce: Uint8Array) => Promise<JobDocument>
  exportContent: (cid: string, to: string, watch: Watch) => Promise<{ files: number, bytes: number }>
  /** Asks a provider for a committed result before the vote. */
  peek: (job: Job, task: number) => Promise<EarlyResult | undefined>
  logs: Omit<LogSources, 'changed'>
  network: {
    addresses(): string[]
    peers(): { peer: string, addresses: string[], direction: 'inbound' | 'outbound', latencyMs: number }[]
    dial(multiaddr: string): Promise<string>
    publicAddress(): boolean
    send(to: string, message: Message): Promise<void>
    fetchAd(peer: string, signal: AbortSignal): Promise<KnownAd>
  }
  ads: () => Iterable<KnownAd & { seenWallMs: number }>
  /** Asks connected peers, and those whom the DHT names, for their ads of now. */
  askForAds: (engine: EngineKind) => Promise<void>
  share: { get(): SharePolicy, set(change: Partial<SharePolicy>): Promise<void> }
  running: () => number
  containers: () => ContainersReport
  storeUsage: () => { bytes: number, quotaBytes: number }
  stop: (withinMs: number) => Promise<void>
}

/** A task's result in the store; `release` ends a look at one that is not accepted yet. */
interface Found { content: string, verified: boolean, exitCode: number, release?: () => Promise<void> }

/** The running node as its people see it: every method of NodeApi, over the live peer. */
export class NodeService implements NodeApi {
  readonly #parts: ServiceParts
  readonly #upSinceWallMs = Date.now()

  constructor(parts: ServiceParts) {
    this.#parts = parts
  }

  async status(): Promise<NodeStatus> {
    const { peer, peerId, address, mode, version, network } = this.#parts
    const jobs = [...peer.requesting.jobs.values()]
    const { policy } = peer.hosting
    return {
      peer: peerId, address, version, mode, upSinceWallMs: this.#upSinceWallMs, addresses: network.addresses(), peers: network.peers().length,
      sharing: policy.enabled, paused: policy.paused, running: this.#parts.running(), slots: Math.floor(peer.hosting.capacity.total.cores),
      jobs: { active: jobs.filter(({ state }) => state.kind === 'running').length, done: jobs.filter(({ state }) => state.kind === 'done').length, failed: jobs.filter(({ state }) => state.kind === 'failed').length },
      residentBytes: process.memoryUsage.rss()
    }
  }

  async submit({ confirmed, ...request }: SubmitRequest, watch?: Watch): Promise<{ job: string, costWei?: Estimate['costWei'] }> {
    const { prepare, draft, money } = this.#parts
    // nothing is imported for a job that its owner may not want at that price
    if (confirmed !== true && money.hasLimit) money.checkCost(await draft(request, randomBytes(16)))
    const { document, id } = await prepare(request, randomBytes(16), watch)
    const cost = money.cost(document, [])
    this.#parts.dispatch({ kind: 'submit', job: id, document })
    await this.#parts.settled()
    return { job: id, ...cost === undefined ? {} : { costWei: cost.costWei } }
  }

  async estimate({ quick, ...request }: EstimateRequest): Promise<Estimate> {
    const document = await this.#parts.draft(request, randomBytes(16))
    if (quick !== true) await this.#parts.askForAds(document.engine.kind)
    const known = estimate(document, [...this.#parts.ads()], this.#parts.peer.requesting.jobs.values())
    const bids = quick === true || !this.#isPaid ? [] : await this.#parts.quotes.ask(document, known.fit.map(({ peer }) => peer))
    return { ...known, ...this.#parts.money.cost(document, bids) }
  }

  async jobs(): Promise<JobSummary[]> {
    return [...this.#parts.peer.requesting.jobs.values()].map(jobSummary).sort((a, b) => b.createdWallMs - a.createdWallMs)
  }

  async job(id: string): Promise<JobDetail> {
    const job = this.#job(id)
    return jobDetail(job, await this.#parts.notices.timeline(job.id))
  }

  async why(idOrIdle: string): Promise<WhyReport> {
    const { peer, network } = this.#parts
    const connected = network.peers().length
    return idOrIdle === 'idle' ? whyIdle(peer.hosting, connected, network.publicAddress()) : whyJob(this.#job(idOrIdle), connected)
  }

  async * logs(request: { job: string, task?: number, stream: 'stdout' | 'stderr' | 'both', follow: boolean }, signal?: AbortSignal): AsyncGenerator<LogChunk> {
    const job = this.#job(request.job)
    if (request.task !== undefined && request.task >= job.taskCount) throw new HearthError('E_TASK_UNKNOWN', `the job has ${job.taskCount} tasks, there is no task ${request.task}`, 'Tasks are numbered from 0')
    const abort = new AbortController()
    const either = signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal])
    try {
      yield * jobLogs({ ...this.#parts.logs, changed: async (id, stop) => { await this.#parts.notices.changed(id, stop) } }, job, request, either)
    } finally {
      abort.abort()
    }
  }

  async results(request: { job: string, to: string, task?: number, unverified?: boolean }, { onProgress, signal }: Watch = {}): Promise<ResultsReport> {
    const job = this.#job(request.job)
    const to = resolve(request.to)
    const indexes = request.task === undefined ? [...Array.from({ length: job.taskCount }).keys()] : [request.task]
    const report: ResultsReport = { to, files: 0, bytes: 0, verified: true, missing: 0, tasks: [] }
    await mkdir(job.taskCount === 1 ? dirname(to) : to, { recursive: true })
    for (const [place, index] of indexes.entries()) {
      const found = await this.#content(job, index, request.unverified === true)
      if (found === undefined) { report.missing++; continue }
      // an empty folder stands for one that is not there: only such a one can be removed so
      if (job.taskCount === 1) await rmdir(to).catch(() => undefined)
      const path = job.taskCount === 1 ? to : join(to, `task-${String(index).padStart(String(job.taskCount - 1).length, '0')}`)
      try {
        const before = report.bytes
        const { files, bytes } = await this.#parts.exportContent(found.content, path, {
          ...signal === undefined ? {} : { signal },
          // what other tasks left is known when their turn comes: until then they count as those before them
          ...onProgress === undefined ? {} : { onProgress: ({ doneBytes, totalBytes }) => { onProgress({ doneBytes: before + doneBytes, totalBytes: Math.round((before + totalBytes) * indexes.length / (place + 1)) }) } }
        })
        report.files += files
        report.bytes += bytes
      } finally {
        await found.release?.()
      }
      report.verified &&= found.verified
      report.tasks.push({ index, path, verified: found.verified, exitCode: found.exitCode })
    }
    if (report.tasks.length === 0) {
      const ended = job.state.kind !== 'running'
      throw new HearthError('E_NO_RESULT', ended ? 'the job ended without a result' : 'no task is done yet', ended ? 'See `why` and `logs`' : 'Wait with `job ID`, or take a first result with --unverified')
    }
    return report
  }

  async cancel(id: string): Promise<void> {
    const job = this.#job(id)
    if (job.state.kind !== 'running') throw new HearthError('E_JOB_ENDED', `the job is ${job.state.kind} already`, 'Nothing is left to cancel')
    this.#parts.dispatch({ kind: 'cancel', job: job.id })
    await this.#parts.settled()
  }

  async rate({ peer, stars }: { peer: string, stars: number }): Promise<void> {
    this.#parts.dispatch({ kind: 'rate', peer, stars })
    await this.#parts.settled()
  }

  async peers(): Promise<PeerSummary[]> {
    const now = Date.now()
    return this.#parts.network.peers().map((connected) => {
      const history = this.#parts.peer.histories.get(connected.peer, now)
      const { completed, failed, late, wrong } = history
      return { ...connected, completed, failed, late, wrong, score: score(history) }
    })
  }

  async ads(): Promise<AdSummary[]> {
    await this.#parts.askForAds('wasm')
    const now = Date.now()
    return [...this.#parts.ads()].map(({ ad: { identity: { peer, address, payee }, ...ad }, latencyMs, seenWallMs }) => ({ ad: { ...ad, identity: { peer, address, payee } }, latencyMs, ageMs: now - seenWallMs }))
  }

  async share(): Promise<ShareReport> {
    const { hosting } = this.#parts.peer
    const { total } = hosting.capacity
    const free = hosting.capacity.free()
    return {
      policy: hosting.policy,
      reserved: { cores: total.cores - free.cores, memoryBytes: total.memoryBytes - free.memoryBytes, diskBytes: total.diskBytes - free.diskBytes },
      running: this.#parts.running(), slots: Math.floor(total.cores), gpus: total.gpus.map(({ model }) => model)
    }
  }

  async setShare(change: Partial<SharePolicy>): Promise<ShareReport> {
    await this.#parts.share.set(change)
    return await this.share()
  }

  async pause(): Promise<void> {
    await this.#parts.share.set({ paused: true })
  }

  async resume(): Promise<void> {
    await this.#parts.share.set({ paused: false })
  }

  async doctor(): Promise<Check[]> {
    const { peer, network, dataDir, storeUsage } = this.#parts
    const connected = network.peers().map((view) => view.peer)
    const look = await lookAtPeers(connected, (peerId, signal) => network.fetchAd(peerId, signal), () => Date.now())
    return [...await doctor({
      dataDir, platform: process.platform, addresses: network.addresses(), publicAddress: network.publicAddress(), peers: connected.length, look,
      sharing: peer.hosting.policy.enabled, closed: peer.hosting.closedBecause(),
      containers: this.#parts.containers(),
      memoryBytes: { lent: peer.hosting.capacity.total.memoryBytes, free: freemem() },
      storeUsage: storeUsage()
    }), ...await this.#parts.money.checks()]
  }

  async * events(request: { job?: string }, signal?: AbortSignal): AsyncGenerator<Timestamped> {
    const job = request.job === undefined ? undefined : this.#job(request.job)
    yield * this.#parts.notices.follow(job?.id, job !== undefined && job.state.kind !== 'running', signal)
  }

  async images(): Promise<ImagesReport> { return await this.#parts.images.images() }
  async removeImages(request: { key?: string }): Promise<{ freedBytes: number }> { return await this.#parts.images.removeImages(request) }
  async signImage(request: { image: string, baseDir: string }): Promise<{ key: string, signature: string }> { return await this.#parts.images.signImage(request) }

  async wallet(): Promise<Wallet> { return await this.#parts.money.wallet() }
  async fund(request: FundRequest, watch?: Watch): Promise<MoneyMoved> { return await this.#parts.money.fund(request, watch) }
  async withdraw(request: WithdrawRequest, watch?: Watch): Promise<Withdrawal> { return await this.#parts.money.withdraw(request, watch) }
  async claimRefunds(): Promise<RefundsReport> { return await this.#parts.money.claimRefunds() }
  async tickets(): Promise<TicketsReport> { return await this.#parts.money.tickets() }
  async earnings(): Promise<EarningsReport> { return await this.#parts.money.earnings() }
  async price(): Promise<PriceReport> { return await this.#parts.money.price() }
  async setPrice(change: PriceChange): Promise<PriceReport> { return await this.#parts.money.setPrice(change) }
  async caps(): Promise<CapsReport> { return await this.#parts.money.caps() }
  async setCaps(change: CapsChange): Promise<CapsReport> { return await this.#parts.money.setCaps(change) }
  async bill(job: string): Promise<Bill> { return await this.#parts.money.bill(job) }

  async dial(multiaddr: string): Promise<{ peer: string }> {
    return { peer: await this.#parts.network.dial(multiaddr) }
  }

  async shutdown({ withinMs }: { withinMs: number }): Promise<void> {
    await this.#parts.stop(withinMs)
  }

  get #isPaid(): boolean {
    return this.#parts.mode !== 'free'
  }

  #job(id: string): Job {
    return findJob(this.#parts.peer.requesting.jobs, id)
  }

  async #content(job: Job, index: number, unverified: boolean): Promise<Found | undefined> {
    const task = job.tasks.get(index)
    if (task?.state.kind === 'done') return { content: task.state.content, verified: true, exitCode: task.state.exitCode }
    if (task?.failedContent !== undefined) return { content: task.failedContent, verified: true, exitCode: 1 }
    if (!unverified || task === undefined) return undefined
    const early = await this.#parts.peek(job, index)
    return early === undefined ? undefined : { ...early, verified: false }
  }
}
