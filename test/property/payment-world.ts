/** A payer and a provider with disks that survive and memories that do not, and a mail between them that loses nothing by itself. */
import { toHex } from '../../src/codec/hasher.ts'
import type { Effect, StoredRecord } from '../../src/core/effect.ts'
import type { Now } from '../../src/core/event.ts'
import { Outbox, OUTBOX_PREFIX } from '../../src/core/outbox.ts'
import { Timers } from '../../src/core/timers.ts'
import { Turn } from '../../src/core/turn.ts'
import { Budget, SPENT_PREFIX } from '../../src/payment/budget.ts'
import type { Caps } from '../../src/payment/budget.ts'
import type { PayerFunds } from '../../src/documents/account.ts'
import { SPENT_COMMITS_PREFIX } from '../../src/payment/commits.ts'
import { hmacDraws } from '../../src/payment/draws.ts'
import type { Secrets } from '../../src/payment/draws.ts'
import { payMessageCodec } from '../../src/documents/pay-message.ts'
import type { PayMessage } from '../../src/documents/pay-message.ts'
import { isPayMessage } from '../../src/documents/message.ts'
import { CREDITED_PREFIX } from '../../src/payment/offered.ts'
import type { Post } from '../../src/payment/post.ts'
import { Recipient, RECIPIENT_PREFIX } from '../../src/payment/recipient.ts'
import type { Credited } from '../../src/payment/recipient.ts'
import { Sender, SENDER_PREFIX } from '../../src/payment/sender.ts'
import { stateDigest } from '../../src/documents/payment-state.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { TicketHasher } from '../../src/documents/ticket.ts'
import { Winners, WINNER_PREFIX } from '../../src/payment/winners.ts'
import { Disk, frozenWrites } from '../../src/sim/disk.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { moneyAddress, recoverMoney, signDigest } from '../../node/keys/money.ts'

export const SEPARATOR = nativeHasher.keccak256(Buffer.from('test domain'))
export const JOB = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
export const AGREEMENT = `0x${'a9'.repeat(32)}`
export const PAYER_KEY = new Uint8Array(32).fill(7)
export const PROVIDER_KEY = new Uint8Array(32).fill(9)
export const PAYER = moneyAddress(PAYER_KEY)
export const PROVIDER = moneyAddress(PROVIDER_KEY)
export const PAYEE = `0x${'cc'.repeat(20)}`
export const START_WALL_MS = 1_800_000_000_000
const EXPOSURE = { sequence: 1, ownWei: 0n, totalWei: 0n, expiresWallMs: START_WALL_MS }

/** A unit of 10 s at 1,000 gwei; a ticket pays 70 % of it, and wins one time in four. */
export const TERMS: PaymentTerms = {
  mode: 'tickets', unit: { kind: 'resource-ms', size: 10_000 }, unitPriceWei: 10n ** 12n, faceValueWei: 28n * 10n ** 11n, winProb: (1n << 62n) - 1n,
  ticketLifeSec: 86_400, openCommits: 4, aheadUnits: 1, holdback: 3000, refund: 5000, prepayCapWei: 10n ** 15n
}
export const RICH: PayerFunds = { depositWei: 10n ** 18n, bondWei: 10n ** 18n }

export type Side = 'payer' | 'provider'
/** Where a step is cut: before its writes are on disk, or after that many of its effects. */
export interface Cut { side: Side, step: number, effects: 'uncommitted' | number }
export interface Mail { to: Side, message: PayMessage | { kind: 'progress', total: number } | { kind: 'verdict', accepted: boolean, quantity: number } | { kind: 'lots' } }

export interface WorldOptions { terms?: PaymentTerms, caps?: Caps, cut?: Cut, funds?: PayerFunds, /** Without the codec, where thousands of long messages would cost too much. */ plain?: boolean }

abstract class Computer {
  readonly side: Side
  readonly world: PaymentWorld
  readonly disk = new Disk()
  timers = new Timers()
  outbox = new Outbox(this.timers)
  steps = 0
  effectCounts: number[] = []

  constructor(side: Side, world: PaymentWorld) {
    this.side = side
    this.world = world
  }

  get post(): Post {
    const { outbox } = this
    return {
      send: (turn, to, message) => { turn.send(to, message) },
      add: (turn, key, to, message, expiresWallMs) => { outbox.add(turn, key, to, message, expiresWallMs) },
      done: (turn, key) => { outbox.done(turn, key) },
      has: (key) => outbox.has(key)
    }
  }

