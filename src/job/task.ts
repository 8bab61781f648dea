import type { ErrorCode, ErrorShape } from '../errors.ts'
import type { MessageOf } from '../documents/message.ts'
import type { Receipt, Usage } from '../documents/receipt.ts'
import { nextComparison, votesOf } from './compare.ts'
import type { Finding, Rules } from './compare.ts'
import { tally } from './vote.ts'
import type { Tally, Vote } from './vote.ts'

/**
 * One attempt at a task by one provider, as the requester sees it.
 * leased -> running -> committed -> closing -> revealed -> accepted | rejected; accepted -> void; any live state -> failed | lost | late.
 */
export type ReplicaState =
  | { kind: 'leased' }
  | { kind: 'running', fraction: number }
  | { kind: 'committed', commit: string }
  /** The set is closed; its reveal is awaited. */
  | { kind: 'closing', commit: string }
  | { kind: 'revealed', receipt: Receipt, signature: string, hash: string }
  | { kind: 'accepted', hash: string, /** What its provider measured, for people. */ usage?: Usage }
  | { kind: 'rejected', hash: string }
  /** Accepted on its provider's word alone, and worth nothing since that provider was caught. */
  | { kind: 'void', hash: string }
  | { kind: 'failed', code: ErrorCode, message: string }
  /** The provider went silent, left or was cancelled: nobody's fault. */
  | { kind: 'lost', code: ErrorCode }
  /** It committed after the vote was decided. */
  | { kind: 'late' }

export type Replica = { agreement: string, provider: string, payee: string, attempt: number, sinceMonoMs: number, /** Its answer is known: a spot check. */ check: boolean, /** It runs this part of the task alone. */ segment?: number, state: ReplicaState }

export type TaskState =
  | { kind: 'active' }
  /** The vote is won; the content is on its way. */
  | { kind: 'fetching', hash: string, content: string, contentBytes: number, exitCode: number }
  | { kind: 'done', hash: string, content: string, exitCode: number, verified: boolean }
  | { kind: 'failed', error: ErrorShape }

export type Task = {
  index: number
  /** Matching results needed for this task now; adaptive replication and spot checks change it. */
  quorum: number
  /** Replicas started at once, at least the quorum. */
  spread: number
  /** Nobody else could be had, so that one voice decides. */
  alone?: true
  /** One more for a straggler of this round. */
  extra: number
  /** Voting rounds closed so far. */
  round: number
  attempts: number
  replicas: Replica[]
  /** What comparisons have found, where bytes alone do not decide. */
  findings?: Finding[]
  state: TaskState
  /** What a failed program printed, where a vote was won on it. */
  failedContent?: string
}

export type TaskRecord = { v: 1, job: string, task: Task }
export const TASK_PREFIX = 'task/'

/** Replicas kept in a task's record: beyond, the oldest that came to nothing is forgotten, so that a long fight stays cheap to store. */
const MAX_REPLICAS_KEPT = 24

export function addReplica(task: Task, replica: Replica): void {
  if (task.replicas.length >= MAX_REPLICAS_KEPT) {
    const oldest = task.replicas.findIndex(({ state }) => state.kind === 'lost' || state.kind === 'late')
    if (oldest !== -1) task.replicas.splice(oldest, 1)
  }
  task.replicas.push(replica)
}

export function freshTask(index: number): Task {
  return { index, quorum: 1, spread: 1, extra: 0, round: 0, attempts: 0, replicas: [], state: { kind: 'active' } }
}

export function isLive(replica: Replica): boolean {
  const { kind } = replica.state
  return kind === 'leased' || kind === 'running' || kind === 'committed' || kind === 'closing'
}

/** It came to nothing, and says nothing about the answer. */
export function isSpent({ state }: Replica): boolean {
  return state.kind === 'lost' || state.kind === 'failed' || state.kind === 'late'
}

/** What the provider of a replica hears of its end; undefined while it has not ended. One replica has one verdict for ever. */
export function verdictOf({ state }: Replica): Pick<MessageOf<'verdict'>, 'verdict' | 'code'> | undefined {
  switch (state.kind) {
    case 'leased':
    case 'running':
    case 'committed':
    case 'closing':
    case 'revealed': return undefined
    case 'accepted':
    case 'void': return { verdict: 'accepted', code: 'E_NONE' }
    case 'rejected': return { verdict: 'rejected', code: 'E_RESULT_DIFFERS' }
    case 'failed': return { verdict: 'late', code: state.code }
    case 'late': return { verdict: 'late', code: 'E_LATE' }
    case 'lost': return { verdict: 'cancelled', code: state.code }
  }
}

/** Failures that say nothing about the program or the provider's skill: its task simply moves. */
export function movesOn(code: string): boolean {
  return code.startsWith('E_HOST_') || code === 'E_CANCELLED' || code === 'E_NOT_NEEDED' || code === 'E_UNPAID'
}

/** Failures that the provider alone can cause: they never speak against the program. */
const PROVIDER_FAULTS: readonly string[] = ['E_NO_REVEAL', 'E_REVEAL_MISMATCH', 'E_RESULT_LOST']

/** Whether this failure may be the program's fault. */
export function blamesProgram({ state }: Replica): boolean {
  return state.kind === 'failed' && !PROVIDER_FAULTS.includes(state.code)
}

/** Its provider, or its payee, may not vote on this task again. */
export function hasVoice(task: Task, provider: string, payee: string): boolean {
  return task.replicas.some((replica) => (replica.provider === provider || replica.payee === payee) && !isSpent(replica))
}

export function failuresAt(task: Task, provider: string): number {
  return task.replicas.filter((replica) => replica.provider === provider && replica.state.kind === 'failed').length
}

/** How the vote on a task stands by what is known. */
export function standing(rules: Rules, task: Task, votes: Vote[] = votesOf(rules, task)): Tally {
  return tally(votes, task.quorum)
}

/** What must be compared now; the vote waits for it. */
export function dueComparison(rules: Rules, task: Task): ReturnType<typeof nextComparison> {
  return nextComparison(rules, task, (votes) => standing(rules, task, votes).kind === 'open')
}

/** Replicas to lease now so that the vote can be won: derived, so that no counter can drift. */
export function wantedReplicas(rules: Rules, task: Task): number {
  if (task.state.kind !== 'active' || dueComparison(rules, task) !== undefined) return 0
  const votes = votesOf(rules, task)
  const outcome = tally(votes, task.quorum)
  const missing = outcome.kind === 'open' ? outcome.missing : 0
  const start = task.round === 0 ? task.spread - votes.length : 0
  return Math.max(0, Math.max(missing, start) + task.extra - liveReplicas(task).length)
}

export function liveReplicas(task: Task): Replica[] {
  return task.replicas.filter(isLive)
}
