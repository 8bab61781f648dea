/**
 * A node's interface in memory, for the layer that formats and parses: commands, prompt and socket are the real ones.
 * It records each call, so that a test can show that a wrong command line touched nothing.
 */
import { HearthError } from '../../src/errors.ts'
import { GIB, HOUR_MS, MIB } from '../../src/units.ts'
import { BoundedQueue } from '../../node/api/bounded-queue.ts'
import type { AdSummary, AdView, Check, Estimate, JobDetail, JobSummary, LogChunk, NodeApi, NodeStatus, PeerSummary, ResultsReport, ShareReport, SubmitRequest, Timestamped, Watch, WhyReport } from '../../node/api/contract.ts'
import type { Bill, CapsChange, CapsReport, EarningsReport, FundRequest, MoneyMoved, PriceChange, PriceReport, RefundsReport, TicketsReport, Wallet, Withdrawal, WithdrawRequest } from '../../node/api/money.ts'
import { NO_CONTAINERS } from '../../src/documents/share.ts'
import type { ImagesReport } from '../../node/api/images.ts'
import type { SharePolicy } from '../../src/documents/share.ts'

export const PEERS = [
  '12D3KooWQmXf7TzaGkVtxHRtnSRnWLXWBTfnMmuNYgtiZnR2tHzp',
  '12D3KooWbT5pQ9aaMJdxbnHkqAhvWz7sVAjRKPfWcK9xmYeKVtRq',
  '12D3KooWbT5pZZZzMJdxbnHkqAhvWz7sVAjRKPfWcK9xmYeKVtRs'
] as const
export const JOBS = [
  'bafyreihq3k5q2mrx7dkzqg2yk6q4v5w3n2o7f4c6jzj5a2x4m3b6t7u5e',
  'bafyreihq3zzzzmrx7dkzqg2yk6q4v5w3n2o7f4c6jzj5a2x4m3b6t7u5e',
  'bafyreiabcdefgmrx7dkzqg2yk6q4v5w3n2o7f4c6jzj5a2x4m3b6t7u5e'
] as const
/** A moment that tests can render against. */
export const NOW_WALL_MS = Date.UTC(2026, 0, 15, 12, 0, 0)

export const POLICY: SharePolicy = {
  enabled: true, paused: false, cores: 4, memoryBytes: 8 * GIB, diskBytes: 20 * GIB, gpus: false, engines: ['wasm'], region: 'any',
  maxRunMs: HOUR_MS, maxInputBytes: 4 * GIB, allow: [], deny: [], hours: [], onlyWhenIdle: false, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 0.5
}

function summary(i: number, fields: Partial<JobSummary>): JobSummary {
  return { id: JOBS[i] ?? '', name: 'path-tracer', state: 'running', createdWallMs: NOW_WALL_MS - 60_000 * (i + 1), tasks: 64, done: 20, failed: 0, active: 8, ...fields }
}

export function fakeJobs(): JobSummary[] {
  return [
    summary(0, {}),
    summary(1, { name: '夜の家 render', state: 'done', done: 64, active: 0, endedWallMs: NOW_WALL_MS - 90_000 }),
    summary(2, { name: 'word-count', state: 'failed', tasks: 1, done: 0, failed: 1, active: 0, endedWallMs: NOW_WALL_MS - 170_000, error: { code: 'E_EXIT', message: 'the program ended with 3', hint: 'See `logs`' } })
  ]
}

function detail(job: JobSummary): JobDetail {
  return {
    ...job,
    quorum: 2,
    replicas: 3,
    providers: PEERS.map((peer, i) => ({ peer, state: 'active', tasks: 10 - i, done: 8 - i, wrong: i === 2 ? 1 : 0, failed: 0 })),
    taskList: Array.from({ length: job.tasks }, (_, index) => ({ index, state: index < job.done ? 'done' : index < job.done + job.active ? 'running' : 'waiting', attempts: 1, peers: index < job.done + job.active ? [PEERS[index % 2] ?? ''] : [], fraction: index < job.done ? 1 : index < job.done + job.active ? 0.4 : 0, verified: index < job.done, ...(index < job.done ? { exitCode: 0 } : {}), ...(job.error === undefined ? {} : { error: job.error, exitCode: 3 }) })),
    timeline: [
      { kind: 'job', job: job.id, state: 'tendering', code: 'E_NONE', message: '', wallMs: job.createdWallMs },
      { kind: 'tender', job: job.id, round: 0, asked: 5, bids: 3, declines: 2, wallMs: job.createdWallMs + 120 },
      { kind: 'caught', job: job.id, task: 7, peer: PEERS[2], message: 'its result differs from two others', wallMs: job.createdWallMs + 900 }
    ]
  }
}

