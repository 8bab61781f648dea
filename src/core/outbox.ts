import type { Message } from '../documents/message.ts'
import { SECOND_MS } from '../units.ts'
import type { StoredRecord } from './effect.ts'
import type { Timers } from './timers.ts'
import type { Turn } from './turn.ts'

const FIRST_REPEAT_MS = 2 * SECOND_MS
const LAST_REPEAT_MS = 30 * SECOND_MS

type OutboxRecord = { v: 1, key: string, to: string, message: Message, expiresWallMs: number }
interface Entry extends OutboxRecord { tries: number }

export const OUTBOX_PREFIX = 'outbox/'
const TIMER_PREFIX = 'outbox|'

/**
 * Messages that must arrive although either side may be killed at any line. An entry is committed in the same batch as
 * the state that says it; it is repeated, identical, until the answer's own transition removes it or it expires.
 * Receivers treat a repetition as news they know.
 */
export class Outbox {
  readonly #entries = new Map<string, Entry>()
  readonly #byPeer = new Map<string, Set<string>>()
  readonly #timers: Timers

  constructor(timers: Timers) {
    this.#timers = timers
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  add(turn: Turn, key: string, to: string, message: Message, expiresWallMs: number): void {
    const entry: Entry = { v: 1, key, to, message, expiresWallMs, tries: 0 }
    this.#index(entry)
    turn.put(OUTBOX_PREFIX + key, { v: 1, key, to, message, expiresWallMs })
    this.#sendNow(turn, entry)
  }

  /** The answer came, or the matter is closed. Unknown keys are fine: answers repeat too. */
  done(turn: Turn, key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    const keys = this.#byPeer.get(entry.to)
    keys?.delete(key)
    if (keys?.size === 0) this.#byPeer.delete(entry.to)
    this.#timers.clear(TIMER_PREFIX + key)
    turn.delete(OUTBOX_PREFIX + key)
  }

  /** The same, on a peer's word: only the one that an entry is for can answer it. */
  answered(turn: Turn, key: string, from: string): void {
    if (this.#entries.get(key)?.to === from) this.done(turn, key)
  }

  /** Everything for this peer goes out again now: it came back. */
  peerConnected(turn: Turn, peer: string): void {
    for (const key of this.#byPeer.get(peer) ?? []) {
      const entry = this.#entries.get(key)
      if (entry !== undefined && entry.tries > 0) this.#sendNow(turn, { ...entry, tries: 0 })
    }
  }

  /** After a restart: everything goes out again. */
  start(turn: Turn): void {
    for (const entry of this.#entries.values()) this.#sendNow(turn, entry)
  }

  /** True when `timer` was one of ours. */
  timer(turn: Turn, timer: string): boolean {
    if (!timer.startsWith(TIMER_PREFIX)) return false
    const entry = this.#entries.get(timer.slice(TIMER_PREFIX.length))
    if (entry === undefined) return true
    if (turn.now.wallMs >= entry.expiresWallMs) this.done(turn, entry.key)
    else this.#sendNow(turn, entry)
    return true
  }

  /** What is stored of the present state, for snapshots. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const { v, key, to, message, expiresWallMs } of this.#entries.values()) yield [OUTBOX_PREFIX + key, { v, key, to, message, expiresWallMs }]
  }

  restore(value: StoredRecord): void {
    this.#index({ ...value as OutboxRecord, tries: 0 })
  }

  #index(entry: Entry): void {
    this.#entries.set(entry.key, entry)
    const keys = this.#byPeer.get(entry.to) ?? new Set()
    keys.add(entry.key)
    this.#byPeer.set(entry.to, keys)
  }

  #sendNow(turn: Turn, entry: Entry): void {
    const tries = entry.tries + 1
    this.#entries.set(entry.key, { ...entry, tries })
    turn.send(entry.to, entry.message)
    this.#timers.set(TIMER_PREFIX + entry.key, turn.now.monoMs + Math.min(FIRST_REPEAT_MS * 2 ** (tries - 1), LAST_REPEAT_MS))
  }
}
