import type { SignedAcceptance } from '../documents/acceptance.ts'
import type { PayMessageOf } from '../documents/pay-message.ts'
import type { PaymentState } from '../documents/payment-state.ts'
import type { PaymentTerms } from '../documents/terms.ts'
import type { ErrorCode } from '../errors.ts'
import type { Work } from './ledger.ts'

/** Who pays whom for what; fixed for the agreement's life. */
export type Payment = {
  agreement: string
  /** The job's CID. */
  job: string
  /** PeerId of the provider. */
  provider: string
  /** Whose money key signs its words. */
  providerAddress: string
  payer: string
  payee: string
  terms: PaymentTerms
  /** Its provider's word on what its bond stands behind. */
  acceptance: SignedAcceptance
}

/**
 * open: tickets leave as work is done. stopped: the provider broke a rule, nothing is signed for it again. closing: no
 * work is paid ahead; what is due is paid, then both sides sign where they stand. closed: nothing more happens.
 */
export type SenderState =
  | { kind: 'open' }
  | { kind: 'stopped', code: ErrorCode, message: string }
  | { kind: 'closing' }
  | { kind: 'closed', agreed: boolean }

interface InFlight { index: number, expirySec: number }
/** The provider's last signed word. */
export interface SignedState { state: PaymentState, signature: string }
export type SignedRefund = Omit<PayMessageOf<'refund'>, 'kind' | 'agreement'>

export type SenderRecord = Payment & {
  v: 1
  state: SenderState
  work: Work
  issued: number
  /** Numbers below are used. */
  next: number
  sequence: number
  inFlight: InFlight[]
  acknowledged?: SignedState
  refund?: SignedRefund
}
