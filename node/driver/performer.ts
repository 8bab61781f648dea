import { randomInt } from 'node:crypto'
import type { Effect, EffectOf } from '../../src/core/effect.ts'
import type { PeerEvent } from '../../src/core/event.ts'
import type { Ad } from '../../src/documents/ad.ts'
import type { Message } from '../../src/documents/message.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { toErrorShape } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { Comparer } from '../work/compare.ts'
import type { FetchContent } from '../work/content-port.ts'
import { isDiskFault } from '../work/host-fault.ts'
import type { InlineResults } from '../work/inline-results.ts'
import type { Worker } from '../work/worker.ts'
import type { Notices } from './notices.ts'
import { RoomWait } from './room-wait.ts'

/** Ads asked for a job: enough for any home job, few enough to dial. */
const MAX_ADS_FOUND = 64
const FIND_ADS_MS = 10 * SECOND_MS
/**
 * Gossiping every offer to everyone costs each peer the whole market's traffic: with more providers known than this, a
 * random sample is asked directly instead, so that the cost of a job stays flat as the network grows.
 */
const LARGE_MARKET = 100
/** Asked for each replica that is wanted, as late binding needs a choice; bounded by what one requester can dial. */
const ASKED_A_REPLICA = 2
const MIN_SAMPLE = 16
const MAX_SAMPLE = 200
/** Results pulled at the same time. More would only share the same line. */
const MAX_RESULT_FETCHES = 8

export interface NetworkPort {
  send(to: string, message: Message): Promise<void>
  publishOffer(offer: Offer): Promise<{ recipients: string[] }>
  probeOffer(offer: Offer, peers: string[]): Promise<{ recipients: string[] }>
  findAds(query: { engine: 'wasm' | 'container', hardware: 'cpu' | 'gpu', regions: string[] }, options: { max: number, signal: AbortSignal }): AsyncIterable<{ ad: Ad, latencyMs: number }>
}

export interface PerformerOptions {
  network: NetworkPort
  worker: Worker
  fetch: FetchContent
  comparer: Comparer
  inline: InlineResults
  notices: Notices
  /** A bid goes out: work may come within milliseconds. */
  onBid: () => void
  /** Providers whose ads fit the offer's sub-market, in no order; the caller may change the array. */
  candidates: (offer: Offer) => string[]
  onAd: (ad: Ad, latencyMs: number) => void
  /** For the chain; nothing comes where nothing is paid. */
  onMoney: (effect: EffectOf<'watch-account'> | EffectOf<'redeem'>) => void
  onAdvertise: (effect: EffectOf<'advertise'>) => void
  /** A job of this node has ended, however. */
  jobOver: (job: string) => Promise<void>
  releaseRequested: (job: string) => Promise<void>
  dispatch: (event: PeerEvent) => void
}

/** Turns the core's effects into deeds, and what becomes of them into events. No rule is decided here. */
export class Performer {
  readonly #options: PerformerOptions
  readonly #waitingFetches: (() => void)[] = []
  readonly #room = new RoomWait()
  #fetching = 0

  constructor(options: PerformerOptions) {
    this.#options = options
  }

  perform(effect: Effect): void {
    const { worker, notices, onAdvertise } = this.#options
    switch (effect.kind) {
      case 'send': this.#send(effect); break
      case 'publish-offer': this.#background(this.#publish(effect)); break
      case 'find-ads': this.#background(this.#findAds(effect)); break
      case 'advertise': onAdvertise(effect); break
      case 'run': worker.run(effect); break
      case 'prefetch': worker.prefetch(effect); break
      case 'stop-run': worker.stop(effect.lease); break
      case 'suspend-runs': worker.suspend(effect.suspend); break
      case 'fetch-result': this.#background(this.#fetchResult(effect)); break
      case 'compare': this.#options.comparer.compare(effect); break
      case 'release-result': this.#background(worker.releaseResult(effect.lease, effect.content)); break
      case 'release-job': this.#background(Promise.all([worker.releaseJob(effect), this.#options.releaseRequested(effect.job)])); break
      case 'hold-run': worker.hold(effect.lease, effect.held); break
      case 'watch-account':
      case 'redeem': this.#options.onMoney(effect); break
      case 'notify':
        if (effect.notice.kind === 'job' && effect.notice.state !== 'tendering' && effect.notice.state !== 'running') {
          this.#room.over(effect.notice.job)
          this.#options.comparer.over(effect.notice.job)
          this.#background(this.#options.jobOver(effect.notice.job))
        }
        notices.publish(effect.notice)
        break
    }
  }

