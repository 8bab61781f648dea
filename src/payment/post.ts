import type { Turn } from '../core/turn.ts'
import type { PayMessage } from '../documents/pay-message.ts'

/** How the machines here speak: the peer's outbox and its turn, as far as they need them. */
export interface Post {
  /** Once, now: an answer that is given again when its question comes again. */
  send(turn: Turn, to: string, message: PayMessage): void
  /** Committed with this turn, and repeated with the same content until `done` or its expiry. */
  add(turn: Turn, key: string, to: string, message: PayMessage, expiresWallMs: number): void
  done(turn: Turn, key: string): void
  has(key: string): boolean
}