const AD: AdView = {
  v: 1,
  identity: { peer: PEERS[0], address: `0x${'11'.repeat(20)}`, payee: `0x${'11'.repeat(20)}` },
  addresses: ['/ip4/192.168.1.20/tcp/4150'], agent: 'hearth/0.1.0', issuedWallMs: NOW_WALL_MS, expiresWallMs: NOW_WALL_MS + 90_000, region: 'eu-west', engines: ['wasm'],
  hardware: { cores: 8, memoryBytes: 16 * GIB, diskBytes: 100 * GIB, gpus: [{ vendor: 'nvidia', model: 'GeForce RTX 3060', vramBytes: 12 * GIB, driver: '550.1' }] },
  free: { cores: 6.5, memoryBytes: 12 * GIB, diskBytes: 90 * GIB, gpus: 1 }, open: true
}

const ETH = 10n ** 18n
const GWEI = 10n ** 9n
const SUMS = { workedMs: 60_000, acceptedMs: 50_000, failedMs: 5_000, waitingMs: 5_000, movedBytes: 0, movedWei: '0', tickets: 60, paidWei: (120n * GWEI).toString(), aheadWei: GWEI.toString(), heldBackWei: (3n * GWEI).toString(), refundWei: '0', refundDueWei: GWEI.toString(), winners: 1, winnersWei: (200n * GWEI).toString() }

export class FakeApi implements NodeApi {
  /** Undefined: a free node, which refuses all of money. */
  wallet_: Wallet | undefined = {
    mode: 'devnet', address: `0x${'11'.repeat(20)}`, payee: `0x${'11'.repeat(20)}`, chainId: 31_337, contract: `0x${'5f'.repeat(20)}`, asset: { kind: 'coin' },
    chain: { state: 'up', blockNumber: 42 }, stale: false,
    balances: { coin: (99n * ETH).toString(), deposit: (10n * ETH).toString(), bond: (5n * ETH).toString(), jobs: (5n * ETH).toString(), reserved: '0', credit: (ETH / 4n).toString() },
    unlocks: [{ from: 'bond', amountWei: ETH.toString(), dueWallMs: NOW_WALL_MS + HOUR_MS, due: false }],
    exposed: { toProviders: { agreements: 2, expectedWei: (20n * GWEI).toString(), worstWei: (ETH / 100n).toString() }, fromRequesters: { agreements: 1, expectedWei: (5n * GWEI).toString(), worstWei: (9n * GWEI).toString() }, bondBehindWei: (ETH / 10n).toString() },
    pending: { winners: 1, winnersWei: (200n * GWEI).toString(), transactions: 0 }, confirmAboveWei: ETH.toString()
  }
  withdrawal: Withdrawal = { from: 'deposit', amountWei: (10n * ETH).toString(), step: 'asked', dueWallMs: NOW_WALL_MS + HOUR_MS, moved: { words: 'Asks for it back', tx: `0x${'ab'.repeat(32)}`, blockNumber: 43, feeWei: '50000' } }
  ticketsReport: TicketsReport = {
    asset: { kind: 'coin' },
    sinceWallMs: NOW_WALL_MS - 86_400_000,
    received: { tickets: 1000, expectedWei: (2000n * GWEI).toString(), expectedWins: 10, deviation: 0.31, wins: 12, wonWei: (2400n * GWEI).toString(), redeemed: 11, redeemedWei: (2200n * GWEI).toString(), gasWei: (90n * GWEI).toString(), pending: 1, pendingWei: (200n * GWEI).toString(), lost: 0, lostWei: '0', off: 0.2, alarm: 'none' },
    issued: { tickets: 0, expectedWei: '0', expectedWins: 0, deviation: 0, redeemed: 0, redeemedWei: '0', off: 0, alarm: 'none' },
    winners: [{ digest: `0x${'cd'.repeat(32)}`, job: JOBS[0], peer: PEERS[0], faceWei: (200n * GWEI).toString(), wonWallMs: NOW_WALL_MS - 60_000, state: 'pending' }]
  }
  earningsReport: EarningsReport = {
    asset: { kind: 'coin' },
    days: [{ day: '2026-01-15', tickets: 1000, expectedWei: (2000n * GWEI).toString(), wins: 12, wonWei: (2400n * GWEI).toString(), redeemedWei: (2200n * GWEI).toString(), gasWei: '0' }],
    jobs: [{ job: JOBS[0], requester: PEERS[0], lastWallMs: NOW_WALL_MS - 60_000, tickets: 1000, expectedWei: (2000n * GWEI).toString(), wins: 12, wonWei: (2400n * GWEI).toString() }],
    forecast: { days: 7, expectedWei: (14_000n * GWEI).toString(), lowWei: (9000n * GWEI).toString(), highWei: (19_000n * GWEI).toString(), basisDays: 3, luckShare: 0.4 }
  }
  prices: PriceReport = { asset: { kind: 'coin' }, coreHourWei: (10_000n * GWEI).toString(), gibHourWei: (1000n * GWEI).toString(), gpuHourWei: (200_000n * GWEI).toString(), movedWei: (5000n * GWEI).toString(), fuelWei: (3n * GWEI).toString(), unitMs: 1000, holdback: 0.3, refund: 0.5 }
  capsReport: CapsReport = { asset: { kind: 'coin' }, dayWei: ETH.toString(), spentTodayWei: (120n * GWEI).toString(), peers: [{ peer: PEERS[0], spentWei: (120n * GWEI).toString() }] }
  /** A job is refused until its cost is confirmed. */
  confirmCost = false

