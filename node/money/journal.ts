import type { PaymentTerms } from '../../src/documents/terms.ts'
import type { Winner } from '../../src/documents/ticket.ts'
import { DAY_MS } from '../../src/units.ts'
import type { RedemptionReport } from '../chain/index.ts'
import type { Room } from '../store/record-store.ts'
import { addTickets, NO_TICKETS } from './sums.ts'
import type { TicketTotals } from './sums.ts'

/** Thirteen months, so that a month can be compared with the same one a year ago. */
const MAX_DAYS = 400
/** Jobs that earned here; the one longest without a ticket gives way. */
const MAX_JOBS = 1000
/** Own winners that are shown one by one; sums hold them all. Ended ones give way first. */
const MAX_WINNERS = 4096
/** Winners that others drew from our deposit, for bills. */
const MAX_SPENT = 8192

/** One day (UTC), or all of them. */
export interface MoneyDay {
  v: 1
  day: number
  received: TicketTotals
  issued: TicketTotals
  /** Own winners that the chain paid, what it cost, and those that it never will pay. */
  redeemed: { count: number, wei: bigint, gasWei: bigint }
  lost: { count: number, wei: bigint }
  /** What winners of others took from our deposit. */
  spent: { count: number, wei: bigint }
}
export interface EarnedJob { v: 1, job: string, requester: string, lastWallMs: number, received: TicketTotals }
export interface OwnWinner { v: 1, digest: string, agreement: string, job: string, peer: string, faceWei: bigint, wonWallMs: number, state: 'pending' | 'submitted' | 'underfunded' | 'redeemed' | 'defaulted' | 'refused', paidWei: bigint, gasWei: bigint, endedDay?: number }
/** A ticket of ours that won. Agreement and job are empty where they could not be found out. */
export interface SpentWinner { v: 1, digest: string, agreement: string, job: string, faceWei: bigint, wallMs: number }
interface Mark { tickets: number, wins: number }
interface Meta { sinceWallMs: number, scannedBlock?: number }

/** What the journal reads of the core: its own durable counts. */
export interface Books {
  recipients(): Iterable<{ id: string, tickets: number, wins: number, earning: { job: string, requester: string, terms: PaymentTerms } }>
  senders(): Iterable<{ id: string, issued: number, payment: { terms: PaymentTerms } }>
}

const PREFIX = { day: 'day/', job: 'job/', winner: 'winner/', spent: 'spent/', received: 'mark/r/', issued: 'mark/s/' } as const
const TOTAL = 'total'
const META = 'meta'

function emptyDay(day: number): MoneyDay {
  return { v: 1, day, received: NO_TICKETS, issued: NO_TICKETS, redeemed: { count: 0, wei: 0n, gasWei: 0n }, lost: { count: 0, wei: 0n }, spent: { count: 0, wei: 0n } }
}

/**
 * What money did, by day and by job, for people. It follows the core's counts rather than its events, with a mark for what is
 * counted of each agreement: so a crash loses nothing and counts nothing twice.
 */
export class MoneyJournal {
  readonly #room: Room
  readonly #books: Books
  readonly #nowWallMs: () => number
  readonly #days = new Map<number, MoneyDay>()
  readonly #jobs = new Map<string, EarnedJob>()
  readonly #winners = new Map<string, OwnWinner>()
  readonly #spent = new Map<string, SpentWinner>()
  readonly #marks = { received: new Map<string, Mark>(), issued: new Map<string, Mark>() }
  #total: MoneyDay = emptyDay(0)
  #meta: Meta
  #changed = new Map<string, unknown>()
  #writing: Promise<void> = Promise.resolve()

  private constructor(room: Room, books: Books, nowWallMs: () => number) {
    this.#room = room
    this.#books = books
    this.#nowWallMs = nowWallMs
    this.#meta = { sinceWallMs: nowWallMs() }
  }

  static async open(room: Room, books: Books, nowWallMs: () => number = Date.now): Promise<MoneyJournal> {
    const journal = new MoneyJournal(room, books, nowWallMs)
    const entries = await room.load()
    for (const [key, value] of entries) journal.#restore(key, value)
    journal.#sort()
    if (!entries.some(([key]) => key === META)) journal.#set(META, journal.#meta)
    return journal
  }

