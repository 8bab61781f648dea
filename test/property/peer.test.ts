/**
 * A few real peers that work for each other, in a town where whatever was once said is said again by anybody, to anybody,
 * at any time, with parts exchanged; where runs end that nobody began and power fails. No peer throws, none grows, and
 * each has written what it knows.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NO_CONTAINERS } from '../../src/documents/share.ts'
import type { Effect, EffectOf, StoredRecord } from '../../src/core/effect.ts'
import type { Comparison, HostState, LeaseId, Now, PeerEvent } from '../../src/core/event.ts'
import { ZERO_ADDRESS, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { Identity } from '../../src/documents/identity.ts'
import type { Message } from '../../src/documents/message.ts'
import type { RunResult, Usage } from '../../src/documents/receipt.ts'
import { Peer } from '../../src/peer.ts'
import type { PeerOptions } from '../../src/peer.ts'
import { durablePart } from '../../src/sim/checkers/records.ts'
import { addressOf, EPOCH_WALL_MS, peerIdOf } from '../../src/sim/computer.ts'
import { Disk, frozenCopy, frozenWrites } from '../../src/sim/disk.ts'
import { documentOf, jobIdOf } from '../../src/sim/documents.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { Random } from '../../src/sim/random.ts'
import type { JobSpec } from '../../src/sim/scenario.ts'
import { cidOf } from '../../src/sim/truth.ts'
import { GIB, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/units.ts'

const SEEDS = 10
const EVENTS = 6000
/** Real ones; as many names again belong to nobody. */
const PEERS = 4
const JOBS = 3
/** What was said last: enough to bring back what has long ended. */
const REMEMBERED = 400
/** What waits to be delivered; the rest is lost, as on a bad line. */
const MAX_ON_THE_WAY = 300
/** Whatever is said: far below one each that is sent to a peer, of which there are thousands. */
const MOST: ReturnType<Peer['sizes']> = { timers: 300, outbox: 90, jobs: JOBS, deals: 24, spares: 24, queued: 90, agreements: 8, leases: 90 }

/** A result is kept for ten minutes; a run may overshoot its limit. */
const LONGEST_MS = 30 * MINUTE_MS
const STEP_MS = 10 * SECOND_MS

const hasher = countingHasher()
const usage: Usage = { wallMs: 1, cpuMs: 1, peakMemoryBytes: 1, fuel: 1 }
const IDLE: HostState = { ownerActive: false, minuteOfDay: 0, weekday: 0, diskFreeBytes: GIB }
const hardware = { cores: 8, memoryBytes: 16 * GIB, diskBytes: 64 * GIB, gpus: [] }

function identityOf(index: number): Identity {
  return { peer: peerIdOf(index), address: addressOf(index), payee: addressOf(index), peerSignature: new Uint8Array(64), moneySignature: '' }
}

function optionsOf(index: number): PeerOptions {
  return {
    self: { identity: identityOf(index), separator: new Uint8Array(32), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32 }, hasher, hardware, requester: { bidWindowMs: 2000, maxProviders: 16 },
    free: { allow: 'anyone', coreMsADay: HOUR_MS },
    policy: { enabled: true, paused: false, ...hardware, gpus: false, engines: ['wasm'], region: 'any', maxRunMs: HOUR_MS, maxInputBytes: GIB, allow: [], deny: [], hours: [], onlyWhenIdle: true, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 1 }
  }
}

function specOf(random: Random): JobSpec {
  const quorum = random.between(1, 2)
  return {
    requester: 0, atMs: 0, tasks: random.between(1, 30), quorum, replicas: quorum + random.below(2), adaptive: random.chance(0.5), spotCheckShare: random.chance(0.5) ? 0.3 : 0, retries: random.below(4),
    selection: random.pick(['random', 'weighted', 'fastest', 'cheapest']), cores: 1, ...random.pick<Pick<JobSpec, 'compare' | 'segments'>>([{}, { compare: 'verifier' }, { compare: 'verifier' }, { compare: 'program', segments: 5 }, { segments: 5 }]), runMs: 100, limits: { queueMs: HOUR_MS, runMs: 20 * SECOND_MS, totalMs: HOUR_MS, logBytes: 0 }, failing: []
  }
}

