import type { Libp2p, PeerId, PeerInfo } from '@libp2p/interface'
import { PeerQueue } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { DIAL_TIMEOUT_MS } from './options.ts'

/** Peers dialled in the background at once, and those that wait for it: a LAN party fits. */
const MAX_PARALLEL_DIALS = 8
const MAX_WAITING_DIALS = 256
/** Alone, look again after this; each time in vain twice as long. */
const FIRST_RETRY_MS = 2 * SECOND_MS
const MAX_RETRY_MS = MINUTE_MS
/** Stored peers tried in one round. */
const MAX_KNOWN_A_ROUND = 16
/** Stored peers looked at to choose from. */
const MAX_KNOWN_READ = 256

export interface KeeperInit {
  libp2p: Pick<Libp2p, 'dial' | 'getPeers' | 'getConnections' | 'peerStore' | 'peerId'>
  bootstrap: readonly string[]
  minPeers: number
  maxConnections: number
  isBanned: (peer: string) => boolean
}

/** Keeps the node in company: dials peers found on the LAN, and while there are few, the bootstrap list and peers met before. */
export class Keeper {
  readonly #init: KeeperInit
  readonly #bootstrap: Multiaddr[]
  readonly #dials = new PeerQueue({ concurrency: MAX_PARALLEL_DIALS, maxSize: MAX_WAITING_DIALS })
  #retryMs = FIRST_RETRY_MS
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(init: KeeperInit) {
    this.#init = init
    this.#bootstrap = init.bootstrap.map((text) => multiaddr(text))
  }

  start(): void {
    void this.#round()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#dials.abort()
  }

  /** Discovery saw this peer just now. */
  found({ id, multiaddrs }: PeerInfo): void {
    const { libp2p, maxConnections } = this.#init
    if (libp2p.getPeers().length >= maxConnections / 2) return
    this.#dial(id, multiaddrs.map((address) => address.toString().includes('/p2p/') ? address : address.encapsulate(`/p2p/${id.toString()}`)))
  }

  /** Something changed, such as the network: look again at once. */
  kick(): void {
    this.#retryMs = FIRST_RETRY_MS
    void this.#round()
  }

  /** Meets a known peer again, unless it is connected. */
  dial(peer: PeerId): void {
    this.#dial(peer, peer)
  }

  /** The last round may have left the node alone for a minute to come. */
  peerLost(): void {
    if (this.#init.libp2p.getPeers().length === 0) this.kick()
  }

  async #round(): Promise<void> {
    if (this.#stopped) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { void this.#round() }, this.#retryMs)
    this.#timer.unref()
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2)
    const { libp2p, minPeers, isBanned } = this.#init
    if (libp2p.getPeers().length >= minPeers) return
    for (const address of this.#bootstrap) this.#dialAddress(address)
    try {
      const known = await libp2p.peerStore.all({ limit: MAX_KNOWN_READ, filters: [(peer) => peer.addresses.length > 0 && !peer.id.equals(libp2p.peerId) && !isBanned(peer.id.toString())] })
      for (const peer of pick(known, MAX_KNOWN_A_ROUND)) this.#dial(peer.id, peer.id)
    } catch {
      // the store closes while the node stops
    }
  }

  #dial(peer: PeerId, target: PeerId | Multiaddr[]): void {
    const { libp2p } = this.#init
    if (this.#stopped || peer.equals(libp2p.peerId) || libp2p.getConnections(peer).length > 0 || this.#dials.has(peer)) return
    this.#dials.add(async (options) => { await libp2p.dial(target, { signal: dialSignal(options.signal) }) }, { peerId: peer }).catch(() => {
      // an unreachable peer is ordinary; it is tried again as long as it is needed
    })
  }

  #dialAddress(address: Multiaddr): void {
    const { libp2p } = this.#init
    const text = address.toString()
    const isConnected = libp2p.getConnections().some((connection) => text.startsWith(connection.remoteAddr.toString()) || text.endsWith(`/p2p/${connection.remotePeer.toString()}`))
    if (isConnected || text.endsWith(`/p2p/${libp2p.peerId.toString()}`)) return
    void libp2p.dial(address, { signal: dialSignal(undefined) }).catch(() => {
      // as above
    })
  }
}

function dialSignal(signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(DIAL_TIMEOUT_MS)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}

/** `count` of the items, any: always the same few would leave networks in islands. */
function pick<T>(items: readonly T[], count: number): T[] {
  const rest = [...items]
  const picked: T[] = []
  while (picked.length < count && rest.length > 0) picked.push(...rest.splice(Math.floor(Math.random() * rest.length), 1))
  return picked
}
