import type { EffectOf } from '../core/effect.ts'
import type { Comparison, LeaseId, PeerEvent } from '../core/event.ts'
import { toErrorShape } from '../errors.ts'
import { Peer } from '../peer.ts'
import type { PeerOptions } from '../peer.ts'
import { SECOND_MS } from '../units.ts'
import { Broker } from './broker.ts'
import { Chain } from './chain.ts'
import { addressOf, Computer, EPOCH_WALL_MS, gwei, peerIdOf, SEPARATOR } from './computer.ts'
import { documentOf, jobIdOf } from './documents.ts'
import { EventQueue } from './event-queue.ts'
import { countingHasher } from './hasher.ts'
import type { CountingHasher } from './hasher.ts'
import { Network } from './network.ts'
import type { Checker, JobInWorld, Observation, Violation, WorldView } from './observation.ts'
import { hashText, Random } from './random.ts'
import type { RunPlan } from './sandbox.ts'
import { horizonMs, RICH } from './scenario.ts'
import type { Fault, Scenario } from './scenario.ts'
import { describe } from './story.ts'
import { Trace } from './trace.ts'
import { Truth } from './truth.ts'

export interface WorldOptions {
  checkers: readonly Checker[]
  /** Each line of the trace as it is made. */
  sink?: (line: string) => void
  /** Planted bugs: another peer than the real one, and a driver that does not wait for its disk. */
  makePeer?: (options: PeerOptions) => Peer
  hasty?: boolean
  /** A planted bug: the contract does not mark what it paid. */
  forgetfulChain?: boolean
}

export interface Outcome {
  violation: Violation | undefined
  digest: string
  stats: { virtualMs: number, steps: number, events: number, messages: number, hashes: number, lives: number, jobsDone: number, tickets: number, winnersPaid: number }
}

/** Offers of a large market reach this many hosts, as gossip on a sub-market and a probe of a sample would. */
const AUDIENCE = 64
/** A person whose submit was lost in a crash submits again. */
const RESUBMIT_MS = 2 * SECOND_MS

/** A whole network in one process under virtual time: the same `Peer` class, and everything around it made up. */
export class World implements WorldView {
  readonly scenario: Scenario
  readonly computers: readonly Computer[]
  readonly jobs: readonly JobInWorld[]
  readonly truth = new Truth()
  readonly chain: Chain | undefined
  readonly #queue = new EventQueue()
  readonly #random: Random
  readonly #hasher: CountingHasher = countingHasher()
  readonly #network: Network
  readonly #trace: Trace
  readonly #checkers: readonly Checker[]
  readonly #byId = new Map<string, Computer>()
  readonly #jobsById = new Map<string, JobInWorld>()
  readonly #ends: (() => void)[] = []
  #violation: Violation | undefined
  readonly #tickets = new Set<string>()
  #events = 0
  #healed = false