/** `a` with one part taken from `b`: still of its schema, since both are. */
function spliced<T>(random: Random, a: T, b: T): T {
  if (typeof a !== 'object' || a === null || Array.isArray(a) || a instanceof Uint8Array) return b
  const key = random.pick(Object.keys(a) as [keyof T, ...(keyof T)[]])
  const [mine, others] = [a[key], b[key]]
  if (others === undefined) return a
  return { ...a, [key]: typeof mine === 'object' && random.chance(0.7) ? spliced(random, mine, others) : others }
}

interface Said { from: number, to: number, message: Message }
interface Citizen { peer: Peer, disk: Disk }

class Town {
  readonly #seed: number
  readonly #random: Random
  readonly #citizens: Citizen[]
  readonly #said: Said[] = []
  readonly #runs: { at: number, lease: LeaseId }[] = []
  readonly #results: { at: number, job: string, task: number, content: string }[] = []
  readonly #comparisons: EffectOf<'compare'>[] = []
  readonly #onTheWay: { to: number, event: PeerEvent }[] = []
  readonly most = new Map<string, number>()
  readonly kinds = new Set<string>()
  #now: Now = { monoMs: 0, wallMs: EPOCH_WALL_MS }

  constructor(seed: number) {
    this.#seed = seed
    this.#random = new Random(seed)
    this.#citizens = Array.from({ length: PEERS }, (_, i) => ({ peer: new Peer(optionsOf(i)), disk: new Disk() }))
    for (const i of this.#citizens.keys()) this.#start(i)
  }

  live(): void {
    const random = this.#random
    for (let i = 0; i < EVENTS; i++) {
      const passedMs = random.pick([0, 0, 1, 20, 20, 200, random.chance(0.02) ? MINUTE_MS : 500])
      this.#now = { monoMs: this.#now.monoMs + passedMs, wallMs: this.#now.wallMs + passedMs }
      if (random.chance(0.001)) this.#powerCut(random.below(PEERS))
      else if (random.chance(0.6) && this.#onTheWay.length > 0) this.#deliver()
      else if (random.chance(0.3)) for (const at of this.#citizens.keys()) this.#handle(at, { kind: 'tick' })
      else if (random.chance(0.5)) this.#hearsay()
      else this.#handle(random.below(PEERS), this.#oddity())
    }
    for (const at of this.#citizens.keys()) this.#powerCut(at)
  }

  /** All is over and everybody leaves: what a peer still holds after the longest of its times is held for ever. */
  leave(): void {
    for (const [at, { peer }] of this.#citizens.entries()) {
      for (const job of [...peer.requesting.jobs.keys()]) for (const kind of ['cancel', 'forget'] as const) this.#handle(at, { kind, job })
      this.#handle(at, { kind: 'host', host: IDLE })
      for (let passedMs = 0; passedMs < LONGEST_MS; passedMs += STEP_MS) {
        this.#now = { monoMs: this.#now.monoMs + STEP_MS, wallMs: this.#now.wallMs + STEP_MS }
        this.#handle(at, { kind: 'tick' })
        // no run outlives its limit
        for (const lease of peer.hosting.leases) if (lease.state.kind === 'running') this.#handle(at, { kind: 'run-failed', lease, code: 'E_RUN_TIME', message: 'took too long' })
      }
      assert.equal(Object.entries(peer.sizes()).filter(([, size]) => size > 0), [], `seed ${this.#seed}: held for ever`)
    }
  }

  #deliver(): void {
    const [{ to, event }] = this.#onTheWay.splice(this.#random.below(Math.min(8, this.#onTheWay.length)), 1) as [{ to: number, event: PeerEvent }]
    this.#handle(to, event)
  }

  /** What nobody asked for. */
  #oddity(): PeerEvent {
    const random = this.#random
    const somebody = peerIdOf(random.below(2 * PEERS))
    const events: readonly [() => PeerEvent, ...(() => PeerEvent)[]] = [
      () => ({ kind: 'submit', job: this.#job(), document: documentOf(specOf(random), peerIdOf(0), this.#seed) }),
      () => random.pick<PeerEvent>([{ kind: 'peer-connected', peer: somebody }, { kind: 'peer-disconnected', peer: somebody }, { kind: 'unreachable', peer: somebody }]),
      () => random.pick<PeerEvent>([{ kind: 'woke', sleptMs: 5000 }, { kind: 'rate', peer: somebody, stars: 4 }, { kind: 'host', host: { ...IDLE, ownerActive: random.chance(0.3) } }]),
      () => random.chance(0.05) ? random.pick<PeerEvent>([{ kind: 'cancel', job: this.#job() }, { kind: 'forget', job: this.#job() }]) : { kind: 'tick' },
      () => this.#runEnd(this.#runs[random.below(Math.max(1, this.#runs.length))]?.lease ?? { agreement: ZERO_BYTES32, task: 0, attempt: 0 }),
      () => this.#resultEnd(random.pick([this.#results.at(-1), this.#results[0]]) ?? { job: this.#job(), task: 0, content: cidOf('nothing') }),
      () => { const asked = this.#comparisons[random.below(Math.max(1, this.#comparisons.length))]; return asked === undefined ? { kind: 'tick' } : this.#comparisonEnd(asked) }
    ]
    return random.pick(events)()
  }

  /** Something that was said, or nearly so, by the same or somebody else, to the same or somebody else. */
  #hearsay(): void {
    const random = this.#random
    const said = this.#said[random.below(Math.max(1, this.#said.length))]
    if (said === undefined) return
    const alike = this.#said.filter(({ message }) => message.kind === said.message.kind)
    const other = alike[random.below(alike.length)] ?? said
    const message = random.chance(0.6) ? spliced<Message>(random, said.message, other.message) : said.message
    const from = random.chance(0.6) ? said.from : random.below(2 * PEERS)
    const to = random.chance(0.6) && said.to >= 0 ? said.to : random.below(PEERS)
    this.#handle(to, { kind: 'message', from: peerIdOf(from), message: frozenCopy(message) })
    if (message.kind !== 'commit' || said.to < 0) return
    // what a person makes the node ask, a requester that is here or not
    const { agreement, task, attempt } = message
    this.#handle(said.from, { kind: 'message', from: peerIdOf(said.to), message: { kind: random.pick(['peek', 'peek', 'settled'] as const), agreement, task, attempt } })
  }

  #job(): string {
    return jobIdOf(this.#seed, this.#random.below(JOBS))
  }

  #runEnd(lease: LeaseId): PeerEvent {
    const random = this.#random
    if (random.chance(0.05)) return { kind: 'run-failed', lease, code: random.pick(['E_HOST_ENGINE', 'E_RUN_TIME']), message: 'no' }
    if (random.chance(0.05)) return { kind: 'run-progress', lease, phase: random.pick(['fetching', 'running', 'held']), fraction: random.float() }
    const result: RunResult = { status: random.chance(0.95) ? 'exited' : 'trapped', exitCode: 0, trap: 'E_NONE', content: cidOf(random.chance(0.9) ? `truth ${lease.task}` : `lie ${random.below(100)}`), contentBytes: 1 }
    return { kind: 'run-finished', lease, result, usage }
  }

  #resultEnd({ job, task, content }: { job: string, task: number, content: string }): PeerEvent {
    return this.#random.chance(0.9) ? { kind: 'result-fetched', job, task, content } : { kind: 'result-lost', job, task, content, code: 'E_RESULT_LOST' }
  }

  /** Whatever a comparison may come to, true or not. */
  #comparisonEnd({ job, task, fresh, against }: EffectOf<'compare'>): PeerEvent {
    const random = this.#random
    const names = against.map(({ opinion }) => opinion)
    const outcomes: readonly [() => Comparison, ...(() => Comparison)[]] = [
      () => ({ kind: 'same', as: random.pick(['nobody', ...names]) }),
      () => ({ kind: 'same', as: names[0] ?? fresh.opinion }),
      () => ({ kind: 'other', ...random.chance(0.5) ? { segment: random.below(6) } : {}, ...random.chance(0.2) ? { doubt: 'out of memory' } : {} }),
      () => ({ kind: random.pick(['right', 'right', 'wrong']) }),
      () => ({ kind: 'unsure', opinions: random.pick([[], ['nobody'], [fresh.opinion], names, [fresh.opinion, ...names]]), message: 'trapped' }),
      () => ({ kind: 'lost', opinion: random.pick(['nobody', fresh.opinion, ...names]) }),
      () => random.chance(0.05) ? { kind: 'broken', message: 'trapped' } : { kind: 'other' }
    ]
    return { kind: 'compared', job, task, opinion: fresh.opinion, against: random.chance(0.95) ? names : [], outcome: random.pick(outcomes)() }
  }

  #start(at: number): void {
    this.#handle(at, { kind: 'start', hardware, host: IDLE })
  }

  /** All that a peer knows is on its disk; from there it starts again, knowing the same. */
  #powerCut(at: number): void {
    const { peer, disk } = this.#citizens[at]!
    const durable = (records: Iterable<readonly [string, StoredRecord]>): Map<string, string> => new Map([...records].map(([key, value]) => [key, durablePart(key, value)] as const).sort(([a], [b]) => a < b ? -1 : 1))
    const written = durable(disk.records())
    assert.equal(durable(peer.snapshot()), written, `seed ${this.#seed}: what is known is not what was written`)
    const again = new Peer(optionsOf(at))
    again.restore(disk.records())
    assert.equal(durable(again.snapshot()), written, `seed ${this.#seed}: what was restored is not what was written`)
    this.#citizens[at]!.peer = again
    this.#start(at)
  }

  #handle(at: number, event: PeerEvent): void {
    const { peer, disk } = this.#citizens[at]!
    const step = peer.handle(event, this.#now, this.#random.bytes(32))
    disk.commit(frozenWrites(step.writes))
    for (const effect of step.effects) this.#perform(at, effect)
    for (const [what, size] of Object.entries(peer.sizes())) if (size > (this.most.get(what) ?? -1)) this.most.set(what, size)
  }

  #perform(at: number, effect: Effect): void {
    const random = this.#random
    this.kinds.add(effect.kind === 'send' ? effect.message.kind : effect.kind)
    if (effect.kind === 'send') this.#say(at, effect.to, effect.message)
    if (effect.kind === 'publish-offer') {
      const others = [...this.#citizens.keys()].filter((index) => index !== at)
      for (const index of others) this.#say(at, peerIdOf(index), { kind: 'offer', offer: effect.offer })
      this.#bring(at, { kind: 'offer-sent', job: effect.offer.job, round: effect.offer.round, recipients: others.map(peerIdOf) })
    }
    if (effect.kind === 'run') {
      this.#runs.push({ at, lease: effect.lease })
      if (this.#runs.length > REMEMBERED) this.#runs.shift()
      if (random.chance(0.97)) this.#bring(at, this.#runEnd(effect.lease))
    }
    if (effect.kind === 'compare') {
      this.#comparisons.push(effect)
      if (this.#comparisons.length > REMEMBERED) this.#comparisons.shift()
      if (random.chance(0.97)) this.#bring(at, this.#comparisonEnd(effect))
    }
    if (effect.kind === 'fetch-result') {
      this.#results.push({ at, ...effect })
      if (this.#results.length > REMEMBERED) this.#results.shift()
      if (random.chance(0.97)) this.#bring(at, this.#resultEnd(effect))
    }
  }

  #say(from: number, to: string, live: Message): void {
    const message = frozenCopy(live)
    const index = this.#citizens.findIndex((_, i) => peerIdOf(i) === to)
    this.#said.push({ from, to: index, message })
    if (this.#said.length > REMEMBERED) this.#said.splice(this.#random.below(REMEMBERED), 1)
    if (index >= 0) this.#bring(index, { kind: 'message', from: peerIdOf(from), message })
  }

  #bring(to: number, event: PeerEvent): void {
    this.#onTheWay.push({ to, event })
    if (this.#onTheWay.length > MAX_ON_THE_WAY) this.#onTheWay.shift()
  }
}

/** What a town in which these are not said has never come to. */
const COMES_TO = [
  'publish-offer', 'bid', 'decline', 'propose', 'agreed', 'refused', 'close', 'closed', 'lease', 'beat', 'progress', 'failed', 'commit', 'closed-set', 'reveal', 'verdict', 'settled', 'peeked', 'cancel',
  'run', 'stop-run', 'fetch-result', 'release-result', 'release-job', 'suspend-runs', 'prefetch', 'compare'
]

test('whatever is said by whomever, no peer throws, none grows, and each has written what it knows', () => {
  const most = new Map<string, number>()
  const kinds = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const town = new Town(seed)
    try {
      town.live()
      town.leave()
    } catch (err) {
      console.log(`in the town of seed ${seed}:`)
      throw err
    }
    for (const [what, size] of town.most) most.set(what, Math.max(most.get(what) ?? 0, size))
    for (const kind of town.kinds) kinds.add(kind)
  }
  console.log(`at most ${[...most].map(([what, size]) => `${size} ${what}`).join(', ')}`)
  for (const [what, size] of most) assert.ok(size <= MOST[what as keyof typeof MOST], `${size} ${what}`)
  for (const kind of COMES_TO) assert.ok(kinds.has(kind), `no ${kind} was ever sent`)
})

test.run()
