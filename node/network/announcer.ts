import type { KadDHT } from '@libp2p/kad-dht'
import type { CID } from 'multiformats/cid'
import type { Market } from '../../src/documents/offer.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { epochOf, marketKey } from './market-keys.ts'
import { MARKET_EPOCH_MS } from './options.ts'

/** Announcing all keys over slow lines; whatever is left then waits for the next time. */
const ANNOUNCE_TIMEOUT_MS = 2 * MINUTE_MS
/** Peers come in bursts: at the start, after the network came back. The first to come is told soon, the rest at once. */
const FIRST_SETTLE_MS = SECOND_MS
const SETTLE_MS = 10 * SECOND_MS
/** Not everyone at the same second of the hour. */
const MAX_JITTER_MS = 2 * MINUTE_MS

export interface AnnouncerInit {
  dht: Pick<KadDHT, 'provide' | 'cancelReprovide'>
  wallMs: () => number
  /** Peers that keep records, connected now. */
  dhtPeers: () => number
}

/** Keeps a provider findable: announces its sub-markets' keys each epoch, and again when many more peers, or new addresses, are known. */
export class Announcer {
  readonly #init: AnnouncerInit
  #markets: readonly Market[] = []
  #announced: CID[] = []
  #announcedToPeers = 0
  #timer: NodeJS.Timeout | undefined
  #dueMonoMs = Number.POSITIVE_INFINITY
  #running: AbortController | undefined
  #stopped = false

  constructor(init: AnnouncerInit) {
    this.#init = init
  }

  setMarkets(markets: readonly Market[]): void {
    this.#markets = markets
    this.#schedule(0)
  }

  /** A peer with a DHT connected. Twice as many as last time are worth another announcement; the records of one or two are soon lost. */
  peerJoined(): void {
    if (this.#init.dhtPeers() >= Math.max(1, 2 * this.#announcedToPeers)) this.#schedule(this.#announcedToPeers === 0 ? FIRST_SETTLE_MS : SETTLE_MS)
  }

  /** Other addresses, or another time, than when it was announced last. */
  refresh(): void {
    this.#schedule(FIRST_SETTLE_MS)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#running?.abort()
  }

  /** Whatever is due earlier stays due: a stream of changes must not put it off for ever. */
  #schedule(inMs: number): void {
    const dueMonoMs = performance.now() + inMs
    if (this.#stopped || dueMonoMs >= this.#dueMonoMs) return
    clearTimeout(this.#timer)
    this.#dueMonoMs = dueMonoMs
    this.#timer = setTimeout(() => {
      this.#dueMonoMs = Number.POSITIVE_INFINITY
      void this.#announce()
    }, inMs)
    this.#timer.unref()
  }

  async #announce(): Promise<void> {
    this.#running?.abort()
    const running = this.#running = new AbortController()
    const signal = AbortSignal.any([running.signal, AbortSignal.timeout(ANNOUNCE_TIMEOUT_MS)])
    const { dht, wallMs, dhtPeers } = this.#init
    const nowMs = wallMs()
    const keys = this.#markets.map((market) => marketKey(market, epochOf(nowMs)))
    this.#announcedToPeers = dhtPeers()
    // the next epoch begins then; whoever asks early in it still asks for this one's keys
    this.#schedule(MARKET_EPOCH_MS - nowMs % MARKET_EPOCH_MS + Math.random() * MAX_JITTER_MS)
    try {
      for (const old of this.#announced) if (!keys.some((key) => key.equals(old))) await dht.cancelReprovide(old, { signal })
      this.#announced = keys
      for (const key of keys) for await (const _ of dht.provide(key, { signal })) signal.throwIfAborted()
    } catch {
      // nobody to tell, or no longer: the next peer, epoch or address is another chance
    }
  }
}