  /** Name of each method called, in order. */
  readonly calls: string[] = []
  /** What each was given last. */
  readonly given: Record<string, unknown> = {}
  jobList = fakeJobs()
  policy: SharePolicy = { ...POLICY }
  running = 0
  /** Methods that fail with this. */
  readonly failing = new Map<string, HearthError>()
  /** What a job's events are; live ones go to `publish`. */
  history: Timestamped[] = []
  logChunks: LogChunk[] = []
  resultsReport: ResultsReport = { to: '', files: 3, bytes: 5 * MIB, verified: true, missing: 0, tasks: [{ index: 0, path: 'x', verified: true, exitCode: 0 }] }
  /** The exit code and state that a submitted job ends with. */
  submitted: { id: string, state: 'done' | 'failed', exitCode: number } = { id: JOBS[0], state: 'done', exitCode: 0 }
  readonly #listeners = new Set<{ job: string | undefined, queue: BoundedQueue<Timestamped> }>()
  /** Told when a stream's reader went away. */
  readonly returned: string[] = []
  readonly stopped = Promise.withResolvers<void>()

  /** A live notice, to every reader that asked for it. */
  publish(notice: Timestamped): void {
    const ends = notice.kind === 'job' && (notice.state === 'done' || notice.state === 'failed' || notice.state === 'cancelled')
    for (const { job, queue } of this.#listeners) {
      if (job !== undefined && job !== notice.job) continue
      queue.push(notice)
      if (job !== undefined && ends) queue.end()
    }
  }

  get readers(): number {
    return this.#listeners.size
  }

