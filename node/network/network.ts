import type { Standing } from '../../src/core/event.ts'
import type { Refusal } from '../../src/codec/result.ts'
import type { Ad } from '../../src/documents/ad.ts'
import type { Message, ResultRequest } from '../../src/documents/message.ts'
import type { Market, Offer } from '../../src/documents/offer.ts'
import type { LogBytes, LogSource } from '../../protocols/result/index.ts'
import type { AdQuery, FoundAd } from './ad-finder.ts'
import type { HearthLibp2p } from './create-libp2p.ts'
import type { Streams } from './streams.ts'

/** Everything of an ad that is the host's to say. */
export type AdFields = Pick<Ad, 'region' | 'engines' | 'hardware' | 'free' | 'open'>

export interface PeerEvent { kind: 'connected' | 'disconnected', peer: string }

export interface PeerView {
  peer: string
  addresses: string[]
  direction: 'inbound' | 'outbound'
  /** Over a relay, which limits what it carries. */
  relayed: boolean
  /** Last measured round trip; undefined in the first seconds. */
  latencyMs: number | undefined
}

/** What the running node needs of the outside world's peers. Everything handed out is decoded, signed and checked. */
export interface Network {
  readonly peerId: string
  /** Multiaddrs with this node's PeerId that others can dial. */
  addresses(): string[]

  /** Delivers over the protocol of the message's kind; dials when not connected. Rejects: E_PEER_ID, E_PEER_UNREACHABLE, E_PEER_BUSY. */
  send(to: string, message: Message): Promise<void>
  /** Of each kind of handler the last one given counts, and what came before the first is kept for it. Offers do not come here but to `onOffer`. */
  onMessage(handler: (from: string, message: Message) => void): void
  /** A message that was queued did not arrive: the connection broke. */
  onUnreachable(handler: (peer: string) => void): void
  onPeer(handler: (event: PeerEvent) => void): void

  /** Signs and spreads an offer of this node's; its empty `addresses` are filled. `recipients` are those who may answer. */
  publishOffer(offer: Offer): Promise<{ recipients: string[] }>
  /** Sends an offer to these peers alone. `recipients` are those who were reached. */
  probeOffer(offer: Offer, peers: readonly string[]): Promise<{ recipients: string[] }>
  /** Offers of others, by gossip or sent to this node alone. The same one may come both ways. */
  onOffer(handler: (offer: Offer) => void): void
  /** The sub-markets this node can serve: hear their offers, be found by their keys. None: a requester only. */
  setMarkets(markets: readonly Market[]): void

  /** Ads of connected peers and of those the DHT names, as they answer; those that do not fit are among them. */
  findAds(query: AdQuery, options: { max: number, signal: AbortSignal }): AsyncIterable<FoundAd>
  /** What this node lends now; undefined: nothing. Asked when an ad is signed, at most every 30 s but after `refreshAd`. */
  setAd(make: () => AdFields | undefined): void
  /** What is lent has changed: sign a new ad for the next one who asks. */
  refreshAd(): void
  /** Rejects: E_PEER_UNREACHABLE, or the code of what is wrong with the ad (E_AD_NONE: it lends nothing). */
  fetchAd(peer: string, signal?: AbortSignal): Promise<FoundAd>
  /** The ad of each peer that connects, once a connection. */
  onAd(handler: (found: FoundAd) => void): void

  /** Round trip in ms. Rejects E_PEER_UNREACHABLE. */
  ping(peer: string): Promise<number>
  peers(): PeerView[]
  /** What peers cost memory for at present, by kind: all zero when none is connected, whoever came and went. */
  held(): Record<'connections' | 'adPeers' | 'dhtPeers' | 'adFetches' | 'channels' | 'dials', number>
  /**
   * How a peer is connected now: `local` is directly, from a private subnet that this machine is on, or from a public one where mDNS saw it;
   * undefined when it is not. Throws E_PEER_ID.
   */
  standing(peer: string): Standing | undefined
  /** Connects to a multiaddr and returns the PeerId there. Rejects: E_MULTIADDR, E_PEER_UNREACHABLE. */
  dial(address: string): Promise<string>
  /** A peer did what no honest one does, on a protocol that is not of this layer. The third time in ten minutes closes the door. */
  report(peer: string, refusal: Refusal): void
  /**
   * The network changed or the machine woke: drop dead connections and dial their peers again, announce everything anew. A change of
   * addresses is noticed here within seconds; who notices a sleep calls this.
   */
  refresh(): void

  /** Where followers of this node's runs are served from. */
  serveLogs(source: LogSource): void
  followLogs(peer: string, request: ResultRequest, signal: AbortSignal): AsyncIterable<LogBytes>

  /** How protocols of others, such as transfer, open and answer streams: over relays too. */
  readonly streams: Streams
  /** For what is not here. Open streams with `streams`. */
  readonly libp2p: HearthLibp2p
  /** Sends what is queued, closes connections and the peer store. */
  stop(): Promise<void>
}