  /** Failures of background deeds are told by events where the core waits for them; the rest cost nothing but themselves. */
  #background(deed: Promise<unknown>): void {
    deed.catch(() => undefined)
  }

  #send({ to, message }: EffectOf<'send'>): void {
    if (message.kind === 'bid') this.#options.onBid()
    const { network, inline, dispatch } = this.#options
    const sent = message.kind === 'reveal' ? inline.attach(message).then((whole) => network.send(to, whole)) : network.send(to, message)
    sent.catch(() => { dispatch({ kind: 'unreachable', peer: to }) })
  }

  async #publish({ offer, only }: EffectOf<'publish-offer'>): Promise<void> {
    const { network, dispatch } = this.#options
    const sample = only ?? this.#sample(offer)
    const { recipients } = sample === undefined ? await network.publishOffer(offer) : await network.probeOffer(offer, sample)
    dispatch({ kind: 'offer-sent', job: offer.job, round: offer.round, recipients })
  }

  /** Who to ask in a large market; undefined: everyone, by gossip. */
  #sample(offer: Offer): string[] | undefined {
    const known = this.#options.candidates(offer)
    if (known.length <= LARGE_MARKET) return undefined
    const size = Math.min(MAX_SAMPLE, Math.max(MIN_SAMPLE, ASKED_A_REPLICA * offer.replicas * offer.tasks))
    for (let i = 0; i < Math.min(size, known.length); i++) {
      const j = randomInt(i, known.length)
      const [a, b] = [known[i], known[j]]
      if (a !== undefined && b !== undefined) { known[i] = b; known[j] = a }
    }
    return known.slice(0, size)
  }

  async #findAds({ engine, hardware, regions }: EffectOf<'find-ads'>): Promise<void> {
    const found = this.#options.network.findAds({ engine, hardware, regions }, { max: MAX_ADS_FOUND, signal: AbortSignal.timeout(FIND_ADS_MS) })
    for await (const { ad, latencyMs } of found) this.#options.onAd(ad, latencyMs)
  }

  /** Ends in one event, unless the job ends first. Without room on our own disk no provider can help: the result waits. */
  async #fetchResult(effect: EffectOf<'fetch-result'>): Promise<void> {
    const { job, task, content } = effect
    const { dispatch, notices } = this.#options
    for (let tries = 0; ; tries++) {
      try {
        await this.#bring(effect)
        dispatch({ kind: 'result-fetched', job, task, content })
        return
      } catch (err) {
        const { code, message } = toErrorShape(err)
        if (!isDiskFault(err)) {
          dispatch({ kind: 'result-lost', job, task, content, code })
          return
        }
        if (tries === 0) notices.publish({ kind: 'task', job, task, state: 'retry', peer: '', code, message: `its result waits for room on this disk: ${message}`.slice(0, 200) })
        if (!await this.#room.again(job)) return
      }
    }
  }

  async #bring({ job, content, contentBytes, from }: EffectOf<'fetch-result'>): Promise<void> {
    const { fetch, inline } = this.#options
    if (this.#fetching >= MAX_RESULT_FETCHES) await new Promise<void>((resolve) => { this.#waitingFetches.push(resolve) })
    this.#fetching++
    try {
      await inline.bring(content)
      await this.#fromAny(from, async (peer, agreementId) => { await fetch({ cid: content, from: [peer], agreementId, maxBytes: contentBytes, pinFor: `job:${job}` }) })
    } finally {
      this.#fetching--
      this.#waitingFetches.shift()?.()
    }
  }

  async #fromAny(from: EffectOf<'fetch-result'>['from'], bring: (peer: string, agreement: string) => Promise<void>): Promise<void> {
    let last: unknown = new Error('no provider holds the result')
    for (const { peer, agreement } of from) {
      try {
        await bring(peer, agreement)
        return
      } catch (err) {
        last = err
      }
    }
    throw last
  }
}
