import { z } from 'zod'
import { refuse } from '../codec/result.ts'
import type { Refusal } from '../codec/result.ts'
import { documentCodec } from '../codec/document.ts'
import { toHex } from '../codec/hasher.ts'
import type { Hasher } from '../codec/hasher.ts'
import { int, wei } from '../codec/schema.ts'
import { PARAMS } from '../params.ts'
import { DAY_MS, GIB, MINUTE_MS, SECOND_MS } from '../units.ts'
import { movesSchema } from './moves.ts'
import { expectedOf, fromWei, winProbability } from './ticket.ts'
import type { Expected } from './ticket.ts'

/** Shares are in basis points, so that no party computes them in floating point. */
export const BASIS = 10_000
/** Held back until a matching reveal, unless the terms say more: a provider that only claims to work earns at most the rest. */
export const DEFAULT_HOLDBACK = 3000
/** Of what a provider was paid for work that failed, what an honest one gives back. */
export const DEFAULT_REFUND = 5000
/** Commits offered at once; the payer needs one for each ticket in flight. */
export const DEFAULT_OPEN_COMMITS = 8
/** 34 bytes each on the wire, so that a message with all of them stays far below its cap. */
export const MAX_OPEN_COMMITS = 1024
/** Lots in a message, each of one expiry and consecutive numbers: reordered tickets leave holes. */
export const MAX_LOTS = 64
/** A payer remembers every commit that it used under an agreement: 5 MiB at most. A longer job gets a new agreement. */
export const MAX_TICKETS = 65_536
/** So that the sum of all tickets of an agreement fits the contract's 128 bits. */
const MAX_FACE_VALUE_WEI = 1n << 112n
/** Quantities are summed as doubles, exactly. */
const MAX_QUANTITY = Number.MAX_SAFE_INTEGER
/** Clocks of two sides may differ by two minutes: see `renewBelowSec`. The chain's unlock delay is at most 90 days. */
export const MIN_TICKET_LIFE_SEC = 20 * MINUTE_MS / SECOND_MS
const MAX_TICKET_LIFE_SEC = 90 * DAY_MS / SECOND_MS

/**
 * What is paid for, as a value: `size` of these make one unit. `resource-ms` are milliseconds of one slot of the agreed
 * shape; `fuel` is metered WebAssembly.
 */
export const unitSchema = z.strictObject({ kind: z.enum(['resource-ms', 'fuel']), size: int(1, MAX_QUANTITY) })
export type Unit = z.output<typeof unitSchema>

/** What a provider asks, signed with its bid. Both sides compute every amount from these and the quantities worked. */
export const paymentTermsSchema = z.strictObject({
  mode: z.literal('tickets'),
  unit: unitSchema,
  unitPriceWei: wei,
  faceValueWei: wei.refine((value) => value > 0n && value < MAX_FACE_VALUE_WEI, 'must be above 0 and below 2^112'),
  winProb: winProbability,
  ticketLifeSec: int(MIN_TICKET_LIFE_SEC, MAX_TICKET_LIFE_SEC),
  openCommits: int(1, MAX_OPEN_COMMITS),
  /** Paid ahead of the work, in units. One a slot. */
  aheadUnits: int(1, 10_000),
  /** Share of the price that waits for a matching reveal. */
  holdback: int(0, BASIS),
  /** Share of what failed work was paid that is given back. */
  refund: int(0, BASIS),
  /** The most that is ever paid for work not revealed yet: the provider's bond over the agreements behind it. The rest waits for the reveal. */
  prepayCapWei: wei,
  /**
   * What moving bytes costs; absent: nothing. Due with a task's acceptance, for what both sides know by then: `onceBytes` (program
   * and shared inputs) with the first of the agreement, and `taskBytes` and the size of the result with each. The first two are
   * the job's own, which the requester wrote and checks here; a result's size is part of what replicas must agree on, and is
   * looked at when it arrives. So nobody counts traffic, nobody invoices it, and nothing is paid for bytes without a result:
   * a host that fetched in vain has lost that, one that had the program already is paid for it once.
   */
  moved: z.strictObject({ gibWei: wei, ...movesSchema.shape }).optional()
})
export type PaymentTerms = z.output<typeof paymentTermsSchema>

/** Price of a quantity worked, in 2^-64 wei, rounded down. */
export function priceOf(terms: Pick<PaymentTerms, 'unit' | 'unitPriceWei'>, quantity: number): Expected {
  return fromWei(terms.unitPriceWei) * BigInt(quantity) / BigInt(terms.unit.size)
}

