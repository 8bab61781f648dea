import type { ErrorCode } from '../errors.ts'

/** Why bytes or a message from elsewhere were refused: data, not an exception, because a remote peer is an attacker. */
export interface Refusal { ok: false, code: ErrorCode, message: string }
export type Result<T> = { ok: true, value: T } | Refusal

export function accept<T>(value: T): Result<T> {
  return { ok: true, value }
}

export function refuse(code: ErrorCode, message: string): Refusal {
  return { ok: false, code, message }
}
