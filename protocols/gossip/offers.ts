import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import type { Message, TopicValidatorFn } from '@chainsafe/libp2p-gossipsub'
import type { PeerId, Startable } from '@libp2p/interface'
import { refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { marketName } from '../../src/documents/offer.ts'
import type { Market, Offer } from '../../src/documents/offer.ts'
import { HearthError } from '../../src/errors.ts'
import { PARAMS } from '../../src/params.ts'
import { KIB } from '../../src/units.ts'
import { FLOOD_SUBSCRIBERS, marketOf, MAX_OFFERS_BURST, MAX_OFFERS_PER_SECOND, MAX_PASSED_ON_BURST, MAX_PASSED_ON_PER_SECOND, MAX_RATE_ENTRIES, topicOf } from './constants.ts'
import type { ScoredGossipSub } from './params.ts'
import { RateLimit } from './rate.ts'

/** An offer, its signature and the envelope around both. */
export const MAX_OFFER_FRAME_BYTES = PARAMS.maxOfferBytes + KIB

/** What an honest peer may pass on in good faith, because its clock or its counters differ from ours. */
const HONEST_CODES = new Set(['E_OFFER_EXPIRED', 'E_OFFER_FUTURE', 'E_OFFER_RATE'])

export interface OfferGossipInit {
  pubsub: ScoredGossipSub
  wallMs: () => number
  monoMs: () => number
  /** Signs and encodes. */
  seal: (offer: Offer) => Uint8Array
  /** Decodes, runs `check`, then checks the requester's signature. Never throws. */
  open: (raw: Uint8Array, check: (offer: Offer) => Refusal | undefined) => Result<Offer>
  /** A valid offer, once. `from` passed it on. */
  onOffer: (offer: Offer, from: string) => void
  /** `from` passed on what no honest peer would. */
  onRefused: (from: string, refusal: Refusal) => void
}

/** Every topic has the same validator, those that strangers invent included: nothing is spread unchecked. */
class EveryTopic extends Map<string, TopicValidatorFn> {
  readonly #validator: TopicValidatorFn

  constructor(validator: TopicValidatorFn) {
    super()
    this.#validator = validator
  }

  override get(): TopicValidatorFn {
    return this.#validator
  }
}

/** Spreads signed offers to the providers of a sub-market. */
export class OfferGossip implements Startable {
  readonly #init: OfferGossipInit
  readonly #passedOn = new RateLimit(MAX_PASSED_ON_BURST, MAX_PASSED_ON_PER_SECOND, MAX_RATE_ENTRIES)
  readonly #offered = new RateLimit(MAX_OFFERS_BURST, MAX_OFFERS_PER_SECOND, MAX_RATE_ENTRIES)

  constructor(init: OfferGossipInit) {
    this.#init = init
  }

  start(): void {
    this.#init.pubsub.topicValidators = new EveryTopic((from, message) => this.#validate(from, message))
  }

  stop(): void {
    this.follow([])
  }

  /** Subscribes to exactly these sub-markets. */
  follow(markets: readonly Market[]): void {
    const { pubsub } = this.#init
    const wanted = new Set(markets.map(topicOf))
    for (const topic of pubsub.getTopics()) if (!wanted.has(topic)) pubsub.unsubscribe(topic)
    for (const topic of wanted) if (!pubsub.getTopics().includes(topic)) pubsub.subscribe(topic)
  }

  /**
   * Sends an offer to the sub-market. `recipients` are the subscribers known now, all of whom will have it within the mesh's delay;
   * `missed` are those of them whom no stream led to yet, when there are so few that each is sent to directly.
   * Throws E_OFFER_SIZE: a message above the cap would end gossip with everyone, and still count as published.
   */
  async publish(offer: Offer): Promise<{ recipients: string[], missed: string[] }> {
    const { pubsub, seal } = this.#init
    const topic = topicOf(offer.market)
    const raw = seal(offer)
    if (raw.length > MAX_OFFER_FRAME_BYTES) throw new HearthError('E_OFFER_SIZE', `The offer has ${raw.length} bytes, its cap is ${MAX_OFFER_FRAME_BYTES}`)
    const recipients = pubsub.getSubscribers(topic).map(String)
    const floodPublish = recipients.length <= FLOOD_SUBSCRIBERS
    const result = await pubsub.publish(topic, raw, { floodPublish })
    const sent = new Set(result.recipients.map(String))
    return { recipients, missed: floodPublish ? recipients.filter((peer) => !sent.has(peer)) : [] }
  }

  /** Whether this requester may be heard once more now; for offers that came another way, which count the same. */
  mayOffer(requester: string): boolean {
    return this.#offered.take(requester, this.#init.monoMs())
  }

  #validate(from: PeerId, message: Message): TopicValidatorResult {
    const peer = from.toString()
    const result = this.#check(peer, message)
    if (result.ok) {
      this.#init.onOffer(result.value, peer)
      return TopicValidatorResult.Accept
    }
    if (HONEST_CODES.has(result.code)) return TopicValidatorResult.Ignore
    this.#init.onRefused(peer, result)
    return TopicValidatorResult.Reject
  }

  /** The cheap checks come first; the signature, which costs most, last but for the requester's own rate. */
  #check(from: string, { topic, data }: Message): Result<Offer> {
    const market = marketOf(topic)
    if (market === undefined) return refuse('E_OFFER_TOPIC', `${topic.slice(0, 64)} is no market`)
    if (data.length > MAX_OFFER_FRAME_BYTES) return refuse('E_OFFER_SIZE', `an offer of ${data.length} bytes`)
    if (!this.#passedOn.take(from, this.#init.monoMs())) return refuse('E_OFFER_RATE', `${from} passes on too many offers`)
    const offer = this.#init.open(data, (body) => freshness(body, this.#init.wallMs()) ?? (marketName(body.market) === marketName(market) ? undefined : refuse('E_OFFER_TOPIC', `an offer for ${marketName(body.market)} on ${topic}`)))
    if (!offer.ok) return offer
    // only now is it known that the requester made it: before, anyone could use up another's rate
    return this.mayOffer(offer.value.requester) ? offer : refuse('E_OFFER_RATE', `${offer.value.requester} makes too many offers`)
  }
}

/** Whether an offer can still be answered, clocks differing by at most the skew. */
export function freshness(offer: Pick<Offer, 'issuedWallMs' | 'deadlineWallMs'>, wallMs: number): Refusal | undefined {
  if (offer.issuedWallMs > wallMs + PARAMS.clockSkewMs) return refuse('E_OFFER_FUTURE', 'the offer is from the future: check the clocks')
  if (offer.issuedWallMs < wallMs - PARAMS.offerLifeMs - PARAMS.clockSkewMs) return refuse('E_OFFER_EXPIRED', 'the offer is too old')
  if (offer.deadlineWallMs < wallMs - PARAMS.clockSkewMs) return refuse('E_OFFER_EXPIRED', 'the offer\'s deadline has passed')
  return undefined
}
