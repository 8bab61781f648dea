import { z } from 'zod'
import { bytes, bytes32, errorCode, int, list, real, signature65, text } from '../codec/schema.ts'
import { documentCodec } from '../codec/document.ts'
import { PARAMS } from '../params.ts'
import { exposureSchema } from './acceptance.ts'
import { agreementSchema } from './agreement.ts'
import { bidSchema, declineSchema } from './bid.ts'
import { identity } from './identity.ts'
import { MAX_SEGMENTS } from './job.ts'
import { offerSchema } from './offer.ts'
import { commitLotSchema, PAY_KINDS } from './pay-message.ts'
import type { PayMessage } from './pay-message.ts'
import { MAX_LOTS } from './terms.ts'
import { closedSetSchema, receiptSchema, resultSchema } from './receipt.ts'

/**
 * Everything two peers say to each other about a job. `signature` fields are filled by the sender's driver and are
 * checked by the receiver's before the core sees the message; a message without its signature never arrives.
 */
const leaseKey = { agreement: bytes32, task: int(0, PARAMS.maxTasks - 1), attempt: int(0, 65_535) }
export const MAX_LEASES_A_MESSAGE = 256

/** What was worked under the agreement in all, in quantities of its unit; only where work is paid. */
const worked = int(0, Number.MAX_SAFE_INTEGER)

/** `segment`: only this part of the task is to be run. It belongs to the lease, not to its name. */
const leaseRef = z.strictObject({ task: leaseKey.task, attempt: leaseKey.attempt, segment: int(0, MAX_SEGMENTS - 1).optional() })
export type LeaseRef = z.output<typeof leaseRef>

const offer = z.strictObject({ kind: z.literal('offer'), offer: offerSchema })
const bid = z.strictObject({ kind: z.literal('bid'), bid: bidSchema })
const decline = z.strictObject({ kind: z.literal('decline'), decline: declineSchema })

/** Requester to provider: the agreement, its first leases, and who the requester is. */
const propose = z.strictObject({ kind: z.literal('propose'), agreement: agreementSchema, identity, leases: z.array(leaseRef).max(MAX_LEASES_A_MESSAGE), signature: signature65.optional() })
/** Where work is paid, `lots` are the first commits, and `exposure` with the agreement's id is what is signed. */
const agreed = z.strictObject({ kind: z.literal('agreed'), agreement: bytes32, lots: list(commitLotSchema, MAX_LOTS).optional(), exposure: exposureSchema.optional(), signature: signature65.optional() })
const refused = z.strictObject({ kind: z.literal('refused'), agreement: bytes32, code: errorCode, message: text(200) })
/** Either side: nothing more will be leased under this agreement; repeated until `closed`. */
const close = z.strictObject({ kind: z.literal('close'), agreement: bytes32, code: errorCode, message: text(200) })
const closed = z.strictObject({ kind: z.literal('closed'), agreement: bytes32 })

const lease = z.strictObject({ kind: z.literal('lease'), agreement: bytes32, leases: z.array(leaseRef).min(1).max(MAX_LEASES_A_MESSAGE) })
/** Provider's sign of life and what it holds; a requester that sees an unknown lease answers `cancel`, a missing one is re-sent. */
const beat = z.strictObject({ kind: z.literal('beat'), agreement: bytes32, running: z.array(leaseRef).max(MAX_LEASES_A_MESSAGE), suspended: z.boolean(), worked: worked.optional() })
const probe = z.strictObject({ kind: z.literal('probe'), agreement: bytes32 })
/** `held`: its host's owner uses what it runs on, such as the graphics card; `running` again when it goes on. */
export const RUN_PHASES = ['fetching', 'running', 'held'] as const
export type RunPhase = typeof RUN_PHASES[number]
const progress = z.strictObject({ kind: z.literal('progress'), ...leaseKey, phase: z.enum(RUN_PHASES), /** 0 to 1 of the phase, where known. */ fraction: real(0, 1) })
const failed = z.strictObject({ kind: z.literal('failed'), ...leaseKey, code: errorCode, message: text(200), worked: worked.optional(), /** By this lease alone. */ spent: worked.optional() })
const commit = z.strictObject({ kind: z.literal('commit'), ...leaseKey, commit: bytes32, worked: worked.optional() })
const closedSet = z.strictObject({ kind: z.literal('closed-set'), ...leaseKey, set: closedSetSchema, signature: signature65.optional() })
const reveal = z.strictObject({
  kind: z.literal('reveal'), receipt: receiptSchema, nonce: bytes32, signature: signature65.optional(),
  /** All blocks of a small result, in the order of a walk from its root. The nodes' own: the core never sees them. */
  blocks: z.array(bytes(PARAMS.maxInlineBytes)).max(PARAMS.maxInlineBlocks).optional()
})

