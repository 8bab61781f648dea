import { PARAMS } from '../../src/params.ts'
import { MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { ChannelLimits, FrameLimits } from '../wire/index.ts'

export const RUN_PROTOCOL = '/hearth/run/1'

export const RUN_LIMITS: FrameLimits = { maxFrameBytes: PARAMS.maxMessageBytes, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS }

/** A thousand tasks that finish while the line stalls: five messages of a few hundred bytes each. What is dropped, timers repeat. */
export const RUN_CHANNEL: ChannelLimits = { maxQueuedFrames: 8192, maxQueuedBytes: 4 * MIB, idleCloseMs: 5 * MINUTE_MS }

/** Peers with leases at once, on both sides of them. */
export const MAX_PEERS = 512

export const OPEN_TIMEOUT_MS = 5 * SECOND_MS
