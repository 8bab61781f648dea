import { HOUR_MS } from '../../src/units.ts'

/** Peers counted at once; beyond it the one counted for longest begins anew. */
const MAX_PEERS = 4096

/** How much each peer has read in its current hour. Times are the caller's. */
export class PeerShares {
  readonly #maxBytes: number
  readonly #peers = new Map<string, { bytes: number, sinceMs: number }>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  isSpent(peer: string, nowMs: number): boolean {
    const share = this.#peers.get(peer)
    return share !== undefined && nowMs - share.sinceMs < HOUR_MS && share.bytes >= this.#maxBytes
  }

  /** Counts bytes read. False when the share is spent. */
  take(peer: string, bytes: number, nowMs: number): boolean {
    let share = this.#peers.get(peer)
    if (share === undefined || nowMs - share.sinceMs >= HOUR_MS) {
      this.#peers.delete(peer)
      share = { bytes: 0, sinceMs: nowMs }
      this.#peers.set(peer, share)
      for (const oldest of this.#peers.keys()) {
        if (this.#peers.size <= MAX_PEERS) break
        this.#peers.delete(oldest)
      }
    }
    share.bytes += bytes
    return share.bytes <= this.#maxBytes
  }
}
