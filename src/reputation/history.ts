import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import { DAY_MS } from '../units.ts'

/** Experience halves in weight in this time, so that peers can mend, and old merit does not shield a new liar. */
const HALF_LIFE_MS = 30 * DAY_MS
/** Peers remembered. 10,000 records of about 200 bytes; beyond, the one not met for longest goes. */
const MAX_PEERS = 10_000
/** A wrong result weighs as much as this many failures. */
const WRONG_WEIGHT = 10
export const PEER_PREFIX = 'peer/'

/** What this node saw of one peer. Counts decay, so they are not whole numbers. */
export type PeerHistory = {
  v: 1
  peer: string
  completed: number
  failed: number
  late: number
  wrong: number
  /** Replicated valid results in a row: BOINC's `consecutive_valid`. */
  consecutiveValid: number
  /** As a requester here: tasks served, and those that failed by its program. */
  served: number
  faulty: number
  /** The owner's own rating, 1 to 5; 0 when none was given. */
  stars: number
  updatedWallMs: number
}

export type Deed = 'completed' | 'failed' | 'late' | 'wrong' | 'served' | 'faulty'

function fresh(peer: string, wallMs: number): PeerHistory {
  return { v: 1, peer, completed: 0, failed: 0, late: 0, wrong: 0, consecutiveValid: 0, served: 0, faulty: 0, stars: 0, updatedWallMs: wallMs }
}

function decayed(history: PeerHistory, wallMs: number): PeerHistory {
  const factor = 0.5 ** (Math.max(0, wallMs - history.updatedWallMs) / HALF_LIFE_MS)
  return {
    ...history,
    completed: history.completed * factor,
    failed: history.failed * factor,
    late: history.late * factor,
    wrong: history.wrong * factor,
    served: history.served * factor,
    faulty: history.faulty * factor,
    updatedWallMs: Math.max(wallMs, history.updatedWallMs)
  }
}

/** Local history of peers: nobody's word but our own experience. */
export class Histories {
  readonly #peers = new Map<string, PeerHistory>()

  get(peer: string, wallMs: number): PeerHistory {
    const history = this.#peers.get(peer)
    return history === undefined ? fresh(peer, wallMs) : decayed(history, wallMs)
  }

  all(): Iterable<PeerHistory> {
    return this.#peers.values()
  }

  /** `replicated` tells that the result was compared with another's: only then does trust in it grow. */
  record(turn: Turn, peer: string, deed: Deed, options: { replicated?: boolean } = {}): void {
    const history = this.get(peer, turn.now.wallMs)
    history[deed] += 1
    if (deed === 'completed' && options.replicated === true) history.consecutiveValid += 1
    if (deed === 'failed' || deed === 'late' || deed === 'wrong') history.consecutiveValid = 0
    this.#store(turn, history)
  }

  rate(turn: Turn, peer: string, stars: number): void {
    this.#store(turn, { ...this.get(peer, turn.now.wallMs), stars })
  }

  /** What is stored of the present state, for snapshots. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const history of this.#peers.values()) yield [PEER_PREFIX + history.peer, { ...history }]
  }

  restore(value: StoredRecord): void {
    const history = value as PeerHistory
    this.#peers.set(history.peer, { ...fresh(history.peer, 0), ...history })
  }

  #store(turn: Turn, history: PeerHistory): void {
    this.#peers.delete(history.peer)
    this.#peers.set(history.peer, history)
    turn.put(PEER_PREFIX + history.peer, { ...history })
    if (this.#peers.size > MAX_PEERS) {
      const oldest = this.#peers.keys().next().value
      if (oldest !== undefined) { this.#peers.delete(oldest); turn.delete(PEER_PREFIX + oldest) }
    }
  }
}

/**
 * Probability, by the rule of succession, that the next task ends well: (good + 1) / (good + bad + 2); the owner's stars
 * move it by up to a fifth. 0 to 1; an unknown peer has 0.5.
 */
export function score(history: PeerHistory): number {
  const bad = history.failed + history.late + WRONG_WEIGHT * history.wrong
  const base = (history.completed + 1) / (history.completed + bad + 2)
  return history.stars === 0 ? base : Math.min(1, Math.max(0, base + (history.stars - 3) / 10))
}

/** Peers caught with a wrong result are shunned while the memory of it weighs at least a half. */
export function shunned(history: PeerHistory): boolean {
  return history.wrong >= 0.5
}
