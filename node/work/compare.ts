import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { EffectOf, Notice, Shown } from '../../src/core/effect.ts'
import type { Comparison, PeerEvent } from '../../src/core/event.ts'
import { compareArgs, segmentPath, taskPlan } from '../../src/documents/job.ts'
import type { Compare, JobDocument } from '../../src/documents/job.ts'
import { HearthError, toErrorShape } from '../../src/errors.ts'
import { KIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { RunInput } from '../sandbox/run-spec.ts'
import { ComparePrograms, SELF_RUN_MS } from './compare-program.ts'
import type { Answer } from './compare-program.ts'
import type { ContentPort, FetchContent } from './content-port.ts'
import { isDiskFault } from './host-fault.ts'
import type { InlineResults } from './inline-results.ts'

/** Comparisons at once; the others wait. Each holds two results on the disk, and a program in memory. */
const MAX_AT_ONCE = 2
/** Segments that a program compares to find the first that differs. Beyond, the whole is run again. */
const MAX_SEGMENT_RUNS = 32
/** After this computer's own trouble: the first pause, doubled up to the last. */
const AGAIN_MS = 2 * SECOND_MS
const MAX_AGAIN_MS = MINUTE_MS
/** Told of trouble that lasts this many tries, so that a hiccup says nothing. */
const TELL_AFTER = 2
/** What a result may have beside what the job allows it to write and print. */
const SLACK_BYTES = 64 * KIB
/** Kept for a comparison under way. */
export const COMPARE_OWNER = 'compare:'

export interface ComparerOptions {
  dir: string
  content: ContentPort
  fetch: FetchContent
  inline: Pick<InlineResults, 'bring'>
  dispatch: (event: PeerEvent) => void
  /** Told when a comparison waits for this computer's own trouble to end. */
  notify?: (notice: Notice) => void
  /** The first pause after such trouble; 2 s when left out. */
  againMs?: number
}

interface Side { opinion: string, content: string, files: { path: string, cid: string, sizeBytes: number }[], /** Where its files lie, once they are needed. */ path: Promise<string> | undefined }

/** A result that cannot be had from those who gave it. */
class Lost extends Error {
  readonly opinion: string
  constructor(opinion: string, cause: unknown) {
    super(`result ${opinion} is lost`, { cause })
    this.opinion = opinion
  }
}

/** Compares results for the requester: brings them from their providers, and lets the job's program, or their addresses, decide. */
export class Comparer {
  readonly #options: ComparerOptions
  readonly #programs: ComparePrograms
  /** Comparisons under way, by what is compared; each ends with its job. */
  readonly #running = new Map<string, { job: string, abort: AbortController }>()
  readonly #waiting: (() => void)[] = []
  /** What a crash left on the disk is gone. */
  readonly #cleared: Promise<void>
  #busy = 0
  #count = 0

  constructor(options: ComparerOptions) {
    this.#options = options
    this.#cleared = rm(join(options.dir, 'results'), { recursive: true, force: true }).catch(() => undefined)
    this.#programs = new ComparePrograms(join(options.dir, 'sandbox'), MAX_AT_ONCE)
  }

  /** Ends in a `compared` event, unless the job ends first. Asked again meanwhile, it is one. */
  compare(effect: EffectOf<'compare'>): void {
    const { job, task, fresh } = effect
    const against = effect.against.map(({ opinion }) => opinion)
    const key = [job, task, fresh.opinion, ...against].join(' ')
    if (this.#running.has(key)) return
    const abort = new AbortController()
    this.#running.set(key, { job, abort })
    this.#decide(effect, abort.signal).catch((err: unknown): Comparison => ({ kind: 'broken', message: toErrorShape(err).message })).then((outcome) => {
      this.#running.delete(key)
      if (!abort.signal.aborted) this.#options.dispatch({ kind: 'compared', job, task, opinion: fresh.opinion, against, outcome })
    }, () => undefined)
  }

  /** The job has ended: nobody needs to know any more. */
  over(job: string): void {
    for (const { job: of, abort } of this.#running.values()) if (of === job) abort.abort()
  }

  async close(): Promise<void> {
    for (const { abort } of this.#running.values()) abort.abort()
    await this.#cleared
    await this.#programs.close()
  }

  /** This computer's own trouble decides nothing: it is waited out, and others may go on meanwhile. */
  async #decide(effect: EffectOf<'compare'>, signal: AbortSignal): Promise<Comparison> {
    const { againMs = AGAIN_MS, notify } = this.#options
    for (let tries = 1; ; tries++) {
      try {
        return await this.#inTurn(() => this.#try(effect, signal))
      } catch (err) {
        if (err instanceof Lost) return { kind: 'lost', opinion: err.opinion }
        const { code, message } = toErrorShape(err)
        if (signal.aborted || code === 'E_INVARIANT') throw err
        if (tries === TELL_AFTER) notify?.({ kind: 'task', job: effect.job, task: effect.task, state: 'retry', peer: '', code, message: `its results wait to be compared: ${message}`.slice(0, 200) })
        await pause(Math.min(againMs * 2 ** (tries - 1), MAX_AGAIN_MS), signal)
      }
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= MAX_AT_ONCE) await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    else this.#busy++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // the place is handed on, so that nobody takes it in between
      if (next === undefined) this.#busy--
      else next()
    }
  }

  /** In a folder of its own, with its own hold on what it needs; neither outlives it. */
  async #try(effect: EffectOf<'compare'>, signal: AbortSignal): Promise<Comparison> {
    signal.throwIfAborted()
    const results = join(this.#options.dir, 'results')
    await this.#cleared
    await mkdir(results, { recursive: true, mode: 0o700 })
    const dir = await mkdtemp(join(results, 'of-'))
    const owner = `${COMPARE_OWNER}${effect.job}/${effect.task}/${++this.#count}`
    const { document, fresh, against } = effect
    try {
      const sides: Side[] = []
      for (const one of [fresh, ...against]) sides.push(await this.#bring(one, document, owner, signal))
      return await new Comparing(this.#options.content, this.#programs, effect, dir, signal).decide(effect, sides)
    } finally {
      for (const { content } of [fresh, ...against]) await this.#options.content.unpin(content, owner)
      await rm(dir, { recursive: true, force: true })
    }
  }

  async #bring({ opinion, content, contentBytes, from }: Shown, { resources, limits }: JobDocument, owner: string, signal: AbortSignal): Promise<Side> {
    // what is here already needs nobody
    const sources = from.length === 0 ? [{ peer: '', agreement: '' }] : from
    const maxBytes = Math.min(contentBytes, resources.diskBytes + 2 * limits.logBytes + SLACK_BYTES)
    let last: unknown
    await this.#options.inline.bring(content)
    for (const { peer, agreement } of sources) {
      try {
        await this.#options.fetch({ cid: content, from: peer === '' ? [] : [peer], agreementId: agreement, maxBytes, pinFor: owner, signal })
        return { opinion, content, files: await this.#options.content.list(content), path: undefined }
      } catch (err) {
        if (isDiskFault(err) || isOursAlone(err) || signal.aborted) throw err
        last = err
      }
    }
    throw new Lost(opinion, last)
  }
}

/** One comparison of results that are all here. */
class Comparing {
  readonly #content: ContentPort
  readonly #programs: ComparePrograms
  readonly #document: JobDocument
  readonly #task: number
  readonly #dir: string
  readonly #signal: AbortSignal
  #module: Promise<string> | undefined

  constructor(content: ContentPort, programs: ComparePrograms, { document, task }: EffectOf<'compare'>, dir: string, signal: AbortSignal) {
    this.#content = content
    this.#programs = programs
    this.#document = document
    this.#task = task
    this.#dir = dir
    this.#signal = signal
  }

  async decide({ fresh: { segment } }: EffectOf<'compare'>, [fresh, ...against]: Side[]): Promise<Comparison> {
    const { compare, segments } = this.#document
    if (fresh === undefined) throw new HearthError('E_INVARIANT', 'nothing was to be compared')
    if (compare?.by === 'verifier') return await this.#verify(compare, fresh)
    let doubt: { doubt?: string } = {}
    for (const other of against) {
      const answer = await this.#same(fresh, other, segment)
      if (answer.kind === 'yes') return { kind: 'same', as: other.opinion }
      if (answer.kind === 'unsure') return answer
      if (answer.kind === 'fault') doubt = { doubt: answer.message }
    }
    const [first] = against
    if (segments === undefined || segment !== undefined || first === undefined) return { kind: 'other', ...doubt }
    const found = await this.#firstDifference(fresh, first, segments)
    return found.kind === 'other' ? { ...found, ...doubt } : found
  }

  async #verify(compare: Compare, result: Side): Promise<Comparison> {
    const inputs = (await this.#filesOf(result, 'result')).concat(await this.#taskInputs())
    const answer = await this.#ask(compare, inputs)
    return answer.kind === 'fault' ? { kind: 'unsure', opinions: [result.opinion], message: answer.message } : { kind: answer.kind === 'yes' ? 'right' : 'wrong' }
  }

  /** The first segment in which two results differ, each being the folder of that name. */
  async #firstDifference(a: Side, b: Side, segments: number): Promise<Comparison> {
    const [ofA, ofB] = [bySegment(a), bySegment(b)]
    let asked = 0
    for (let segment = 0; segment < segments; segment++) {
      if (ofA.get(segment) === ofB.get(segment)) continue
      if (this.#document.compare === undefined) return { kind: 'other', segment }
      if (++asked > MAX_SEGMENT_RUNS) break
      const answer = await this.#same(a, b, segment)
      if (answer.kind === 'unsure') return answer
      if (answer.kind !== 'yes') return { kind: 'other', segment }
    }
    return { kind: 'other' }
  }

  /**
   * Whether two results, or one segment of both, agree. Who makes the program fail even on itself is named, and says nothing of the
   * other; `fault` where each is readable, and only both together are too much.
   */
  async #same(a: Side, b: Side, segment: number | undefined): Promise<Answer | Extract<Comparison, { kind: 'unsure' }>> {
    if (segment === undefined ? a.content === b.content : bySegment(a).get(segment) === bySegment(b).get(segment)) return { kind: 'yes' }
    const { compare } = this.#document
    if (compare === undefined) return { kind: 'no' }
    const answer = await this.#pair(compare, a, b, segment)
    if (answer.kind !== 'fault') return answer
    const unsure: { opinion: string, message: string }[] = []
    for (const side of [a, b]) {
      const alone = await this.#pair(compare, side, side, segment, SELF_RUN_MS)
      if (alone.kind === 'fault') unsure.push({ opinion: side.opinion, message: alone.message })
    }
    const [first] = unsure
    return first === undefined ? answer : { kind: 'unsure', opinions: unsure.map(({ opinion }) => opinion), message: first.message }
  }

  async #pair(compare: Compare, a: Side, b: Side, segment: number | undefined, wallMs?: number): Promise<Answer> {
    return await this.#ask(compare, [...await this.#filesOf(a, 'a', segment), ...await this.#filesOf(b, 'b', segment)], wallMs)
  }

  async #ask(compare: Compare, inputs: RunInput[], wallMs?: number): Promise<Answer> {
    this.#module ??= this.#export(compare.module, 'module.wasm')
    return await this.#programs.ask({ by: compare.by, args: compareArgs(this.#document, this.#task), modulePath: await this.#module }, this.#document, inputs, this.#signal, wallMs)
  }

  async #filesOf(side: Side, place: string, segment?: number): Promise<RunInput[]> {
    side.path ??= this.#export(side.content, side.opinion.replaceAll('/', '-')).catch((err: unknown) => { throw isUnwritable(err) ? new Lost(side.opinion, err) : err })
    const path = await side.path
    return side.files.filter((file) => segment === undefined || isIn(file.path, segment)).map((file) => ({ path: `${place}/${file.path}`, hostPath: join(path, file.path), sizeBytes: file.sizeBytes }))
  }

  async #taskInputs(): Promise<RunInput[]> {
    const found: RunInput[] = []
    for (const [i, { path, cid, kind }] of taskPlan(this.#document, this.#task).inputs.entries()) {
      const hostPath = await this.#export(cid, `input-${i}`)
      for (const file of await this.#content.list(cid)) found.push({ path: kind === 'file' ? `inputs/${path}` : `inputs/${path}/${file.path}`, hostPath: kind === 'file' ? hostPath : join(hostPath, file.path), sizeBytes: file.sizeBytes })
    }
    return found
  }

  async #export(cid: string, name: string): Promise<string> {
    const path = join(this.#dir, name)
    await this.#content.export(cid, path, { signal: this.#signal })
    return path
  }
}

