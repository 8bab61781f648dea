import type { Acceptance, SignedAcceptance } from '../documents/acceptance.ts'
import { heldBack } from './ledger.ts'
import type { Work } from './ledger.ts'
import { aheadQuantity, aheadShare, carriageOf, priceOf, ticketsAhead } from '../documents/terms.ts'
import type { PaymentTerms } from '../documents/terms.ts'
import { expectedOf, fromWei, toWei } from '../documents/ticket.ts'
import type { Expected } from '../documents/ticket.ts'

/** What a side can lose to the other's dishonesty or to a crash: in expectation (2^-64 wei), and when the luck of every ticket is against it. */
export interface Exposure { expected: Expected, worstWei: bigint }

/**
 * A payer's, declared before it signs: what work not revealed yet may have been paid, `quantity` being the most of it at
 * once, with the units ahead and the part of a last ticket above what was due. At worst each of those tickets wins.
 */
export function payerExposure(terms: PaymentTerms, quantity: number): Exposure {
  const value = expectedOf(terms)
  const unrevealed = aheadShare(terms, priceOf(terms, quantity + aheadQuantity(terms)))
  const cap = fromWei(terms.prepayCapWei)
  const prepaid = unrevealed < cap ? unrevealed : cap
  const tickets = (prepaid + value - 1n) / value
  return { expected: tickets * value, worstWei: tickets * terms.faceValueWei }
}

/**
 * A provider's: what it works before it is paid, `quantity` being the most that waits for a reveal at once. It is the share
 * held back, what is above the cap, and one unit a slot under way when the payer stops; and the bytes moved for all that
 * (`bytes`), which are due with the reveal. At worst it never draws a winner.
 */
export function providerExposure(terms: PaymentTerms, quantity: number, bytes = 0): Exposure {
  const work: Work = { unsettled: quantity, accepted: 0, failed: 0, moved: 0, sunk: 0n, refundable: 0n }
  const underWay = priceOf(terms, aheadQuantity(terms))
  const carriage = carriageOf(terms, bytes)
  const expected = heldBack(terms, work) + underWay + carriage
  return { expected, worstWei: toWei(priceOf(terms, quantity) + underWay + carriage) + 1n }
}

/** Tickets signed and not acknowledged, at most: what a payer may lose to a provider that never answers. */
export function unacknowledgedExposure(terms: PaymentTerms): Exposure {
  const tickets = BigInt(ticketsAhead(terms))
  return { expected: tickets * expectedOf(terms), worstWei: tickets * terms.faceValueWei }
}

/** Acceptances of one provider that cannot all be honest; `liar` says less than the others show, or has the number of another. */
export type ExposureConflict = { liar: SignedAcceptance, others: readonly SignedAcceptance[] }

/**
 * Whether acceptances of one provider contradict each other: two agreements with one number, or one whose total does not count
 * all those of lower numbers that still stand. `held` are agreements that their requesters have not closed, whoever they are:
 * then one whose total is within the bond, and no conflict, means that the bond covers them all. Undefined: none.
 */
export function exposureConflict(held: readonly SignedAcceptance[], wallMs: number): ExposureConflict | undefined {
  const standing: SignedAcceptance[] = []
  let standingWei = 0n
  let last: SignedAcceptance | undefined
  for (const acceptance of held.toSorted((a, b) => a.sequence - b.sequence)) {
    if (last?.sequence === acceptance.sequence) {
      if (isSame(last, acceptance)) continue
      return { liar: acceptance, others: [last] }
    }
    last = acceptance
    if (acceptance.totalWei < standingWei + acceptance.ownWei) return { liar: acceptance, others: standing }
    // what stands now stood when the later ones were signed
    if (acceptance.expiresWallMs < wallMs) continue
    standing.push(acceptance)
    standingWei += acceptance.ownWei
  }
  return undefined
}

function isSame(a: Acceptance, b: Acceptance): boolean {
  return a.agreement === b.agreement && a.ownWei === b.ownWei && a.totalWei === b.totalWei && a.expiresWallMs === b.expiresWallMs
}
