import type { PeerId, Startable } from '@libp2p/interface'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import type { Ad } from '../../src/documents/ad.ts'
import { PARAMS } from '../../src/params.ts'
import { handleFrames, openFrames, WireError } from '../wire/index.ts'
import type { HandledProtocol, StreamDialer, StreamRegistrar } from '../wire/index.ts'
import { AD_LIMITS, ADS_PROTOCOL, FETCH_TIMEOUT_MS, MAX_STREAMS_PER_PEER, REFRESH_BELOW_MS } from './constants.ts'

export { ADS_PROTOCOL, FETCH_TIMEOUT_MS, REFRESH_BELOW_MS } from './constants.ts'

/** Everything of an ad but its dates, which this protocol sets when it signs. */
export type AdBody = Omit<Ad, 'issuedWallMs' | 'expiresWallMs'>

export interface AdsInit {
  network: StreamDialer & StreamRegistrar
  wallMs: () => number
  /** Signs and encodes. */
  seal: (ad: Ad) => Uint8Array
  /** Decodes, runs `check`, then checks the signature and the identity inside. Never throws. */
  open: (raw: Uint8Array, check: (ad: Ad) => Refusal | undefined) => Result<Ad>
  /** What this node offers now; undefined when it lends nothing. */
  current: () => Promise<AdBody | undefined>
}

/** Serves this node's signed ad to whoever dials, and fetches those of others. That a fetch worked proves that the dial did. */
export class AdsProtocol implements Startable {
  readonly #init: AdsInit
  #handled: HandledProtocol | undefined
  #signed: { raw: Uint8Array, expiresWallMs: number } | undefined

  constructor(init: AdsInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    this.#handled = await handleFrames(this.#init.network, ADS_PROTOCOL, AD_LIMITS, async (frames) => {
      if (await frames.read() === undefined) return
      await frames.write(await this.#raw())
    }, { maxStreamsPerPeer: MAX_STREAMS_PER_PEER })
  }

  async stop(): Promise<void> {
    await this.#handled?.stop()
  }

  /** What is offered, or where, changed: the next one who asks gets a new ad. */
  refresh(): void {
    this.#signed = undefined
  }

  /**
   * The ad of `peer` and the round trip of asking for it, dial apart. Refused: E_AD_NONE (it lends nothing), E_AD_PEER, E_AD_EXPIRED,
   * E_AD_FUTURE, E_AD_LIFE and those of `open`. Rejects with a WireError when the peer does not answer.
   */
  async fetch(peer: PeerId, signal?: AbortSignal): Promise<Result<{ ad: Ad, latencyMs: number }>> {
    const deadline = AbortSignal.timeout(FETCH_TIMEOUT_MS)
    const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
    const frames = await openFrames(this.#init.network, peer, ADS_PROTOCOL, AD_LIMITS, either)
    try {
      const startedMs = performance.now()
      await frames.write(new Uint8Array(), either)
      const raw = await frames.read(either)
      const latencyMs = performance.now() - startedMs
      if (raw === undefined) throw new WireError('E_STREAM_CLOSED', 'The remote ended the stream without an ad')
      if (raw.length === 0) return refuse('E_AD_NONE', 'the peer lends nothing')
      const ad = this.#init.open(raw, (body) => this.#refusal(body, peer.toString()))
      return ad.ok ? accept({ ad: ad.value, latencyMs }) : ad
    } finally {
      void frames.close()
    }
  }

  async #raw(): Promise<Uint8Array> {
    const wallMs = this.#init.wallMs()
    if (this.#signed !== undefined && this.#signed.expiresWallMs - wallMs > REFRESH_BELOW_MS) return this.#signed.raw
    const body = await this.#init.current()
    if (body === undefined) return new Uint8Array()
    const expiresWallMs = wallMs + PARAMS.adLifeMs
    this.#signed = { raw: this.#init.seal({ ...body, issuedWallMs: wallMs, expiresWallMs }), expiresWallMs }
    return this.#signed.raw
  }

  #refusal(ad: Ad, peer: string): Refusal | undefined {
    const wallMs = this.#init.wallMs()
    if (ad.identity.peer !== peer) return refuse('E_AD_PEER', `${peer} served the ad of ${ad.identity.peer}`)
    if (ad.expiresWallMs - ad.issuedWallMs > PARAMS.adLifeMs || ad.expiresWallMs < ad.issuedWallMs) return refuse('E_AD_LIFE', 'an ad that lives too long')
    if (ad.expiresWallMs < wallMs - PARAMS.clockSkewMs) return refuse('E_AD_EXPIRED', 'the ad has expired')
    if (ad.issuedWallMs > wallMs + PARAMS.clockSkewMs) return refuse('E_AD_FUTURE', 'the ad is from the future: check the clocks')
    return undefined
  }
}
