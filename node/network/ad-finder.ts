import type { ContentRouting, PeerId } from '@libp2p/interface'
import { ANY_REGION } from '../../protocols/gossip/index.ts'
import type { Ad } from '../../src/documents/ad.ts'
import type { EngineKind, HardwareClass } from '../../src/documents/resources.ts'
import { keysToAsk } from './market-keys.ts'

/** Peers asked for their ad at once. */
const MAX_PARALLEL_FETCHES = 16
/** Peers asked for each ad that is wanted: most connected ones of a large network lend nothing of the kind. */
const MAX_ASKED_A_WANTED = 4

export interface AdQuery { engine: EngineKind, hardware: HardwareClass, regions: readonly string[] }
export interface FoundAd { ad: Ad, latencyMs: number }

export interface AdFinderInit {
  self: string
  wallMs: () => number
  /** Connected peers that serve ads. */
  connected: () => PeerId[]
  /** Resolves soon: whether the DHT knows anybody to ask. Without, a search would wait for the first to come. */
  searchable: (signal: AbortSignal) => Promise<boolean>
  contentRouting: Pick<ContentRouting, 'findProviders'>
  fetch: (peer: PeerId, signal: AbortSignal) => Promise<FoundAd>
}

/**
 * Ads of connected peers and of those that the DHT names for the sub-markets, each dialled and asked; in the order of their answers.
 * Ads that do not fit the query are among them: which requirement nobody meets shows only so. Ends at `max`, at `signal`, or when nobody is left.
 */
export async function * findAds(init: AdFinderInit, query: AdQuery, { max, signal }: { max: number, signal: AbortSignal }): AsyncGenerator<FoundAd> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const found: FoundAd[] = []
  const waiting: PeerId[] = []
  const asked = new Set<string>([init.self])
  let fetching = 0
  let searching = true
  let wake = (): void => undefined

  const pump = (): void => {
    while (fetching < MAX_PARALLEL_FETCHES && !either.aborted) {
      const peer = waiting.shift()
      if (peer === undefined) break
      fetching++
      init.fetch(peer, either).then((ad) => { found.push(ad) }, () => {
        // who does not answer, or lends nothing, is no candidate
      }).finally(() => {
        fetching--
        pump()
        wake()
      })
    }
  }
  const ask = (peer: PeerId): void => {
    if (asked.has(peer.toString()) || asked.size > max * MAX_ASKED_A_WANTED) return
    asked.add(peer.toString())
    waiting.push(peer)
    pump()
  }

  for (const peer of init.connected()) ask(peer)
  void search(init, query, either, ask).finally(() => {
    searching = false
    wake()
  })
  either.addEventListener('abort', () => { wake() }, { once: true })
  try {
    for (let yielded = 0; yielded < max && !signal.aborted;) {
      const next = found.shift()
      if (next !== undefined) {
        yielded++
        yield next
      } else if (!searching && fetching === 0 && waiting.length === 0) {
        return
      } else {
        await new Promise<void>((resolve) => { wake = resolve })
      }
    }
  } finally {
    stop.abort()
  }
}

async function search({ contentRouting, wallMs, searchable }: AdFinderInit, { engine, hardware, regions }: AdQuery, signal: AbortSignal, ask: (peer: PeerId) => void): Promise<void> {
  const markets = (regions.length === 0 ? [ANY_REGION] : regions).map((region) => ({ engine, hardware, region }))
  if (!await searchable(signal)) return
  await Promise.all(keysToAsk(markets, wallMs()).map(async (key) => {
    try {
      for await (const { id } of contentRouting.findProviders(key, { signal })) ask(id)
    } catch {
      // no router, nobody near, or told to stop: connected peers have been asked
    }
  }))
}
