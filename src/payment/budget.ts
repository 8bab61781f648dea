import { refuse } from '../codec/result.ts'
import type { Refusal } from '../codec/result.ts'
import type { StoredRecord } from '../core/effect.ts'
import type { Now } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import { DAY_MS } from '../units.ts'
import { fromWei, toWei } from '../documents/ticket.ts'
import { Cover } from './cover.ts'
import type { Expected } from '../documents/ticket.ts'

export const SPENT_PREFIX = 'spend/'
/** Providers paid in a day; with more, the next is refused rather than forgotten. */
const MAX_PEERS_A_DAY = 4096
/** A clock that was further ahead than this was wrong, not skewed: the day that it shows now counts. */
const MAX_DAYS_BACK = 1

/** The most that the owner lets the node sign for, in expected value. Absent: no limit of that kind. */
export interface Caps { jobWei?: bigint, dayWei?: bigint, peerDayWei?: bigint }
export interface Spending { job: string, peer: string }

type SpentRecord = { v: 1, key: string, spent: Expected }

/** Counts what was signed for, by job, day, and peer and day, durably: a crash gives no budget back. */
export class Budget {
  #caps: Caps
  #paused: Refusal | undefined
  /** What a job's own document lets it cost. */
  readonly #jobCaps = new Map<string, bigint>()
  readonly #spent = new Map<string, Expected>()
  /** The own deposit against what may still win. */
  readonly cover = new Cover()
  #day = -1
  #peers = 0

  constructor(caps: Caps) {
    this.#caps = caps
  }

  get caps(): Readonly<Caps> {
    return this.#caps
  }

  setCaps(caps: Caps): void {
    this.#caps = caps
  }

  /** The job's own cap, beside the owner's. */
  capJob(job: string, capWei: bigint | undefined): void {
    if (capWei !== undefined) this.#jobCaps.set(job, capWei)
  }

  /** Nothing more is signed for while this stands: the deposit may not cover it, or the chain cannot be seen. */
  pause(refusal: Refusal | undefined): void {
    this.#paused = refusal
  }

  /** Why `amount` more is too much now; undefined when it fits. Codes E_BUDGET_JOB, E_BUDGET_DAY, E_BUDGET_PEER. */
  refusal(now: Now, spending: Spending, amount: Expected): Refusal | undefined {
    if (this.#paused !== undefined) return this.#paused
    const keys = this.#keys(now, spending)
    const over = (key: string, capWei: bigint | undefined): boolean => capWei !== undefined && this.spent(key) + amount > fromWei(capWei)
    const jobCapWei = lower(this.#caps.jobWei, this.#jobCaps.get(spending.job))
    if (over(keys.job, jobCapWei)) return refuse('E_BUDGET_JOB', `the job has cost ${toWei(this.spent(keys.job))} wei of its cap of ${jobCapWei}`)
    if (over(keys.day, this.#caps.dayWei)) return refuse('E_BUDGET_DAY', `today has cost ${toWei(this.spent(keys.day))} wei of its cap of ${this.#caps.dayWei}`)
    if (over(keys.peer, this.#caps.peerDayWei)) return refuse('E_BUDGET_PEER', `this provider has cost ${toWei(this.spent(keys.peer))} wei today of its cap of ${this.#caps.peerDayWei}`)
    if (this.#peers >= MAX_PEERS_A_DAY && !this.#spent.has(keys.peer) && this.#dayOf(now) === this.#day) return refuse('E_BUDGET_PEER', `${MAX_PEERS_A_DAY} providers were paid today`)
    return undefined
  }

  spend(turn: Turn, spending: Spending, amount: Expected): void {
    this.#startDay(turn)
    const keys = this.#keys(turn.now, spending)
    if (!this.#spent.has(keys.peer)) this.#peers++
    for (const key of [keys.job, keys.day, keys.peer]) {
      const record: SpentRecord = { v: 1, key, spent: this.spent(key) + amount }
      this.#spent.set(key, record.spent)
      turn.put(SPENT_PREFIX + key, record)
    }
  }

  spent(key: string): Expected {
    return this.#spent.get(key) ?? 0n
  }

  /** By key: `job/ID`, `day/DAY`, `peer/DAY/PEER`. */
  entries(): Iterable<[key: string, spent: Expected]> {
    return this.#spent
  }

  /** Of the day that counts now. */
  spentOnDay(now: Now): Expected {
    return this.spent(`day/${this.#dayOf(now)}`)
  }

  spentOnJob(job: string): Expected {
    return this.spent(`job/${job}`)
  }

  /** The job is forgotten, so its count is. */
  forgetJob(turn: Turn, job: string): void {
    this.#jobCaps.delete(job)
    if (this.#spent.delete(`job/${job}`)) turn.delete(`${SPENT_PREFIX}job/${job}`)
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const [key, spent] of this.#spent) yield [SPENT_PREFIX + key, { v: 1, key, spent } satisfies SpentRecord]
  }

  restore(value: StoredRecord): void {
    const { key, spent } = value as SpentRecord
    this.#spent.set(key, spent)
    const [kind, day] = key.split('/')
    if (kind === 'job') return
    this.#day = Math.max(this.#day, Number(day))
    if (kind === 'peer') this.#peers++
  }

  /** A clock set back a little keeps the later day: else a skewed clock would spend one day's budget twice. */
  #dayOf({ wallMs }: Now): number {
    const day = Math.floor(wallMs / DAY_MS)
    return this.#day > day && this.#day - day <= MAX_DAYS_BACK ? this.#day : day
  }

  #keys(now: Now, { job, peer }: Spending): { job: string, day: string, peer: string } {
    const day = this.#dayOf(now)
    return { job: `job/${job}`, day: `day/${day}`, peer: `peer/${day}/${peer}` }
  }

  #startDay(turn: Turn): void {
    const day = this.#dayOf(turn.now)
    if (day === this.#day) return
    this.#day = day
    this.#peers = 0
    for (const key of this.#spent.keys()) {
      const [kind, of] = key.split('/')
      if (kind === 'job' || Number(of) === day) continue
      this.#spent.delete(key)
      turn.delete(SPENT_PREFIX + key)
    }
  }
}

function lower(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}
