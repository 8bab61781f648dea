import { KIB, SECOND_MS } from '../../src/units.ts'
import type { FrameLimits } from '../wire/index.ts'

export const RESULT_PROTOCOL = '/hearth/result/1'

/** Bytes of log in one frame: small enough to be shown at once, large enough for a chatty program. */
export const MAX_CHUNK_BYTES = 32 * KIB

/** A program may be quiet for hours; its provider says this often that it is still there. */
export const STILL_HERE_MS = 15 * SECOND_MS

/** Three signs of life missed. */
export const IDLE_TIMEOUT_MS = 3 * STILL_HERE_MS

export const RESULT_LIMITS: FrameLimits = { maxFrameBytes: MAX_CHUNK_BYTES + 1, readTimeoutMs: 10 * SECOND_MS, writeTimeoutMs: 30 * SECOND_MS, idleTimeoutMs: IDLE_TIMEOUT_MS }

/** Dialling, asking and the first frame. */
export const OPEN_TIMEOUT_MS = 8 * SECOND_MS

/** A requester that watches every task of a job on one provider, in both streams. */
export const MAX_STREAMS_PER_PEER = 16

/** A refusal's text on the wire. */
export const MAX_REFUSAL_CHARS = 200

/** A frame's first byte. */
export const FRAME = { refused: 0, stdout: 1, stderr: 2, stillHere: 3, end: 4 } as const