  /** One step: writes first, then effects, and a power cut where the world wants one. */
  step(act: (turn: Turn) => void): void {
    const number = this.steps++
    const turn = new Turn(this.world.now(this.side), this.world.entropy(), nativeHasher)
    act(turn)
    const { writes, effects } = turn.finish()
    const frozen = frozenWrites(writes)
    this.effectCounts[number] = effects.length
    const cut = this.world.cut?.side === this.side && this.world.cut.step === number ? this.world.cut.effects : undefined
    if (cut !== 'uncommitted') {
      this.disk.commit(frozen)
      for (const effect of effects.slice(0, cut ?? effects.length)) this.world.perform(this.side, effect)
    }
    if (cut !== undefined) {
      this.restart()
      this.world.restarted = this.side
    }
  }

  restart(): void {
    this.timers = new Timers()
    this.outbox = new Outbox(this.timers)
    const records = this.disk.records()
    for (const [key, value] of records) if (key.startsWith(OUTBOX_PREFIX)) this.outbox.restore(value)
    this.restore(records)
  }

  abstract restore(records: [string, StoredRecord][]): void
  abstract handle(turn: Turn, message: Mail['message']): void
}

export class PayerComputer extends Computer {
  budget = new Budget({})
  sender: Sender | undefined

  get parts(): { post: Post, timers: Timers, budget: Budget } {
    return { post: this.post, timers: this.timers, budget: this.budget }
  }

  restore(records: [string, StoredRecord][]): void {
    this.budget = new Budget(this.world.options.caps ?? {})
    this.sender = undefined
    for (const [key, value] of records) if (key.startsWith(SPENT_PREFIX)) this.budget.restore(value)
    for (const [key, value] of records) if (key.startsWith(SENDER_PREFIX)) this.sender = Sender.restore(this.parts, value)
    for (const [key, value] of records) if (key.startsWith(SPENT_COMMITS_PREFIX)) this.sender!.restorePage(value)
  }

  handle(turn: Turn, message: Mail['message']): void {
    const { sender } = this
    switch (message.kind) {
      // an agreement not on disk was never agreed to: it is asked for again
      case 'lots': (this.sender ??= this.world.openSender(turn)).offered(turn, this.world.provider.recipient!.lots); break
      case 'progress': sender?.worked(turn, message.total); break
      case 'credit': sender?.credited(turn, message); break
      case 'ticket-refused': sender?.ticketRefused(turn, message); break
      case 'refund': sender?.refunded(turn, message); break
      default: throw new Error(`the payer got ${message.kind}`)
    }
  }
}

export class ProviderComputer extends Computer {
  winners = new Winners()
  recipient: Recipient | undefined
  outcomes: Credited['kind'][] = []
  refusals: string[] = []

  restore(records: [string, StoredRecord][]): void {
    this.winners = new Winners()
    this.recipient = undefined
    for (const [key, value] of records) if (key.startsWith(WINNER_PREFIX)) this.winners.restore(value)
    for (const [key, value] of records) if (key.startsWith(RECIPIENT_PREFIX)) this.recipient = Recipient.restore(this.parts, value)
    for (const [key, value] of records) if (key.startsWith(CREDITED_PREFIX)) this.recipient!.restoreCredited(value)
  }

  get parts(): { post: Post, draws: Secrets, tickets: TicketHasher, winners: Winners } {
    return { post: this.post, draws: this.world.draws, tickets: this.world.tickets, winners: this.winners }
  }

  handle(turn: Turn, message: Mail['message']): void {
    const recipient = this.recipient!
    switch (message.kind) {
      case 'ticket': {
        const { funds } = this.world
        const screened = recipient.screen(nativeHasher, message, funds, turn.now)
        if (screened.ok) {
          const signer = recoverMoney(screened.value.digest, message.signature ?? '')
          if (!signer.ok || signer.value !== message.ticket.payer) {
            this.refusals.push('E_SIGNATURE')
            return
          }
        }
        const credited = recipient.ticket(turn, message, funds)
        if (credited.ok) this.outcomes.push(credited.value.kind)
        else this.refusals.push(credited.code)
        break
      }
      case 'reconcile': recipient.reconcile(turn, message); break
      case 'verdict':
        if (message.accepted) recipient.accepted(turn, message.quantity)
        else recipient.failed(turn, message.quantity, { expirySec: START_WALL_MS / 1000 + 86_400 })
        break
      default: throw new Error(`the provider got ${message.kind}`)
    }
  }
}

