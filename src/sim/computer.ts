import type { Hasher } from '../codec/hasher.ts'
import type { Effect, EffectOf, Step, Write } from '../core/effect.ts'
import type { Comparison, HostState, LeaseId, Now, PeerEvent } from '../core/event.ts'
import { ZERO_ADDRESS } from '../documents/agreement.ts'
import type { Message, MessageOf } from '../documents/message.ts'
import type { Hardware } from '../documents/resources.ts'
import { leaseKey } from '../job/lease.ts'
import { NO_CONTAINERS } from '../documents/share.ts'
import type { SharePolicy } from '../documents/share.ts'
import { TicketHasher } from '../documents/ticket.ts'
import { hmacDraws, type Secrets } from '../payment/draws.ts'
import { Peer } from '../peer.ts'
import type { PeerOptions } from '../peer.ts'
import { GIB, HOUR_MS, SECOND_MS } from '../units.ts'
import { Disk, frozenWrites } from './disk.ts'
import type { EventQueue } from './event-queue.ts'
import { simSignature } from './broker.ts'
import type { Chain } from './chain.ts'
import { misdeed } from './mischief.ts'
import type { Misdeed } from './mischief.ts'
import type { Network, Station } from './network.ts'
import type { Observation } from './observation.ts'
import { hashText, Random } from './random.ts'
import { Sandbox } from './sandbox.ts'
import type { RunPlan } from './sandbox.ts'
import { RICH } from './scenario.ts'
import type { Scenario, PeerSpec } from './scenario.ts'
import { Wallet } from './wallet.ts'

/** Virtual time 0 in wall time: any day serves. */
export const EPOCH_WALL_MS = 1_800_000_000_000
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** A fetch of a result asks its holders this often before it is lost. */
const FETCH_TRIES = 5
const FETCH_RETRY_MS = 2 * SECOND_MS
/** After `draining` the process ends this soon. */
const DRAIN_MS = 5 * SECOND_MS

/** Chain 0 and no contract: in a simulated world every domain is the same. */
export const SEPARATOR = new Uint8Array(32)

export function gwei(amount: number): bigint {
  return BigInt(amount) * 10n ** 9n
}

/** What a computer asks of its world. */
export interface Surroundings {
  readonly queue: EventQueue
  readonly scenario: Scenario
  readonly hasher: Hasher
  readonly chain: Chain | undefined
  network(): Network
  random: Random
  station(peer: string): Computer | undefined
  /** Lending peers that hear an offer of this computer. */
  audience(from: Computer, only: readonly string[] | undefined): Computer[]
  plan(computer: Computer, lease: LeaseId, job: string, segment: number | undefined): RunPlan
  /** What a comparison finds. */
  compare(effect: EffectOf<'compare'>): Comparison
  observe(observation: Observation): void
  makePeer(options: PeerOptions): Peer
  /** A planted bug of the driver: effects leave before their step is committed. */
  hasty: boolean
}

/** A result and who may have it. */
type Wanted = Pick<EffectOf<'fetch-result'>, 'content' | 'from'>

interface Pending { number: number, writes: Write[], effects: Effect[] }

export function peerIdOf(index: number): string {
  let digits = ''
  for (let rest = index + 1; rest > 0; rest = Math.floor(rest / 58)) digits = (BASE58[rest % 58] ?? '') + digits
  return `12D3KooW${digits.padStart(44, '1')}`
}

export function addressOf(index: number): string {
  return `0x${(index + 1).toString(16).padStart(40, '0')}`
}

/** A home PC: power, clocks, a disk, a sandbox, and the one `Peer` that the running node drives too. */
export class Computer implements Station {
  readonly index: number
  readonly id: string
  readonly spec: PeerSpec
  readonly disk = new Disk()
  readonly sandbox: Sandbox
  /** Contents of results by lease: on disk, so a crash leaves them. */
  readonly results = new Map<string, string>()
  /** The last `advertise` effect. */
  advertised: EffectOf<'advertise'> | undefined
  life = 0
  steps = 0
  up = false
  asleep = false
  readonly address: string
  /** Where work is paid. */
  readonly wallet: Wallet | undefined
  readonly #world: Surroundings
  readonly #misdeed: Misdeed
  readonly #tickets: TicketHasher
  readonly #secrets: Secrets
  readonly #pending: Pending[] = []
  readonly #fetching = new Map<string, number>()
  readonly #heard = new Set<number>()
  /** Armed by a fault: the next step that is committed meets the crash. */
  #doom: { keep: number, downMs: number } | undefined
  #peer: Peer | undefined
  #bootMs = 0
  #sleptMs = 0
  #sleepsSinceMs = 0
  #ownerActive = false
  #tickAtMs = Number.POSITIVE_INFINITY
  #flushing = false

