import { accept, refuse } from '../codec/result.ts'
import type { Result } from '../codec/result.ts'
import { aheadShare, BASIS, carriageOf, priceOf } from '../documents/terms.ts'
import type { PaymentTerms } from '../documents/terms.ts'
import { fromWei } from '../documents/ticket.ts'
import type { Expected } from '../documents/ticket.ts'

/**
 * What was worked under an agreement, in quantities of its unit. Payer and provider each keep one, from what both know
 * (claims and verdicts), and compute the same amounts: nothing is invoiced, so no invoice is left unpaid.
 */
export interface Work {
  /** Worked, not revealed and judged yet. */
  unsettled: number
  /** Revealed and matched: paid in full. */
  accepted: number
  /** Gave nothing that counts: what was held back stays with the payer. */
  failed: number
  /** Bytes moved for what was accepted. */
  moved: number
  /** What the failed quantity was paid before it failed. */
  sunk: Expected
  /** Of that, what an honest provider gives back. */
  refundable: Expected
}

export const NO_WORK: Work = Object.freeze({ unsettled: 0, accepted: 0, failed: 0, moved: 0, sunk: 0n, refundable: 0n })

/**
 * Due for work that gave nothing yet, or nothing at all: all but the share held back, and never above the cap, so that the
 * provider's bond stands behind all that was ever paid in vain. It depends on the sum alone: whether a part of it failed,
 * and when each side learnt that, changes nothing, so the two sides cannot drift apart.
 */
function dueUnrevealed(terms: PaymentTerms, quantity: number): Expected {
  const due = aheadShare(terms, priceOf(terms, quantity))
  const cap = fromWei(terms.prepayCapWei)
  return due < cap ? due : cap
}

/** What is owed for results that count, and for moving them. */
export function acceptedPrice(terms: PaymentTerms, { accepted, moved }: Pick<Work, 'accepted' | 'moved'>): Expected {
  return priceOf(terms, accepted) + carriageOf(terms, moved)
}

/** What the payer should have paid by now, with `ahead` of the unit beyond what was worked. */
export function dueFor(terms: PaymentTerms, work: Work, ahead: number): Expected {
  return acceptedPrice(terms, work) + dueUnrevealed(terms, work.unsettled + work.failed + ahead)
}

/** What waits for a reveal. */
export function heldBack(terms: PaymentTerms, work: Work): Expected {
  return priceOf(terms, work.unsettled) - (dueUnrevealed(terms, work.unsettled + work.failed) - dueUnrevealed(terms, work.failed))
}

export function totalOf({ unsettled, accepted, failed }: Work): number {
  return unsettled + accepted + failed
}

/** The provider has worked `total` in all; a lower or equal claim is old news. */
export function claimWork(work: Work, total: number): Work {
  const more = total - totalOf(work)
  return more > 0 && Number.isSafeInteger(total) ? { ...work, unsettled: work.unsettled + more } : work
}

/** Results that were accepted together, and their bytes. */
export interface Results { tasks: number, bytes: number }

/** Reveals matched: this quantity is paid in full, and so are the bytes moved for it. Refused with E_PAY_QUANTITY when so much is not unsettled. */
export function acceptWork({ moved: terms }: Pick<PaymentTerms, 'moved'>, work: Work, quantity: number, { tasks, bytes }: Results = { tasks: 0, bytes: 0 }): Result<Work> {
  if (!isPart(quantity, work)) return refuse('E_PAY_QUANTITY', `${quantity} of ${work.unsettled} unsettled cannot be accepted`)
  const first = work.moved === 0 && tasks > 0 ? terms?.onceBytes ?? 0 : 0
  const moved = terms === undefined ? 0 : work.moved + first + tasks * terms.taskBytes + bytes
  return accept({ ...work, unsettled: work.unsettled - quantity, accepted: work.accepted + quantity, moved })
}

/** This quantity gave nothing: what was due for it stays due, of which a share may come back. */
export function failWork(terms: PaymentTerms, work: Work, quantity: number): Result<Work> {
  if (!isPart(quantity, work)) return refuse('E_PAY_QUANTITY', `${quantity} of ${work.unsettled} unsettled cannot fail`)
  const failed = work.failed + quantity
  const sunk = dueUnrevealed(terms, failed)
  return accept({ ...work, unsettled: work.unsettled - quantity, failed, sunk, refundable: sunk * BigInt(terms.refund) / BigInt(BASIS) })
}

function isPart(quantity: number, { unsettled }: Work): boolean {
  return Number.isSafeInteger(quantity) && quantity >= 0 && quantity <= unsettled
}