export const VERDICTS = ['accepted', 'rejected', 'late', 'cancelled'] as const
/** How a lease ended for the requester. A rejection carries the opposing receipt with its provider's signature. */
const verdict = z.strictObject({
  kind: z.literal('verdict'), ...leaseKey, verdict: z.enum(VERDICTS), code: errorCode,
  opposing: z.strictObject({ receipt: receiptSchema, signature: signature65 }).optional()
})
const settled = z.strictObject({ kind: z.literal('settled'), ...leaseKey })
/** Before the vote: the requester asks what a committed result is, at its own risk. */
const peek = z.strictObject({ kind: z.literal('peek'), ...leaseKey })
const peeked = z.strictObject({ kind: z.literal('peeked'), ...leaseKey, result: resultSchema })
const cancel = z.strictObject({ kind: z.literal('cancel'), agreement: bytes32, leases: z.array(leaseRef).min(1).max(MAX_LEASES_A_MESSAGE), code: errorCode })

/** Which protocol carries what: `protocols/bid`, `protocols/agreement` and `protocols/run` each accept only their own kinds. */
export const bidMessage = z.discriminatedUnion('kind', [offer, bid, decline])
export const agreementMessage = z.discriminatedUnion('kind', [propose, agreed, refused, close, closed])
export const runMessage = z.discriminatedUnion('kind', [lease, beat, probe, progress, failed, commit, closedSet, reveal, verdict, settled, peek, peeked, cancel])
export type BidMessage = z.output<typeof bidMessage>
export type AgreementMessage = z.output<typeof agreementMessage>
export type RunMessage = z.output<typeof runMessage>
export type Message = BidMessage | AgreementMessage | RunMessage | PayMessage
export type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>

export const bidMessageCodec = documentCodec('bid message', bidMessage, PARAMS.maxMessageBytes)
export const agreementMessageCodec = documentCodec('agreement message', agreementMessage, PARAMS.maxMessageBytes)
export const runMessageCodec = documentCodec('run message', runMessage, PARAMS.maxMessageBytes)

export const BID_KINDS = ['offer', 'bid', 'decline'] as const
export const AGREEMENT_KINDS = ['propose', 'agreed', 'refused', 'close', 'closed'] as const

export function isBidMessage(message: Message): message is BidMessage {
  return (BID_KINDS as readonly string[]).includes(message.kind)
}

export function isAgreementMessage(message: Message): message is AgreementMessage {
  return (AGREEMENT_KINDS as readonly string[]).includes(message.kind)
}

export function isPayMessage(message: Message): message is PayMessage {
  return (PAY_KINDS as readonly string[]).includes(message.kind)
}

/** A result folder's root, for the `result` protocol. */
export const resultRequest = z.strictObject({ v: z.literal(1), ...leaseKey, follow: z.enum(['stdout', 'stderr', 'both']), fromByte: int(0, PARAMS.maxLogBytes) })
export type ResultRequest = z.output<typeof resultRequest>
export const resultRequestCodec = documentCodec('result request', resultRequest, 1024)