  get sinceWallMs(): number { return this.#meta.sinceWallMs }
  get total(): MoneyDay { return this.#total }
  /** Newest first. */
  get days(): MoneyDay[] { return [...this.#days.values()].sort((a, b) => b.day - a.day) }
  get jobs(): EarnedJob[] { return [...this.#jobs.values()].sort((a, b) => b.lastWallMs - a.lastWallMs) }
  get winners(): OwnWinner[] { return [...this.#winners.values()].sort((a, b) => b.wonWallMs - a.wonWallMs) }
  get spent(): Iterable<SpentWinner> { return this.#spent.values() }
  winner(digest: string): OwnWinner | undefined { return this.#winners.get(digest) }
  hasSpent(digest: string): boolean { return this.#spent.has(digest) }

  /** The last block whose redemptions of our tickets are counted. */
  get scannedBlock(): number | undefined { return this.#meta.scannedBlock }

  /** Takes in what the core has counted since the last look, and writes it. */
  async look(): Promise<void> {
    const live = { received: new Set<string>(), issued: new Set<string>() }
    for (const { id, tickets, wins, earning: { job, requester, terms } } of this.#books.recipients()) {
      live.received.add(id)
      const more = this.#advance('received', id, { tickets, wins })
      if (more === undefined) continue
      this.#count((day) => ({ ...day, received: addTickets(day.received, terms, more.tickets, more.wins) }))
      this.#earned(job, requester, (received) => addTickets(received, terms, more.tickets, more.wins))
    }
    for (const { id, issued, payment: { terms } } of this.#books.senders()) {
      live.issued.add(id)
      const more = this.#advance('issued', id, { tickets: issued, wins: 0 })
      if (more !== undefined) this.#count((day) => ({ ...day, issued: addTickets(day.issued, terms, more.tickets, 0) }))
    }
    for (const side of ['received', 'issued'] as const) for (const id of this.#marks[side].keys()) if (!live[side].has(id)) { this.#marks[side].delete(id); this.#set(PREFIX[side] + id, undefined) }
    await this.flush()
  }

  /** A ticket won here; a known one changes nothing. */
  won({ digest, agreement, ticket }: Winner, of: { job: string, requester: string } | undefined): void {
    if (this.#winners.has(digest)) return
    this.#putWinner({ v: 1, digest, agreement, job: of?.job ?? '', peer: of?.requester ?? '', faceWei: ticket.faceValueWei, wonWallMs: this.#nowWallMs(), state: 'pending', paidWei: 0n, gasWei: 0n })
    if (this.#winners.size <= MAX_WINNERS) return
    const oldest = [...this.#winners.values()].find(({ endedDay }) => endedDay !== undefined) ?? this.#winners.values().next().value
    if (oldest !== undefined) { this.#winners.delete(oldest.digest); this.#set(PREFIX.winner + oldest.digest, undefined) }
  }

  /** What the chain did of a winner. Resolves when it is written; the same report twice counts once. */
  async redemption(report: RedemptionReport): Promise<OwnWinner | undefined> {
    const winner = this.#winners.get(report.digest)
    if (winner === undefined) return undefined
    const changed = this.#afterReport(winner, report)
    if (changed !== undefined) {
      this.#countEnd(winner, -1n)
      this.#countEnd(changed, 1n)
      this.#putWinner(changed)
    }
    await this.flush()
    return changed
  }

  /** Tickets of ours that won, up to this block. */
  async drawn(winners: readonly Omit<SpentWinner, 'v' | 'wallMs'>[], scannedBlock: number): Promise<void> {
    for (const winner of winners) {
      if (this.#spent.has(winner.digest)) continue
      const record: SpentWinner = { v: 1, ...winner, wallMs: this.#nowWallMs() }
      this.#spent.set(winner.digest, record)
      this.#set(PREFIX.spent + winner.digest, record)
      this.#count((day) => ({ ...day, spent: { count: day.spent.count + 1, wei: day.spent.wei + winner.faceWei } }))
      if (this.#spent.size > MAX_SPENT) {
        const oldest = this.#spent.keys().next().value ?? ''
        this.#spent.delete(oldest)
        this.#set(PREFIX.spent + oldest, undefined)
      }
    }
    this.#meta = { ...this.#meta, scannedBlock }
    this.#set(META, this.#meta)
    await this.flush()
  }

  /** Resolves when all so far is on the disk. A disk that fails ends no payment: the next write brings it along. */
  async flush(): Promise<void> {
    const entries = [...this.#changed]
    this.#changed = new Map()
    if (entries.length > 0) {
      this.#writing = this.#writing.then(() => this.#room.write(entries)).catch(() => {
        for (const [key, value] of entries) if (!this.#changed.has(key)) this.#changed.set(key, value)
      })
    }
    await this.#writing
  }

  #advance(side: 'received' | 'issued', id: string, now: Mark): Mark | undefined {
    const mark = this.#marks[side].get(id) ?? { tickets: 0, wins: 0 }
    // after a crash the core may be behind what was seen of it: it comes to the same again
    if (now.tickets <= mark.tickets && now.wins <= mark.wins) return undefined
    const next = { tickets: Math.max(now.tickets, mark.tickets), wins: Math.max(now.wins, mark.wins) }
    this.#marks[side].set(id, next)
    this.#set(PREFIX[side] + id, next)
    return { tickets: next.tickets - mark.tickets, wins: next.wins - mark.wins }
  }

  #count(change: (day: MoneyDay) => MoneyDay): void {
    const number = Math.floor(this.#nowWallMs() / DAY_MS)
    const day = change(this.#days.get(number) ?? emptyDay(number))
    this.#days.set(number, day)
    this.#set(PREFIX.day + number, day)
    this.#total = change(this.#total)
    this.#set(TOTAL, this.#total)
    if (this.#days.size <= MAX_DAYS) return
    const oldest = Math.min(...this.#days.keys())
    this.#days.delete(oldest)
    this.#set(PREFIX.day + oldest, undefined)
  }

  #earned(job: string, requester: string, add: (received: TicketTotals) => TicketTotals): void {
    const row: EarnedJob = { v: 1, job, requester, lastWallMs: this.#nowWallMs(), received: add(this.#jobs.get(job)?.received ?? NO_TICKETS) }
    this.#jobs.delete(job)
    this.#jobs.set(job, row)
    this.#set(PREFIX.job + job, row)
    if (this.#jobs.size <= MAX_JOBS) return
    const oldest = this.#jobs.keys().next().value ?? ''
    this.#jobs.delete(oldest)
    this.#set(PREFIX.job + oldest, undefined)
  }

  #afterReport(winner: OwnWinner, report: RedemptionReport): OwnWinner | undefined {
    const { endedDay: _, ...open } = winner
    const day = Math.floor(this.#nowWallMs() / DAY_MS)
    const isOver = winner.endedDay !== undefined
    switch (report.kind) {
      case 'submitted': return isOver || winner.state === 'submitted' ? undefined : { ...winner, state: 'submitted' }
      case 'underfunded': return isOver || winner.state === 'underfunded' ? undefined : { ...winner, state: 'underfunded' }
      // a notice may be told again after a crash
      case 'noticed': return winner.gasWei > 0n ? undefined : { ...winner, gasWei: winner.gasWei + report.feeWei }
      case 'reorged': return isOver ? { ...open, state: 'pending', paidWei: 0n } : undefined
      case 'redeemed': return isOver ? undefined : { ...winner, state: 'redeemed', paidWei: report.paidWei, gasWei: winner.gasWei + report.feeWei, endedDay: day }
      case 'lost-race': return isOver ? undefined : { ...winner, state: 'redeemed', paidWei: winner.faceWei, endedDay: day }
      case 'defaulted': return isOver ? undefined : { ...winner, state: 'defaulted', paidWei: report.paidWei, gasWei: winner.gasWei + report.feeWei, endedDay: day }
      case 'refused': return isOver ? undefined : { ...winner, state: 'refused', endedDay: day }
    }
  }

  /** Adds an end to the sums of now, or takes it away when a reorganisation undid it. */
  #countEnd({ endedDay, state, paidWei, gasWei, faceWei }: OwnWinner, sign: 1n | -1n): void {
    if (endedDay === undefined) return
    const one = Number(sign)
    this.#count((day) => state === 'refused'
      ? { ...day, lost: { count: day.lost.count + one, wei: day.lost.wei + sign * faceWei } }
      : { ...day, redeemed: { count: day.redeemed.count + one, wei: day.redeemed.wei + sign * paidWei, gasWei: day.redeemed.gasWei + sign * gasWei } })
  }

  #putWinner(winner: OwnWinner): void {
    this.#winners.set(winner.digest, winner)
    this.#set(PREFIX.winner + winner.digest, winner)
  }

  #set(key: string, value: unknown): void {
    this.#changed.set(key, value)
  }

  /** By age, as they were before they were stored by key: the oldest give way. */
  #sort(): void {
    const byAge = <T>(map: Map<string, T>, ageOf: (value: T) => number): void => {
      const sorted = [...map].sort(([, a], [, b]) => ageOf(a) - ageOf(b))
      map.clear()
      for (const [key, value] of sorted) map.set(key, value)
    }
    byAge(this.#jobs, ({ lastWallMs }) => lastWallMs)
    byAge(this.#winners, ({ wonWallMs }) => wonWallMs)
    byAge(this.#spent, ({ wallMs }) => wallMs)
  }

  #restore(key: string, value: unknown): void {
    const is = (prefix: string): string | undefined => key.startsWith(prefix) ? key.slice(prefix.length) : undefined
    if (key === TOTAL) this.#total = value as MoneyDay
    else if (key === META) this.#meta = value as Meta
    else if (is(PREFIX.day) !== undefined) this.#days.set((value as MoneyDay).day, value as MoneyDay)
    else if (is(PREFIX.job) !== undefined) this.#jobs.set((value as EarnedJob).job, value as EarnedJob)
    else if (is(PREFIX.winner) !== undefined) this.#winners.set((value as OwnWinner).digest, value as OwnWinner)
    else if (is(PREFIX.spent) !== undefined) this.#spent.set((value as SpentWinner).digest, value as SpentWinner)
    else for (const side of ['received', 'issued'] as const) { const id = is(PREFIX[side]); if (id !== undefined) this.#marks[side].set(id, value as Mark) }
  }
}
