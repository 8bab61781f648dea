import type { Ad } from '../../src/documents/ad.ts'
import type { Offer } from '../../src/documents/offer.ts'

/** Ads remembered; the ones not heard of for longest go first. */
const MAX_ADS = 1024

export interface SeenAd { ad: Ad, latencyMs: number, seenWallMs: number }

/** Ads of others that are still valid, the newest of each peer. */
export class AdBook {
  readonly #ads = new Map<string, SeenAd>()

  add(ad: Ad, latencyMs: number, nowWallMs: number): void {
    const { peer } = ad.identity
    this.#ads.delete(peer)
    this.#ads.set(peer, { ad, latencyMs, seenWallMs: nowWallMs })
    if (this.#ads.size > MAX_ADS) this.#ads.delete(this.#ads.keys().next().value ?? '')
  }

  /** Valid now, as the ads themselves say. */
  * current(nowWallMs: number): Generator<SeenAd> {
    for (const seen of this.#ads.values()) if (seen.ad.expiresWallMs > nowWallMs) yield seen
  }

  /** Providers of an offer's sub-market that are open for work now. */
  serving({ market }: Pick<Offer, 'market'>, nowWallMs: number): string[] {
    return [...this.current(nowWallMs)].filter(({ ad }) => ad.open && ad.engines.includes(market.engine) && (market.region === 'any' || ad.region === market.region) && (market.hardware === 'cpu' || ad.hardware.gpus.length > 0)).map(({ ad }) => ad.identity.peer)
  }
}
