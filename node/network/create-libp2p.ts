import { FaultTolerance } from '@libp2p/interface'
import type { ConnectionGater, Libp2p, PeerDiscovery, PeerInfo, Transport } from '@libp2p/interface'
import { noise } from '@chainsafe/libp2p-noise'
import { identify, identifyPush } from '@libp2p/identify'
import type { Identify, IdentifyPush } from '@libp2p/identify'
import type { SingleKadDHT } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import type { Ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { LevelDatastore } from 'datastore-level'
import { createLibp2p as create } from 'libp2p'
import type { Libp2pOptions } from 'libp2p'
import { offerGossipSub } from '../../protocols/gossip/index.ts'
import type { ScoredGossipSub } from '../../protocols/gossip/index.ts'
import { yamuxOptions } from '../../protocols/wire/index.ts'
import type { NodeKeys } from '../keys/index.ts'
import { ADDRESS_DIAL_TIMEOUT_MS, CONNECTION_PING_MS, DHT_PROTOCOL, DIAL_TIMEOUT_MS, MARKET_EPOCH_MS, MAX_ADDRESS_AGE_MS, MAX_PEER_AGE_MS, MDNS_INTERVAL_MS } from './options.ts'
import type { NetworkOptions } from './options.ts'
import { calmWalk, noWalk, withWalk } from './random-walk.ts'

/** Pings of one connection at once, each way. */
const MAX_PING_STREAMS = 8

/** The routing table tells when it takes a peer in; its type does not say so. */
interface SearchableDht extends SingleKadDHT { routingTable: { size: number } & EventTarget }

interface Services extends Record<string, unknown> {
  identify: Identify
  identifyPush: IdentifyPush
  ping: Ping
  pubsub: ScoredGossipSub
  /** Only with the option of the same name, as are those below. */
  dht?: SearchableDht
  upnp?: unknown
  autonat?: unknown
  dcutr?: unknown
  relay?: unknown
}
type NodeOptions = Libp2pOptions<Services>
type ServiceFactories = NonNullable<NodeOptions['services']>
export type HearthLibp2p = Libp2p<Services>

export interface Libp2pParts {
  keys: NodeKeys
  options: NetworkOptions
  /** The node's own region, whose topics gossip scores. */
  region: string
  /** Undefined keeps peers in memory. */
  peerStore: LevelDatastore | undefined
  isBanned: (peer: string) => boolean
  faultsOf: (peer: string) => number
  /** mDNS saw a peer: again and again for as long as it is there. */
  onDiscovered: (peer: PeerInfo) => void
}

type Components = Parameters<NonNullable<NodeOptions['transports']>[number]>[0]

/** A node, not yet started. Modules that an option turns off are not even loaded: each costs memory and start-up time. */
export async function createLibp2p(parts: Libp2pParts): Promise<HearthLibp2p> {
  const { keys, options, peerStore } = parts
  const init: NodeOptions = {
    start: false,
    privateKey: keys.libp2pKey,
    nodeInfo: { name: 'hearth', userAgent: options.agent },
    addresses: { listen: [...options.listen, ...(options.relay.client ? ['/p2p-circuit'] : [])], appendAnnounce: [...options.announce] },
    // an interface without IPv6, or a relay that is down, must not stop a node that is reachable otherwise
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    transports: await transports(options),
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(yamuxOptions)],
    connectionGater: gater(parts.isBanned),
    connectionMonitor: { pingInterval: CONNECTION_PING_MS },
    connectionManager: {
      maxConnections: options.maxConnections,
      inboundConnectionThreshold: options.maxInboundPerSecond,
      maxIncomingPendingConnections: options.maxPendingInbound,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
      dialTimeout: DIAL_TIMEOUT_MS
    },
    peerStore: { maxAddressAge: MAX_ADDRESS_AGE_MS, maxPeerAge: MAX_PEER_AGE_MS },
    peerDiscovery: await discoveries(options, parts.onDiscovered),
    services: await services(parts),
    ...(peerStore === undefined ? {} : { datastore: peerStore })
  }
  return create(init)
}

