import { accept, refuse } from '../codec/result.ts'
import type { Result } from '../codec/result.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { CommitLot } from '../documents/pay-message.ts'
import { MAX_OPEN_COMMITS } from '../documents/terms.ts'

export const SPENT_COMMITS_PREFIX = 'spent/'
const PAGE_COMMITS = 64
/** 64 bits of a commit tell two apart: a false alarm has a chance of 2^-33 over a whole agreement. */
const SHORT_CHARS = 18

type PageRecord = { v: 1, agreement: string, page: number, commits: string[] }
export interface OpenCommit { index: number, commit: string, expirySec: number }

/**
 * A payer's view of one agreement's commits: which may be used next, and which were used, ever. Each is used once; a
 * provider that offers one again, or another under a number it gave before, is told so and gets no more tickets.
 */
export class Commits {
  readonly #agreement: string
  /** By number, in growing order. In memory only: after a restart the provider is asked again. */
  readonly #open = new Map<number, OpenCommit>()
  #last = -1
  #isSorted = true
  readonly #openShort = new Map<string, number>()
  readonly #spent = new Set<string>()
  readonly #pages = new Map<number, string[]>()
  /** Numbers below were used or passed over. */
  #next: number

  constructor(agreement: string, next: number) {
    this.#agreement = agreement
    this.#next = next
  }

  get next(): number {
    return this.#next
  }

  get open(): number {
    return this.#open.size
  }

  /** Takes in what the provider offers; known ones must be the same. Refused: E_COMMIT_REPEATED, E_COMMIT_CHANGED, E_COMMIT_EXPIRY. */
  offered(lots: readonly CommitLot[], maxExpirySec: number): Result<number> {
    let fresh = 0
    for (const { first, expirySec, commits } of lots) {
      if (expirySec > maxExpirySec) return refuse('E_COMMIT_EXPIRY', `commits whose tickets would live until ${expirySec}, longer than agreed`)
      for (const [i, commit] of commits.entries()) {
        const index = first + i
        const known = this.#open.get(index)
        if (known !== undefined) {
          if (known.commit !== commit || known.expirySec !== expirySec) return refuse('E_COMMIT_CHANGED', `commit ${index} is another than before`)
          continue
        }
        if (index < this.#next) continue
        const short = commit.slice(0, SHORT_CHARS)
        if (this.#spent.has(short) || this.#openShort.has(short)) return refuse('E_COMMIT_REPEATED', `commit ${index} was offered before under another number`)
        if (this.#open.size >= MAX_OPEN_COMMITS) return accept(fresh)
        this.#open.set(index, { index, commit, expirySec })
        if (index < this.#last) this.#isSorted = false
        else this.#last = index
        this.#openShort.set(short, index)
        fresh++
      }
    }
    return accept(fresh)
  }

  /** The lowest one whose ticket would live until `minExpirySec` at least; those before it are passed over for good. */
  peek(minExpirySec: number): OpenCommit | undefined {
    for (const open of this.#inOrder()) {
      if (open.index >= this.#next && open.expirySec >= minExpirySec) return open
      this.#drop(open)
    }
    return undefined
  }

  /** Marks it used: written now, so that it is on disk before its ticket leaves to be signed. */
  use(turn: Turn, open: OpenCommit): void {
    this.#drop(open)
    this.#next = open.index + 1
    const page = Math.floor(open.index / PAGE_COMMITS)
    const short = open.commit.slice(0, SHORT_CHARS)
    const commits = [...this.#pages.get(page) ?? [], short]
    this.#pages.set(page, commits)
    this.#spent.add(short)
    turn.put(this.#key(page), this.#record(page, commits))
  }

  forget(turn: Turn): void {
    for (const page of this.#pages.keys()) turn.delete(this.#key(page))
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const [page, commits] of this.#pages) yield [this.#key(page), this.#record(page, commits)]
  }

  restorePage(value: StoredRecord): void {
    const { page, commits } = value as PageRecord
    this.#pages.set(page, commits)
    for (const short of commits) this.#spent.add(short)
  }

  /** Whose agreement a stored page is. */
  static agreementOf(value: StoredRecord): string {
    return (value as PageRecord).agreement
  }

  /** Lots may come in any order, but numbers are used in growing order. */
  #inOrder(): Iterable<OpenCommit> {
    if (!this.#isSorted) {
      const sorted = [...this.#open].sort(([a], [b]) => a - b)
      this.#open.clear()
      for (const [index, open] of sorted) this.#open.set(index, open)
      this.#last = sorted.at(-1)?.[0] ?? -1
      this.#isSorted = true
    }
    return this.#open.values()
  }

  #drop({ index, commit }: OpenCommit): void {
    this.#open.delete(index)
    this.#openShort.delete(commit.slice(0, SHORT_CHARS))
  }

  #key(page: number): string {
    return `${SPENT_COMMITS_PREFIX}${this.#agreement}/${page}`
  }

  #record(page: number, commits: string[]): PageRecord {
    return { v: 1, agreement: this.#agreement, page, commits }
  }
}
