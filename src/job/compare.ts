import type { Shown } from '../core/effect.ts'
import type { JobDocument } from '../documents/job.ts'
import type { RunResult } from '../documents/receipt.ts'
import type { ErrorCode } from '../errors.ts'
import type { Replica, Task } from './task.ts'
import type { Vote } from './vote.ts'

/** What a job says of how its results are compared. */
export type Rules = Pick<JobDocument, 'compare' | 'segments'>

/**
 * What a comparison found: the class that an opinion belongs to, by the name of its first member. A comparison is not
 * transitive in general (a tolerance is not): a fresh opinion is held against each class's first member, in the order in which
 * the classes were found, and joins the first that it equals. Opinions of one round wait for the whole round and then come
 * in the order of their attempts, so that who is quick decides nothing.
 */
export interface Finding {
  opinion: string
  as: string
  /** The first in which it differs from the other class, where that is known. */
  segment?: number
  /** Why the program could not say: of this result, where it is unsure; else of this and another together, so that neither is wrong beyond doubt. */
  doubt?: string
}

/** Instead of a class, in a finding: what a verifier says. Names of opinions begin with `0x`. */
export const WRONG = 'wrong'
export const UNSURE = 'unsure'

/** Segment runs that support neither of two results before the whole is run again. */
const MAX_ALONE = 2
/** A verifier that finds the results of this many providers wrong, and none right, is taken at its word about the program. */
const WRONG_WITNESSES = 5
/** A program that cannot say of the results of this many payees is at fault itself; fewer may be liars who want the task to end. */
const UNSURE_WITNESSES = 5
/** Of what the program said, kept with the task, in characters. */
const MAX_DOUBT = 200

/** A successful result that was revealed, and who gave it. */
export interface Opinion { name: string, segment: number | undefined, result: RunResult, replicas: Replica[] }

export type Revealed = Replica & { state: Extract<Replica['state'], { kind: 'revealed' }> }

export function isRevealed(replica: Replica): replica is Revealed {
  return replica.state.kind === 'revealed'
}

/** What a revealed result is called: equal ones have one name. One part of a task never speaks for the whole, whatever its bytes are. */
export function opinionOf({ segment, state }: Revealed): string {
  return segment === undefined ? state.hash : `${state.hash}/${segment}`
}

/** What makes a result a failure of the program; undefined for success. */
export function failureOf(result: RunResult): { code: ErrorCode, message: string } | undefined {
  if (result.status === 'trapped') return { code: result.trap, message: `the program trapped (${result.trap})` }
  return result.exitCode === 0 ? undefined : { code: 'E_EXIT', message: `the program ended with exit code ${result.exitCode}` }
}

/** Whether results are equal when their bytes are, and nothing else is asked. */
function isPlain({ compare, segments }: Rules): boolean {
  return compare === undefined && segments === undefined
}

/** Successful opinions in the order of their first attempts. */
export function opinionsIn(task: Task): Opinion[] {
  const byName = new Map<string, Opinion>()
  for (const replica of task.replicas) {
    if (!isRevealed(replica) || failureOf(replica.state.receipt.result) !== undefined) continue
    const name = opinionOf(replica)
    const known = byName.get(name)
    if (known === undefined) byName.set(name, { name, segment: replica.segment, result: replica.state.receipt.result, replicas: [replica] })
    else known.replicas.push(replica)
  }
  return [...byName.values()]
}

function findingOf(task: Task, name: string): Finding | undefined {
  return task.findings?.find(({ opinion }) => opinion === name)
}

/** The first whole opinion of a task in which a program compares: nothing need be found of it. */
function baseOf(task: Task): string | undefined {
  return task.findings?.find(isOfWhole)?.opinion ?? opinionsIn(task).find(({ name, segment }) => segment === undefined && findingOf(task, name)?.as !== UNSURE)?.name
}

function isOfWhole({ opinion, as }: Finding): boolean {
  return !opinion.includes('/') && as !== UNSURE
}

/** The class of an opinion, by the name of its first member; undefined while that is not known. */
function classOf({ compare }: Rules, task: Task, name: string): string | undefined {
  const found = findingOf(task, name)
  if (found !== undefined || name.includes('/')) return found?.as
  switch (compare?.by) {
    case undefined: return name
    case 'program': return baseOf(task) === name ? name : undefined
    case 'verifier': return undefined
  }
}

