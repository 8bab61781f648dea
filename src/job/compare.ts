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
}

/** Instead of a class, in a finding: what a verifier says. Names of opinions begin with `0x`. */
export const WRONG = 'wrong'
export const UNSURE = 'unsure'

/** Segment runs that support neither of two results before the whole is run again. */
const MAX_ALONE = 2

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
  return task.findings?.find(({ opinion }) => !opinion.includes('/'))?.opinion ?? opinionsIn(task).find(({ segment }) => segment === undefined)?.name
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
  const alone = all.filter(({ name }) => name.includes('/') && findingOf(task, name)?.as.includes('/') === true).flatMap(({ replicas }) => replicas)
  return segment !== undefined && alone.length < MAX_ALONE ? segment : undefined
}

/** A whole result may be what a part that agreed with none agrees with: those are compared again. */
export function reopened(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ as }) => !as.includes('/'))
}

/** The findings when this opinion is lost: what a verifier says of one result says nothing of others, but a class needs its first member. */
export function without(rules: Rules, findings: readonly Finding[], opinion: string): Finding[] {
  return rules.compare?.by === 'verifier' ? findings.filter((finding) => finding.opinion !== opinion && finding.as !== opinion) : []
}

/** The findings after one more; with `program`, the first of all stands for itself from now on. */
export function withFinding(rules: Rules, task: Task, finding: Finding): Finding[] {
  const findings = task.findings ?? []
  const base = rules.compare?.by === 'program' && findings.every(({ opinion }) => opinion.includes('/')) ? baseOf(task) : undefined
  return [...base === undefined || base === finding.opinion ? [] : [{ opinion: base, as: base }], ...findings, finding]
}

/** As the driver is shown it. */
export function shown({ name, segment, result, replicas }: Opinion): Shown {
  const from = replicas.map(({ provider, agreement, attempt }) => ({ peer: provider, agreement, attempt }))
  return { opinion: name, content: result.content, contentBytes: result.contentBytes, from, ...segment === undefined ? {} : { segment } }
}
