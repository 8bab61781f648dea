import { expectedOf } from '../../src/documents/ticket.ts'
import type { Expected } from '../../src/documents/ticket.ts'
import { chanceOf } from '../../src/payment/odds.ts'

/** What many tickets, of whatever terms, come to. Money is exact; what luck may do to it is a double. */
export interface TicketTotals {
  tickets: number
  /** 2^-64 wei. */
  expected: Expected
  /** Wins expected. */
  mean: number
  /** Of the value, wei squared: the sum of n p (1 - p) F^2. */
  varianceWei2: number
  wins: number
  /** Face values of the wins. */
  wonWei: bigint
}

export const NO_TICKETS: TicketTotals = Object.freeze({ tickets: 0, expected: 0n, mean: 0, varianceWei2: 0, wins: 0, wonWei: 0n })

/** `tickets` more of these terms, of which `wins` won. */
export function addTickets(sum: TicketTotals, terms: { faceValueWei: bigint, winProb: bigint }, tickets: number, wins: number): TicketTotals {
  const chance = chanceOf(terms.winProb)
  return {
    tickets: sum.tickets + tickets,
    expected: sum.expected + BigInt(tickets) * expectedOf(terms),
    mean: sum.mean + tickets * chance,
    varianceWei2: sum.varianceWei2 + tickets * chance * (1 - chance) * Number(terms.faceValueWei) ** 2,
    wins: sum.wins + wins,
    wonWei: sum.wonWei + BigInt(wins) * terms.faceValueWei
  }
}

/** Standard deviation over mean; 0 where nothing is expected. */
export function deviationOf({ varianceWei2, expected }: TicketTotals): number {
  return expected === 0n ? 0 : Math.sqrt(varianceWei2) / (Number(expected) / 2 ** 64)
}
