import { DAY_MS, GIB, HOUR_MS, SECOND_MS } from '../../src/units.ts'

/**
 * `local`: private addresses count, many nodes may share one IP, the DHT serves at once. For a LAN, a lab or one machine.
 * `public`: only public addresses travel through the DHT, and one IP may not hold many peers.
 */
export type NetworkScope = 'local' | 'public'

/** `auto` serves others' questions once this node has a public address, in the local scope at once; `client` only asks. */
export type DhtMode = 'auto' | 'client' | 'server' | 'off'

export interface RelayOptions {
  /** Reach, and be reached by, peers behind NAT over relays. Default: true in the public scope. */
  client: boolean
  /** Carry others' connections: for hosts with a public address. Default false. */
  server: boolean
  /** Peers that may keep a reservation here. Default 128 (libp2p: 15). */
  maxReservations: number
  /** Bytes that one relayed connection may carry each way. Default 1 GiB (libp2p: 128 KiB, which no job fits). */
  maxConnectionBytes: number
  /** How long one relayed connection lives. Default 24 h (libp2p: 2 minutes). */
  maxConnectionMs: number
}

/** Where and how a node meets others. `networkDefaults` has every value; only what differs need be given. */
export interface NetworkOptions {
  scope: NetworkScope
  /** Multiaddrs to listen on. Default: every interface, a port of the system's choice. */
  listen: readonly string[]
  /** Multiaddrs that others reach this node by, such as a forwarded port. Added to those found. */
  announce: readonly string[]
  /** Multiaddrs dialled at the start, and again for as long as few peers are connected. */
  bootstrap: readonly string[]
  /** Find peers on the same LAN without any configuration. Default true. */
  mdns: boolean
  /** Nodes find only those with the same tag. */
  mdnsTag: string
  /** Ask the router for a port. Default: true in the public scope. */
  upnp: boolean
  /** Let peers test whether this node can be dialled. Default: true in the public scope. */
  autonat: boolean
  /** Try to turn relayed connections into direct ones. Default false: known to fail in JavaScript more often than not. */
  dcutr: boolean
  /** Find providers by class keys, and keep records for others. Default `auto`. */
  dht: DhtMode
  relay: RelayOptions
  maxConnections: number
  /** Connections a second accepted from one IP address. */
  maxInboundPerSecond: number
  /** Inbound connections that may be in their handshake at once. */
  maxPendingInbound: number
  /** Below this many peers, known ones are dialled in the background. */
  minPeers: number
  /** Name and version shown to peers. */
  agent: string
}

/** Peers are found again by their stored addresses after a holiday. libp2p forgets addresses after an hour. */
export const MAX_ADDRESS_AGE_MS = 14 * DAY_MS
export const MAX_PEER_AGE_MS = 30 * DAY_MS

/** Each round trip costs about a millisecond of CPU on both sides; broken TCP connections show sooner by themselves. */
export const CONNECTION_PING_MS = 30 * SECOND_MS

/** A handshake takes 20 ms, and seconds on a busy old PC that thirty peers dial at once. Addresses are tried one after the other. */
export const ADDRESS_DIAL_TIMEOUT_MS = 6 * SECOND_MS
export const DIAL_TIMEOUT_MS = 10 * SECOND_MS

/** A peer asked again too soon answers the same. Each query makes every node of the LAN answer. */
export const MDNS_INTERVAL_MS = 20 * SECOND_MS

/** Class keys of the DHT name their epoch; records of the last one are still asked for until this one's have spread. */
export const MARKET_EPOCH_MS = HOUR_MS

/** The version of the DHT is our own: its records say nothing to other libp2p networks. */
export const DHT_PROTOCOL = '/hearth/kad/1'

export function networkDefaults(scope: NetworkScope): NetworkOptions {
  const isPublic = scope === 'public'
  return {
    scope,
    listen: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'],
    announce: [],
    bootstrap: [],
    mdns: true,
    mdnsTag: '_hearth._udp.local',
    upnp: isPublic,
    autonat: isPublic,
    dcutr: false,
    dht: 'auto',
    relay: { client: isPublic, server: false, maxReservations: 128, maxConnectionBytes: GIB, maxConnectionMs: DAY_MS },
    maxConnections: 200,
    maxInboundPerSecond: isPublic ? 20 : 1000,
    maxPendingInbound: isPublic ? 32 : 256,
    minPeers: 8,
    agent: 'hearth'
  }
}


/** What differs from the defaults of the scope. `undefined` is as good as absent. */
export type GivenNetworkOptions = { scope: NetworkScope, relay?: { [Key in keyof RelayOptions]?: RelayOptions[Key] | undefined } | undefined } & { [Key in keyof Omit<NetworkOptions, 'scope' | 'relay'>]?: NetworkOptions[Key] | undefined }

export function networkOptions(given: GivenNetworkOptions): NetworkOptions {
  const defaults = networkDefaults(given.scope)
  return { ...defaults, ...present(given), relay: { ...defaults.relay, ...present(given.relay ?? {}) } }
}

function present<T extends object>(given: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as { [Key in keyof T]?: Exclude<T[Key], undefined> }
}
