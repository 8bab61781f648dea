import { REFRESH_BELOW_MS } from '../../protocols/ads/index.ts'
import { HearthError } from '../../src/errors.ts'
import { PARAMS } from '../../src/params.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { KnownAd } from './estimate.ts'

/** Peers asked: more say nothing new of one's own clock. */
const MAX_PEERS_ASKED = 16
/** A person waits for the answer. */
const ASK_MS = 3 * SECOND_MS
/** An ad is signed anew when it is older than this, so the one just fetched says the time to within it. */
export const AD_AGE_MS = PARAMS.adLifeMs - REFRESH_BELOW_MS
/** Differences below this are no fault: an ad's age alone may hide as much. */
export const SKEW_WARN_MS = 30 * SECOND_MS

/** What connected peers answered when they were asked for their ads. */
export interface PeerLook {
  /** How far each one's clock is ahead of ours (behind: negative), at the least: what an ad's age can explain is left out. */
  aheadMs: { peer: string, ms: number }[]
  asked: number
  /** Those that lend something, and those of them that take work now. */
  lending: number
  open: number
}

export interface ClockVerdict {
  state: 'ok' | 'warn' | 'fail'
  /** Whose clock it is: ours when most peers agree against it, unknown with a single peer or when no two agree. */
  whose: 'ours' | 'theirs' | 'unknown'
  /** Ours against the peers': ahead of them is positive. 0 when ours is well. */
  oursMs: number
  compared: number
  off: number
}

/** The least difference that explains an ad of `issuedWallMs` which arrived now; positive when the signer is ahead. */
export function leastAhead(issuedWallMs: number, arrivedWallMs: number): number {
  const newest = issuedWallMs - arrivedWallMs
  if (newest > 0) return newest
  return Math.min(0, newest + AD_AGE_MS)
}

/** Asks connected peers for their ads of now: it shows their clocks, and what they lend. Never rejects. */
export async function lookAtPeers(peers: readonly string[], fetchAd: (peer: string, signal: AbortSignal) => Promise<KnownAd>, wallMs: () => number): Promise<PeerLook> {
  const look: PeerLook = { aheadMs: [], asked: 0, lending: 0, open: 0 }
  const signal = AbortSignal.timeout(ASK_MS)
  await Promise.all(peers.slice(0, MAX_PEERS_ASKED).map(async (peer) => {
    look.asked++
    try {
      const { ad, latencyMs } = await fetchAd(peer, signal)
      look.aheadMs.push({ peer, ms: leastAhead(ad.issuedWallMs, wallMs() - latencyMs / 2) })
      look.lending++
      if (ad.open) look.open++
    } catch (err) {
      // too far apart for the ad to count: that it was refused is all we know of the difference
      const code = err instanceof HearthError ? err.code : ''
      if (code === 'E_AD_FUTURE') look.aheadMs.push({ peer, ms: PARAMS.clockSkewMs })
      if (code === 'E_AD_EXPIRED') look.aheadMs.push({ peer, ms: -PARAMS.clockSkewMs })
    }
  }))
  return look
}

/** Whether our clock differs from those of most peers, or theirs from the rest. Above PARAMS.clockSkewMs documents are refused. */
export function judgeClocks(aheadMs: readonly { ms: number }[]): ClockVerdict {
  const all = aheadMs.map(({ ms }) => ms)
  const ahead = all.filter((ms) => ms > SKEW_WARN_MS)
  const behind = all.filter((ms) => ms < -SKEW_WARN_MS)
  const [most, others] = ahead.length >= behind.length ? [ahead, behind] : [behind, ahead]
  const off = most.length + others.length
  const whose = off === 0 || most.length * 2 <= all.length ? 'theirs' : all.length === 1 ? 'unknown' : 'ours'
  if (whose === 'theirs') {
    const nobodyAgrees = off > 0 && off === all.length
    return { state: nobodyAgrees ? 'warn' : 'ok', whose: nobodyAgrees ? 'unknown' : whose, oursMs: 0, compared: all.length, off }
  }
  const median = most.toSorted((a, b) => Math.abs(a) - Math.abs(b))[Math.floor((most.length - 1) / 2)] ?? 0
  return { state: Math.abs(median) >= PARAMS.clockSkewMs ? 'fail' : 'warn', whose, oursMs: -median, compared: all.length, off: most.length }
}
