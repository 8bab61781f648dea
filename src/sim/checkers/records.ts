import type { StoredRecord, Write } from '../../core/effect.ts'
import { JOB_PREFIX } from '../../job/job.ts'
import type { JobRecord } from '../../job/job.ts'
import { TASK_PREFIX } from '../../job/task.ts'
import type { TaskRecord } from '../../job/task.ts'
import { PEER_PREFIX } from '../../reputation/history.ts'
import type { PeerHistory } from '../../reputation/history.ts'

/** One text for one value, whatever the order of its fields; bigint and bytes included. */
export function canonical(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return `x${value.join(',')}`
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
  return `{${fields.map(([key, field]) => `${key}:${canonical(field)}`).join(',')}}`
}

export function putTasks(writes: readonly Write[]): TaskRecord[] {
  return writes.flatMap((write) => write.kind === 'put' && write.key.startsWith(TASK_PREFIX) ? [write.value as TaskRecord] : [])
}

export function putJobs(writes: readonly Write[]): JobRecord[] {
  return writes.flatMap((write) => write.kind === 'put' && write.key.startsWith(JOB_PREFIX) ? [write.value as JobRecord] : [])
}

export function putHistories(writes: readonly Write[]): PeerHistory[] {
  return writes.flatMap((write) => write.kind === 'put' && write.key.startsWith(PEER_PREFIX) ? [write.value as PeerHistory] : [])
}

/** A record without what is known to live in memory only: how far a run is, since when, and how often was asked. */
export function durablePart(key: string, value: StoredRecord): string {
  if (key.startsWith(JOB_PREFIX)) return canonical({ ...value, offerRound: 0 })
  if (!key.startsWith(TASK_PREFIX)) return canonical(value)
  const record = value as TaskRecord
  const replicas = record.task.replicas.map((replica) => ({ ...replica, sinceMonoMs: 0, state: replica.state.kind === 'running' ? { kind: 'leased' } : replica.state }))
  return canonical({ ...record, task: { ...record.task, extra: 0, replicas } })
}