export class PaymentWorld {
  readonly options: WorldOptions
  readonly tickets = new TicketHasher(nativeHasher, SEPARATOR)
  readonly draws: Secrets = hmacDraws(nativeHasher, new Uint8Array(32).fill(3))
  readonly payer: PayerComputer
  readonly provider: ProviderComputer
  readonly terms: PaymentTerms
  readonly mail: Mail[] = []
  /** Every digest ever signed, by its commit. */
  readonly signed = new Map<string, Set<string>>()
  /** What left, as bytes, by agreement and number. */
  readonly ticketBytes = new Map<number, Set<string>>()
  readonly creditBytes: { index: number, hex: string }[] = []
  funds: PayerFunds
  cut: Cut | undefined
  restarted: Side | undefined
  monoMs = 0
  /** How far each side's wall clock is ahead. */
  skewMs: Record<Side, number> = { payer: 0, provider: 0 }
  /** What the payer knows of verdicts. */
  #events = 0

  constructor(options: WorldOptions = {}) {
    this.options = options
    this.terms = options.terms ?? TERMS
    this.funds = options.funds ?? RICH
    this.cut = options.cut
    this.payer = new PayerComputer('payer', this)
    this.provider = new ProviderComputer('provider', this)
    this.payer.budget.setCaps(options.caps ?? {})
  }

  now(side: Side): Now {
    return { monoMs: this.monoMs, wallMs: START_WALL_MS + this.monoMs + this.skewMs[side] }
  }

  entropy(): Uint8Array {
    return nativeHasher.sha256(Buffer.from(`event ${this.#events++}`))
  }

  open(): void {
    this.provider.step((turn) => { this.provider.recipient ??= this.openRecipient(turn) })
    if (this.provider.recipient === undefined) this.provider.step((turn) => { this.provider.recipient = this.openRecipient(turn) })
    this.mail.push({ to: 'payer', message: { kind: 'lots' } })
  }

  openSender(turn: Turn): Sender {
    return Sender.open(turn, this.payer.parts, { agreement: AGREEMENT, job: JOB, provider: 'provider', providerAddress: PAYEE, payer: PAYER, payee: PAYEE, terms: this.terms, acceptance: { agreement: AGREEMENT, provider: PAYEE, requester: PAYER, ...EXPOSURE, signature: '0x' } })
  }

  openRecipient(turn: Turn): Recipient {
    return Recipient.open(turn, this.provider.parts, { agreement: AGREEMENT, job: JOB, requester: 'payer', payer: PAYER, payee: PAYEE, terms: this.terms, exposure: EXPOSURE })
  }

  get sender(): Sender {
    return this.payer.sender!
  }

  get recipient(): Recipient {
    return this.provider.recipient!
  }

  /** The driver: signs what must be signed, encodes, sends. */
  perform(side: Side, effect: Effect): void {
    if (effect.kind !== 'send' || !isPayMessage(effect.message)) return
    let { message } = effect
    if (message.kind === 'ticket') {
      const digest = this.tickets.digest(message.ticket)
      const digests = this.signed.get(message.ticket.commit) ?? new Set()
      this.signed.set(message.ticket.commit, digests.add(toHex(digest)))
      message = { ...message, signature: signDigest(PAYER_KEY, digest) }
    } else if (message.kind === 'credit' || message.kind === 'reconcile') {
      message = { ...message, signature: signDigest(side === 'payer' ? PAYER_KEY : PROVIDER_KEY, stateDigest(nativeHasher, SEPARATOR, message.state)) }
    } else if (message.kind === 'refund') {
      const signature = signDigest(PROVIDER_KEY, new Uint8Array(32).fill(1))
      message = { ...message, refundSignature: signature, statementSignature: signature }
    }
    if (this.options.plain === true) {
      this.mail.push({ to: side === 'payer' ? 'provider' : 'payer', message })
      return
    }
    const raw = payMessageCodec.encode(message)
    const hex = toHex(raw)
    if (message.kind === 'ticket') this.ticketBytes.set(message.index, (this.ticketBytes.get(message.index) ?? new Set()).add(hex))
    if (message.kind === 'credit' && message.index !== undefined) this.creditBytes.push({ index: message.index, hex })
    const decoded = payMessageCodec.decode(raw)
    if (!decoded.ok) throw new Error(`${decoded.code} ${decoded.message}`)
    this.mail.push({ to: side === 'payer' ? 'provider' : 'payer', message: decoded.value })
  }

