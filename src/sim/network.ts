import { payMessageCodec } from '../documents/pay-message.ts'
import { agreementMessageCodec, bidMessageCodec, isAgreementMessage, isBidMessage, isPayMessage, runMessageCodec } from '../documents/message.ts'
import type { Message } from '../documents/message.ts'
import { invariant } from '../errors.ts'
import type { PeerEvent } from '../core/event.ts'
import { SECOND_MS } from '../units.ts'
import type { EventQueue } from './event-queue.ts'
import type { Random } from './random.ts'
import type { LinkSpec } from './scenario.ts'

/** What the network needs of a computer. */
export interface Station {
  readonly index: number
  readonly id: string
  /** Grows with each start: what was on its way to a former life is lost. */
  readonly life: number
  readonly up: boolean
  readonly asleep: boolean
  receive(event: PeerEvent, messageId?: number): void
}

/** Both sides know the connection; `closesAtMs` is when the other's crash will have been noticed. */
interface Link { knows: [low: boolean, high: boolean], closesAtMs: number, epoch: number }

/** In worlds up to this size everybody is connected to everybody; in larger ones a first message connects. */
const FULL_MESH_PEERS = 32
/** A dead or cut-off peer is noticed within this. */
const NOTICE_MS = 8 * SECOND_MS
/** A dial to nobody fails within this. */
const DIAL_MS = 3 * SECOND_MS
const CONNECT_MS = 1 * SECOND_MS
/** A connection outlives a sleep of this length; what was sent meanwhile arrives on waking. */
const SLEEP_KEPT_MS = 15 * SECOND_MS
const CLEAN: Pick<LinkSpec, 'loss' | 'duplicate'> = { loss: 0, duplicate: 0 }

/** Carries messages and tells of connections as libp2p would, with all that goes wrong between homes. */
export class Network {
  readonly #queue: EventQueue
  readonly #random: Random
  readonly #stations: readonly Station[]
  readonly #codecs: boolean
  readonly #forgers: readonly { station: Station, share: number }[]
  readonly #links = new Map<string, Link>()
  readonly #splits = new Set<ReadonlySet<number>>()
  readonly #arrivals = new Map<string, number>()
  readonly #waiting = new Map<number, { atMs: number, life: number, from: number, message: Message, id: number }[]>()
  #spec: LinkSpec
  #messages = 0
  #signature = `0x${'1b'.repeat(65)}`

  constructor(queue: EventQueue, random: Random, stations: readonly Station[], spec: LinkSpec, codecs: boolean, forgers: readonly { station: Station, share: number }[] = []) {
    this.#queue = queue
    this.#random = random
    this.#stations = stations
    this.#spec = spec
    this.#codecs = codecs
    this.#forgers = forgers
  }

  get messages(): number {
    return this.#messages
  }

