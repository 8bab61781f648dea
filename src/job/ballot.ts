import { OK } from '../core/effect.ts'
import type { Shown } from '../core/effect.ts'
import type { Comparison, EventOf } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import type { ErrorCode, ErrorShape } from '../errors.ts'
import type { MessageOf } from '../documents/message.ts'
import { commitHash, resultHash } from '../documents/receipt.ts'
import type { ClosedSet, Receipt, RunResult } from '../documents/receipt.ts'
import { PARAMS } from '../params.ts'
import { SECOND_MS } from '../units.ts'
import { deadlineWallMs } from './job.ts'
import type { Job } from './job.ts'
import { leaseName } from './deals.ts'
import type { Deals } from './deals.ts'
import { leaseKey, verdictKey } from './lease.ts'
import type { Parts } from './parts.ts'
import { classOfReplica, differsBeyondDoubt, failureOf, hopelessness, isRevealed, opinionOf, opinionsIn, reopened, shown, UNSURE, unsureOf, votesOf, withFinding, without, withUnsure, WRONG } from './compare.ts'
import type { Finding, Revealed } from './compare.ts'
import { dueComparison, isLive, liveReplicas, movesOn, standing, TASK_PREFIX, verdictOf } from './task.ts'
import type { Replica, ReplicaState, Task, TaskRecord } from './task.ts'

/** A replica that takes this many times the first one's run gets company. */
const STRAGGLER_FACTOR = 3
const STRAGGLER_MIN_MS = 5 * SECOND_MS
/** A failing result is believed when this many providers saw it, whatever the quorum. */
const FAILURE_WITNESSES = 2

/** What the ballot tells the job that owns it. */
export interface BallotHooks {
  /** The task wants a replica, or has ended: look at it again. */
  changed(turn: Turn, job: Job, task: Task): void
  /** The vote is decided and its content is here. */
  ended(turn: Turn, job: Job, task: Task): void
  /** A provider gave a wrong result: nothing it gave alone counts any more. */
  caught(turn: Turn, job: Job, provider: string): void
  /** The job's own program that compares its results does not work. */
  broken(turn: Turn, job: Job, error: ErrorShape): void
}

/** From commit to verdict: closes sets of commits, opens reveals, counts votes, fetches what won. */
export class Ballot {
  readonly #parts: Parts
  readonly #deals: Deals
  readonly #hooks: BallotHooks

  constructor(parts: Parts, deals: Deals, hooks: BallotHooks) {
    this.#parts = parts
    this.#deals = deals
    this.#hooks = hooks
  }

