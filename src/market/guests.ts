import type { StoredRecord } from '../core/effect.ts'
import type { Standing } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import { DAY_MS, HOUR_MS } from '../units.ts'
import type { Unmet } from './fit.ts'

/** Whom a host serves without payment, and how much of it. */
export interface FreePolicy {
  /** PeerIds beyond the own network; `anyone` serves whoever asks. */
  allow: readonly string[] | 'anyone'
  /** Core-milliseconds that one requester gets in a UTC day. */
  coreMsADay: number
}

export const GUEST_PREFIX = 'guest/'
/** Requesters whose use of today is remembered; beyond, the one not served for longest goes. */
const MAX_GUESTS = 10_000

/** What one requester was given today. */
export type GuestRecord = { v: 1, peer: string, day: number, coreMs: number }

/**
 * Free mode: nobody pays, so a host serves those on its own network and those it names, each up to a quota, and never
 * through a relay, behind which anybody may be.
 */
export class Guests {
  readonly #policy: FreePolicy
  readonly #used = new Map<string, GuestRecord>()

  constructor(policy: FreePolicy) {
    this.#policy = policy
  }

  /** Why this requester is not served for free now. How it is connected may not be known yet: then only its quota counts. */
  unmet(requester: string, standing: Standing | undefined, wallMs: number): Unmet | undefined {
    const { allow, coreMsADay } = this.#policy
    if (standing === 'relayed') return { code: 'E_FREE_RELAYED', message: 'serves nobody for free through a relay' }
    const welcome = allow === 'anyone' || allow.includes(requester) || standing === 'local' || standing === undefined
    if (!welcome) return { code: 'E_FREE_STRANGER', message: 'serves for free only its own network and the peers it names' }
    if (this.usedCoreMs(requester, wallMs) >= coreMsADay) return { code: 'E_FREE_QUOTA', message: `has given this requester its ${coreMsADay / HOUR_MS} free core-hours of today` }
    return undefined
  }

  usedCoreMs(requester: string, wallMs: number): number {
    const record = this.#used.get(requester)
    return record?.day === dayOf(wallMs) ? record.coreMs : 0
  }

  used(turn: Turn, requester: string, coreMs: number): void {
    const { wallMs } = turn.now
    const record: GuestRecord = { v: 1, peer: requester, day: dayOf(wallMs), coreMs: this.usedCoreMs(requester, wallMs) + Math.max(0, coreMs) }
    this.#used.delete(requester)
    this.#used.set(requester, record)
    turn.put(GUEST_PREFIX + requester, record)
    if (this.#used.size <= MAX_GUESTS) return
    const oldest = this.#used.keys().next().value ?? ''
    this.#used.delete(oldest)
    turn.delete(GUEST_PREFIX + oldest)
  }

  /** What is stored of the present state, for snapshots. */
  * records(): Generator<[key: string, value: StoredRecord]> {
    for (const record of this.#used.values()) yield [GUEST_PREFIX + record.peer, record]
  }

  restore(value: StoredRecord): void {
    const record = value as GuestRecord
    this.#used.set(record.peer, record)
  }
}

function dayOf(wallMs: number): number {
  return Math.floor(wallMs / DAY_MS)
}
