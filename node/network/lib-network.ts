import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import type { Connection, PeerId, PeerInfo } from '@libp2p/interface'
import { PeerQueue } from '@libp2p/utils'
import { CODE_P2P } from '@multiformats/multiaddr'
import type { LevelDatastore } from 'datastore-level'
import { ADS_PROTOCOL, AdsProtocol } from '../../protocols/ads/index.ts'
import type { AdBody } from '../../protocols/ads/index.ts'
import { OfferGossip } from '../../protocols/gossip/index.ts'
import { ResultProtocol } from '../../protocols/result/index.ts'
import type { LogBytes, LogSource } from '../../protocols/result/index.ts'
import type { Standing } from '../../src/core/event.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { adCodec } from '../../src/documents/ad.ts'
import type { Ad } from '../../src/documents/ad.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import { bidMessageCodec } from '../../src/documents/message.ts'
import type { Message, ResultRequest } from '../../src/documents/message.ts'
import { offerCodec } from '../../src/documents/offer.ts'
import type { Market, Offer } from '../../src/documents/offer.ts'
import type { PayMessageOf } from '../../src/documents/pay-message.ts'
import { HearthError, invariant } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'
import { Ed25519Verifier, IdentityVerifier, Lru } from '../keys/index.ts'
import type { NodeKeys } from '../keys/index.ts'
import { findAds } from './ad-finder.ts'
import type { AdQuery, FoundAd } from './ad-finder.ts'
import { dialable, ownAddresses, parseMultiaddr } from './addresses.ts'
import { Announcer } from './announcer.ts'
import type { HearthLibp2p } from './create-libp2p.ts'
import { Inbox } from './inbox.ts'
import { watchInterfaces } from './interface-watch.ts'
import { Keeper } from './keeper.ts'
import { MAX_MARKETS } from './market-keys.ts'
import { Messenger, parsePeer } from './messenger.ts'
import { WRONG_TICKETS } from './misconduct.ts'
import type { Misconduct } from './misconduct.ts'
import type { AdFields, Network, PeerEvent, PeerView } from './network.ts'
import { DHT_PROTOCOL, DIAL_TIMEOUT_MS } from './options.ts'
import type { GivenNetworkOptions, NetworkOptions } from './options.ts'
import { checkMessage, isFault, offerRefusal, sealMessage } from './seal.ts'
import type { CheckContext } from './seal.ts'
import { SignedCodec } from './signed.ts'
import { bestConnection, streamsOf } from './streams.ts'
import type { Streams } from './streams.ts'
import { isRelayed, standingOf, Subnets } from './subnets.ts'

/** Ads of newly connected peers fetched at once, and those that wait. */
const MAX_PARALLEL_AD_FETCHES = 4
const MAX_WAITING_AD_FETCHES = 256
/** After a change of network a peer that does not answer within this is gone. */
const PROOF_OF_LIFE_MS = 5 * SECOND_MS
/** How long after its start a node makes others wait for its first ad. */
const AD_WAIT_MS = 3 * SECOND_MS
/** How long a search waits for a first peer with a DHT, right after the start. */
const DHT_WAIT_MS = SECOND_MS
/** Peers seen by mDNS that are remembered: more than a LAN has nodes, and each is seen again within seconds. */
const MAX_SEEN_NEAR = 1024
/** Peers probed with an offer at once. */
const MAX_PARALLEL_PROBES = 16

export interface NetworkInit {
  keys: NodeKeys
  options: GivenNetworkOptions
  /** The node's own region. */
  region: string
  /** Where peers are remembered; undefined keeps them in memory. */
  dataDir: string | undefined
  /** EIP-712 domain of the chain in use, of chain 0 in free mode. */
  separator: Uint8Array
  chainId: number
  contract: string
  /** The agreement of an id, when this node is a party to it now. */
  agreementOf: (id: string) => Agreement | undefined
  /** Where work is paid. */
  payPartiesOf?: NonNullable<CheckContext['payPartiesOf']>
  /** Why a ticket could not be taken, its signature apart; absent: none could. */
  ticketRefusal?: (message: PayMessageOf<'ticket'>) => Omit<Refusal, 'ok'> | undefined
  wallMs?: () => number
  monoMs?: () => number
}

