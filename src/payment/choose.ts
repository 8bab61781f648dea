import type { PayerFunds } from '../documents/account.ts'
import { accept, refuse } from '../codec/result.ts'
import type { Result } from '../codec/result.ts'
import { aheadShare, BASIS, priceOf } from '../documents/terms.ts'
import type { PaymentTerms } from '../documents/terms.ts'
import { expectedOf, fromWei } from '../documents/ticket.ts'
import type { Expected } from '../documents/ticket.ts'

/** What is sure to be there until a ticket expires. */
export function fundsUntil(funds: PayerFunds, expirySec: number): { depositWei: bigint, bondWei: bigint } {
  const left = (have: bigint, unlock: PayerFunds['depositUnlock']): bigint => {
    if (unlock === undefined || unlock.lockedUntilSec >= expirySec) return have
    return have > unlock.amountWei ? have - unlock.amountWei : 0n
  }
  return { depositWei: left(funds.depositWei, funds.depositUnlock), bondWei: left(funds.bondWei, funds.bondUnlock) }
}

/** The highest face value that a payer's money carries: its bond must hurt twice as much, and its deposit cover winners not redeemed yet too. */
export function maxFaceValueWei(funds: { depositWei: bigint, bondWei: bigint }, pendingWinnersWei: bigint): bigint {
  const free = funds.depositWei > pendingWinnersWei ? funds.depositWei - pendingWinnersWei : 0n
  const byBond = funds.bondWei / 2n
  return free < byBond ? free : byBond
}

export interface TicketChoice {
  terms: Pick<PaymentTerms, 'unit' | 'unitPriceWei' | 'holdback'>
  /** Gas of one redemption, in a batch as large as usual, times the price of gas. */
  redemptionCostWei: bigint
  /** The share of a winner that its redemption may cost, basis points. */
  maxCostShare: number
  funds: { depositWei: bigint, bondWei: bigint }
  pendingWinnersWei: bigint
}

export interface ChosenTicket {
  faceValueWei: bigint
  winProb: bigint
  expected: Expected
  /** What redeeming costs of a winner's face value, basis points, rounded up. */
  costShare: number
}

const MAX_UINT64 = (1n << 64n) - 1n

/**
 * Face value and chance such that one ticket pays what one unit costs ahead of its reveal. The lowest face value whose
 * redemption is worth its gas: the lower it is, the more tickets win, and the steadier the income. Refused with
 * E_TERMS_FUNDS when the payer's deposit and bond do not carry such a ticket.
 */
export function chooseTicket({ terms, redemptionCostWei, maxCostShare, funds, pendingWinnersWei }: TicketChoice): Result<ChosenTicket> {
  const wanted = aheadShare(terms, priceOf(terms, terms.unit.size))
  if (wanted === 0n) return refuse('E_TERMS_PRICE', 'a unit of no price needs no tickets')
  const wantedWei = wanted + fromWei(1n) - 1n >> 64n
  const worthWei = ceilDiv(redemptionCostWei * BigInt(BASIS), BigInt(maxCostShare))
  const faceValueWei = worthWei > wantedWei ? worthWei : wantedWei
  const maxWei = maxFaceValueWei(funds, pendingWinnersWei)
  if (faceValueWei > maxWei) return refuse('E_TERMS_FUNDS', `a ticket of ${faceValueWei} wei is more than the payer's deposit and bond carry (${maxWei} wei)`)
  const winProb = ceilDiv(wanted, faceValueWei) - 1n
  const chosen = { faceValueWei, winProb: winProb > MAX_UINT64 ? MAX_UINT64 : winProb }
  return accept({ ...chosen, expected: expectedOf(chosen), costShare: Number(ceilDiv(redemptionCostWei * BigInt(BASIS), faceValueWei)) })
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b
}