  constructor(scenario: Scenario, options: WorldOptions) {
    this.scenario = scenario
    this.#random = new Random(scenario.seed)
    this.#trace = new Trace(options.sink)
    this.#checkers = options.checkers
    this.chain = this.#newChain(options.forgetfulChain === true)
    const surroundings = {
      queue: this.#queue, scenario, hasher: this.#hasher, chain: this.chain, random: this.#random.fork('entropy'), hasty: options.hasty ?? false,
      network: () => this.#network,
      station: (peer: string) => this.#byId.get(peer),
      audience: (from: Computer, only: readonly string[] | undefined) => this.#audience(from, only),
      plan: (computer: Computer, lease: LeaseId, job: string, segment: number | undefined) => this.#plan(computer, lease, job, segment),
      compare: (effect: EffectOf<'compare'>) => this.#compare(effect),
      observe: (observation: Observation) => { this.#observe(observation) },
      makePeer: options.makePeer ?? ((peer: PeerOptions) => new Peer(peer))
    }
    this.computers = scenario.peers.map((spec, index) => new Computer(index, spec, { ...surroundings, random: this.#random.fork(`entropy ${index}`) }))
    for (const computer of this.computers) this.#byId.set(computer.id, computer)
    this.jobs = scenario.jobs.map((spec, index) => ({ id: jobIdOf(scenario.seed, index), spec }))
    for (const job of this.jobs) this.#jobsById.set(job.id, job)
    this.#network = new Network(this.#queue, this.#random.fork('network'), this.computers, scenario.link, scenario.codecs, this.computers.flatMap((station) => station.spec.behaviour.kind === 'forger' ? [{ station, share: station.spec.behaviour.share }] : []))
  }

  #newChain(forgetful: boolean): Chain | undefined {
    const { payment, peers } = this.scenario
    if (payment === undefined) return undefined
    const genesis = new Broker(this.#hasher, SEPARATOR, payment.chain)
    genesis.forgetful = forgetful
    for (const [index, { money = RICH }] of peers.entries()) {
      genesis.endow(addressOf(index), { walletWei: gwei(money.walletGwei), depositWei: gwei(money.depositGwei), bondWei: gwei(money.bondGwei), jobBondWei: gwei(money.jobBondGwei) })
    }
    return new Chain(this.#queue, this.#random.fork('chain'), payment.chain, genesis, EPOCH_WALL_MS, (block) => { this.#observe({ kind: 'block', block }) })
  }

  get nowMs(): number {
    return this.#queue.nowMs
  }

  computerOf(peer: string): Computer | undefined {
    return this.#byId.get(peer)
  }

  jobOf(id: string): JobInWorld | undefined {
    return this.#jobsById.get(id)
  }

  /** Lives through the scenario until nothing can happen any more, the horizon is reached, or an invariant breaks. */
  run(): Outcome {
    this.#plot()
    const untilMs = horizonMs(this.scenario)
    let quiet = false
    while (this.#violation === undefined) {
      if (!this.#guarded(untilMs)) { quiet = this.#queue.size === 0; break }
      this.#events++
    }
    if (this.#violation === undefined) this.#observe({ kind: 'settled', quiet })
    return {
      violation: this.#violation,
      digest: this.#trace.digest(),
      stats: {
        virtualMs: this.nowMs, steps: this.#sum(({ steps }) => steps), events: this.#events, messages: this.#network.messages, hashes: this.#hasher.calls,
        tickets: this.#tickets.size, winnersPaid: this.chain?.confirmed.after.used ?? 0,
        lives: this.#sum(({ life }) => life), jobsDone: this.jobs.filter(({ id, spec }) => isDone(this.computers[spec.requester]?.disk.get(`job/${id}`))).length
      }
    }
  }

  /** What a peer throws is a broken invariant too. */
  #guarded(untilMs: number): boolean {
    try {
      return this.#queue.step(untilMs)
    } catch (err) {
      const { code, message } = toErrorShape(err)
      this.#violation ??= { checker: 'never throws', message: `${code}: ${message}${err instanceof Error ? `\n${err.stack ?? ''}` : ''}`, atMs: this.nowMs }
      return true
    }
  }

  #plot(): void {
    const random = this.#random.fork('plot')
    for (const computer of this.computers) this.#queue.at(random.below(500), () => { computer.boot() })
    for (const job of this.jobs) {
      this.#queue.at(job.spec.atMs, () => { this.#submit(job) })
      if (job.spec.cancelAtMs !== undefined) this.#queue.at(job.spec.cancelAtMs, () => { this.#cancel(job) })
    }
    for (const fault of this.scenario.faults) if (fault.kind !== 'crash-at-step') this.#queue.at(fault.atMs, () => { this.#strike(fault) })
    for (const { spec: { behaviour }, wallet } of this.computers) if (behaviour.kind === 'withdrawer') this.#queue.at(behaviour.atMs, () => { wallet?.leave() })
    this.#queue.at(this.scenario.healAtMs, () => { this.#heal() })
  }

  /** People try until the job is on record. */
  #submit(job: JobInWorld): void {
    const computer = this.computers[job.spec.requester]
    if (computer === undefined || computer.disk.get(`job/${job.id}`) !== undefined) return
    computer.receive({ kind: 'submit', job: job.id, document: documentOf(job.spec, computer.id, this.scenario.seed) })
    this.#queue.after(RESUBMIT_MS, () => { this.#submit(job) })
  }

  #cancel(job: JobInWorld): void {
    const computer = this.computers[job.spec.requester]
    const record = computer?.disk.get(`job/${job.id}`)
    if (computer === undefined || (record !== undefined && !isRunning(record))) return
    computer.receive({ kind: 'cancel', job: job.id })
    this.#queue.after(RESUBMIT_MS, () => { this.#cancel(job) })
  }

  #strike(fault: Exclude<Fault, { kind: 'crash-at-step' }>): void {
    if (this.#healed) return
    this.#trace.add(this.nowMs, '*', JSON.stringify(fault))
    const computer = this.computers['peer' in fault ? fault.peer : -1]
    switch (fault.kind) {
      case 'crash':
        if (fault.keep === undefined) computer?.crash(fault.downMs)
        else computer?.doom(fault.keep, fault.downMs)
        break
      case 'drain': computer?.drain(fault.downMs); break
      case 'partition': this.#lasting(fault.forMs, this.#network.split(fault.side)); break
      case 'sleep': computer?.sleep(); this.#lasting(fault.forMs, () => { computer?.wake() }); break
      case 'reorganisation': this.chain?.reorganise(fault.depth); break
      case 'chain-away': {
        const back = computer?.wallet?.lose()
        if (back !== undefined) this.#lasting(fault.forMs, back)
        break
      }
      case 'owner': computer?.setOwner(true); this.#lasting(fault.forMs, () => { computer?.setOwner(false) }); break
    }
  }

  #lasting(forMs: number, end: () => void): void {
    this.#ends.push(end)
    this.#queue.after(forMs, () => { if (!this.#healed) end() })
  }

  #heal(): void {
    this.#trace.add(this.nowMs, '*', 'healed')
    this.#healed = true
    this.#network.clean()
    for (const end of this.#ends) end()
    for (const computer of this.computers) {
      computer.wake()
      computer.setOwner(false)
      computer.boot()
    }
  }

  #audience(from: Computer, only: readonly string[] | undefined): Computer[] {
    const hears = (host: Computer): boolean => host !== from && host.spec.lends && this.#network.reachable(from, host)
    if (only !== undefined) return this.computers.filter((host) => only.includes(host.id) && hears(host))
    if (this.computers.length <= AUDIENCE) return this.computers.filter(hears)
    const sample = new Set<Computer>()
    for (let i = 0; i < 2 * AUDIENCE && sample.size < AUDIENCE; i++) {
      const host = this.computers[this.#random.below(this.computers.length)]
      if (host !== undefined && hears(host)) sample.add(host)
    }
    return [...sample]
  }

  /** What a run comes to depends on nothing but the computer and the lease: a second start of it ends alike. */
  #plan(computer: Computer, lease: LeaseId, jobId: string, segment: number | undefined): RunPlan {
    const job = this.#jobsById.get(jobId)
    const { behaviour } = computer.spec
    const { seed } = this.scenario
    if (job === undefined) return { kind: 'fails', afterMs: 1, code: 'E_HOST_FETCH', message: 'no such job' }
    const luck = new Random(hashText(`${seed}/${computer.index}/${computer.life}/${lease.agreement}/${lease.task}/${lease.attempt}`))
    const afterMs = Math.round(job.spec.runMs * (job.spec.steady === true ? 1 : 0.5 + luck.float()) * (behaviour.kind === 'straggler' ? behaviour.factor : 1))
    const faulty = (behaviour.kind === 'flaky' || behaviour.kind === 'crasher') && luck.chance(behaviour.share)
    if (faulty && behaviour.kind === 'flaky') return { kind: 'fails', afterMs: afterMs / 2, code: behaviour.blames ? 'E_ENGINE' : 'E_HOST_ENGINE', message: 'the engine broke' }
    // After healing nobody loses power: else a crasher could keep a world from ever settling.
    if (faulty && !this.#healed) return { kind: 'power-cut', afterMs: afterMs / 2 }
    return { kind: 'finishes', afterMs, result: this.truth.claim(seed, behaviour, computer.index, jobId, job.spec, lease.task, segment) }
  }

  /** As the job's program and the listing of segments would find it. */
  #compare({ job: id, document, task, fresh, against }: EffectOf<'compare'>): Comparison {
    const job = this.#jobsById.get(id)
    if (job === undefined) return { kind: 'broken', message: 'no such job' }
    if (document.compare?.by === 'verifier') return { kind: this.truth.isTrue(id, job.spec, task, fresh.content) ? 'right' : 'wrong' }
    const isSame = (a: string, b: string, segment?: number): boolean => document.compare === undefined && segment === undefined ? a === b : this.truth.areAlike(a, b, segment)
    const same = against.find(({ content }) => isSame(fresh.content, content, fresh.segment))
    if (same !== undefined) return { kind: 'same', as: same.opinion }
    const [first] = against
    if (fresh.segment !== undefined || document.segments === undefined || first === undefined) return { kind: 'other' }
    for (let segment = 0; segment < document.segments; segment++) if (!isSame(fresh.content, first.content, segment)) return { kind: 'other', segment }
    return { kind: 'other' }
  }

  #observe(observation: Observation): void {
    const line = describe(observation, (peer) => this.#byId.get(peer)?.name ?? peer)
    if (observation.kind === 'performed' && observation.effect.kind === 'send' && observation.effect.message.kind === 'ticket') this.#tickets.add(`${observation.effect.message.agreement}/${observation.effect.message.index}`)
    if (line !== undefined) this.#trace.add(this.nowMs, 'computer' in observation ? observation.computer.name : '*', line)
    for (const checker of this.#checkers) {
      const message = this.#violation === undefined ? checker.observe(observation, this) : undefined
      if (message !== undefined) this.#violation = { checker: checker.name, message, atMs: this.nowMs }
    }
    if (this.#violation !== undefined && line !== undefined) this.#trace.add(this.nowMs, '!', `${this.#violation.checker}: ${this.#violation.message}`)
  }

  #sum(of: (computer: Computer) => number): number {
    return this.computers.reduce((sum, computer) => sum + of(computer), 0)
  }
}

function stateOf(record: object | undefined): unknown {
  const state: unknown = record !== undefined && 'state' in record ? record.state : undefined
  return typeof state === 'object' && state !== null && 'kind' in state ? state.kind : undefined
}

function isDone(record: object | undefined): boolean {
  return stateOf(record) === 'done'
}

function isRunning(record: object | undefined): boolean {
  return stateOf(record) === 'running'
}

/** For tests and tools that speak to one computer of a world directly. */
export type { PeerEvent }
export { peerIdOf }