export interface NetworkParts extends Omit<NetworkInit, 'options'> {
  options: NetworkOptions
  misconduct: Misconduct
  libp2p: HearthLibp2p
  peerStore: LevelDatastore | undefined
}

/** The network over libp2p: joins the protocols, and hands what they bring to the node. Made by `createNetwork`. */
export class LibNetwork implements Network {
  readonly libp2p: HearthLibp2p
  readonly streams: Streams
  readonly peerId: string
  readonly #parts: NetworkParts
  readonly #wallMs: () => number
  readonly #identities: IdentityVerifier
  readonly #messenger: Messenger
  readonly #gossip: OfferGossip
  readonly #ads: AdsProtocol
  readonly #result: ResultProtocol
  readonly #keeper: Keeper
  readonly #announcer: Announcer | undefined
  readonly #adPeers = new Map<string, PeerId>()
  readonly #dhtPeers = new Set<string>()
  readonly #adFetches = new PeerQueue({ concurrency: MAX_PARALLEL_AD_FETCHES, maxSize: MAX_WAITING_AD_FETCHES })
  readonly #seenNear = new Lru<true>(MAX_SEEN_NEAR)
  #subnets = new Subnets(networkInterfaces())
  #unwatch: () => void = () => undefined
  #makeAd: () => AdFields | undefined = () => undefined
  readonly #adGiven = Promise.withResolvers<void>()
  /** A peer that connects at once and asks is not told "nothing" because the node around this one is still being wired. */
  readonly #young = AbortSignal.timeout(AD_WAIT_MS)
  #logSource: LogSource = () => refuse('E_LOG_NONE', 'nothing runs here')
  readonly #messages = new Inbox<{ from: string, message: Message }>()
  readonly #unreachable = new Inbox<string>()
  readonly #peerEvents = new Inbox<PeerEvent>()
  readonly #offers = new Inbox<Offer>()
  readonly #foundAds = new Inbox<FoundAd>()

