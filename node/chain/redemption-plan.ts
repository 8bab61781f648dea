/** When redeeming is worth its gas. Rough figures decide whether to ask the chain at all; its own estimate decides in the end. */

/** Measured on the broker: a batch's fixed part, and each ticket's. */
const BATCH_GAS = 30_000n
const TICKET_GAS = 35_000n
/** A batch of so many takes 1.1 million gas: a fortieth of a block. */
export const MAX_BATCH = 32
const BASIS = 10_000n

export interface Candidate {
  readonly digest: string
  readonly faceValueWei: bigint
  /** The second after which it cannot be redeemed. */
  readonly deadlineSec: number
  /** Others may empty the deposit first. */
  readonly atRisk: boolean
}

export interface PlanPolicy {
  /** Gas may cost this share of what is redeemed, in basis points. */
  readonly gasShareBasis: number
  /** Before a deadline by so much, whatever costs less than it brings is redeemed. */
  readonly urgentSec: number
}

/** Whether this much gas for these face values is worth it. */
export function isWorth(gasWei: bigint, faceWei: bigint, isUrgent: boolean, { gasShareBasis }: PlanPolicy): boolean {
  return isUrgent ? gasWei < faceWei : gasWei * BASIS <= faceWei * BigInt(gasShareBasis)
}

export interface Plan { readonly digests: readonly string[], readonly urgent: boolean }

/**
 * What to redeem in one transaction now, or undefined. Each ticket must be worth its own gas, and all of them the whole.
 * The urgent come first, by deadline; then the largest: no ticket waits for another.
 */
export function planBatch(candidates: readonly Candidate[], gasPriceWei: bigint, nowSec: number, policy: PlanPolicy): Plan | undefined {
  const ticketWei = TICKET_GAS * gasPriceWei
  const isUrgent = ({ deadlineSec, atRisk }: Candidate): boolean => atRisk || deadlineSec - nowSec <= policy.urgentSec
  const urgent = candidates.filter((one) => isUrgent(one) && isWorth(ticketWei, one.faceValueWei, true, policy)).sort((a, b) => a.deadlineSec - b.deadlineSec)
  const others = candidates.filter((one) => !isUrgent(one) && isWorth(ticketWei, one.faceValueWei, false, policy)).sort((a, b) => a.faceValueWei > b.faceValueWei ? -1 : 1)
  const chosen = [...urgent, ...others].slice(0, MAX_BATCH)
  const faceWei = chosen.reduce((sum, one) => sum + one.faceValueWei, 0n)
  if (chosen.length === 0 || !isWorth((BATCH_GAS + TICKET_GAS * BigInt(chosen.length)) * gasPriceWei, faceWei, urgent.length > 0, policy)) return undefined
  return { digests: chosen.map(({ digest }) => digest), urgent: urgent.length > 0 }
}