  #called(name: string, given?: unknown): void {
    this.calls.push(name)
    this.given[name] = given
    const failure = this.failing.get(name)
    if (failure !== undefined) throw failure
  }

  #find(id: string): JobSummary {
    const job = this.jobList.find((one) => one.id === id)
    if (job === undefined) throw new HearthError('E_JOB_UNKNOWN', `there is no job ${id}`, 'List them with `jobs`')
    return job
  }

  async status(): Promise<NodeStatus> {
    this.#called('status')
    return { peer: PEERS[0], address: '0x00000000000000000000000000000000000000aa', version: '0.1.0', mode: 'free', upSinceWallMs: NOW_WALL_MS - HOUR_MS, addresses: ['/ip4/192.168.1.20/tcp/4150/p2p/x'], peers: 3, sharing: this.policy.enabled, paused: this.policy.paused, running: this.running, slots: 4, jobs: { active: 1, done: 1, failed: 1 }, residentBytes: 120 * MIB }
  }

  async submit(request: SubmitRequest): Promise<{ job: string }> {
    this.#called('submit', request)
    if (this.confirmCost && request.confirmed !== true) throw new HearthError('E_PAYMENT_CONFIRM', 'the job may cost up to 3 ether, more than payment.confirmAbove of 1 ether', 'Say --yes')
    return { job: this.submitted.id }
  }

  async estimate(request: SubmitRequest): Promise<Estimate> {
    this.#called('estimate', request)
    return {
      tasks: 64, replicas: 3, needs: { cores: 1, memoryBytes: 512 * MIB, diskBytes: 256 * MIB, gpus: 0, inputBytes: 3 * MIB, moduleBytes: MIB },
      fit: [{ peer: PEERS[0], hardware: '8 cores, 16 GiB', region: 'eu-west', latencyMs: 12, slots: 6 }], unfit: [{ peer: PEERS[1], codes: ['E_FIT_MEMORY', 'E_HOST_CLOSED'] }],
      durationMs: { low: 60_000, high: 240_000 }, costWei: { low: '0', high: '0' }, warnings: ['Each task needs 3 different providers, 1 fits']
    }
  }

  async jobs(): Promise<JobSummary[]> {
    this.#called('jobs')
    return this.jobList
  }

  async job(id: string): Promise<JobDetail> {
    this.#called('job', id)
    const found = detail(this.#find(id))
    if (id === this.submitted.id && this.calls.includes('submit')) {
      const ended = { ...found, tasks: 1, state: this.submitted.state, taskList: [{ index: 0, state: this.submitted.state, attempts: 1, peers: [PEERS[0]], fraction: 1, verified: true, exitCode: this.submitted.exitCode }] }
      return this.submitted.state === 'failed' ? { ...ended, error: { code: 'E_JOB_FAILED', message: 'one task failed', hint: 'See `logs`' } } : ended
    }
    return found
  }

  async why(idOrIdle: string): Promise<WhyReport> {
    this.#called('why', idOrIdle)
    return {
      subject: idOrIdle, verdict: 'No provider has taken it yet; 2 declined',
      missing: [{ code: 'E_FIT_MEMORY', requirement: 'needs 64 GiB of memory, lends 16 GiB', peers: 2, wouldFitOtherwise: 2 }],
      refusals: [{ peer: PEERS[1], code: 'E_FIT_MEMORY', message: 'needs 64 GiB of memory, lends 16 GiB', times: 3 }], hints: ['Ask for less memory']
    }
  }

  async * logs(request: { job: string, task?: number, stream: 'stdout' | 'stderr' | 'both', follow: boolean }): AsyncGenerator<LogChunk> {
    this.#called('logs', request)
    yield * this.logChunks.filter(({ task, stream }) => (request.task === undefined || request.task === task) && (request.stream === 'both' || request.stream === stream))
  }

  async results(request: { job: string, to: string, task?: number, unverified?: boolean }, _watch?: Watch): Promise<ResultsReport> {
    this.#called('results', request)
    return { ...this.resultsReport, to: request.to }
  }

  async cancel(id: string): Promise<void> { this.#called('cancel', id) }
  async rate(request: { peer: string, stars: number }): Promise<void> { this.#called('rate', request) }

  async peers(): Promise<PeerSummary[]> {
    this.#called('peers')
    return PEERS.map((peer, i) => ({ peer, addresses: [`/ip4/192.168.1.2${i}/tcp/4150`], latencyMs: 3 + 20 * i, direction: i === 0 ? 'inbound' : 'outbound', completed: 40 - i, failed: i, late: 0, wrong: i === 2 ? 1 : 0, score: 0.9 - i * 0.6 }))
  }

  async ads(): Promise<AdSummary[]> {
    this.#called('ads')
    return [{ ad: AD, latencyMs: 12, ageMs: 4_000 }]
  }

  async share(): Promise<ShareReport> {
    this.#called('share')
    return { policy: this.policy, reserved: { cores: 1, memoryBytes: GIB, diskBytes: GIB }, running: this.running, slots: 4, gpus: [] }
  }

  async setShare(change: Partial<SharePolicy>): Promise<ShareReport> {
    this.#called('setShare', change)
    this.policy = { ...this.policy, ...change }
    return { policy: this.policy, reserved: { cores: 1, memoryBytes: GIB, diskBytes: GIB }, running: this.running, slots: 4, gpus: [] }
  }

  async images(): Promise<ImagesReport> {
    this.#called('images')
    return { images: [{ key: `sha256:${'a1'.repeat(32)}`, name: 'docker.io/library/alpine', diskBytes: 8 * MIB, lastUsedWallMs: NOW_WALL_MS - HOUR_MS, inUse: false, listed: 'listed' }], usedBytes: 8 * MIB, quotaBytes: 20 * GIB }
  }

  async removeImages(request: { key?: string }): Promise<{ freedBytes: number }> {
    this.#called('removeImages', request)
    return { freedBytes: 8 * MIB }
  }

  async signImage(request: { image: string, baseDir: string }): Promise<{ key: string, signature: string }> {
    this.#called('signImage', request)
    return { key: `sha256:${'a1'.repeat(32)}`, signature: `${PEERS[0]}:${'A'.repeat(86)}==` }
  }

  async pause(): Promise<void> { this.#called('pause') }
  async resume(): Promise<void> { this.#called('resume') }

  async doctor(): Promise<Check[]> {
    this.#called('doctor')
    return [{ name: 'peers', state: 'ok', message: '3 connected', hint: '' }, { name: 'reachable', state: 'warn', message: 'no public address is confirmed', hint: 'Forward the TCP port in your router' }]
  }

  events(request: { job?: string }, signal?: AbortSignal): AsyncIterable<Timestamped> {
    this.#called('events', request)
    const name = request.job ?? 'all'
    const listener = { job: request.job, queue: new BoundedQueue<Timestamped>(4096, () => { this.#listeners.delete(listener); this.returned.push(name) }) }
    this.#listeners.add(listener)
    if (request.job !== undefined) for (const notice of this.history) listener.queue.push(notice)
    if (request.job !== undefined && (this.calls.includes('submit') || this.#find(request.job).state !== 'running')) listener.queue.end()
    signal?.addEventListener('abort', () => listener.queue.end(), { once: true })
    return listener.queue
  }

  async wallet(): Promise<Wallet> { this.#called('wallet'); return this.#paying() }
  async fund(request: FundRequest): Promise<MoneyMoved> { this.#called('fund', request); this.#paying(); return { words: 'Adds it', tx: `0x${'ab'.repeat(32)}`, blockNumber: 43, feeWei: '50000' } }
  async withdraw(request: WithdrawRequest): Promise<Withdrawal> { this.#called('withdraw', request); this.#paying(); return this.withdrawal }
  async claimRefunds(): Promise<RefundsReport> { this.#called('claimRefunds'); this.#paying(); return { asset: { kind: 'coin' }, refunds: [{ peer: PEERS[0], job: JOBS[0], agreement: `0x${'ee'.repeat(32)}`, amountWei: GWEI.toString(), step: 'claimed' }] } }
  async tickets(): Promise<TicketsReport> { this.#called('tickets'); this.#paying(); return this.ticketsReport }
  async earnings(): Promise<EarningsReport> { this.#called('earnings'); this.#paying(); return this.earningsReport }
  async price(): Promise<PriceReport> { this.#called('price'); this.#paying(); return this.prices }
  async setPrice(change: PriceChange): Promise<PriceReport> { this.#called('setPrice', change); this.#paying(); return { ...this.prices, ...change } }
  async caps(): Promise<CapsReport> { this.#called('caps'); this.#paying(); return this.capsReport }
  async setCaps(change: CapsChange): Promise<CapsReport> { this.#called('setCaps', change); this.#paying(); return this.capsReport }
  async bill(job: string): Promise<Bill> {
    this.#called('bill', job)
    this.#paying()
    return { asset: { kind: 'coin' }, job, name: 'path-tracer', state: 'done', providers: [{ ...SUMS, peer: PEERS[0], agreement: `0x${'ee'.repeat(32)}`, state: 'closed', unitMs: 1000, unitPriceWei: (2n * GWEI).toString() }], total: SUMS }
  }

  #paying(): Wallet {
    if (this.wallet_ === undefined) throw new HearthError('E_PAYMENT_FREE', 'this node works and asks for free: it has no money', 'See `help money`')
    return this.wallet_
  }

  async dial(multiaddr: string): Promise<{ peer: string }> {
    this.#called('dial', multiaddr)
    return { peer: PEERS[1] }
  }

  async shutdown(request: { withinMs: number }): Promise<void> {
    this.#called('shutdown', request)
    this.stopped.resolve()
  }
}