/** The class that a revealed replica votes for; failures are classes of their own. */
export function classOfReplica(rules: Rules, task: Task, replica: Revealed): string | undefined {
  if (isPlain(rules) || failureOf(replica.state.receipt.result) !== undefined) return opinionOf(replica)
  return classOf(rules, task, opinionOf(replica))
}

/** First members of the classes of whole results, in the order in which the classes were found. */
function headsOf(rules: Rules, task: Task, opinions: readonly Opinion[]): Opinion[] {
  const place = ({ name }: Opinion): number => {
    const at = task.findings?.findIndex(({ opinion }) => opinion === name) ?? -1
    return at === -1 ? Number.MAX_SAFE_INTEGER : at
  }
  return opinions.filter(({ name, segment }) => segment === undefined && classOf(rules, task, name) === name).sort((a, b) => place(a) - place(b))
}

/** Votes cast and not yet judged. What is wrong, or not yet compared, votes for nothing. */
export function votesOf(rules: Rules, task: Task): Vote[] {
  return task.replicas.flatMap((replica) => {
    if (!isRevealed(replica)) return []
    const hash = classOfReplica(rules, task, replica)
    if (hash === undefined || hash === WRONG || hash === UNSURE) return []
    return [{ provider: replica.provider, hash, ...replica.segment === undefined ? {} : { partial: true as const } }]
  })
}

export interface ToCompare { fresh: Opinion, against: Opinion[] }

/**
 * What must be compared before the vote can be counted, or before it is known which part to run again; undefined when
 * nothing. Derived from what was revealed and found, so that asking twice asks the same. `isOpen`: no class has won by what is known.
 */
export function nextComparison(rules: Rules, task: Task, isOpen: (votes: Vote[]) => boolean): ToCompare | undefined {
  if (isPlain(rules)) return undefined
  const all = opinionsIn(task)
  const isNew = ({ name }: Opinion): boolean => findingOf(task, name) === undefined
  if (rules.compare?.by === 'verifier') {
    const fresh = all.find(isNew)
    return fresh === undefined ? undefined : { fresh, against: [] }
  }
  const heads = headsOf(rules, task, all)
  const fresh = all.find(({ name, segment }) => segment === undefined && classOf(rules, task, name) === undefined)
  if (fresh !== undefined) return { fresh, against: heads }
  const voice = all.find((opinion) => opinion.segment !== undefined && isNew(opinion))
  if (voice !== undefined) return { fresh: voice, against: [...heads, ...all.filter(({ name, segment }) => segment === voice.segment && findingOf(task, name)?.as === name)] }
  const [first, second] = heads
  if (rules.compare !== undefined || first === undefined || second === undefined || heads.length > 2 || !isNew(first) || !isNew(second) || !isOpen(votesOf(rules, task))) return undefined
  return { fresh: second, against: [first] }
}

/**
 * The part of the task that the next replica is to run: the first in which two results differ. The whole, where more than two
 * differ, where no segment does, or where those who ran that part agree with neither.
 */
export function segmentToRun(rules: Rules, task: Task): number | undefined {
  if (rules.segments === undefined || rules.compare?.by === 'verifier') return undefined
  const all = opinionsIn(task)
  const heads = headsOf(rules, task, all)
  if (heads.length !== 2) return undefined
  const segment = heads.map(({ name }) => findingOf(task, name)?.segment).find((found) => found !== undefined)
  const alone = all.filter(({ name }) => name.includes('/') && isAlone(findingOf(task, name))).flatMap(({ replicas }) => replicas)
  return segment !== undefined && alone.length < MAX_ALONE ? segment : undefined
}

function isAlone(finding: Finding | undefined): boolean {
  return finding !== undefined && (finding.as === UNSURE || finding.as.includes('/'))
}

/** A whole result may be what a part that agreed with none agrees with: those are compared again. */
export function reopened(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ as }) => !as.includes('/'))
}