  constructor(parts: NetworkParts) {
    this.#parts = parts
    const { keys, libp2p, options, misconduct, wallMs = () => Date.now(), monoMs = () => performance.now() } = parts
    this.libp2p = libp2p
    this.peerId = keys.peerId
    this.#wallMs = wallMs
    const verifier = new Ed25519Verifier()
    this.#identities = new IdentityVerifier(verifier)
    const sign = (message: Uint8Array): Uint8Array => keys.signEd25519(message)
    const offers = new SignedCodec({ codec: offerCodec, sign, verifier })
    const bids = new SignedCodec({ codec: bidMessageCodec, sign, verifier })
    const ads = new SignedCodec({ codec: adCodec, sign, verifier })
    const onRefused = (from: string, refusal: Refusal): void => { if (isFault(refusal)) misconduct.report(from, refusal) }
    this.streams = streamsOf(libp2p)
    this.#messenger = new Messenger({
      libp2p, streams: this.streams, onRefused,
      bids: { encode: (message) => bids.seal(message), decode: (raw, from) => bids.open(raw, () => from) },
      seal: (message) => sealMessage(message, keys, parts.separator, parts.payPartiesOf),
      check: (message, from) => checkMessage(message, from, { ...parts, self: keys.peerId, identities: this.#identities, ed25519: verifier, wallMs, screenTicket: (ticket) => this.#screensTicket(ticket, from) }),
      onMessage: (from, message) => { this.#receive(from, message) },
      onUnreachable: (peer) => { this.#unreachable.give(peer) }
    })
    this.#gossip = new OfferGossip({
      pubsub: libp2p.services.pubsub, wallMs, monoMs, onRefused,
      seal: (offer) => offers.seal(offer),
      open: (raw, check) => offers.open(raw, (offer) => offer.requester, (offer) => check(offer) ?? offerRefusal(offer, { identities: this.#identities, ed25519: verifier })),
      onOffer: (offer) => { this.#hear(offer) }
    })
    this.#ads = new AdsProtocol({
      network: this.streams, wallMs,
      seal: (ad) => ads.seal(ad),
      open: (raw, check) => this.#openAd(ads.open(raw, (ad) => ad.identity.peer, check)),
      current: async () => {
        if (!this.#young.aborted) await Promise.race([this.#adGiven.promise, once(this.#young, 'abort')])
        return this.#adBody()
      }
    })
    this.#result = new ResultProtocol({ network: this.streams, onRefused, source: (peer, request, signal) => this.#logSource(peer, request, signal) })
    this.#keeper = new Keeper({ libp2p, bootstrap: options.bootstrap, minPeers: options.minPeers, maxConnections: options.maxConnections, isBanned: (peer) => misconduct.isBanned(peer) })
    const { dht } = libp2p.services
    this.#announcer = dht === undefined ? undefined : new Announcer({ dht, wallMs, dhtPeers: () => this.#dhtPeers.size })
  }

  async start(): Promise<void> {
    const { libp2p } = this
    const { options } = this.#parts
    libp2p.addEventListener('peer:connect', ({ detail }) => { this.#peerEvents.give({ kind: 'connected', peer: detail.toString() }) })
    libp2p.addEventListener('peer:disconnect', ({ detail }) => {
      this.#peerEvents.give({ kind: 'disconnected', peer: detail.toString() })
      this.#keeper.peerLost()
    })
    libp2p.addEventListener('self:peer:update', () => {
      this.#ads.refresh()
      this.#announcer?.refresh()
    })
    // handlers first: identify tells peers which protocols there are
    await Promise.all([this.#messenger.start(), this.#ads.start(), this.#result.start(), this.#follow()])
    this.#gossip.start()
    await libp2p.start()
    if (options.listen.length > 0 && this.addresses().length === 0) {
      await libp2p.stop()
      throw new HearthError('E_LISTEN', `Cannot listen on ${options.listen.join(', ')}`, 'Another program may use the port, or the address is not of this machine; choose another, or port 0 for any')
    }
    this.#unwatch = watchInterfaces(() => {
      this.#subnets = new Subnets(networkInterfaces())
      this.refresh()
    })
    this.#keeper.start()
  }

  async stop(): Promise<void> {
    this.#unwatch()
    this.#keeper.stop()
    this.#announcer?.stop()
    this.#adFetches.abort()
    await Promise.all([this.#messenger.stop(), this.#ads.stop(), this.#result.stop()])
    await this.libp2p.stop()
    await this.#parts.peerStore?.close()
  }

  addresses(): string[] {
    return this.libp2p.getMultiaddrs().map(String)
  }

  send(to: string, message: Message): Promise<void> {
    return this.#messenger.send(to, message)
  }

  onMessage(handler: (from: string, message: Message) => void): void { this.#messages.take(({ from, message }) => { handler(from, message) }) }
  onUnreachable(handler: (peer: string) => void): void { this.#unreachable.take(handler) }
  onPeer(handler: (event: PeerEvent) => void): void { this.#peerEvents.take(handler) }
  onOffer(handler: (offer: Offer) => void): void { this.#offers.take(handler) }
  onAd(handler: (found: FoundAd) => void): void { this.#foundAds.take(handler) }
  serveLogs(source: LogSource): void { this.#logSource = source }

  setAd(make: () => AdFields | undefined): void {
    this.#makeAd = make
    this.#ads.refresh()
    this.#adGiven.resolve()
  }

  refreshAd(): void { this.#ads.refresh() }

  async publishOffer(offer: Offer): Promise<{ recipients: string[] }> {
    const addressed = this.#addressed(offer)
    const { recipients, missed } = await this.#gossip.publish(addressed)
    if (missed.length > 0) await this.probeOffer(addressed, missed)
    return { recipients }
  }

  async probeOffer(offer: Offer, peers: readonly string[]): Promise<{ recipients: string[] }> {
    const addressed = this.#addressed(offer)
    const recipients: string[] = []
    const waiting = [...peers]
    await Promise.all(Array.from({ length: MAX_PARALLEL_PROBES }, async () => {
      for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift()) {
        try {
          await this.send(peer, { kind: 'offer', offer: addressed })
          recipients.push(peer)
        } catch {
          // who is not reached is not among the recipients
        }
      }
    }))
    return { recipients }
  }

  setMarkets(markets: readonly Market[]): void {
    invariant(markets.length <= MAX_MARKETS, `${markets.length} sub-markets for one node`)
    this.#gossip.follow(markets)
    this.#announcer?.setMarkets(markets)
  }

  findAds(query: AdQuery, options: { max: number, signal: AbortSignal }): AsyncIterable<FoundAd> {
    const { contentRouting } = this.libp2p
    return findAds({
      self: this.peerId, wallMs: this.#wallMs, contentRouting, searchable: (signal) => this.#searchable(signal),
      connected: () => [...this.#adPeers.values()],
      fetch: (peer, signal) => this.#fetchAd(peer, signal)
    }, query, options)
  }

  fetchAd(peer: string, signal?: AbortSignal): Promise<FoundAd> {
    return this.#fetchAd(parsePeer(peer), signal)
  }

  async ping(peer: string): Promise<number> {
    const peerId = parsePeer(peer)
    const open = bestConnection(this.libp2p.getConnections(peerId))
    // libp2p's ping would dial the relay again; its own watch has measured this connection
    if (open?.limits !== undefined && open.rtt !== undefined) return open.rtt
    try {
      return await this.libp2p.services.ping.ping(peerId, { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) })
    } catch (err) {
      throw unreachable(peer, err)
    }
  }

  peers(): PeerView[] {
    const views = new Map<string, PeerView>()
    for (const connection of this.libp2p.getConnections()) {
      const { remotePeer, remoteAddr, direction, rtt } = connection
      const relayed = isRelayed(connection)
      const peer = remotePeer.toString()
      const known = views.get(peer)
      if (known === undefined) views.set(peer, { peer, addresses: [remoteAddr.toString()], direction, relayed, latencyMs: rtt })
      else {
        known.addresses.push(remoteAddr.toString())
        known.relayed &&= relayed
        known.latencyMs ??= rtt
      }
    }
    return [...views.values()]
  }

  held(): ReturnType<Network['held']> {
    return { connections: this.libp2p.getConnections().length, adPeers: this.#adPeers.size, dhtPeers: this.#dhtPeers.size, adFetches: this.#adFetches.size, ...this.#messenger.held() }
  }

  standing(peer: string): Standing | undefined {
    return standingOf(this.libp2p.getConnections(parsePeer(peer)), this.#subnets, this.#seenNear.get(peer) === true)
  }

  async dial(address: string): Promise<string> {
    const target = parseMultiaddr(address)
    try {
      const connection = await this.libp2p.dial(target, { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) })
      return connection.remotePeer.toString()
    } catch (err) {
      throw unreachable(address, err)
    }
  }

  followLogs(peer: string, request: ResultRequest, signal: AbortSignal): AsyncIterable<LogBytes> {
    return this.#result.follow(parsePeer(peer), request, signal)
  }

  report(peer: string, refusal: Refusal): void { this.#parts.misconduct.report(peer, refusal) }

  refresh(): void {
    const { libp2p } = this
    for (const connection of libp2p.getConnections()) void this.#proveAlive(connection)
    // asleep, an ad and the records of the DHT grew old
    this.#ads.refresh()
    this.#announcer?.refresh()
    // our own entry is what identify, the DHT and this class announce; writing it tells them all when it has changed
    libp2p.peerStore.patch(libp2p.peerId, { multiaddrs: libp2p.getMultiaddrs().map((address) => address.decapsulateCode(CODE_P2P)) }).catch(() => {
      // stopping
    })
    this.#keeper.kick()
  }

  /** mDNS saw this peer: it is on the same link. */
  found(peer: PeerInfo): void {
    this.#seenNear.set(peer.id.toString(), true)
    this.#keeper.found(peer)
  }

  cutOff(peer: string, last: Refusal): void {
    for (const connection of this.libp2p.getConnections(parsePeer(peer))) connection.abort(new Error(`refused: ${last.code} ${last.message}`))
  }

  async #follow(): Promise<void> {
    await this.libp2p.register(ADS_PROTOCOL, {
      notifyOnLimitedConnection: true,
      onConnect: (peer) => {
        this.#adPeers.set(peer.toString(), peer)
        this.#fetchOnConnect(peer)
      },
      onDisconnect: (peer) => { this.#adPeers.delete(peer.toString()) }
    })
    await this.libp2p.register(DHT_PROTOCOL, {
      onConnect: (peer) => {
        this.#dhtPeers.add(peer.toString())
        this.#announcer?.peerJoined()
      },
      onDisconnect: (peer) => { this.#dhtPeers.delete(peer.toString()) }
    })
  }

  /** Whether the DHT knows a peer to ask; right after the start, or after the first connection, it soon may. */
  async #searchable(signal: AbortSignal): Promise<boolean> {
    const table = this.libp2p.services.dht?.routingTable
    if (table === undefined) return false
    if (table.size > 0) return true
    await once(table, 'peer:add', { signal: AbortSignal.any([signal, AbortSignal.timeout(DHT_WAIT_MS)]) }).catch(() => undefined)
    return table.size > 0
  }

  #fetchOnConnect(peer: PeerId): void {
    if (this.#adFetches.has(peer)) return
    this.#adFetches.add(async ({ signal }) => { this.#foundAds.give(await this.#fetchAd(peer, signal)) }, { peerId: peer }).catch(() => {
      // it lends nothing, or left: whoever needs its ad asks again
    })
  }

  async #fetchAd(peer: PeerId, signal?: AbortSignal): Promise<FoundAd> {
    let found: Result<FoundAd>
    try {
      found = await this.#ads.fetch(peer, signal)
    } catch (err) {
      throw unreachable(peer.toString(), err)
    }
    if (found.ok) return found.value
    if (isFault(found)) this.#parts.misconduct.report(peer.toString(), found)
    throw new HearthError(found.code, found.message, 'Nothing to do here: it concerns that peer alone')
  }

  #openAd(ad: Result<Ad>): Result<Ad> {
    if (!ad.ok) return ad
    const identity = this.#identities.check(ad.value.identity)
    return identity.ok ? accept(ad.value) : identity
  }

  #adBody(): AdBody | undefined {
    const fields = this.#makeAd()
    if (fields === undefined) return undefined
    const { keys, options } = this.#parts
    return { v: 1, identity: keys.identity, addresses: ownAddresses(this.addresses(), options.scope), agent: options.agent, ...fields }
  }

  #addressed(offer: Offer): Offer {
    invariant(offer.requester === this.peerId, 'an offer of another requester was to be published')
    return offer.addresses.length > 0 ? offer : { ...offer, addresses: ownAddresses(this.addresses(), this.#parts.options.scope) }
  }

  #hear(offer: Offer): void {
    if (offer.requester === this.peerId) return
    this.#messenger.learn(offer.requester, dialable(offer.addresses, offer.requester, this.#parts.options.scope))
    this.#offers.give(offer)
  }

  #receive(from: string, message: Message): void {
    if (message.kind === 'offer') {
      if (this.#gossip.mayOffer(from)) this.#hear(message.offer)
    } else this.#messages.give({ from, message })
  }

  /** Whether a ticket is worth checking its signature. One that no honest payer sends is answered, and counted. */
  #screensTicket(message: PayMessageOf<'ticket'>, from: string): boolean {
    const { ticketRefusal, misconduct } = this.#parts
    const refusal = ticketRefusal?.(message)
    if (refusal !== undefined && WRONG_TICKETS.has(refusal.code)) misconduct.report(from, { ok: false, ...refusal }, { small: true })
    return ticketRefusal !== undefined && refusal === undefined
  }

  async #proveAlive(connection: Connection): Promise<void> {
    // a relayed connection ends with the one to its relay
    if (isRelayed(connection)) return
    const deadline = AbortSignal.timeout(PROOF_OF_LIFE_MS)
    try {
      await this.libp2p.services.ping.ping(connection.remotePeer, { signal: deadline })
    } catch {
      // any other failure is an answer, or the end of the connection already
      if (!deadline.aborted) return
      connection.abort(new Error('no sign of life'))
      this.#keeper.dial(connection.remotePeer)
    }
  }
}

function unreachable(whom: string, cause: unknown): HearthError {
  return new HearthError('E_PEER_UNREACHABLE', `${whom} cannot be reached`, 'It may be off, or behind a router without a way in', { cause })
}
