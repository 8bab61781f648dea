import type { ErrorCode } from '../errors.ts'
import type { Bid } from '../documents/bid.ts'
import type { SelectionPolicy } from './selection.ts'

/** Bids kept of one tender; the best peers answer first, and a home requester needs few. */
export const MAX_BIDS = 256
/** Answers counted of one tender, whoever they come from: more than any offer reaches. */
const MAX_ANSWERS = 4096
/** Refusals remembered for `why`, a job. */
const MAX_REFUSALS = 512

/** A bid that was not taken up yet. Its life counts from when it came, by our own clock: the bidder's may be minutes off. */
export interface Spare { bid: Bid, untilMonoMs: number }

export interface Refusal { peer: string, code: ErrorCode, message: string, unmet: ErrorCode[], times: number }

/** One round of asking: who was asked, who answered what. Lives in memory only: after a restart one asks again. */
export class Tender {
  readonly round: number
  readonly #bids = new Map<string, Spare>()
  readonly #answered = new Set<string>()
  #asked: Set<string> | undefined

  constructor(round: number) {
    this.round = round
  }

  get bids(): readonly Spare[] {
    return [...this.#bids.values()]
  }

  get answered(): number {
    return this.#answered.size
  }

  get asked(): number {
    return this.#asked?.size ?? 0
  }

  asks(peers: readonly string[]): void {
    this.#asked = new Set([...this.#asked ?? [], ...peers])
  }

  bid(spare: Spare): void {
    const { peer } = spare.bid.identity
    if (this.#bids.size < MAX_BIDS || this.#bids.has(peer)) this.#bids.set(peer, spare)
    this.#answer(peer)
  }

  declined(peer: string): void {
    this.#answer(peer)
  }

  gone(peer: string): void {
    this.#answer(peer)
  }

  /** True when waiting longer can bring nothing that the policy wants. */
  complete(policy: SelectionPolicy, wanted: number): boolean {
    if (policy.enough(this.#bids.size, wanted)) return true
    return this.#asked !== undefined && [...this.#asked].every((peer) => this.#answered.has(peer))
  }

  #answer(peer: string): void {
    if (this.#answered.size < MAX_ANSWERS) this.#answered.add(peer)
  }
}

/** Who said no and why, over all rounds of a job. */
export class Refusals {
  readonly #byPeer = new Map<string, Refusal>()

  add(peer: string, code: ErrorCode, message: string, unmet: ErrorCode[]): void {
    const times = (this.#byPeer.get(peer)?.times ?? 0) + 1
    if (times > 1 || this.#byPeer.size < MAX_REFUSALS) this.#byPeer.set(peer, { peer, code, message, unmet, times })
  }

  list(): Refusal[] {
    return [...this.#byPeer.values()]
  }

  /** Requirements by the number of peers that missed them, and how many of those missed nothing else. */
  missing(): { code: ErrorCode, message: string, peers: number, onlyThis: number }[] {
    const byCode = new Map<ErrorCode, { code: ErrorCode, message: string, peers: number, onlyThis: number }>()
    for (const refusal of this.#byPeer.values()) {
      for (const code of refusal.unmet) {
        const row = byCode.get(code) ?? { code, message: refusal.message, peers: 0, onlyThis: 0 }
        row.peers++
        if (refusal.unmet.length === 1) row.onlyThis++
        byCode.set(code, row)
      }
    }
    return [...byCode.values()].sort((a, b) => b.onlyThis - a.onlyThis || b.peers - a.peers)
  }
}
