/** The arithmetic of luck. Estimates for people and limits: doubles serve; money itself is never computed here. */

/** (winProb + 1) / 2^64. */
export function chanceOf(winProb: bigint): number {
  return Number(winProb + 1n) / 2 ** 64
}

/** Standard deviation of income over its mean after `tickets` tickets: sqrt((1-p) / (n p)). */
export function relativeDeviation(chance: number, tickets: number): number {
  return Math.sqrt((1 - chance) / (tickets * chance))
}

/** Tickets until the relative deviation is `share`: for 5 % about 400 / p. */
export function ticketsWithin(chance: number, share: number): number {
  return Math.ceil((1 - chance) / (chance * share * share))
}

/** Relative entropy of two coins, in nats. */
function divergence(q: number, p: number): number {
  const part = (a: number, b: number): number => a === 0 ? 0 : a * Math.log(a / b)
  return Math.max(0, part(q, p) + part(1 - q, 1 - p))
}

/**
 * Bound on the chance that `wins` or more of `tickets` win where `mean` are expected: exp(-n D(wins/n || mean/n)).
 * Hoeffding 1963, theorem 1: holds for any mix of chances, so for tickets of many agreements together.
 */
export function chanceOfAtLeast(wins: number, tickets: number, mean: number): number {
  if (wins <= mean) return 1
  if (wins > tickets || mean <= 0) return 0
  return Math.exp(-tickets * divergence(wins / tickets, mean / tickets))
}

/** The same for `wins` or fewer. */
export function chanceOfAtMost(wins: number, tickets: number, mean: number): number {
  if (wins >= mean) return 1
  return Math.exp(-tickets * divergence(wins / tickets, mean / tickets))
}

/** Bound on the chance that the winners among `tickets` tickets take more than the deposit. */
export function overdraftChance(tickets: number, chance: number, faceValueWei: bigint, depositWei: bigint): number {
  const covered = Number(depositWei / faceValueWei)
  if (covered >= tickets) return 0
  return chanceOfAtLeast(covered + 1, tickets, tickets * chance)
}