  computer(side: Side): Computer {
    return side === 'payer' ? this.payer : this.provider
  }

  deliver(at = 0): void {
    const [mail] = this.mail.splice(at, 1)
    if (mail === undefined) return
    const computer = this.computer(mail.to)
    computer.step((turn) => { computer.handle(turn, mail.message) })
    // what the peer's own outbox repeats: a power cut before the writes means that it comes again
    const again = this.restarted !== undefined && this.cut?.effects === 'uncommitted' && ['lots', 'progress', 'verdict'].includes(mail.message.kind)
    if (again) this.mail.push(mail)
    this.revive()
  }

  /** After a power cut: what its peer does when a computer starts again. */
  revive(): void {
    const side = this.restarted
    if (side === undefined) return
    this.restarted = undefined
    if (side === 'provider') {
      if (this.provider.recipient === undefined) this.open()
      else this.provider.step((turn) => { this.provider.recipient!.start(turn); this.provider.outbox.start(turn) })
      this.payer.step((turn) => { this.payer.outbox.peerConnected(turn, 'provider'); this.payer.sender?.reconnected(turn) })
    } else {
      if (this.payer.sender === undefined) this.mail.push({ to: 'payer', message: { kind: 'lots' } })
      this.payer.step((turn) => { this.payer.outbox.start(turn); this.payer.sender?.reconnected(turn) })
    }
  }

  deliverAll(max = 10_000): void {
    for (let i = 0; this.mail.length > 0; i++) {
      if (i > max) throw new Error('the mail never ends')
      this.deliver()
    }
  }

  /** Time passes until the next timer of either side. */
  tick(): boolean {
    const due = [this.payer, this.provider].map(({ timers }) => timers.next()).filter((at) => at !== undefined)
    if (due.length === 0) return false
    this.monoMs = Math.max(this.monoMs, Math.min(...due))
    for (const computer of [this.payer, this.provider]) {
      for (let timer = computer.timers.takeDue(this.monoMs); timer !== undefined; timer = computer.timers.takeDue(this.monoMs)) {
        const fired = timer
        computer.step((turn) => { if (!computer.outbox.timer(turn, fired)) this.payer.sender?.timer(turn, fired) })
        this.revive()
      }
    }
    return true
  }

  /** The provider works one unit if it is paid for, and says so. */
  work(quantity = this.terms.unit.size): boolean {
    if (!this.recipient.mayWork(quantity)) return false
    const total = this.recipient.work.unsettled + this.recipient.work.accepted + this.recipient.work.failed + quantity
    this.provider.step((turn) => { this.recipient.worked(turn, total) })
    this.mail.push({ to: 'payer', message: { kind: 'progress', total: this.totalWorked } })
    this.revive()
    return true
  }

  get totalWorked(): number {
    const { unsettled, accepted, failed } = this.recipient.work
    return unsettled + accepted + failed
  }

  /** The requester judges a quantity that both know of; both books change. */
  judge(accepted: boolean, quantity: number): void {
    const step = (turn: Turn): void => {
      const done = accepted ? this.sender.accepted(turn, quantity) : this.sender.failed(turn, quantity)
      if (!done.ok) throw new Error(done.message)
    }
    const before = this.sender.work.unsettled
    this.payer.step(step)
    this.revive()
    // cut before it was written: the verdict is given again
    if (this.sender.work.unsettled === before && quantity > 0) this.payer.step(step)
    this.mail.push({ to: 'provider', message: { kind: 'verdict', accepted, quantity } })
  }

  /** Nothing under way and nothing to repeat. */
  settle(rounds = 200): void {
    for (let i = 0; i < rounds; i++) {
      this.deliverAll()
      if (this.payer.outbox.size === 0 && this.provider.outbox.size === 0 && this.sender.paused === undefined) return
      if (!this.tick()) return
    }
  }
}