/** Of this computer's system, apart from its disk: a provider cannot help it. */
const OURS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ENOBUFS', 'EACCES', 'EPERM', 'EBUSY'])
/** Names that no disk takes, and content that is no tree. */
const UNWRITABLE: ReadonlySet<string> = new Set(['E_CONTENT_NAME', 'E_CONTENT_FORMAT', 'E_CONTENT_EXISTS', 'ENAMETOOLONG', 'EINVAL', 'EILSEQ', 'ENOTDIR', 'EISDIR'])

/** The codes of an error and of what caused it. */
function codesOf(err: unknown): string[] {
  if (!(err instanceof Error)) return []
  const own = 'code' in err && typeof err.code === 'string' ? [err.code] : []
  return err.cause instanceof Error && 'code' in err.cause && typeof err.cause.code === 'string' ? [...own, err.cause.code] : own
}

function isOursAlone(err: unknown): boolean {
  return codesOf(err).some((code) => OURS.has(code))
}

/** Whether a result cannot be laid out on a disk, whoever tries. */
function isUnwritable(err: unknown): boolean {
  return codesOf(err).some((code) => UNWRITABLE.has(code))
}

function isIn(path: string, segment: number): boolean {
  return path.startsWith(`${segmentPath(segment)}/`)
}

/** What lies in each segment's folder, as one text: equal ones hold equal files. */
function bySegment({ files }: Side): Map<number, string> {
  const found = new Map<number, string>()
  for (const { path, cid } of files) {
    const [, number = '', rest = ''] = /^out\/segment-(0|[1-9]\d{0,4})\/(.+)$/.exec(path) ?? []
    if (number !== '') found.set(Number(number), `${found.get(Number(number)) ?? ''}${rest}\0${cid}\n`)
  }
  return found
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
  })
}
