import { PARAMS } from '../../src/params.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { FrameLimits } from '../wire/index.ts'

export const ADS_PROTOCOL = '/hearth/ads/1'

/** An ad, its signature and the envelope around them. */
export const MAX_AD_FRAME_BYTES = PARAMS.maxAdBytes + 256

export const AD_LIMITS: FrameLimits = { maxFrameBytes: MAX_AD_FRAME_BYTES, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS }

/** Dialling, asking and the answer together. A provider that needs longer would be no use for short tasks. */
export const FETCH_TIMEOUT_MS = 5 * SECOND_MS

/** One peer has no reason to ask twice at once; a slow line may overlap two asks. */
export const MAX_STREAMS_PER_PEER = 2

/** An ad is signed anew when it has this much life left, so that whoever fetches it can use it for a while. */
export const REFRESH_BELOW_MS = PARAMS.adLifeMs * 2 / 3
