import { OK } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { LeaseRef } from '../documents/message.ts'
import type { ErrorCode } from '../errors.ts'
import { trustedAlone } from '../reputation/adaptive.ts'
import { MINUTE_MS, SECOND_MS } from '../units.ts'
import type { Ballot } from './ballot.ts'
import { segmentToRun } from './compare.ts'
import { leaseName, room } from './deals.ts'
import type { Deal, Deals } from './deals.ts'
import { isRunning, waitingCount } from './job.ts'
import type { Job } from './job.ts'
import type { Parts } from './parts.ts'
import type { RequesterSettings } from './parts.ts'
import { addReplica, failuresAt, freshTask, hasVoice, isLive, isSpent, liveReplicas, wantedReplicas } from './task.ts'
import type { Task } from './task.ts'
import type { Tendering } from './tendering.ts'

/** Queued tasks looked at in one pass, so that many unplaceable ones cannot make every event slow; the next pass looks at others. */
const MAX_SCAN = 256
/** Rounds of asking in vain after which nobody else can be had: a failing result needs no second witness, a failed host tries again. */
const WITNESS_ROUNDS = 2
/** A provider that refused, left or failed by its own trouble rests this long, doubled with each trouble in a row. */
const FIRST_REST_MS = 1 * SECOND_MS
const LAST_REST_MS = 5 * MINUTE_MS
/** Providers whose troubles are remembered, a job. */
const MAX_RESTING = 256

/** One look at a job: the deals that get work now, new leases by agreement, and whether hosts that failed got any. */
interface Pass { awake: Deal[], fresh: Map<string, LeaseRef[]>, retried: boolean }

/** Decides which provider gets which task, and when more providers are needed. */
export class Scheduler {
  readonly #parts: Parts
  readonly #settings: RequesterSettings
  readonly #deals: Deals
  readonly #ballot: Ballot
  readonly #tendering: Tendering

  constructor(parts: Parts, settings: RequesterSettings, deals: Deals, ballot: Ballot, tendering: Tendering) {
    this.#parts = parts
    this.#settings = settings
    this.#deals = deals
    this.#ballot = ballot
    this.#tendering = tendering
  }

  enqueue(job: Job, task: Task): void {
    if (job.state.kind === 'running' && wantedReplicas(job.document, task) > 0) job.queue.add(task.index)
    else job.queue.delete(task.index)
  }

  /** Leases what can be leased, asks for providers where they lack. Idempotent: call it after any change. */
  pump(turn: Turn, job: Job): void {
    if (job.state.kind !== 'running') return
    const pass: Pass = { awake: [], fresh: new Map(), retried: false }
    do {
      job.blocked = false
      this.#placeAll(turn, job, pass)
    } while (this.#needsProvider(turn, job) && this.#engage(turn, job))
    this.#say(turn, job, pass)
    // Each retry of a failed host costs new rounds of asking, so that one that always fails does not keep others out.
    if (pass.retried) job.fruitlessRounds = 0
    if (!this.#needsProvider(turn, job)) return
    if (job.blocked && job.fruitlessRounds >= WITNESS_ROUNDS) for (const index of [...job.queue]) this.#settleForLess(turn, job, index)
    if (isRunning(job)) this.#tendering.open(turn, job)
  }

  /** A deal is over before its work is: what was not revealed moves on. */
  lose(turn: Turn, job: Job, deal: Deal, code: ErrorCode, options: { tell: boolean }): void {
    const away = code === 'E_PEER_SILENT' || code === 'E_PEER_LOST'
    let lost = 0
    for (const task of job.tasks.values()) {
      for (const replica of task.replicas) {
        if (replica.agreement !== deal.id || !isLive(replica)) continue
        lost++
        this.#ballot.setState(turn, job, task, replica, { kind: 'lost', code })
        if (deal.said && job.begun) turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'retry', peer: deal.provider, code, message: away ? 'its provider went away' : '' })
        this.enqueue(job, task)
      }
    }
    if (away && lost > 0) this.#parts.histories.record(turn, deal.provider, 'failed')
    if (lost > 0) this.rest(turn, job, deal.provider)
    this.#deals.end(turn, deal, away && lost === 0 ? 'E_AGREEMENT_IDLE' : code, '', options)
    for (const index of [...job.queue]) {
      const task = job.tasks.get(index)
      if (task !== undefined) this.#ballot.advance(turn, job, task)
    }
  }

