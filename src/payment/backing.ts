import type { StoredRecord } from '../core/effect.ts'
import type { Turn } from '../core/turn.ts'
import type { BondExposure } from '../documents/acceptance.ts'
import type { Recipient } from './recipient.ts'

/** The last number that an agreement took. */
export const BACKING_PREFIX = 'exposure/'
const KEY = `${BACKING_PREFIX}last`
type BackingRecord = { v: 1, sequence: number }
/** One requester has no more of the bond than half, or one share: it could keep it all taken by closing nothing. */
const REQUESTER_PART = 2n

/**
 * What a provider's bond stands behind: each agreement until its requester closes it or it expires, be it long over here.
 * Its own word that one is over frees nothing, or whoever was paid ahead could not tell an honest provider from a liar.
 */
export class Backing {
  readonly #recipients: ReadonlyMap<string, Recipient>
  /** Those that may count; the others are dropped when they are looked at. */
  readonly #behind = new Set<string>()
  #sequence = 0

  constructor(recipients: ReadonlyMap<string, Recipient>) {
    this.#recipients = recipients
  }

  /** For an agreement of now, which is counted from `add` on. Its number is written in this turn, and never comes again. */
  next(turn: Turn, ownWei: bigint, expiresWallMs: number): BondExposure {
    this.#sequence = Math.max(this.#sequence + 1, Math.floor(turn.now.wallMs))
    turn.put(KEY, this.#record)
    return { sequence: this.#sequence, ownWei, totalWei: this.exposedWei(turn.now.wallMs) + ownWei, expiresWallMs }
  }

  add(id: string): void {
    this.#behind.add(id)
  }

  /** Under agreements with `requester`, or with all. */
  exposedWei(wallMs: number, requester?: string): bigint {
    let sumWei = 0n
    for (const id of this.#behind) {
      const recipient = this.#recipients.get(id)
      const wei = recipient?.exposedWei(wallMs) ?? 0n
      if (wei === 0n) this.#behind.delete(id)
      else if (requester === undefined || recipient?.earning.requester === requester) sumWei += wei
    }
    return sumWei
  }

  /** What of a bond could stand behind one more agreement with this requester. `shares`: agreements that it is meant for at once. */
  freeFor(requester: string, { bondWei, shares, wallMs }: { bondWei: bigint, shares: number, wallMs: number }): bigint {
    const [share, part] = [bondWei / BigInt(shares), bondWei / REQUESTER_PART]
    const theirsWei = (share > part ? share : part) - this.exposedWei(wallMs, requester)
    const allWei = bondWei - this.exposedWei(wallMs)
    const leastWei = allWei < theirsWei ? allWei : theirsWei
    return leastWei > 0n ? leastWei : 0n
  }

  * records(): Generator<[key: string, value: StoredRecord]> {
    if (this.#sequence > 0) yield [KEY, this.#record]
  }

  restore(value: StoredRecord): void {
    this.#sequence = (value as BackingRecord).sequence
  }

  get #record(): BackingRecord {
    return { v: 1, sequence: this.#sequence }
  }
}
