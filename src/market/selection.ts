import type { Bid } from '../documents/bid.ts'
import type { SelectionPolicyName } from '../documents/job.ts'

/** A bid as the requester sees it, with what it knows of the bidder. */
export interface Candidate {
  bid: Bid
  /** Last round trip; a large value where none was measured. */
  latencyMs: number
  /** `score` of its history, 0 to 1. */
  reputation: number
  /** Uniform in [0, 1), drawn by the requester after the bids are in, so that no bidder can aim at it. */
  luck: number
}

/** A selection policy: an order among bids, and when it has seen enough of them to stop waiting. */
export interface SelectionPolicy {
  readonly name: SelectionPolicyName
  /** Smaller is better. */
  cost(candidate: Candidate, all: readonly Candidate[]): number
  /** `wanted` providers are needed; `answered` of `asked` have bid or declined. */
  enough(bids: number, wanted: number): boolean
}

/** Bids beyond the need that a comparing policy likes to see before it stops waiting. */
const SAMPLE_FACTOR = 2

/** Normalised to 0 (best) .. 1 (worst) among all, so that no unit outweighs another. */
function normalised(value: number, values: readonly number[]): number {
  const low = Math.min(...values)
  const high = Math.max(...values)
  return high === low ? 0 : (value - low) / (high - low)
}

function price(candidate: Candidate): number {
  return Number(candidate.bid.taskPriceWei)
}

function delayMs(candidate: Candidate): number {
  return candidate.bid.startMs + candidate.latencyMs
}

const cheapest: SelectionPolicy = {
  name: 'cheapest',
  cost: (candidate) => price(candidate) + candidate.luck * 0.5,
  enough: () => false
}

const fastest: SelectionPolicy = {
  name: 'fastest',
  cost: (candidate) => delayMs(candidate) + candidate.luck * 0.5,
  enough: (bids, wanted) => bids >= wanted
}

const random: SelectionPolicy = {
  name: 'random',
  cost: (candidate) => candidate.luck,
  enough: (bids, wanted) => bids >= SAMPLE_FACTOR * wanted
}

const weighted: SelectionPolicy = {
  name: 'weighted',
  cost: (candidate, all) => 0.25 * normalised(delayMs(candidate), all.map(delayMs)) + 0.35 * (1 - candidate.reputation) + 0.25 * normalised(price(candidate), all.map(price)) + 0.15 * candidate.luck,
  enough: (bids, wanted) => bids >= SAMPLE_FACTOR * wanted
}

export const SELECTION: Readonly<Record<SelectionPolicyName, SelectionPolicy>> = { cheapest, fastest, random, weighted }

/** Candidates, best first. O(n²) in the bids of one tender, which are bounded. */
export function rank<C extends Candidate>(policy: SelectionPolicy, candidates: readonly C[]): C[] {
  return candidates.map((candidate) => ({ candidate, cost: policy.cost(candidate, candidates) }))
    .sort((a, b) => a.cost - b.cost).map(({ candidate }) => candidate)
}
