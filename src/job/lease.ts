import type { RunPhase } from '../documents/message.ts'
import type { ErrorCode } from '../errors.ts'
import type { LeaseId } from '../core/event.ts'
import type { Receipt } from '../documents/receipt.ts'

/**
 * A lease as its provider holds it.
 * queued -> running -> committed -> revealed -> (settled: gone); queued | running -> failed -> (gone).
 * `running` is not stored: after a crash the run starts over, with the same inputs, clock and luck.
 */
export type LeaseState =
  | { kind: 'queued' }
  | { kind: 'running', phase: RunPhase, fraction: number, sinceMonoMs: number }
  | { kind: 'committed', receipt: Receipt, nonce: string, commit: string }
  | { kind: 'revealed', receipt: Receipt, nonce: string }
  | { kind: 'failed', code: ErrorCode, message: string }

export interface Lease extends LeaseId { /** This part of the task alone. */ segment?: number, state: LeaseState }
export type LeaseRecord = { v: 1, agreement: string, task: number, attempt: number, segment?: number, state: LeaseState }

export const LEASE_PREFIX = 'lease/'

export function leaseKey({ agreement, task, attempt }: LeaseId): string {
  return `${agreement}/${task}/${attempt}`
}

export function leaseRecord({ agreement, task, attempt, segment, state }: Lease): LeaseRecord {
  return { v: 1, agreement, task, attempt, ...segment === undefined ? {} : { segment }, state }
}

/** Under this name a verdict waits in the outbox for its answer. */
export function verdictKey(id: LeaseId): string {
  return `verdict/${leaseKey(id)}`
}
