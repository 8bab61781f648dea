import { secretListCodec } from '../../src/documents/secrets.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { FrameLimits } from '../wire/index.ts'

export const SECRET_PROTOCOL = '/hearth/secret/1'

export const SECRET_LIMITS: FrameLimits = { maxFrameBytes: secretListCodec.maxBytes + 1, readTimeoutMs: 10 * SECOND_MS, writeTimeoutMs: 10 * SECOND_MS, idleTimeoutMs: 15 * SECOND_MS }

/** Dialling, asking and the answer. */
export const ASK_TIMEOUT_MS = 20 * SECOND_MS

/** Leases that one provider begins at once. */
export const MAX_STREAMS_PER_PEER = 8

/** The answer's first byte. */
export const FRAME = { refused: 0, secrets: 1 } as const