  commit(turn: Turn, job: Job, task: Task, replica: Replica, commit: string): void {
    if (replica.state.kind !== 'leased' && replica.state.kind !== 'running') return
    job.resting.delete(replica.provider)
    this.setState(turn, job, task, replica, { kind: 'committed', commit })
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'committed', peer: replica.provider, code: OK, message: '' })
    this.watchStragglers(turn, job, task, replica)
    this.advance(turn, job, task)
  }

  /** Looks at a task as it stands and does what is due. Safe to call at any time, so recovery is one call. */
  advance(turn: Turn, job: Job, task: Task): void {
    if (job.state.kind !== 'running') return
    if (task.state.kind === 'done') this.#advanceCheck(turn, job, task)
    if (task.state.kind === 'fetching') this.#fetch(turn, job, task)
    if (task.state.kind !== 'active' || task.replicas.some(({ state }) => state.kind === 'closing')) return
    if (this.#compares(turn, job, task) || this.#isHopeless(turn, job, task)) return
    const outcome = standing(job.document, task)
    if (outcome.kind === 'accepted') {
      this.#win(turn, job, task, outcome.hash, outcome.winners.length)
      return
    }
    const committed = task.replicas.filter(({ state }) => state.kind === 'committed')
    if (committed.length > 0 && committed.length >= outcome.missing) this.#close(turn, job, task, committed)
    else this.#hooks.changed(turn, job, task)
  }

  reveal(turn: Turn, job: Job, task: Task, replica: Replica, message: MessageOf<'reveal'>): void {
    if (replica.state.kind !== 'closing') return
    const deal = this.#deals.get(replica.agreement)
    if (deal === undefined) return
    const opens = commitHash(turn.hasher, message.receipt, deal.deal.agreement.providerAddress, message.nonce) === replica.state.commit
    if (!opens) {
      const fault = 'revealed something other than it committed to'
      this.#parts.histories.record(turn, replica.provider, 'wrong')
      this.setState(turn, job, task, replica, { kind: 'failed', code: 'E_REVEAL_MISMATCH', message: fault })
      this.tell(turn, task, replica)
      turn.notify({ kind: 'caught', job: job.id, task: task.index, peer: replica.provider, message: fault })
      this.#hooks.caught(turn, job, replica.provider)
    } else {
      if (task.findings !== undefined && replica.segment === undefined) task.findings = reopened(task.findings)
      this.setState(turn, job, task, replica, { kind: 'revealed', receipt: message.receipt, signature: message.signature ?? '', hash: resultHash(turn.hasher, message.receipt.result) })
      turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'revealed', peer: replica.provider, code: OK, message: '' })
    }
    this.advance(turn, job, task)
  }

  /** The reveal deadline of a round passed. */
  revealDue(turn: Turn, job: Job, task: Task, round: number): void {
    if (task.round !== round) return
    for (const replica of task.replicas) {
      if (replica.state.kind === 'closing') this.dismiss(turn, job, task, replica, { kind: 'failed', code: 'E_NO_REVEAL', message: 'did not reveal its result in time' })
    }
    this.advance(turn, job, task)
  }

  stragglerDue(turn: Turn, job: Job, task: Task): void {
    if (task.state.kind !== 'active' || task.extra > 0) return
    task.extra = 1
    this.#hooks.changed(turn, job, task)
  }

  fetched(turn: Turn, job: Job, task: Task, content: string): void {
    if (task.state.kind !== 'fetching' || task.state.content !== content) return
    const { hash, exitCode } = task.state
    const winners = this.#classOf(job, task, hash)
    const result = this.#resultOf(job, task, hash)
    const verified = winners.length >= 2 || job.document.compare?.by === 'verifier'
    this.#judge(turn, job, task, hash, verified)
    const error = result === undefined ? undefined : failureOf(result)
    if (error !== undefined) task.failedContent = content
    task.state = error === undefined ? { kind: 'done', hash, content, exitCode, verified } : { kind: 'failed', error: { ...error, hint: `See what it printed: logs ${job.id.slice(0, 12)} --task ${task.index}` } }
    this.store(turn, job, task)
    this.#hooks.ended(turn, job, task)
  }

  /** None of the winners hands its result over: their votes are void. */
  lost(turn: Turn, job: Job, task: Task, content: string): void {
    if (task.state.kind !== 'fetching' || task.state.content !== content) return
    const { hash } = task.state
    task.state = { kind: 'active' }
    this.#gone(turn, job, task, hash)
    this.advance(turn, job, task)
  }

  /** Ends a live replica from this side and tells its provider; should it not hear, its next beat or commit is answered. */
  dismiss(turn: Turn, job: Job, task: Task, replica: Replica, state: ReplicaState): void {
    if (!isLive(replica)) return
    this.setState(turn, job, task, replica, state)
    this.tell(turn, task, replica)
  }

  /** Says once how a replica ended. False when it has not. */
  tell(turn: Turn, task: Task, replica: Replica): boolean {
    const verdict = verdictOf(replica)
    if (verdict !== undefined) turn.send(replica.provider, { kind: 'verdict', agreement: replica.agreement, task: task.index, attempt: replica.attempt, ...verdict })
    return verdict !== undefined
  }

  setState(turn: Turn, job: Job, task: Task, replica: Replica, state: ReplicaState): void {
    if (replica.state.kind === 'closing') this.#parts.outbox.done(turn, `closed-set/${leaseKey({ agreement: replica.agreement, task: task.index, attempt: replica.attempt })}`)
    replica.state = state
    if (state.kind !== 'leased' && state.kind !== 'running') {
      this.#deals.get(replica.agreement)?.deal.leases.delete(leaseName({ task: task.index, attempt: replica.attempt }))
      this.#parts.timers.clear(`run|${replica.agreement}|${task.index}|${replica.attempt}`)
    }
    this.store(turn, job, task)
  }

  store(turn: Turn, job: Job, task: Task): void {
    const record: TaskRecord = { v: 1, job: job.id, task }
    turn.put(`${TASK_PREFIX}${job.id}/${task.index}`, record)
  }

  /** Gives slow replicas company when the first one's time is over several times. */
  watchStragglers(turn: Turn, job: Job, task: Task, first: Replica): void {
    const slow = task.replicas.some(({ state }) => state.kind === 'leased' || state.kind === 'running')
    const timer = `straggler|${job.id}|${task.index}`
    if (slow && !this.#parts.timers.has(timer)) this.#parts.timers.set(timer, turn.now.monoMs + Math.max(STRAGGLER_MIN_MS, STRAGGLER_FACTOR * (turn.now.monoMs - first.sinceMonoMs)))
  }

  /** Closes the set: from now on no further commit counts in this round, and these may be opened. */
  #close(turn: Turn, job: Job, task: Task, committed: Replica[]): void {
    const set: ClosedSet = { job: job.id, task: task.index, round: task.round, commits: committed.flatMap(({ state }) => state.kind === 'committed' ? [state.commit] : []).slice(0, PARAMS.maxReplicas) }
    task.round++
    task.extra = 0
    this.#parts.timers.clear(`straggler|${job.id}|${task.index}`)
    for (const replica of committed.slice(0, PARAMS.maxReplicas)) {
      if (replica.state.kind !== 'committed') continue
      this.setState(turn, job, task, replica, { kind: 'closing', commit: replica.state.commit })
      const id = { agreement: replica.agreement, task: task.index, attempt: replica.attempt }
      this.#parts.outbox.add(turn, `closed-set/${leaseKey(id)}`, replica.provider, { kind: 'closed-set', ...id, set }, deadlineWallMs(job))
    }
    this.#parts.timers.set(`reveal|${job.id}|${task.index}|${task.round}`, turn.now.monoMs + PARAMS.revealWithinMs)
  }

  #win(turn: Turn, job: Job, task: Task, hash: string, witnesses: number): void {
    this.#parts.timers.clear(`reveal|${job.id}|${task.index}|${task.round}`)
    const result = this.#resultOf(job, task, hash)
    if (result === undefined) return
    const failure = failureOf(result)
    if (failure !== undefined && witnesses < FAILURE_WITNESSES && task.alone !== true && !task.replicas.some(({ check }) => check)) {
      turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: this.#classOf(job, task, hash)[0]?.provider ?? '', code: failure.code, message: `${failure.message}; asking a second provider` })
      task.quorum = FAILURE_WITNESSES
      this.store(turn, job, task)
      this.advance(turn, job, task)
      return
    }
    task.state = { kind: 'fetching', hash, content: result.content, contentBytes: result.contentBytes, exitCode: result.exitCode }
    for (const replica of liveReplicas(task)) this.dismiss(turn, job, task, replica, replica.state.kind === 'committed' ? { kind: 'late' } : { kind: 'lost', code: 'E_NOT_NEEDED' })
    this.store(turn, job, task)
    this.#fetch(turn, job, task)
  }

  /**
   * Where the job asked for one voice and the task wants a second (a failing program, a spot check), and nobody else can be
   * had: the one decides after all. Voices that differ never do.
   */
  settleForLess(turn: Turn, job: Job, task: Task): void {
    const voices = task.replicas.filter(({ state }) => state.kind === 'committed' || state.kind === 'revealed')
    const opinions = new Set(votesOf(job.document, task).map(({ hash }) => hash))
    const working = task.replicas.some(({ state }) => state.kind === 'leased' || state.kind === 'running' || state.kind === 'closing')
    if (task.state.kind !== 'active' || job.document.replication.quorum > 1 || task.quorum === 1 || voices.length === 0 || opinions.size > 1 || working) return
    task.quorum = 1
    task.alone = true
    this.store(turn, job, task)
    this.advance(turn, job, task)
  }

  #fetch(turn: Turn, job: Job, task: Task): void {
    if (task.state.kind !== 'fetching') return
    const { content, contentBytes, hash } = task.state
    const from = this.#givers(task, hash).map(({ provider, agreement, attempt }) => ({ peer: provider, agreement, attempt }))
    turn.do({ kind: 'fetch-result', job: job.id, task: task.index, content, contentBytes, from })
  }

  /** Who showed the whole result of this hash. */
  #givers(task: Task, hash: string): Replica[] {
    return task.replicas.filter((replica) => isRevealed(replica) && opinionOf(replica) === hash)
  }

  /** Who voted for the class that the result of this hash belongs to. */
  #classOf(job: Job, task: Task, hash: string): Replica[] {
    const giver = task.replicas.filter(isRevealed).find((replica) => opinionOf(replica) === hash)
    const wanted = giver === undefined ? undefined : classOfReplica(job.document, task, giver)
    return wanted === undefined ? [] : task.replicas.filter((replica) => isRevealed(replica) && classOfReplica(job.document, task, replica) === wanted)
  }

  /** A class is named by its first member, a whole result: that is the content. */
  #resultOf(job: Job, task: Task, hash: string): RunResult | undefined {
    return this.#classOf(job, task, hash).filter(isRevealed).find((replica) => opinionOf(replica) === hash)?.state.receipt.result
  }

  /** Starts what must be compared before the vote can go on. */
  #compares(turn: Turn, job: Job, task: Task): boolean {
    const due = dueComparison(job.document, task)
    if (due !== undefined) turn.do({ kind: 'compare', job: job.id, document: job.document, task: task.index, fresh: shown(due.fresh), against: due.against.map(shown) })
    return due !== undefined
  }

  /** A comparison is over. What was asked in another state than the present one is asked again by now. */
  compared(turn: Turn, job: Job, task: Task, { opinion, against, outcome }: EventOf<'compared'>): void {
    if (job.state.kind !== 'running') return
    if (task.state.kind === 'done') { this.#comparedCheck(turn, job, task, opinion, outcome); return }
    const due = task.state.kind === 'active' ? dueComparison(job.document, task) : undefined
    if (due?.fresh.name !== opinion || due.against.length !== against.length || !due.against.every(({ name }, i) => name === against[i])) return
    switch (outcome.kind) {
      case 'lost':
        if (opinion === outcome.opinion || against.includes(outcome.opinion)) this.#gone(turn, job, task, outcome.opinion)
        break
      case 'broken': this.#hooks.broken(turn, job, { code: 'E_COMPARE', message: `results of the job cannot be compared: ${outcome.message}`, hint: 'This is a defect of Hearth: please report it with the steps that led here' }); return
      case 'same': if (!against.includes(outcome.as)) return; this.#found(turn, job, task, { opinion, as: outcome.as }); break
      case 'other': this.#found(turn, job, task, { opinion, as: opinion, ...outcome.segment === undefined ? {} : { segment: outcome.segment }, ...outcome.doubt === undefined ? {} : { doubt: outcome.doubt.slice(0, 200) } }); break
      case 'right': this.#found(turn, job, task, { opinion, as: task.findings?.find(({ as }) => as !== WRONG && as !== UNSURE)?.as ?? opinion }); break
      case 'wrong': this.#found(turn, job, task, { opinion, as: WRONG }, 'the verifier found its result wrong; asking another provider'); break
      case 'unsure': {
        const named = [opinion, ...against].filter((name) => outcome.opinions.includes(name))
        this.#isUnsure(turn, job, task, named.length === 0 ? [opinion] : named, outcome.message)
        break
      }
    }
    this.advance(turn, job, task)
  }

  #found(turn: Turn, job: Job, task: Task, finding: Finding, doubt?: string): void {
    task.findings = withFinding(job.document, task, finding)
    this.store(turn, job, task)
    if (doubt !== undefined) this.#doubted(turn, job, task, finding.opinion, doubt)
  }

  /** These count for nothing, and others are asked. */
  #isUnsure(turn: Turn, job: Job, task: Task, opinions: string[], message: string): void {
    task.findings = withUnsure(job.document, task, opinions, message)
    this.store(turn, job, task)
    for (const opinion of opinions) this.#doubted(turn, job, task, opinion, `the ${job.document.compare?.by === 'verifier' ? 'verifier' : 'comparator'} could not judge its result: ${message}`)
  }

  #doubted(turn: Turn, job: Job, task: Task, opinion: string, doubt: string): void {
    const provider = opinionsIn(task).find(({ name }) => name === opinion)?.replicas[0]?.provider
    turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: provider ?? '', code: 'E_RESULT_DOUBTED', message: doubt.slice(0, 200) })
  }

  /** A result that nobody hands over: its votes are void, and so is what was found by it. */
  #gone(turn: Turn, job: Job, task: Task, opinion: string): void {
    for (const replica of task.replicas) {
      if (!isRevealed(replica) || opinionOf(replica) !== opinion) continue
      this.setState(turn, job, task, replica, { kind: 'failed', code: 'E_RESULT_LOST', message: 'could not hand its result over' })
      this.#verdict(turn, task, replica)
    }
    if (task.findings !== undefined) task.findings = without(job.document, task.findings, opinion)
    this.store(turn, job, task)
  }

  /** Whether the job's program will never be content, so that the task ends, and this task alone. Nobody is condemned for that. */
  #isHopeless(turn: Turn, job: Job, task: Task): boolean {
    const why = hopelessness(job.document, task)
    if (why === undefined) return false
    for (const replica of liveReplicas(task)) this.dismiss(turn, job, task, replica, { kind: 'lost', code: 'E_NOT_NEEDED' })
    for (const replica of task.replicas.filter(isRevealed)) this.#fail(turn, job, task, replica, 'E_RESULT_DOUBTED', why.message)
    task.state = { kind: 'failed', error: { code: 'E_COMPARE', ...why } }
    this.store(turn, job, task)
    this.#hooks.ended(turn, job, task)
    return true
  }

  /** A revealed result that counts for nothing, though nobody says that it is wrong. */
  #fail(turn: Turn, job: Job, task: Task, replica: Replica, code: ErrorCode, message: string): void {
    this.setState(turn, job, task, replica, { kind: 'failed', code, message })
    this.#verdict(turn, task, replica)
  }

  /** Verdicts and history for everyone who voted; failures of others count only now that somebody succeeded. */
  #judge(turn: Turn, job: Job, task: Task, hash: string, replicated: boolean): void {
    const winners = this.#classOf(job, task, hash)
    const [winner] = this.#givers(task, hash)
    const opposing = winner?.state.kind === 'revealed' ? { receipt: winner.state.receipt, signature: winner.state.signature } : undefined
    const unsure = unsureOf(task)
    for (const replica of task.replicas) {
      const { state } = replica
      if (isRevealed(replica) && unsure.includes(replica)) {
        // like who does not hand its result over: it may be chance, but not again and again
        this.#parts.histories.record(turn, replica.provider, 'failed')
        this.#fail(turn, job, task, replica, 'E_RESULT_DOUBTED', 'its result could not be judged')
      } else if (state.kind === 'revealed' && winners.includes(replica)) {
        this.#parts.histories.record(turn, replica.provider, 'completed', { replicated })
        this.#accept(turn, job, task, replica, state.receipt, state.hash)
      } else if (isRevealed(replica) && !differsBeyondDoubt(task, hash, classOfReplica(job.document, task, replica) ?? '')) {
        this.#parts.histories.record(turn, replica.provider, 'failed')
        this.#fail(turn, job, task, replica, 'E_RESULT_DOUBTED', 'its result could not be compared')
      } else if (state.kind === 'revealed') {
        this.#convict(turn, job, task, replica, state.hash, opposing)
      } else if (state.kind === 'failed' && !movesOn(state.code)) {
        this.#parts.histories.record(turn, replica.provider, 'failed')
      }
    }
  }

  /** Its word counted: what was held back for it is due. */
  #accept(turn: Turn, job: Job, task: Task, replica: Replica, receipt: Receipt, hash: string): void {
    this.#deals.paying.accepted(turn, replica.agreement, receipt.usage.wallMs, { tasks: 1, bytes: receipt.result.contentBytes })
    this.setState(turn, job, task, replica, { kind: 'accepted', hash, usage: receipt.usage })
    this.#verdict(turn, task, replica)
  }

  #convict(turn: Turn, job: Job, task: Task, replica: Replica, hash: string, opposing: { receipt: Receipt, signature: string } | undefined): void {
    this.#parts.histories.record(turn, replica.provider, 'wrong')
    this.setState(turn, job, task, replica, { kind: 'rejected', hash })
    this.#verdict(turn, task, replica, opposing)
    const deal = this.#deals.get(replica.agreement)
    if (deal !== undefined) deal.deal.wrong++
    turn.notify({ kind: 'caught', job: job.id, task: task.index, peer: replica.provider, message: 'its result differs from the one that the quorum agreed on' })
    this.#hooks.caught(turn, job, replica.provider)
  }

  /** Says how a revealed replica ended until its provider answers; a rejection with the evidence against it. */
  #verdict(turn: Turn, task: Task, replica: Replica, opposing?: { receipt: Receipt, signature: string }): void {
    const id = { agreement: replica.agreement, task: task.index, attempt: replica.attempt }
    const verdict = verdictOf(replica)
    if (verdict === undefined) return
    this.#parts.outbox.add(turn, verdictKey(id), replica.provider, { kind: 'verdict', ...id, ...verdict, ...opposing === undefined ? {} : { opposing } }, turn.now.wallMs + PARAMS.keepResultMs)
  }

  /** A spot check on a task whose answer is known: same messages, so its provider cannot tell. */
  #advanceCheck(turn: Turn, job: Job, task: Task): void {
    if (task.state.kind !== 'done') return
    const { hash } = task.state
    const committed = task.replicas.filter(({ check, state }) => check && state.kind === 'committed')
    if (committed.length > 0) this.#close(turn, job, task, committed)
    for (const replica of task.replicas) if (replica.check && isRevealed(replica)) this.#check(turn, job, task, replica, hash)
  }

  #check(turn: Turn, job: Job, task: Task, replica: Revealed, hash: string): void {
    const { compare } = job.document
    if (replica.state.hash === hash) {
      this.#parts.histories.record(turn, replica.provider, 'completed', { replicated: true })
      this.#accept(turn, job, task, replica, replica.state.receipt, hash)
    } else if (compare === undefined || failureOf(replica.state.receipt.result) !== undefined) {
      this.#convict(turn, job, task, replica, replica.state.hash, undefined)
    } else {
      const fresh = opinionsIn(task).find(({ name }) => name === replica.state.hash)
      if (fresh !== undefined) turn.do({ kind: 'compare', job: job.id, document: job.document, task: task.index, fresh: shown(fresh), against: compare.by === 'verifier' ? [] : this.#answer(task) })
    }
  }

  /** What was accepted, which is here since. */
  #answer(task: Task): Shown[] {
    return task.state.kind === 'done' ? [{ opinion: task.state.hash, content: task.state.content, contentBytes: PARAMS.maxDiskBytes, from: [] }] : []
  }

  #comparedCheck(turn: Turn, job: Job, task: Task, opinion: string, outcome: Comparison): void {
    for (const replica of task.replicas) {
      if (!replica.check || !isRevealed(replica) || opinionOf(replica) !== opinion) continue
      switch (outcome.kind) {
        case 'same':
        case 'right':
          this.#parts.histories.record(turn, replica.provider, 'completed', { replicated: true })
          this.#accept(turn, job, task, replica, replica.state.receipt, replica.state.hash)
          break
        case 'other':
          if (outcome.doubt === undefined) this.#convict(turn, job, task, replica, replica.state.hash, undefined)
          else this.#fail(turn, job, task, replica, 'E_RESULT_DOUBTED', outcome.doubt)
          break
        case 'wrong': this.#convict(turn, job, task, replica, replica.state.hash, undefined); break
        case 'lost': this.#fail(turn, job, task, replica, outcome.opinion === opinion ? 'E_RESULT_LOST' : 'E_RESULT_DOUBTED', 'its result could not be compared'); break
        case 'unsure':
        case 'broken': this.#fail(turn, job, task, replica, 'E_RESULT_DOUBTED', outcome.message); break
      }
    }
  }
}
