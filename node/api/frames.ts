import { z } from 'zod'
import type { ErrorShape } from '../../src/errors.ts'
import type { ByteProgress } from './contract.ts'
import { MAX_WINDOW } from './limits.ts'

/**
 * The socket's frames: one JSON object a line. A call has one answer, `result` or `error`; a stream has `item`s, then
 * `end` or `error`. With a `window`, a stream sends that many items and then waits for `more`. With `progress`, a call that
 * moves bytes tells now and then how far it is. `cancel` ends either.
 */
const id = z.int().min(0)

export const clientFrame = z.union([
  z.strictObject({ id, method: z.string().max(64), params: z.unknown().optional(), window: z.int().min(1).max(MAX_WINDOW).optional(), progress: z.literal(true).optional() }),
  z.strictObject({ id, more: z.int().min(1).max(MAX_WINDOW) }),
  z.strictObject({ id, cancel: z.literal(true) })
])
export type ClientFrame = z.output<typeof clientFrame>
export type CallFrame = Extract<ClientFrame, { method: string }>

export type ServerFrame =
  /** First on every connection. */
  | { hearth: string, api: number }
  | { id: number, result: unknown }
  | { id: number, progress: ByteProgress }
  | { id: number, item: unknown }
  | { id: number, end: true }
  | { id: number, error: ErrorShape }
  /** Not about one call: the connection closes after it. */
  | { error: ErrorShape }
