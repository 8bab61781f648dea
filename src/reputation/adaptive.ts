import type { PeerHistory } from './history.ts'
import { shunned } from './history.ts'

/** BOINC's `daily host quota` aside, trust needs this many replicated valid results in a row (sched_send.cpp). */
const TRUST_AFTER = 10

/**
 * BOINC's adaptive replication: a peer is trusted for one task when its valid results in a row number at least ten and
 * `random > 1 / consecutiveValid`. So a trusted peer is still checked about once in n tasks.
 * `random` is uniform in [0, 1) and must be unpredictable to the peer.
 */
export function trustedAlone(history: PeerHistory, random: number): boolean {
  return !shunned(history) && history.consecutiveValid >= TRUST_AFTER && random > 1 / history.consecutiveValid
}
