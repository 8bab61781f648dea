import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { agreementChannels } from '../../protocols/agreement/index.ts'
import { bidChannels } from '../../protocols/bid/index.ts'
import { payChannels } from '../../protocols/pay/index.ts'
import { runChannels } from '../../protocols/run/index.ts'
import { WireError } from '../../protocols/wire/index.ts'
import type { MessageChannels, MessageCodec } from '../../protocols/wire/index.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { isAgreementMessage, isBidMessage, isPayMessage } from '../../src/documents/message.ts'
import type { BidMessage, Message, RunMessage } from '../../src/documents/message.ts'
import { HearthError, invariant } from '../../src/errors.ts'
import { Lru } from '../keys/index.ts'
import { DIAL_TIMEOUT_MS } from './options.ts'
import { bestConnection } from './streams.ts'
import type { Streams } from './streams.ts'

/** Requesters whose addresses came with an offer and who may soon be sent a bid. */
const MAX_LEARNED = 512

export interface MessengerInit {
  libp2p: Pick<Libp2p, 'dial' | 'getConnections' | 'peerStore'>
  streams: Streams
  /** The envelope of bids, signed and checked. */
  bids: MessageCodec<BidMessage>
  /** Signs what must be signed. */
  seal: (message: Message) => Message
  /** Whether the message is what it claims; the refusals that are faults are counted by whoever gives this. */
  check: (message: Message, from: string) => Result<Message>
  onMessage: (from: string, message: Message) => void
  onRefused: (from: string, refusal: Refusal) => void
  onUnreachable: (peer: string) => void
}

/** Messages of some kinds, and the protocol that carries them. */
interface Route {
  start(): Promise<void>
  stop(): Promise<void>
  /** Peers with a channel now. */
  readonly peers: number
  /** False when the message is of another route. */
  send(peer: PeerId, message: Message): boolean
}

/** Carries the core's messages over the protocol of their kind, signed and checked. */
export class Messenger {
  readonly #init: MessengerInit
  readonly #routes: readonly Route[]
  readonly #dials = new Map<string, Promise<void>>()
  readonly #learned = new Lru<readonly string[]>(MAX_LEARNED)

  constructor(init: MessengerInit) {
    this.#init = init
    const shared = {
      network: init.streams,
      onMessage: (from: string, message: Message) => { this.#receive(from, message) },
      onRefused: init.onRefused,
      onUndelivered: (peer: string) => { init.onUnreachable(peer) }
    }
    this.#routes = [
      routeOf(isBidMessage, bidChannels(shared, init.bids)),
      routeOf(isAgreementMessage, agreementChannels(shared)),
      routeOf(isRunMessage, runChannels(shared)),
      routeOf(isPayMessage, payChannels(shared))
    ]
  }

  async start(): Promise<void> {
    await Promise.all(this.#routes.map((route) => route.start()))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#routes.map((route) => route.stop()))
  }

  /** Peers that cost memory here now, by what they are held for. */
  held(): { channels: number, dials: number } {
    return { channels: this.#routes.reduce((sum, { peers }) => sum + peers, 0), dials: this.#dials.size }
  }

  /** Addresses that `peer` gave of itself, for a dial that may follow. They are not stored: anyone may name any. */
  learn(peer: string, addresses: readonly string[]): void {
    if (addresses.length > 0) this.#learned.set(peer, addresses)
  }

  /**
   * Resolves when the message is queued on a connection; messages to one peer keep their order within a protocol. Rejects with
   * E_PEER_ID, E_PEER_UNREACHABLE (no dial within the deadline) or E_PEER_BUSY (it does not read what is queued).
   * A connection that breaks later is told of by `onUnreachable`.
   */
  async send(to: string, message: Message): Promise<void> {
    const peer = parsePeer(to)
    if (bestConnection(this.#init.libp2p.getConnections(peer)) === undefined) await this.#dial(peer)
    const sealed = this.#init.seal(message)
    try {
      const isSent = this.#routes.some((route) => route.send(peer, sealed))
      invariant(isSent, `no protocol carries "${sealed.kind}"`)
    } catch (err) {
      if (err instanceof WireError) throw new HearthError('E_PEER_BUSY', `${to} does not take more messages (${err.code})`, 'It is overloaded or its line is down; the job goes on with others', { cause: err })
      throw err
    }
  }

  #dial(peer: PeerId): Promise<void> {
    const key = peer.toString()
    const running = this.#dials.get(key)
    if (running !== undefined) return running
    const dial = this.#dialNow(peer).finally(() => { this.#dials.delete(key) })
    this.#dials.set(key, dial)
    return dial
  }

  async #dialNow(peer: PeerId): Promise<void> {
    const { libp2p } = this.#init
    const key = peer.toString()
    try {
      const learned = this.#learned.get(key)
      if (learned !== undefined) await libp2p.peerStore.merge(peer, { multiaddrs: learned.map((text) => multiaddr(text)) })
      await libp2p.dial(peer, { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) })
      this.#learned.delete(key)
    } catch (err) {
      throw new HearthError('E_PEER_UNREACHABLE', `${key} cannot be reached`, 'It may be off, or behind a router without a way in', { cause: err })
    }
  }

  #receive(from: string, message: Message): void {
    const checked = this.#init.check(message, from)
    if (checked.ok) this.#init.onMessage(from, checked.value)
    else this.#init.onRefused(from, checked)
  }
}

function isRunMessage(message: Message): message is RunMessage {
  return !isBidMessage(message) && !isAgreementMessage(message) && !isPayMessage(message)
}

function routeOf<T extends Message>(takes: (message: Message) => message is T, channels: MessageChannels<T>): Route {
  return {
    start: () => channels.start(),
    stop: () => channels.stop(),
    get peers() { return channels.peers },
    send(peer, message) {
      if (!takes(message)) return false
      channels.send(peer, message)
      return true
    }
  }
}

/** Throws E_PEER_ID. */
export function parsePeer(text: string): PeerId {
  try {
    return peerIdFromString(text)
  } catch (err) {
    throw new HearthError('E_PEER_ID', `"${text}" is no PeerId`, 'A PeerId looks like 12D3KooW… and has 52 characters', { cause: err })
  }
}
