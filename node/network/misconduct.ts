import type { Refusal } from '../../src/codec/result.ts'
import { DAY_MS, MINUTE_MS } from '../../src/units.ts'
import { Lru } from '../keys/index.ts'

/** Mistakes happen: a version with a defect, a clock far off. A third within the memory is no mistake. */
export const FAULTS_TO_BAN = 3
/** Faults older than this are forgotten, all at once, when no new one came. */
export const FAULT_MEMORY_MS = 10 * MINUTE_MS
/** The first refusal lasts this long; each further one twice as long, up to the longest. */
export const BAN_MS = 10 * MINUTE_MS
export const MAX_BAN_MS = DAY_MS
/** Peers remembered. Each costs its owner a handshake and a fault, so filling the table is slow. */
export const MAX_ENTRIES = 4096

/**
 * So many small faults count as one: what is cheap to refuse, and a defect of an honest peer could send in a row before its
 * owner looks.
 */
export const SMALL_FAULTS = 20

/**
 * What a payer that keeps its books never sends. What else a ticket is refused for may be our own view of its money, or a
 * clock: no fault of its own.
 */
export const WRONG_TICKETS: ReadonlySet<string> = new Set(['E_TICKET_FIELD', 'E_TICKET_UNOFFERED', 'E_TICKET_SPENT'])

interface Entry {
  /** Counted in small ones. */
  faults: number
  lastFaultMs: number
  bans: number
  bannedUntilMs: number
}

interface MisconductInit {
  /** Monotonic milliseconds. */
  monoMs: () => number
  /** Close every connection to the peer. Called when a ban begins. */
  onBanned: (peer: string, last: Refusal) => void
}

/** Counts what peers sent that no honest peer sends, on any protocol, and refuses those who do it again and again. */
export class Misconduct {
  readonly #init: MisconductInit
  readonly #entries = new Lru<Entry>(MAX_ENTRIES)

  constructor(init: MisconductInit) {
    this.#init = init
  }

  report(peer: string, refusal: Refusal, { small = false }: { small?: boolean } = {}): void {
    const nowMs = this.#init.monoMs()
    const entry = this.#entries.get(peer) ?? { faults: 0, lastFaultMs: nowMs, bans: 0, bannedUntilMs: 0 }
    if (nowMs - entry.lastFaultMs > FAULT_MEMORY_MS) entry.faults = 0
    entry.faults += small ? 1 : SMALL_FAULTS
    entry.lastFaultMs = nowMs
    this.#entries.set(peer, entry)
    if (entry.faults < FAULTS_TO_BAN * SMALL_FAULTS || entry.bannedUntilMs > nowMs) return
    entry.bannedUntilMs = nowMs + Math.min(MAX_BAN_MS, BAN_MS * 2 ** entry.bans)
    entry.bans = Math.min(entry.bans + 1, 16)
    this.#init.onBanned(peer, refusal)
  }

  /** Faults still remembered: whole ones. */
  faultsOf(peer: string): number {
    const entry = this.#entries.get(peer)
    if (entry === undefined || this.#init.monoMs() - entry.lastFaultMs > FAULT_MEMORY_MS) return 0
    return Math.floor(entry.faults / SMALL_FAULTS)
  }

  isBanned(peer: string): boolean {
    const entry = this.#entries.get(peer)
    return entry !== undefined && entry.bannedUntilMs > this.#init.monoMs()
  }
}