  /** A host in trouble gets nothing for a while: else one that fails at once would use up every attempt. A commit clears it. */
  rest(turn: Turn, job: Job, provider: string): void {
    const { times } = job.resting.get(provider) ?? { times: 0 }
    const untilMonoMs = turn.now.monoMs + Math.min(FIRST_REST_MS * 2 ** times, LAST_REST_MS)
    job.resting.delete(provider)
    job.resting.set(provider, { times: times + 1, untilMonoMs })
    if (job.resting.size > MAX_RESTING) job.resting.delete(job.resting.keys().next().value ?? '')
    const timer = `rested|${job.id}`
    if ((this.#parts.timers.at(timer) ?? Number.POSITIVE_INFINITY) > untilMonoMs) this.#parts.timers.set(timer, untilMonoMs)
  }

  /** The first of those that rest may work again. */
  rested(turn: Turn, job: Job): void {
    const nextMonoMs = Math.min(...[...job.resting.values()].map(({ untilMonoMs }) => untilMonoMs).filter((atMonoMs) => atMonoMs > turn.now.monoMs))
    if (nextMonoMs !== Number.POSITIVE_INFINITY) this.#parts.timers.set(`rested|${job.id}`, nextMonoMs)
    this.pump(turn, job)
  }

  #settleForLess(turn: Turn, job: Job, index: number): void {
    const task = job.tasks.get(index)
    if (task !== undefined && awake(turn, job).every(({ provider, payee }) => hasVoice(task, provider, payee))) this.#ballot.settleForLess(turn, job, task)
  }

  /** Whether the slots agreed on fall short of the work, or some task found nobody who may take it. */
  #needsProvider(turn: Turn, job: Job): boolean {
    if (job.deals.size >= this.#settings.maxProviders) return false
    return job.blocked || (waitingCount(job) > 0 && slotsOf(awake(turn, job)) < this.#load(job))
  }

  /** Replicas running and wanted. */
  #load(job: Job): number {
    let load = (job.taskCount - job.nextTask) * job.document.replication.replicas
    for (const deal of job.deals.values()) load += deal.leases.size
    for (const index of job.queue) load += wantedReplicas(job.document, job.tasks.get(index) ?? freshTask(index))
    return load
  }

  /** Opens a deal with the best spare; false when there is none. */
  #engage(turn: Turn, job: Job): boolean {
    if ([...job.deals.values()].some((deal) => !deal.said && deal.leases.size === 0)) return false
    const bid = this.#tendering.take(turn, job, ({ identity }) => !rests(turn, job, identity.peer) && mayServe(job, identity.peer, identity.payee))
    if (bid === undefined) return false
    const useful = Math.max(1, Math.min(waitingCount(job), this.#load(job) - slotsOf(awake(turn, job))))
    this.#deals.open(turn, job, bid, Math.min(bid.slots, useful))
    job.fruitlessRounds = 0
    return true
  }

  #placeAll(turn: Turn, job: Job, pass: Pass): void {
    pass.awake = awake(turn, job)
    const deals = pass.awake.filter((deal) => deal.state === 'active' || !deal.said)
    const plenty = waitingCount(job) > slotsOf(deals)
    const looked = [...firstOf(job.queue, MAX_SCAN)]
    for (const index of looked) {
      const task = job.tasks.get(index)
      if (task !== undefined) this.#place(turn, job, task, deals, plenty, pass)
    }
    if (job.queue.size > MAX_SCAN) for (const index of looked) if (job.queue.delete(index)) job.queue.add(index)
    while (job.nextTask < job.taskCount && deals.some((deal) => room(deal, plenty) > 0)) {
      const task = freshTask(job.nextTask++)
      job.tasks.set(task.index, task)
      job.queue.add(task.index)
      this.#place(turn, job, task, deals, plenty, pass)
    }
    if (job.nextTask < job.taskCount && deals.length === 0) job.blocked = ![...job.deals.values()].some((deal) => deal.said && deal.state === 'proposed')
  }

  /** Leases as many replicas of a task as it wants and the deals allow. */
  #place(turn: Turn, job: Job, task: Task, deals: readonly Deal[], plenty: boolean, pass: Pass): void {
    for (;;) {
      const untouched = task.replicas.every(isSpent)
      const deal = roomiest(deals.filter(({ provider, payee }) => mayTake(job, task, provider, payee)), plenty)
      if (untouched && deal !== undefined) this.#decideQuorum(turn, job, task, deal)
      if (wantedReplicas(job.document, task) === 0) { job.queue.delete(task.index); return }
      job.queue.add(task.index)
      if (deal === undefined) {
        // One that was asked and has not answered yet counts: else each look in between would ask one more.
        if (!pass.awake.some(({ provider, payee }) => mayTake(job, task, provider, payee))) job.blocked = true
        return
      }
      if (failuresAt(task, deal.provider) > 0) pass.retried = true
      this.#lease(turn, job, task, deal, false, pass)
      this.#maybeCheck(turn, job, deal, pass)
    }
  }

