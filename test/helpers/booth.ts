import { Outbox } from '../../src/core/outbox.ts'
import { Timers } from '../../src/core/timers.ts'
import { Turn } from '../../src/core/turn.ts'
import type { Effect, EffectOf, Notice, Write } from '../../src/core/effect.ts'
import type { Comparison, EventOf } from '../../src/core/event.ts'
import { ZERO_ADDRESS, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { Bid } from '../../src/documents/bid.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import { commitHash } from '../../src/documents/receipt.ts'
import type { Receipt, RunResult } from '../../src/documents/receipt.ts'
import type { ErrorShape } from '../../src/errors.ts'
import { Ballot } from '../../src/job/ballot.ts'
import { segmentToRun } from '../../src/job/compare.ts'
import { Deals } from '../../src/job/deals.ts'
import { newJob } from '../../src/job/job.ts'
import type { Job } from '../../src/job/job.ts'
import { Paying } from '../../src/job/paying.ts'
import { freshTask, wantedReplicas } from '../../src/job/task.ts'
import type { Replica, Task, TaskRecord } from '../../src/job/task.ts'
import { Guests } from '../../src/market/guests.ts'
import { Accounts } from '../../src/payment/accounts.ts'
import { Histories } from '../../src/reputation/history.ts'
import { addressOf, peerIdOf } from '../../src/sim/computer.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { cidOf } from '../../src/sim/truth.ts'
import { GIB } from '../../src/units.ts'
import { PLAIN_JOB } from './plain-job.ts'

/** A successful result with this content, by its name. */
export function gives(name: string): RunResult {
  return { status: 'exited', exitCode: 0, trap: 'E_NONE', content: cidOf(name), contentBytes: 1 }
}

export interface BoothOptions {
  rules: Pick<JobDocument, 'compare' | 'segments'>
  quorum: number
  spread?: number
  /** What the nth provider, from 0, gives of the task or of one segment of it. */
  result: (provider: number, segment: number | undefined) => RunResult
  /** What a comparison finds. */
  compare: (effect: EffectOf<'compare'>) => Comparison
  /** Whether the content of what won can be had; always, without it. */
  hands?: (content: string) => boolean
  /** In which order the reveals of a round arrive; the order of their leases without it. */
  shuffle?: (replicas: Replica[]) => Replica[]
  /** The requester loses power after every event, and all that was not written. */
  crashes?: boolean
  /** Replicas after which nobody else is to be had. */
  most?: number
}

/** Far more than a vote of so few takes. */
const MAX_COMPARISONS = 200
const WALL_MS = 1_800_000_000_000

/** One task of a job through the real ballot: leases, commits, closed sets, reveals, comparisons, verdict. Each replica has a provider of its own. */
export class Booth {
  readonly hasher = countingHasher()
  readonly notices: Notice[] = []
  readonly comparisons: EffectOf<'compare'>[] = []
  readonly verdicts = new Map<number, string>()
  task: Task
  error: ErrorShape | undefined
  readonly #options: BoothOptions
  readonly #self = { identity: { peer: peerIdOf(0), address: addressOf(0), payee: addressOf(0), peerSignature: new Uint8Array(64), moneySignature: '' }, separator: new Uint8Array(32), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32 }
  readonly #timers = new Timers()
  readonly #histories = new Histories()
  readonly #parts = { self: this.#self, timers: this.#timers, outbox: new Outbox(this.#timers), histories: this.#histories, guests: new Guests({ allow: [], coreMsADay: 0 }), post: { send: () => undefined, add: () => undefined, done: () => undefined, has: () => false } }
  readonly #deals = new Deals(this.#parts, new Paying(this.#parts, new Accounts(), undefined))
  readonly #receipts = new Map<number, Receipt>()
  readonly #job: Job
  #ballot: Ballot
  #stored: string
  #asked: EffectOf<'compare'>[] = []

  constructor(options: BoothOptions) {
    this.#options = options
    this.#job = newJob({ v: 1, id: cidOf('booth'), document: { ...documentOf({ ...PLAIN_JOB, quorum: options.quorum, replicas: options.spread ?? options.quorum }, peerIdOf(0), 0), ...options.rules }, createdWallMs: WALL_MS, offerRound: 1, begun: true, state: { kind: 'running' } })
    this.task = { ...freshTask(0), quorum: options.quorum, spread: options.spread ?? options.quorum }
    this.#stored = JSON.stringify(this.task)
    this.#ballot = this.#open()
  }

  /** Until the vote is decided, nobody else can be had, or nothing moves any more. */
  vote(): this {
    const { shuffle = (replicas) => replicas, most = 12 } = this.#options
    for (let rounds = 0; rounds < 100 && this.task.state.kind === 'active' && this.error === undefined; rounds++) {
      while (wantedReplicas(this.#job.document, this.task) > 0 && this.task.attempts < most) this.#lease()
      for (const { attempt } of this.task.replicas) this.#commit(attempt)
      for (const { attempt } of shuffle([...this.task.replicas])) this.#reveal(attempt)
      while (this.#asked.length > 0) this.#answer()
      this.#fetch()
      if (wantedReplicas(this.#job.document, this.task) > 0 && this.task.attempts >= most) break
    }
    return this
  }

  /** The accepted result is fetched: verdicts follow. */
  settle(): this {
    this.#step((turn) => { if (this.task.state.kind === 'fetching') this.#ballot.fetched(turn, this.#job, this.task, this.task.state.content) })
    return this
  }

  /** Nobody else can be had. */
  alone(): this {
    this.#step((turn) => { this.#ballot.settleForLess(turn, this.#job, this.task) })
    return this
  }

  /** News of a comparison that nobody waits for. */
  tell(event: Omit<EventOf<'compared'>, 'kind' | 'job' | 'task'>): void {
    this.#step((turn) => { this.#ballot.compared(turn, this.#job, this.task, { kind: 'compared', job: this.#job.id, task: 0, ...event }) })
  }

  /** Another replica comes to check what is known. */
  check(): this {
    this.#lease(true)
    const attempt = this.task.attempts - 1
    this.#commit(attempt)
    this.#reveal(attempt)
    while (this.#asked.length > 0) this.#answer()
    return this
  }

  /** What won and cannot be had is lost, and the vote goes on. */
  #fetch(): void {
    const { content } = this
    if (this.task.state.kind !== 'fetching' || content === undefined || this.#options.hands?.(content) !== false) return
    this.#step((turn) => { this.#ballot.lost(turn, this.#job, this.task, content) })
    while (this.#asked.length > 0) this.#answer()
  }

  get content(): string | undefined {
    return this.task.state.kind === 'fetching' || this.task.state.kind === 'done' ? this.task.state.content : undefined
  }

  /** States of all replicas, in the order of their leases. */
  get ends(): string[] {
    return this.task.replicas.map(({ state }) => state.kind)
  }

  get segments(): (number | undefined)[] {
    return this.task.replicas.map(({ segment }) => segment)
  }

  /** Wrong results that the requester remembers of the nth provider. */
  wrongs(provider: number): number {
    return this.#histories.get(peerIdOf(provider + 1), WALL_MS).wrong
  }

  /** Failures that the requester remembers of the nth provider. */
  failures(provider: number): number {
    return this.#histories.get(peerIdOf(provider + 1), WALL_MS).failed
  }

  #open(): Ballot {
    return new Ballot(this.#parts, this.#deals, { changed: () => undefined, ended: () => undefined, caught: () => undefined, broken: (_turn, _job, error) => { this.error = error } })
  }

  #replica(attempt: number): Replica {
    const found = this.task.replicas.find((replica) => replica.attempt === attempt)
    if (found === undefined) throw new Error(`no replica ${attempt}`)
    return found
  }

  #lease(check = false): void {
    const segment = check ? undefined : segmentToRun(this.#job.document, this.task)
    this.#step((turn) => {
      const attempt = this.task.attempts++
      const identity = { ...this.#self.identity, peer: peerIdOf(attempt + 1), address: addressOf(attempt + 1), payee: addressOf(attempt + 1) }
      const bid: Bid = { v: 1, job: this.#job.id, round: 1, identity, slots: 1, startMs: 0, expiresWallMs: 0, hardware: { cores: 1, memoryBytes: GIB, diskBytes: 0, gpus: [] }, region: 'any', terms: { mode: 'free' }, taskPriceWei: 0n, bondWei: 0n, exposureWei: 0n }
      const deal = this.#deals.open(turn, this.#job, bid, 1)
      this.#receipts.set(attempt, { agreement: deal.id, task: 0, attempt, result: this.#options.result(attempt, segment), usage: { wallMs: 1, cpuMs: 1, peakMemoryBytes: 1, fuel: 1 }, finalRoot: ZERO_BYTES32 })
      this.task.replicas.push({ agreement: deal.id, provider: identity.peer, payee: identity.payee, attempt, sinceMonoMs: 0, check, ...segment === undefined ? {} : { segment }, state: { kind: 'leased' } })
      this.#ballot.store(turn, this.#job, this.task)
    })
  }

  #commit(attempt: number): void {
    const replica = this.#replica(attempt)
    const receipt = this.#receipts.get(attempt)
    if (replica.state.kind !== 'leased' || receipt === undefined) return
    const commit = commitHash(this.hasher, receipt, addressOf(attempt + 1), ZERO_BYTES32)
    this.#step((turn) => { this.#ballot.commit(turn, this.#job, this.task, this.#replica(attempt), commit) })
  }

  #reveal(attempt: number): void {
    const receipt = this.#receipts.get(attempt)
    if (this.#replica(attempt).state.kind !== 'closing' || receipt === undefined) return
    this.#step((turn) => { this.#ballot.reveal(turn, this.#job, this.task, this.#replica(attempt), { kind: 'reveal', receipt, nonce: ZERO_BYTES32 }) })
  }

  /** The first that was asked is answered; asked twice meanwhile, it is one. */
  #answer(): void {
    const [effect] = this.#asked.splice(0, 1)
    if (effect === undefined) return
    const against = effect.against.map(({ opinion }) => opinion)
    this.#asked = this.#asked.filter(({ fresh }) => fresh.opinion !== effect.fresh.opinion)
    this.comparisons.push(effect)
    if (this.comparisons.length > MAX_COMPARISONS) throw new Error('compared without end')
    this.tell({ opinion: effect.fresh.opinion, against, outcome: this.#options.compare(effect) })
  }

  #step(work: (turn: Turn) => void): void {
    const turn = new Turn({ monoMs: 0, wallMs: WALL_MS }, new Uint8Array(32), this.hasher)
    work(turn)
    this.#after(turn.finish())
    if (this.#options.crashes !== true || this.error !== undefined) return
    this.task = JSON.parse(this.#stored) as Task
    this.#ballot = this.#open()
    this.#asked = []
    const again = new Turn({ monoMs: 0, wallMs: WALL_MS }, new Uint8Array(32), this.hasher)
    this.#ballot.advance(again, this.#job, this.task)
    this.#after(again.finish())
  }

  #after({ writes, effects }: { writes: Write[], effects: Effect[] }): void {
    for (const write of writes) if (write.kind === 'put' && write.key.startsWith('task/')) this.#stored = JSON.stringify((write.value as TaskRecord).task)
    for (const effect of effects) {
      if (effect.kind === 'compare') this.#asked.push(effect)
      if (effect.kind === 'notify') this.notices.push(effect.notice)
      if (effect.kind === 'send' && effect.message.kind === 'verdict') this.verdicts.set(effect.message.attempt, effect.message.verdict)
    }
  }
}