/** The findings when this opinion is lost: what a verifier says of one result says nothing of others, but a class needs its first member. */
export function without(rules: Rules, findings: readonly Finding[], opinion: string): Finding[] {
  const stays = rules.compare?.by === 'verifier' ? (as: string): boolean => as !== opinion : (as: string): boolean => as === UNSURE
  return findings.filter((finding) => finding.opinion !== opinion && stays(finding.as))
}

/** The findings after one more; with `program`, the first of all stands for itself from now on. */
export function withFinding(rules: Rules, task: Task, finding: Finding): Finding[] {
  const findings = task.findings ?? []
  const base = rules.compare?.by === 'program' && !findings.some(isOfWhole) ? baseOf(task) : undefined
  return [...base === undefined || base === finding.opinion ? [] : [{ opinion: base, as: base }], ...findings, finding]
}

/** The findings when the program cannot say of these opinions: they count for nothing, and what was found by them is void. */
export function withUnsure(rules: Rules, task: Task, opinions: readonly string[], doubt: string): Finding[] {
  let changed = task
  for (const opinion of opinions) {
    const isFirst = baseOf(changed) === opinion || changed.findings?.some(({ as }) => as === opinion) === true
    const finding = { opinion, as: UNSURE, doubt: doubt.slice(0, MAX_DOUBT) }
    changed = { ...changed, findings: isFirst ? [...without(rules, changed.findings ?? [], opinion), finding] : withFinding(rules, changed, finding) }
  }
  return changed.findings ?? []
}

/** Revealed replicas of which the program could not say anything. */
export function unsureOf(task: Task): Revealed[] {
  return task.replicas.filter(isRevealed).filter((replica) => findingOf(task, opinionOf(replica))?.as === UNSURE)
}

/** Whether the program said that these classes differ, rather than that it could not say. */
export function differsBeyondDoubt(task: Task, a: string, b: string): boolean {
  return findingOf(task, a)?.doubt === undefined && findingOf(task, b)?.doubt === undefined
}

/**
 * Why the job's program will never be content: with many results it finds none right, or it cannot say. Undefined while it may be:
 * fewer than so many could all be liars.
 */
export function hopelessness(rules: Rules, task: Task): { message: string, hint: string } | undefined {
  const { compare } = rules
  if (compare === undefined) return undefined
  const name = compare.by === 'verifier' ? 'verifier' : 'comparator'
  const votes = votesOf(rules, task)
  const voters = new Map<string, number>()
  for (const { hash } of votes) voters.set(hash, (voters.get(hash) ?? 0) + 1)
  const payees = (replicas: readonly Replica[]): number => new Set(replicas.map(({ payee }) => payee)).size
  const revealed = task.replicas.filter(isRevealed)
  const doubted = revealed.filter((replica) => findingOf(task, opinionOf(replica))?.doubt !== undefined)
  const unsure = unsureOf(task)
  const isUnsure = votes.length === 0 ? payees(unsure) >= UNSURE_WITNESSES : [...voters.values()].every((count) => count < 2) && payees(doubted.filter((replica) => !unsure.includes(replica))) >= UNSURE_WITNESSES
  if (isUnsure) {
    const last = doubted.at(-1)
    return {
      message: `the ${name} ${compare.module} could not judge the results of ${payees(doubted)} payees: ${last === undefined ? '' : findingOf(task, opinionOf(last))?.doubt ?? ''}`,
      hint: `The ${name} or the program is the likely fault: try the ${name} by hand on ${compare.by === 'verifier' ? 'a result: it must end with exit code 0 when that is right and 1 when it is wrong' : 'two results: it must end with exit code 0 when they agree and 1 when they differ'}`
    }
  }
  const wrong = revealed.filter((replica) => findingOf(task, opinionOf(replica))?.as === WRONG)
  if (votes.length > 0 || wrong.length < WRONG_WITNESSES) return undefined
  return { message: `the verifier ${compare.module} found the results of ${wrong.length} providers wrong, and none right`, hint: 'The program or the verifier is the likely fault: try both by hand' }
}

/** As the driver is shown it. */
export function shown({ name, segment, result, replicas }: Opinion): Shown {
  const from = replicas.map(({ provider, agreement, attempt }) => ({ peer: provider, agreement, attempt }))
  return { opinion: name, content: result.content, contentBytes: result.contentBytes, from, ...segment === undefined ? {} : { segment } }
}