async function transports({ relay }: NetworkOptions): Promise<((components: Components) => Transport)[]> {
  const list: ((components: Components) => Transport)[] = [tcp()]
  if (relay.client) {
    const { circuitRelayTransport } = await import('@libp2p/circuit-relay-v2')
    const circuit = circuitRelayTransport()
    list.push((components) => circuit(withWalk(components, noWalk)))
  }
  return list
}

async function discoveries({ mdns, mdnsTag, bootstrap }: NetworkOptions, onDiscovered: (peer: PeerInfo) => void): Promise<((components: Components) => PeerDiscovery)[]> {
  const list: ((components: Components) => PeerDiscovery)[] = []
  if (mdns) {
    const { mdns: multicast } = await import('@libp2p/mdns')
    const service = multicast({ serviceTag: mdnsTag, interval: MDNS_INTERVAL_MS })
    list.push((components) => {
      const discovery = service(components)
      discovery.addEventListener('peer', ({ detail }) => { onDiscovered(detail) })
      return discovery
    })
  }
  if (bootstrap.length > 0) {
    const { bootstrap: dialList } = await import('@libp2p/bootstrap')
    list.push(dialList({ list: [...bootstrap], timeout: 1, tagName: 'keep-alive-bootstrap' }))
  }
  return list
}

async function services({ options, region, faultsOf }: Libp2pParts): Promise<ServiceFactories> {
  const isLocal = options.scope === 'local'
  const list: ServiceFactories = {
    identify: identify(),
    identifyPush: identifyPush(),
    // libp2p watches each connection by the same protocol: with one stream allowed, two pings at once would look like a dead peer
    ping: ping({ maxInboundStreams: MAX_PING_STREAMS, maxOutboundStreams: MAX_PING_STREAMS }),
    pubsub: offerGossipSub({ sharedIp: isLocal, region, faultsOf })
  }
  if (options.dht !== 'off') {
    const { kadDHT, passthroughMapper, removePrivateAddressesMapper } = await import('@libp2p/kad-dht')
    const dht = kadDHT({
      protocol: DHT_PROTOCOL,
      peerInfoMapper: isLocal ? passthroughMapper : removePrivateAddressesMapper,
      ...clientModeOf(options),
      alpha: 3,
      reprovide: { validity: 2 * MARKET_EPOCH_MS, threshold: 0 }
    })
    list.dht = (components) => dht(components) as SearchableDht
  }
  if (options.upnp) list.upnp = (await import('@libp2p/upnp-nat')).uPnPNAT({ portMappingDescription: 'hearth' })
  if (options.autonat) {
    const nat = (await import('@libp2p/autonat')).autoNAT()
    list.autonat = (components) => nat(withWalk(components, calmWalk))
  }
  if (options.dcutr) list.dcutr = (await import('@libp2p/dcutr')).dcutr()
  if (options.relay.server) {
    const { circuitRelayServer } = await import('@libp2p/circuit-relay-v2')
    const { maxReservations, maxConnectionBytes, maxConnectionMs } = options.relay
    list.relay = circuitRelayServer({ reservations: { maxReservations, defaultDataLimit: BigInt(maxConnectionBytes), defaultDurationLimit: maxConnectionMs } })
  }
  return list
}

/** Without a mode kad-dht goes by the node's own addresses: a server as long as one of them is public. */
function clientModeOf({ dht, scope }: NetworkOptions): { clientMode?: boolean } {
  if (dht === 'auto') return scope === 'local' ? { clientMode: false } : {}
  return { clientMode: dht === 'client' }
}

function gater(isBanned: (peer: string) => boolean): ConnectionGater {
  return {
    denyDialPeer: (peer) => isBanned(peer.toString()),
    denyInboundEncryptedConnection: (peer) => isBanned(peer.toString()),
    denyInboundRelayedConnection: (_relay, peer) => isBanned(peer.toString()),
    denyInboundRelayReservation: (peer) => isBanned(peer.toString())
  }
}