  constructor(index: number, spec: PeerSpec, world: Surroundings) {
    this.index = index
    this.id = peerIdOf(index)
    this.spec = spec
    this.#world = world
    this.address = addressOf(index)
    this.#misdeed = misdeed(spec.behaviour)
    this.#tickets = new TicketHasher(world.hasher, SEPARATOR)
    this.#secrets = hmacDraws(world.hasher, new Random(hashText(`secrets ${world.scenario.seed}/${index}`)).bytes(32))
    this.wallet = world.chain === undefined ? undefined : new Wallet(world.chain, this.address, this.#secrets, gwei(world.scenario.payment?.redemptionGwei ?? 0), spec.behaviour, {
      isAwake: () => this.up && !this.asleep, receive: (event) => { this.receive(event) }
    })
    this.sandbox = new Sandbox(world.queue, {
      receive: (event) => { this.receive(event) },
      canFetch: (job) => this.#canFetchInputs(job),
      powerCut: () => { this.crash(this.spec.behaviour.kind === 'crasher' ? this.spec.behaviour.downMs : SECOND_MS) },
      stored: (lease, result) => { this.results.set(leaseKey(lease), result.content) }
    })
  }

  get peer(): Peer | undefined {
    return this.#peer
  }

  get name(): string {
    return `p${this.index}`
  }

  hardware(): Hardware {
    return { cores: this.spec.cores, memoryBytes: 16 * GIB, diskBytes: 64 * GIB, gpus: [] }
  }

  boot(): void {
    if (this.up) return
    this.up = true
    this.life++
    this.#bootMs = this.#world.queue.nowMs
    this.#sleptMs = 0
    this.#tickAtMs = Number.POSITIVE_INFINITY
    const peer = this.#world.makePeer(this.#options())
    this.#peer = peer
    const records = this.disk.records()
    peer.restore(this.disk.records())
    if (this.life > 1) this.#world.observe({ kind: 'restarted', computer: this, peer, records })
    // A result that no commit stands for is rubbish of a step or an effect that the crash took: every driver must sweep so.
    const held = new Set(peer.hosting.leases.filter(({ state }) => state.kind === 'committed' || state.kind === 'revealed').map(leaseKey))
    for (const key of [...this.results.keys()]) if (!held.has(key)) this.results.delete(key)
    this.receive({ kind: 'start', hardware: this.hardware(), host: this.#host() })
    this.wallet?.started()
    this.#world.network().started(this)
  }

  /** Power is cut. `keep` as in `Fault`, for the step that is being committed just now. */
  crash(downMs: number): void {
    if (!this.up) return
    this.up = false
    this.asleep = false
    this.#peer = undefined
    this.#pending.length = 0
    this.#flushing = false
    this.#fetching.clear()
    this.#heard.clear()
    this.#doom = undefined
    this.sandbox.clear()
    this.wallet?.clear()
    this.#world.observe({ kind: 'crashed', computer: this })
    this.#world.network().stopped(this)
    this.#world.queue.after(downMs, () => { this.boot() })
  }

  /** The next step to be committed meets a crash; without one for a second, the power is cut anyway. */
  doom(keep: number, downMs: number): void {
    if (!this.up) return
    const { life } = this
    const doom = { keep, downMs }
    this.#doom = doom
    this.#world.queue.after(SECOND_MS, () => { if (this.life === life && this.#doom === doom) this.crash(downMs) })
  }

  sleep(): void {
    if (!this.up || this.asleep) return
    this.asleep = true
    this.#sleepsSinceMs = this.#world.queue.nowMs
    this.sandbox.freeze(true)
  }

  wake(): void {
    if (!this.asleep) return
    this.asleep = false
    const sleptMs = this.#world.queue.nowMs - this.#sleepsSinceMs
    this.#sleptMs += sleptMs
    this.#tickAtMs = Number.POSITIVE_INFINITY
    this.sandbox.freeze(false)
    this.receive({ kind: 'woke', sleptMs })
    this.#commitLater()
    this.#world.network().woke(this, sleptMs)
    this.wallet?.awoke()
  }

  setOwner(active: boolean): void {
    this.#ownerActive = active
    this.receive({ kind: 'host', host: this.#host() })
  }

  drain(downMs: number): void {
    const { life } = this
    this.receive({ kind: 'draining' })
    this.#world.queue.after(DRAIN_MS, () => { if (this.life === life) this.crash(downMs) })
  }

  receive(event: PeerEvent, messageId?: number): void {
    const peer = this.#peer
    if (peer === undefined || !this.up || this.asleep) return
    const mischief = event.kind === 'message' ? this.#misdeed.answer(event.message, this.#world.hasher) : undefined
    if (mischief !== undefined && event.kind === 'message') { this.#say(event.from, mischief); return }
    const screened = event.kind === 'message' && event.message.kind === 'ticket' ? this.#screen(peer, event.message) : undefined
    if (screened === 'forged') return
    const repeat = messageId !== undefined && this.#heard.has(messageId)
    if (messageId !== undefined && this.#world.scenario.link.duplicate > 0) this.#heard.add(messageId)
    const heard: PeerEvent = screened !== undefined && event.kind === 'message' ? { ...event, message: screened } : event
    const step = peer.handle(heard, this.#now(), this.#world.random.bytes(32))
    this.#take(peer, event, repeat, step)
    this.#armTick()
  }

  #take(peer: Peer, event: PeerEvent, repeat: boolean, step: Step): void {
    const number = this.steps++
    const writes = frozenWrites(step.writes)
    this.#world.observe({ kind: 'stepped', computer: this, peer, number, event, repeat, step, writes })
    for (const fault of this.#world.scenario.faults) {
      if (fault.kind === 'crash-at-step' && fault.peer === this.index && fault.step === number) this.#doom = { keep: fault.keep, downMs: fault.downMs }
    }
    if (this.#world.hasty) for (const effect of step.effects) this.#perform(number, effect)
    this.#pending.push({ number, writes, effects: this.#world.hasty ? [] : step.effects })
    this.#commitLater()
  }

  /** As the driver does: while one batch is being written the next steps gather, and follow as one batch. */
  #commitLater(): void {
    if (this.#pending.length === 0 || this.#flushing) return
    const { commitMs } = this.#world.scenario
    const { life } = this
    if (commitMs === 0) { this.#commit(); return }
    this.#flushing = true
    const count = this.#pending.length
    this.#world.queue.after(this.#world.random.float() * commitMs, () => {
      if (this.life !== life || !this.up) return
      this.#flushing = false
      if (!this.asleep) this.#commit(count)
    })
  }

  #commit(count = this.#pending.length): void {
    const doom = this.#doom
    if (doom?.keep === -1) { this.crash(doom.downMs); return }
    const batch = this.#pending.splice(0, count)
    for (const { number, writes } of batch) {
      this.disk.commit(writes)
      this.#world.observe({ kind: 'committed', computer: this, number, writes })
    }
    let left = doom?.keep ?? Number.POSITIVE_INFINITY
    for (const { number, effects } of batch) {
      for (const effect of effects) if (left-- > 0) this.#perform(number, effect)
    }
    if (doom !== undefined) { this.crash(doom.downMs); return }
    this.#commitLater()
  }

  #perform(number: number, effect: Effect): void {
    this.#world.observe({ kind: 'performed', computer: this, number, effect })
    switch (effect.kind) {
      case 'send': this.#say(effect.to, effect.message); break
      case 'publish-offer': this.#publish(effect); break
      case 'advertise': this.advertised = effect; break
      case 'find-ads': this.#findAds(); break
      case 'run': this.sandbox.start(effect.lease, effect.job, effect.offer.resources.cores, this.#world.plan(this, effect.lease, effect.job, effect.segment)); break
      case 'stop-run': this.sandbox.stop(effect.lease); break
      case 'suspend-runs': this.sandbox.suspend(effect.suspend); break
      case 'fetch-result': this.#fetchResult(effect); break
      case 'compare': this.#compare(effect); break
      case 'release-result': this.results.delete(leaseKey(effect.lease)); break
      case 'release-job': this.sandbox.forget(effect.job); break
      case 'hold-run': this.sandbox.hold(effect.lease, effect.held); break
      case 'watch-account': this.wallet?.watch(effect.address); break
      case 'redeem': this.wallet?.redeem(effect.winner); break
      case 'prefetch':
      case 'notify': break
    }
  }

  #say(to: string, message: Message): void {
    const station = this.#world.station(to)
    if (station === undefined) return
    for (const said of this.#misdeed.say(message)) this.#world.network().send(this, station, said.kind === 'ticket' ? { ...said, signature: simSignature(this.#world.hasher, this.address, this.#tickets.digest(said.ticket)) } : said)
  }

  /** As a driver checks a ticket before its core hears of it: what cannot be taken is not worth the check of its signature. */
  #screen(peer: Peer, message: MessageOf<'ticket'>): MessageOf<'ticket'> | 'forged' {
    const { signature, ...unsigned } = message
    if (peer.ticketRefusal(message, this.#now()) !== undefined) return unsigned
    return simSignature(this.#world.hasher, message.ticket.payer, this.#tickets.digest(message.ticket)) === signature ? message : 'forged'
  }

  #publish(effect: EffectOf<'publish-offer'>): void {
    const audience = this.#world.audience(this, effect.only)
    for (const listener of audience) this.#say(listener.id, { kind: 'offer', offer: effect.offer })
    const { job, round } = effect.offer
    this.#soon(0, { kind: 'offer-sent', job, round, recipients: audience.map(({ id }) => id) })
  }

  #findAds(): void {
    for (const host of this.#world.audience(this, undefined)) {
      const latencyMs = this.#world.network().delayMs()
      const issuedWallMs = host.#now().wallMs
      this.#soon(2 * latencyMs, { kind: 'ad', latencyMs, ad: {
        v: 1, identity: host.#options().self.identity, addresses: [], agent: 'sim', issuedWallMs, expiresWallMs: issuedWallMs + 90 * SECOND_MS, region: 'any', engines: ['wasm'],
        hardware: host.hardware(), free: host.advertised?.free ?? { cores: 0, memoryBytes: 0, diskBytes: 0, gpus: 0 }, open: host.advertised?.open ?? false
      } })
    }
  }

  #fetchResult(effect: EffectOf<'fetch-result'>): void {
    const { job, task, content } = effect
    this.#bring(`${job}/${task}/${content}`, task, effect, (found) => {
      this.receive(found ? { kind: 'result-fetched', job, task, content } : { kind: 'result-lost', job, task, content, code: 'E_RESULT_LOST' })
    })
  }

  /** Brings the results one after the other, then compares them. What needs nobody to hand it over is here. */
  #compare(effect: EffectOf<'compare'>): void {
    const { job, task, fresh } = effect
    const [against, shown] = [effect.against.map(({ opinion }) => opinion), [fresh, ...effect.against].filter(({ from }) => from.length > 0)]
    const next = (at: number, outcome?: Comparison): void => {
      const side = outcome === undefined ? shown[at] : undefined
      if (side === undefined) this.receive({ kind: 'compared', job, task, opinion: fresh.opinion, against, outcome: outcome ?? this.#world.compare(effect) })
      else this.#bring(`compare ${job}/${task}/${fresh.opinion}/${against.join()}/${at}`, task, side, (found) => { next(at + 1, found ? undefined : { kind: 'lost', opinion: side.opinion }) })
    }
    next(0)
  }

  #bring(key: string, task: number, from: Wanted, ended: (found: boolean) => void): void {
    if (this.#fetching.get(key) !== undefined) return
    this.#fetching.set(key, FETCH_TRIES)
    this.#tryFetch(key, task, from, ended)
  }

  #tryFetch(key: string, taskIndex: number, wanted: Wanted, ended: (found: boolean) => void): void {
    const { life } = this
    this.#world.queue.after(2 * this.#world.network().delayMs(), () => {
      const tries = this.#fetching.get(key)
      if (this.life !== life || !this.up || tries === undefined) return
      const found = !this.asleep && wanted.from.some(({ peer, agreement, attempt }) => {
        const host = this.#world.station(peer)
        return host !== undefined && this.#world.network().reachable(this, host) && host.results.get(leaseKey({ agreement, task: taskIndex, attempt })) === wanted.content
      })
      if (this.asleep || (!found && tries > 1)) {
        this.#fetching.set(key, tries - (this.asleep ? 0 : 1))
        this.#world.queue.after(FETCH_RETRY_MS, () => { if (this.life === life) this.#tryFetch(key, taskIndex, wanted, ended) })
        return
      }
      this.#fetching.delete(key)
      ended(found)
    })
  }

  #canFetchInputs(job: string): boolean {
    const requester = this.#world.station(this.#peer?.hosting.agreements.find(({ agreement }) => agreement.job === job)?.agreement.requester ?? '')
    return requester !== undefined && this.#world.network().reachable(this, requester)
  }

  #soon(delayMs: number, event: PeerEvent): void {
    const { life } = this
    this.#world.queue.after(delayMs, () => { if (this.life === life) this.receive(event) })
  }

  #armTick(): void {
    const next = this.#peer?.nextTickMonoMs()
    if (next === undefined) { this.#tickAtMs = Number.POSITIVE_INFINITY; return }
    const atMs = Math.max(this.#world.queue.nowMs, next + this.#bootMs + this.#sleptMs)
    if (atMs >= this.#tickAtMs && this.#tickAtMs >= this.#world.queue.nowMs) return
    this.#tickAtMs = atMs
    const { life } = this
    this.#world.queue.at(atMs, () => {
      if (this.life !== life || this.#tickAtMs !== atMs || !this.up || this.asleep) return
      this.#tickAtMs = Number.POSITIVE_INFINITY
      const due = this.#peer?.nextTickMonoMs()
      if (due !== undefined && due <= this.#now().monoMs) this.receive({ kind: 'tick' })
      else this.#armTick()
    })
  }

  /** Monotonic time counts from the process's start and stands still in sleep; wall time is wrong by the skew. */
  #now(): Now {
    const { nowMs } = this.#world.queue
    return { monoMs: nowMs - this.#bootMs - this.#sleptMs, wallMs: Math.floor(EPOCH_WALL_MS + nowMs + this.spec.skewMs) }
  }

  #host(): HostState {
    return { ownerActive: this.#ownerActive, minuteOfDay: 600, weekday: 3, diskFreeBytes: 100 * GIB }
  }

  #options(): PeerOptions {
    const policy: SharePolicy = {
      enabled: this.spec.lends, paused: false, ...this.hardware(), gpus: false, engines: ['wasm'], region: 'any', maxRunMs: 24 * HOUR_MS, maxInputBytes: 64 * GIB,
      allow: [], deny: [], hours: [], onlyWhenIdle: this.spec.onlyWhenIdle, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 1
    }
    const { address } = this
    const payment = this.#paymentOptions()
    return {
      self: {
        identity: { peer: this.id, address, payee: address, peerSignature: new Uint8Array(64), moneySignature: `0x${'1b'.repeat(65)}` },
        separator: SEPARATOR, chainId: 0, contract: ZERO_ADDRESS, paramsHash: `0x${'00'.repeat(32)}`
      },
      hasher: this.#world.hasher, policy, hardware: this.hardware(), requester: { bidWindowMs: 2 * SECOND_MS, maxProviders: 16 },
      free: { allow: [], coreMsADay: Number.MAX_SAFE_INTEGER }, ...payment === undefined ? {} : { payment }
    }
  }

  #paymentOptions(): PeerOptions['payment'] {
    const { payment } = this.#world.scenario
    if (payment === undefined) return undefined
    const { unitMs, coreHourGwei, holdback, refund, maxCostShare, bondShares, ticketLifeSec } = payment
    const { jobCapGwei, dayCapGwei, maxPrepayGwei } = this.spec.money ?? RICH
    return {
      payer: {
        caps: { ...jobCapGwei === undefined ? {} : { jobWei: gwei(jobCapGwei) }, ...dayCapGwei === undefined ? {} : { dayWei: gwei(dayCapGwei) } },
        terms: { maxUnitPriceWei: gwei(coreHourGwei), minHoldback: Math.min(3000, holdback), maxPrepayWei: gwei(maxPrepayGwei ?? RICH.jobBondGwei) }
      },
      earner: { prices: { coreHourWei: gwei(coreHourGwei), gibHourWei: 0n, gpuHourWei: 0n, movedWei: gwei(payment.movedGwei ?? 0), fuelWei: 0n }, unitMs, ticketLifeSec, holdback, refund, maxCostShare, bondShares },
      draws: this.#secrets
    }
  }
}