  reachable(a: Station, b: Station): boolean {
    if (!a.up || !b.up || a.asleep || b.asleep) return false
    for (const side of this.#splits) if (side.has(a.index) !== side.has(b.index)) return false
    return true
  }

  /** From now on nothing is lost or doubled. */
  clean(): void {
    this.#spec = { ...this.#spec, ...CLEAN }
  }

  send(from: Station, to: Station, message: Message): void {
    this.#messages++
    const carried = this.#throughCodec(message)
    for (const { station, share } of this.#forgers) {
      if (station !== from && station !== to && this.reachable(station, to) && this.#random.chance(share)) this.#deliver(station, to, carried, -this.#messages)
    }
    if (!this.reachable(from, to)) {
      if (to.up && to.asleep && this.#knows(from, to)) this.#keep(from, to, carried)
      else if (!this.#knows(from, to)) this.#queue.after(this.#random.between(1, DIAL_MS), () => { from.receive({ kind: 'unreachable', peer: to.id }) })
      return
    }
    // The sender still holds the connection to a former life: what it writes there is gone.
    if (this.#knows(from, to) && this.#queue.nowMs < this.#link(from, to).closesAtMs) return
    this.#connect(from, to)
    if (this.#random.chance(this.#spec.loss)) return
    const id = this.#messages
    this.#deliver(from, to, carried, id)
    if (this.#random.chance(this.#spec.duplicate)) this.#deliver(from, to, carried, id)
  }

  started(station: Station): void {
    if (this.#stations.length > FULL_MESH_PEERS) return
    for (const other of this.#stations) {
      if (other.index === station.index) continue
      const { closesAtMs } = this.#link(station, other)
      this.#queue.at(Math.max(closesAtMs, this.#queue.nowMs) + this.#random.between(1, CONNECT_MS), () => { this.#connect(station, other) })
    }
  }

  /** Its process is gone: the others notice sooner or later. */
  stopped(station: Station): void {
    this.#waiting.delete(station.index)
    for (const [other, link] of this.#linksOf(station)) {
      this.#setKnows(link, station, other, false)
      link.epoch++
      if (!this.#knows(other, station)) continue
      const noticeMs = this.#random.chance(0.7) ? this.#random.between(1, 50) : this.#random.between(1, NOTICE_MS)
      link.closesAtMs = this.#queue.nowMs + noticeMs
      const { epoch } = link
      this.#queue.after(noticeMs, () => { if (link.epoch === epoch) this.#forget(link, other, station) })
    }
  }

  /** After a sleep: short ones pass unnoticed, longer ones have broken every connection. */
  woke(station: Station, sleptMs: number): void {
    const waiting = this.#waiting.get(station.index) ?? []
    this.#waiting.delete(station.index)
    for (const { atMs, from, message, id } of waiting) {
      const sender = this.#stations[from]
      if (sender !== undefined && this.#queue.nowMs - atMs < SLEEP_KEPT_MS && sleptMs < SLEEP_KEPT_MS) this.#deliver(sender, station, message, id)
    }
    if (sleptMs < SLEEP_KEPT_MS) return
    for (const [other, link] of this.#linksOf(station)) {
      this.#forget(link, station, other)
      this.#forget(link, other, station)
    }
    this.started(station)
  }

  /** Cuts `side` off the others until the returned function is called. */
  split(side: readonly number[]): () => void {
    const members = new Set(side)
    this.#splits.add(members)
    for (const a of this.#stations) {
      if (!members.has(a.index)) continue
      for (const [b, link] of this.#linksOf(a)) {
        if (members.has(b.index)) continue
        for (const [one, other] of [[a, b], [b, a]] as const) {
          this.#queue.after(this.#random.between(1, NOTICE_MS), () => { if (!this.reachable(one, other)) this.#forget(link, one, other) })
        }
      }
    }
    return () => {
      if (!this.#splits.delete(members)) return
      for (const station of this.#stations) if (members.has(station.index) && station.up) this.started(station)
    }
  }

  /** Delay of one message now. */
  delayMs(): number {
    return this.#spec.minMs + this.#random.float() * (this.#spec.maxMs - this.#spec.minMs)
  }

  #deliver(from: Station, to: Station, message: Message, id: number): void {
    const { life } = to
    let atMs = this.#queue.nowMs + this.delayMs()
    if (this.#spec.ordered) {
      const stream = `${from.index}>${to.index}${isBidMessage(message) ? 'b' : isAgreementMessage(message) ? 'a' : isPayMessage(message) ? 'p' : 'r'}`
      atMs = Math.max(atMs, (this.#arrivals.get(stream) ?? 0) + 0.001)
      this.#arrivals.set(stream, atMs)
    }
    this.#queue.at(atMs, () => {
      if (to.life !== life || !to.up) return
      if (to.asleep) { this.#keep(from, to, message, id); return }
      if (this.reachable(from, to) || !from.up) to.receive({ kind: 'message', from: from.id, message, standing: 'local' }, id)
    })
  }

  #keep(from: Station, to: Station, message: Message, id = this.#messages): void {
    const waiting = this.#waiting.get(to.index) ?? []
    waiting.push({ atMs: this.#queue.nowMs, life: to.life, from: from.index, message, id })
    this.#waiting.set(to.index, waiting)
  }

  /** What a driver signs is filled in, and all goes over the wire and back. */
  #throughCodec(message: Message): Message {
    const signed = SIGNED.has(message.kind) && !('signature' in message && message.signature !== undefined) ? signedWith(message, this.#signature) : message
    if (!this.#codecs) return signed
    const decoded = isBidMessage(signed) ? bidMessageCodec.decode(bidMessageCodec.encode(signed))
      : isAgreementMessage(signed) ? agreementMessageCodec.decode(agreementMessageCodec.encode(signed))
        : isPayMessage(signed) ? payMessageCodec.decode(payMessageCodec.encode(signed))
          : runMessageCodec.decode(runMessageCodec.encode(signed))
    invariant(decoded.ok, `a ${message.kind} does not survive its own codec: ${decoded.ok ? '' : decoded.message}`)
    return decoded.value
  }

  #connect(a: Station, b: Station): void {
    if (!this.reachable(a, b)) return
    const link = this.#link(a, b)
    if (this.#queue.nowMs < link.closesAtMs) return
    for (const [one, other] of [[a, b], [b, a]] as const) {
      if (this.#knows(one, other)) continue
      this.#setKnows(link, one, other, true)
      this.#queue.after(0, () => { if (this.#knows(one, other)) one.receive({ kind: 'peer-connected', peer: other.id }) })
    }
  }

  #forget(link: Link, one: Station, other: Station): void {
    if (!this.#knows(one, other)) return
    this.#setKnows(link, one, other, false)
    one.receive({ kind: 'peer-disconnected', peer: other.id })
  }

  #link(a: Station, b: Station): Link {
    const key = a.index < b.index ? `${a.index}-${b.index}` : `${b.index}-${a.index}`
    let link = this.#links.get(key)
    if (link === undefined) {
      link = { knows: [false, false], closesAtMs: 0, epoch: 0 }
      this.#links.set(key, link)
    }
    return link
  }

  #linksOf(station: Station): [Station, Link][] {
    return this.#stations.flatMap((other): [Station, Link][] => {
      const link = this.#links.get(station.index < other.index ? `${station.index}-${other.index}` : `${other.index}-${station.index}`)
      return link === undefined ? [] : [[other, link]]
    })
  }

  #knows(one: Station, other: Station): boolean {
    return this.#link(one, other).knows[one.index < other.index ? 0 : 1]
  }

  #setKnows(link: Link, one: Station, other: Station, value: boolean): void {
    link.knows[one.index < other.index ? 0 : 1] = value
  }
}

/** What a driver signs. */
const SIGNED: ReadonlySet<Message['kind']> = new Set(['propose', 'agreed', 'closed-set', 'reveal', 'ticket', 'credit', 'reconcile', 'refund'])

function signedWith(message: Message, signature: string): Message {
  return message.kind === 'refund' ? { ...message, refundSignature: signature, statementSignature: signature } : { ...message, signature } as Message
}
