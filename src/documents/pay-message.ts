import { z } from 'zod'
import { documentCodec } from '../codec/document.ts'
import { bytes32, errorCode, int, list, signature65, text, wei } from '../codec/schema.ts'
import { paymentStateSchema } from './payment-state.ts'
import { MAX_LOTS, MAX_OPEN_COMMITS, MAX_TICKETS } from './terms.ts'
import { chainTimeSec, ticketSchema } from './ticket.ts'

/** What payer and provider say to each other about money. `signature` is filled by the sender's driver, checked by the receiver's. */

/** All open commits, a state and a signature. */
const MAX_PAY_MESSAGE_BYTES = 48 * 1024

const index = int(0, MAX_TICKETS - 1)

/** Commits `first`, `first + 1`, …: each good for one ticket that expires at `expirySec`. */
export const commitLotSchema = z.strictObject({ first: index, expirySec: chainTimeSec, commits: z.array(bytes32).min(1).max(MAX_OPEN_COMMITS) })
export type CommitLot = z.output<typeof commitLotSchema>

const agreement = bytes32

/** Payer: the payment of this number. */
const ticket = z.strictObject({ kind: z.literal('ticket'), agreement, index, ticket: ticketSchema, signature: signature65.optional() })
/** Provider: what it has credited, and commits to go on with. `index` names the ticket that it answers. */
const credit = z.strictObject({
  kind: z.literal('credit'), agreement, index: index.optional(), state: paymentStateSchema, lots: list(commitLotSchema, MAX_LOTS),
  /** Its last word on the agreement. */
  final: z.boolean(), signature: signature65.optional()
})
const ticketRefused = z.strictObject({ kind: z.literal('ticket-refused'), agreement, index, code: errorCode, message: text(200) })
/** Payer: its own state, on reconnect, when it has no commits left, and to close. Answered by `credit`. */
const reconcile = z.strictObject({ kind: z.literal('reconcile'), agreement, state: paymentStateSchema, final: z.boolean(), signature: signature65.optional() })
/** Provider: the refund in all, with the statement that bounds it; both in the form that the contract reads. */
const refund = z.strictObject({
  kind: z.literal('refund'), agreement, sequence: int(0, Number.MAX_SAFE_INTEGER), paidWei: wei, amountWei: wei, expirySec: chainTimeSec,
  refundSignature: signature65.optional(), statementSignature: signature65.optional()
})

export const payMessage = z.discriminatedUnion('kind', [ticket, credit, ticketRefused, reconcile, refund])
export type PayMessage = z.output<typeof payMessage>
export type PayMessageOf<K extends PayMessage['kind']> = Extract<PayMessage, { kind: K }>
export const payMessageCodec = documentCodec('pay message', payMessage, MAX_PAY_MESSAGE_BYTES)

export const PAY_KINDS = ['ticket', 'credit', 'ticket-refused', 'reconcile', 'refund'] as const