  /** Adaptive replication and spot checks: decided afresh for the provider that a task begins with. */
  #decideQuorum(turn: Turn, job: Job, task: Task, deal: Deal): void {
    const { quorum, replicas, adaptive, spotCheckShare } = job.document.replication
    const history = this.#parts.histories.get(deal.provider, turn.now.wallMs)
    if (quorum > 1 && adaptive && trustedAlone(history, turn.random())) {
      task.quorum = 1
      task.spread = 1
    } else if (quorum === 1 && spotCheckShare > 0 && turn.random() < spotCheckShare) {
      task.quorum = 2
      task.spread = 2
    } else {
      task.quorum = quorum
      task.spread = replicas
    }
  }

  /** Slips a task whose answer is known among the others, where a provider's word alone decides. */
  #maybeCheck(turn: Turn, job: Job, deal: Deal, pass: Pass): void {
    const { quorum, spotCheckShare } = job.document.replication
    if (quorum > 1 || spotCheckShare === 0 || job.taskCount < 2 || turn.random() >= spotCheckShare) return
    for (const task of job.tasks.values()) {
      if (task.state.kind === 'done' && task.state.verified && !hasVoice(task, deal.provider, deal.payee)) {
        this.#lease(turn, job, task, deal, true, pass)
        return
      }
    }
  }

  #lease(turn: Turn, job: Job, task: Task, deal: Deal, check: boolean, pass: Pass): void {
    const segment = check ? undefined : segmentToRun(job.document, task)
    const part = segment === undefined ? {} : { segment }
    const ref: LeaseRef = { task: task.index, attempt: task.attempts++, ...part }
    addReplica(task, { agreement: deal.id, provider: deal.provider, payee: deal.payee, attempt: ref.attempt, sinceMonoMs: turn.now.monoMs, check, ...part, state: { kind: 'leased' } })
    deal.leases.set(leaseName(ref), ref)
    this.#parts.timers.set(`run|${deal.id}|${ref.task}|${ref.attempt}`, turn.now.monoMs + job.document.limits.queueMs + 2 * job.document.limits.runMs + MINUTE_MS)
    this.#ballot.store(turn, job, task)
    pass.fresh.set(deal.id, [...pass.fresh.get(deal.id) ?? [], ref])
    if (!check) turn.notify({ kind: 'task', job: job.id, task: task.index, state: 'leased', peer: deal.provider, code: OK, message: segment !== undefined ? `segment ${segment} alone, where two results differ` : liveReplicas(task).length > 1 ? `replica ${ref.attempt + 1}` : '' })
  }

  #say(turn: Turn, job: Job, pass: Pass): void {
    for (const deal of job.deals.values()) {
      if (!deal.said) this.#deals.propose(turn, deal)
      else {
        const leases = pass.fresh.get(deal.id)
        if (leases !== undefined) turn.send(deal.provider, { kind: 'lease', agreement: deal.id, leases })
      }
    }
  }
}

/** Deals that get work now. */
function awake(turn: Turn, job: Job): Deal[] {
  return [...job.deals.values()].filter((deal) => !rests(turn, job, deal.provider))
}

function rests(turn: Turn, job: Job, provider: string): boolean {
  return (job.resting.get(provider)?.untilMonoMs ?? 0) > turn.now.monoMs
}

function slotsOf(deals: readonly Deal[]): number {
  return deals.reduce((sum, deal) => sum + deal.agreement.slots, 0)
}

/** Nobody votes twice on a task; who failed at it tries again when nobody else can be had, the later the oftener it failed. */
function mayTake(job: Job, task: Task, provider: string, payee: string): boolean {
  return !hasVoice(task, provider, payee) && job.fruitlessRounds >= WITNESS_ROUNDS * failuresAt(task, provider)
}

/** Whether something waits that this provider may still vote on. */
function mayServe(job: Job, provider: string, payee: string): boolean {
  if (job.nextTask < job.taskCount) return true
  for (const index of firstOf(job.queue, MAX_SCAN)) {
    const task = job.tasks.get(index)
    if (task !== undefined && mayTake(job, task, provider, payee)) return true
  }
  return job.queue.size > MAX_SCAN
}

function * firstOf(indices: Iterable<number>, count: number): Generator<number> {
  let left = count
  for (const index of indices) {
    if (left-- <= 0) return
    yield index
  }
}

function roomiest(deals: readonly Deal[], plenty: boolean): Deal | undefined {
  let best: Deal | undefined
  let most = 0
  for (const deal of deals) {
    const free = room(deal, plenty) / deal.agreement.slots
    if (free > most) { best = deal; most = free }
  }
  return best
}
