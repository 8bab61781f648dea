import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { AgreementProtocol } from '../../protocols/agreement/index.ts'
import { BidProtocol } from '../../protocols/bid/index.ts'
import { RunProtocol } from '../../protocols/run/index.ts'
import { WireError } from '../../protocols/wire/index.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { isAgreementMessage, isBidMessage } from '../../src/documents/message.ts'
import type { BidMessage, Message } from '../../src/documents/message.ts'
import { HearthError } from '../../src/errors.ts'
import { Lru } from '../keys/index.ts'
import { DIAL_TIMEOUT_MS } from './options.ts'
import { bestConnection } from './streams.ts'
import type { Streams } from './streams.ts'

/** Requesters whose addresses came with an offer and who may soon be sent a bid. */
const MAX_LEARNED = 512

export interface MessengerInit {
  libp2p: Pick<Libp2p, 'dial' | 'getConnections' | 'peerStore'>
  streams: Streams
  sealBid: (message: BidMessage) => Uint8Array
  openBid: (raw: Uint8Array, from: string) => Result<BidMessage>
  /** Signs what must be signed. */
  seal: (message: Message) => Message
  /** Whether the message is what it claims; the refusals that are faults are counted by whoever gives this. */
  check: (message: Message, from: string) => Result<Message>
  onMessage: (from: string, message: Message) => void
  onRefused: (from: string, refusal: Refusal) => void
  onUnreachable: (peer: string) => void
}

/** Carries the core's messages over the protocol of their kind, signed and checked. */
export class Messenger {
  readonly #init: MessengerInit
  readonly #bid: BidProtocol
  readonly #agreement: AgreementProtocol
  readonly #run: RunProtocol
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
    this.#bid = new BidProtocol({ ...shared, seal: init.sealBid, open: init.openBid })
    this.#agreement = new AgreementProtocol(shared)
    this.#run = new RunProtocol(shared)
  }

  async start(): Promise<void> {
    await Promise.all([this.#bid.start(), this.#agreement.start(), this.#run.start()])
  }

  async stop(): Promise<void> {
    await Promise.all([this.#bid.stop(), this.#agreement.stop(), this.#run.stop()])
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
      if (isBidMessage(sealed)) this.#bid.send(peer, sealed)
      else if (isAgreementMessage(sealed)) this.#agreement.send(peer, sealed)
      else this.#run.send(peer, sealed)
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

/** Throws E_PEER_ID. */
export function parsePeer(text: string): PeerId {
  try {
    return peerIdFromString(text)
  } catch (err) {
    throw new HearthError('E_PEER_ID', `"${text}" is no PeerId`, 'A PeerId looks like 12D3KooW… and has 52 characters', { cause: err })
  }
}