/** Price of bytes moved, in 2^-64 wei, rounded down. */
export function carriageOf({ moved }: Pick<PaymentTerms, 'moved'>, bytes: number): Expected {
  return moved === undefined ? 0n : fromWei(moved.gibWei) * BigInt(bytes) / BigInt(GIB)
}

/** The share of a price that is paid while the work runs. */
export function aheadShare(terms: Pick<PaymentTerms, 'holdback'>, price: Expected): Expected {
  return price * BigInt(BASIS - terms.holdback) / BigInt(BASIS)
}

/** The quantity that is paid ahead. */
export function aheadQuantity({ unit, aheadUnits }: Pick<PaymentTerms, 'unit' | 'aheadUnits'>): number {
  return Math.min(MAX_QUANTITY, unit.size * aheadUnits)
}

/** Tickets that may be on their way without an acknowledgement: what pays the units ahead, and one at least. */
export function ticketsAhead(terms: PaymentTerms): number {
  const value = expectedOf(terms)
  const ahead = aheadShare(terms, priceOf(terms, aheadQuantity(terms)))
  return Math.min(terms.openCommits, Math.max(1, Number((ahead + value - 1n) / value)))
}

/** A provider takes a ticket while a quarter of its life is left: winners must be redeemed in it, in any weather. */
export function redeemMarginSec({ ticketLifeSec }: Pick<PaymentTerms, 'ticketLifeSec'>): number {
  return Math.floor(ticketLifeSec / 4)
}

/** A payer uses a commit while its ticket would be taken though its clock is behind the provider's. */
export function useMarginSec(terms: Pick<PaymentTerms, 'ticketLifeSec'>): number {
  return redeemMarginSec(terms) + PARAMS.clockSkewMs / SECOND_MS
}

/** A provider replaces commits with less life left than this, before a payer with a clock ahead of its own passes them over. */
export function renewBelowSec({ ticketLifeSec }: Pick<PaymentTerms, 'ticketLifeSec'>): number {
  return Math.ceil(ticketLifeSec / 2)
}

/** What a payer agrees to. */
export interface TermsPolicy {
  maxUnitPriceWei: bigint
  /** The least share held back, basis points. */
  minHoldback: number
  /** The most that it pays for work not revealed yet, whatever the provider's bond. */
  maxPrepayWei: bigint
}

/** Why a payer would not sign for these terms; undefined when it would. Codes E_TERMS_…. */
export function termsRefusal(terms: PaymentTerms, policy: TermsPolicy): Refusal | undefined {
  if (terms.unitPriceWei > policy.maxUnitPriceWei) return refuse('E_TERMS_PRICE', `a unit costs ${terms.unitPriceWei} wei, more than ${policy.maxUnitPriceWei}`)
  if (terms.holdback < policy.minHoldback) return refuse('E_TERMS_HOLDBACK', `holds back ${terms.holdback / 100} %, less than ${policy.minHoldback / 100} %`)
  if (terms.prepayCapWei > policy.maxPrepayWei) return refuse('E_TERMS_PREPAY', `asks for up to ${terms.prepayCapWei} wei ahead of a reveal, more than ${policy.maxPrepayWei}`)
  if (terms.faceValueWei === 0n) return refuse('E_TERMS_FACE', 'tickets of no value')
  // One ticket is the least that a payer can lose, so it may not be worth much more than the units that it pays.
  const ahead = priceOf(terms, aheadQuantity(terms))
  if (terms.unitPriceWei > 0n && expectedOf(terms) > 2n * ahead) return refuse('E_TERMS_TICKET', 'a ticket is worth more than twice what is paid ahead')
  return undefined
}

/** What a bid asks and an agreement fixes. `free` asks nothing. */
export const termsSchema = z.discriminatedUnion('mode', [z.strictObject({ mode: z.literal('free') }), paymentTermsSchema])
export type Terms = z.output<typeof termsSchema>

const MAX_TERMS_BYTES = 1024
const termsCodec = documentCodec('terms', termsSchema, MAX_TERMS_BYTES)

/** What the fixed-width core of an agreement says of its terms: SHA-256 of their canonical form. */
export function termsHash(hasher: Hasher, terms: Terms): string {
  return toHex(hasher.sha256(termsCodec.encode(terms)))
}
