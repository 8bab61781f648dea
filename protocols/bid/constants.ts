import { PARAMS } from '../../src/params.ts'
import { KIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { ChannelLimits, FrameLimits } from '../wire/index.ts'

export const BID_PROTOCOL = '/hearth/bid/1'

/** The largest message here is an offer; with its signature and the envelope around both. */
export const BID_LIMITS: FrameLimits = { maxFrameBytes: PARAMS.maxOfferBytes + KIB, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS }

/** Some rounds of tenders for some jobs at once; bids expire before a longer queue would drain. */
export const BID_CHANNEL: ChannelLimits = { maxQueuedFrames: 256, maxQueuedBytes: 256 * KIB, idleCloseMs: MINUTE_MS }

/** Providers of a large market that answer one offer. */
export const MAX_PEERS = 1024

export const OPEN_TIMEOUT_MS = 5 * SECOND_MS
