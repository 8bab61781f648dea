import { PARAMS } from '../../src/params.ts'
import { MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { ChannelLimits, FrameLimits } from '../wire/index.ts'

export const AGREEMENT_PROTOCOL = '/hearth/agreement/1'

export const AGREEMENT_LIMITS: FrameLimits = { maxFrameBytes: PARAMS.maxMessageBytes, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS }

/** A proposal with its first leases has a few KiB, and one pair of peers has few agreements. */
export const AGREEMENT_CHANNEL: ChannelLimits = { maxQueuedFrames: 256, maxQueuedBytes: MIB, idleCloseMs: MINUTE_MS }

/** Peers with whom agreements can be made or ended at once. */
export const MAX_PEERS = 512

/** Shorter than `acceptWithinMs` allows for: a provider that cannot be reached is told apart from one that is slow. */
export const OPEN_TIMEOUT_MS = PARAMS.acceptWithinMs
