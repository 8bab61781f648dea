import { ENGINES, HARDWARE_CLASSES } from '../../src/documents/resources.ts'
import { market, marketName } from '../../src/documents/offer.ts'
import type { Market } from '../../src/documents/offer.ts'
import { PARAMS } from '../../src/params.ts'
import { KIB, MIB, SECOND_MS } from '../../src/units.ts'

const PREFIX = '/hearth/1/offers/'

/** The sub-market's topic: `/hearth/1/offers/wasm/cpu/any`. */
export function topicOf(key: Market): string {
  return `${PREFIX}${marketName(key)}`
}

/** The sub-market of a topic, or undefined when it is none of ours. */
export function marketOf(topic: string): Market | undefined {
  if (!topic.startsWith(PREFIX)) return undefined
  const [engine, hardware, region, ...rest] = topic.slice(PREFIX.length).split('/')
  if (rest.length > 0) return undefined
  const parsed = market.safeParse({ engine, hardware, region })
  return parsed.success ? parsed.data : undefined
}

/** Topics of one region. */
export function marketsOf(region: string): Market[] {
  return ENGINES.flatMap((engine) => HARDWARE_CLASSES.map((hardware) => ({ engine, hardware, region })))
}

/** Where every provider listens, whatever its region. */
export const ANY_REGION = 'any'

/** A node sends its offer itself to this many subscribers at most; in a larger market the mesh spreads it. */
export const FLOOD_SUBSCRIBERS = 64

/** Offers one peer may pass on to us: a burst, and then so many a second. Twenty times what a market of 1,000 busy requesters sends over one mesh link. */
export const MAX_PASSED_ON_BURST = 256
export const MAX_PASSED_ON_PER_SECOND = 64

/** Offers one requester may make. Repeats of a job come every few seconds; somebody with 20 jobs at once still fits. */
export const MAX_OFFERS_BURST = 64
export const MAX_OFFERS_PER_SECOND = 8

/** Peers and requesters whose rates are remembered. */
export const MAX_RATE_ENTRIES = 4096

/** A message is known by its id for as long as its offer could pass as fresh anywhere: a replay is never new. */
export const SEEN_MS = PARAMS.offerLifeMs + 2 * PARAMS.clockSkewMs

/** One RPC holds several messages and lists of ids. A larger one ends gossip with its sender. */
export const MAX_INBOUND_BYTES = MIB
/** What waits for a peer that does not read. */
export const MAX_OUTBOUND_BYTES = 4 * MIB
/** A provider subscribes to 8 topics; libp2p would keep a thousand names for each peer. */
export const MAX_TOPIC_BYTES_A_PEER = 32 * KIB

/** Mesh upkeep and score decay. Offers do not wait for it. */
export const HEARTBEAT_MS = SECOND_MS

/** Score below which a peer's messages are dropped unread. Three invalid ones lead below it: the third costs (3 * 3) * 5. */
export const GRAYLIST_SCORE = -40
export const INVALID_WEIGHT = -5
