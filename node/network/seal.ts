import { toHex } from '../../src/codec/hasher.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { acceptanceDigest } from '../../src/documents/acceptance.ts'
import { agreementDigest } from '../../src/documents/agreement.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import type { Message, MessageOf } from '../../src/documents/message.ts'
import type { PayMessage, PayMessageOf } from '../../src/documents/pay-message.ts'
import { refundDigest, stateDigest, statementDigest } from '../../src/documents/payment-state.ts'
import { closedSetDigest, receiptDigest } from '../../src/documents/receipt.ts'
import { TicketHasher } from '../../src/documents/ticket.ts'
import type { PayParties } from '../../src/peer.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { PARAMS } from '../../src/params.ts'
import { freshness } from '../../protocols/gossip/index.ts'
import { nativeHasher, recoverMoney } from '../keys/index.ts'
import type { Ed25519Verifier, IdentityVerifier, NodeKeys } from '../keys/index.ts'
import { imageSignersRefusal } from './image-signers.ts'

/** Signs with the money key what a message must carry signed. Signing again gives the same bytes, so a repeat is the same message. */
export function sealMessage(message: Message, keys: Pick<NodeKeys, 'signMoney'>, separator: Uint8Array, parties: (agreement: string) => PayParties | undefined = () => undefined): Message {
  switch (message.kind) {
    case 'propose': return { ...message, signature: keys.signMoney(agreementDigest(nativeHasher, separator, message.agreement)) }
    case 'agreed': return sealAgreed(message, keys, separator, parties)
    case 'closed-set': return { ...message, signature: keys.signMoney(closedSetDigest(nativeHasher, separator, message.set)) }
    case 'reveal': return { ...message, signature: keys.signMoney(receiptDigest(nativeHasher, separator, message.receipt)) }
    case 'ticket': return { ...message, signature: keys.signMoney(ticketsOf(separator).digest(message.ticket)) }
    case 'credit':
    case 'reconcile': return { ...message, signature: keys.signMoney(stateDigest(nativeHasher, separator, message.state)) }
    case 'refund': return sealRefund(message, keys, separator, parties)
    default: return message
  }
}

/** An agreement's id is its digest; where work is paid, what the bond stands behind is signed with it. */
function sealAgreed(message: MessageOf<'agreed'>, keys: Pick<NodeKeys, 'signMoney'>, separator: Uint8Array, parties: (agreement: string) => PayParties | undefined): Message {
  const known = message.exposure === undefined ? undefined : parties(message.agreement)
  if (message.exposure !== undefined && known === undefined) return message
  return { ...message, signature: keys.signMoney(agreedDigest(message, separator, known)) }
}

function agreedDigest({ agreement, exposure }: MessageOf<'agreed'>, separator: Uint8Array, parties: Pick<PayParties, 'providerAddress' | 'requesterAddress'> | undefined): Uint8Array {
  if (exposure === undefined || parties === undefined) return Buffer.from(agreement.slice(2), 'hex')
  return acceptanceDigest(nativeHasher, separator, { agreement, provider: parties.providerAddress, requester: parties.requesterAddress, ...exposure })
}

/** The refund and the statement that bounds it, as the contract reads them. */
function sealRefund(message: PayMessageOf<'refund'>, keys: Pick<NodeKeys, 'signMoney'>, separator: Uint8Array, parties: (agreement: string) => PayParties | undefined): Message {
  const known = parties(message.agreement)
  if (known === undefined) return message
  const who = { agreement: message.agreement, provider: known.providerAddress, requester: known.requesterAddress }
  return {
    ...message,
    refundSignature: keys.signMoney(refundDigest(nativeHasher, separator, { ...who, amount: message.amountWei, expiry: message.expirySec })),
    statementSignature: keys.signMoney(statementDigest(nativeHasher, separator, { ...who, sequence: message.sequence, paid: message.paidWei }))
  }
}

const hashers = new WeakMap<Uint8Array, TicketHasher>()

function ticketsOf(separator: Uint8Array): TicketHasher {
  let hasher = hashers.get(separator)
  if (hasher === undefined) {
    hasher = new TicketHasher(nativeHasher, separator)
    hashers.set(separator, hasher)
  }
  return hasher
}

export interface CheckContext {
  /** This node's PeerId. */
  self: string
  separator: Uint8Array
  chainId: number
  contract: string
  identities: IdentityVerifier
  ed25519: Pick<Ed25519Verifier, 'verify'>
  wallMs: () => number
  /** The agreement of an id, when this node is a party to it now. */
  agreementOf: (id: string) => Agreement | undefined
  /** Who pays whom under an agreement, also when its work is over. */
  payPartiesOf?: (id: string) => PayParties | undefined
  /** Whether a ticket could be taken at all, before its signature is checked, which is the dearest check. */
  screenTicket?: (message: PayMessageOf<'ticket'>) => boolean
}

/** Which party may say what under an agreement; the rest either may. */
const SPEAKER: Partial<Record<Message['kind'], 'requester' | 'provider'>> = {
  agreed: 'provider', refused: 'provider', lease: 'requester', beat: 'provider', probe: 'requester', progress: 'provider', failed: 'provider',
  commit: 'provider', 'closed-set': 'requester', reveal: 'provider', verdict: 'requester', peek: 'requester', peeked: 'provider', cancel: 'requester'
}

/** What honest peers send too, when clocks or memories differ: dropped, but no fault of theirs. */
const HONEST_CODES = new Set(['E_PAY_UNKNOWN', 'E_BID_EXPIRED', 'E_OFFER_EXPIRED', 'E_OFFER_FUTURE', 'E_AD_NONE', 'E_AD_EXPIRED', 'E_AD_FUTURE'])

export function isFault(refusal: Refusal): boolean {
  return !HONEST_CODES.has(refusal.code)
}

/**
 * Whether a message is what it claims: said by a party to it, and signed by that party's money key where it must be.
 * `from` is authenticated by its connection. A message about an agreement that nobody here knows passes as it is: all the core
 * can do with it is to answer that it is unknown.
 */
export function checkMessage(message: Message, from: string, context: CheckContext): Result<Message> {
  try {
    const refusal = refusalOf(message, from, context)
    if (refusal !== undefined) return refusal
    return message.kind === 'ticket' ? checkTicket(message, context) : accept(message)
  } catch (err) {
    // a value that its schema lets through and no digest can hold
    return refuse('E_MESSAGE', err instanceof Error ? err.message : String(err))
  }
}

function refusalOf(message: Message, from: string, context: CheckContext): Refusal | undefined {
  switch (message.kind) {
    case 'offer':
      if (message.offer.requester !== from) return refuse('E_OFFER_REQUESTER', `${from} sent an offer of ${message.offer.requester}`)
      return offerRefusal(message.offer, context) ?? freshness(message.offer, context.wallMs())
    case 'bid': return bidRefusal(message, from, context)
    case 'decline': return undefined
    case 'propose': return proposalRefusal(message, from, context)
    case 'ticket':
    case 'credit':
    case 'ticket-refused':
    case 'reconcile':
    case 'refund': return payRefusal(message, from, context)
    default: return partyRefusal(message, from, context)
  }
}

/**
 * Who would pay is the requester itself, proven before the chain is asked about it, and who vouches for an image has signed
 * it. The offer's own signature is another matter.
 */
export function offerRefusal(offer: Offer, { identities, ed25519 }: Pick<CheckContext, 'identities' | 'ed25519'>): Refusal | undefined {
  const payer = offer.payer === undefined ? undefined : identities.check(offer.payer, offer.requester)
  return payer?.ok === false ? payer : imageSignersRefusal(offer, ed25519)
}

function bidRefusal({ bid }: MessageOf<'bid'>, from: string, { identities, wallMs }: CheckContext): Refusal | undefined {
  const nowMs = wallMs()
  if (bid.expiresWallMs < nowMs - PARAMS.clockSkewMs) return refuse('E_BID_EXPIRED', 'the bid has expired')
  if (bid.expiresWallMs > nowMs + PARAMS.bidLifeMs + PARAMS.clockSkewMs) return refuse('E_BID_LIFE', 'a bid that lives too long')
  const identity = identities.check(bid.identity, from)
  return identity.ok ? undefined : identity
}

function proposalRefusal({ agreement, identity, signature }: MessageOf<'propose'>, from: string, context: CheckContext): Refusal | undefined {
  if (agreement.requester !== from || agreement.provider !== context.self) return refuse('E_AGREEMENT_PARTY', 'the proposal is between others')
  const known = context.identities.check(identity, from)
  if (!known.ok) return known
  if (agreement.requesterAddress !== identity.address) return refuse('E_AGREEMENT_PARTY', 'the requester\'s address is not in its identity')
  // another chain means another digest: no forgery, and the core refuses it with a reason
  if (agreement.chainId !== context.chainId || agreement.contract !== context.contract) return undefined
  return signatureRefusal(agreementDigest(nativeHasher, context.separator, agreement), signature, identity.address, 'the agreement')
}

/** One that could not be taken goes on without its signature, which is then not worth checking: the core says why. */
function checkTicket(message: PayMessageOf<'ticket'>, { separator, screenTicket }: CheckContext): Result<Message> {
  if (screenTicket?.(message) !== true) return accept({ ...message, signature: undefined })
  return signatureRefusal(ticketsOf(separator).digest(message.ticket), message.signature, message.ticket.payer, 'the ticket') ?? accept(message)
}

/** Money's words are the parties' alone, and each is signed by its speaker's money key. */
function payRefusal(message: PayMessage, from: string, { separator, payPartiesOf }: CheckContext): Refusal | undefined {
  const parties = payPartiesOf?.(message.agreement)
  if (parties === undefined) return refuse('E_PAY_UNKNOWN', 'no such agreement is paid here')
  const byRequester = message.kind === 'ticket' || message.kind === 'reconcile'
  if (from !== (byRequester ? parties.requester : parties.provider)) return refuse('E_AGREEMENT_PARTY', `${from} has no say in "${message.kind}" under this agreement`)
  const signer = byRequester ? parties.requesterAddress : parties.providerAddress
  switch (message.kind) {
    case 'ticket':
    case 'ticket-refused': return undefined
    case 'credit':
    case 'reconcile':
      if (message.state.agreement !== message.agreement) return refuse('E_PAY_STATE', 'the state is of another agreement')
      return signatureRefusal(stateDigest(nativeHasher, separator, message.state), message.signature, signer, 'the state')
    case 'refund': {
      const who = { agreement: message.agreement, provider: parties.providerAddress, requester: parties.requesterAddress }
      return signatureRefusal(refundDigest(nativeHasher, separator, { ...who, amount: message.amountWei, expiry: message.expirySec }), message.refundSignature, signer, 'the refund')
        ?? signatureRefusal(statementDigest(nativeHasher, separator, { ...who, sequence: message.sequence, paid: message.paidWei }), message.statementSignature, signer, 'the statement')
    }
  }
}

type PartyMessage = Exclude<Message, { kind: 'offer' | 'bid' | 'decline' | 'propose' } | PayMessage>

function partyRefusal(message: PartyMessage, from: string, context: CheckContext): Refusal | undefined {
  const agreement = context.agreementOf(message.kind === 'reveal' ? message.receipt.agreement : message.agreement)
  if (agreement === undefined) return undefined
  const speaker = SPEAKER[message.kind]
  const allowed = speaker === undefined ? from === agreement.requester || from === agreement.provider : from === agreement[speaker]
  if (!allowed) return refuse('E_AGREEMENT_PARTY', `${from} has no say in "${message.kind}" under this agreement`)
  const { separator } = context
  switch (message.kind) {
    case 'agreed': return signatureRefusal(agreedDigest(message, separator, agreement), message.signature, agreement.providerAddress, 'the agreement')
    case 'reveal': return signatureRefusal(receiptDigest(nativeHasher, separator, message.receipt), message.signature, agreement.providerAddress, 'the receipt')
    case 'closed-set':
      if (message.set.job !== agreement.job || message.set.task !== message.task) return refuse('E_CLOSED_SET', 'the closed set is of another task')
      return signatureRefusal(closedSetDigest(nativeHasher, separator, message.set), message.signature, agreement.requesterAddress, 'the closed set')
    case 'verdict': return message.opposing === undefined ? undefined : opposingRefusal(message, message.opposing, agreement, separator)
    default: return undefined
  }
}

/** The opposing receipt is another provider's, under an agreement unknown here: it must be of the same task, and signed by neither of us two. */
function opposingRefusal(message: MessageOf<'verdict'>, { receipt, signature }: NonNullable<MessageOf<'verdict'>['opposing']>, agreement: Agreement, separator: Uint8Array): Refusal | undefined {
  if (receipt.task !== message.task || receipt.agreement === message.agreement) return refuse('E_OPPOSING', 'the opposing receipt is of another task, or our own')
  const signer = recoverMoney(receiptDigest(nativeHasher, separator, receipt), signature)
  if (!signer.ok) return signer
  if (signer.value === agreement.requesterAddress || signer.value === agreement.providerAddress) return refuse('E_OPPOSING', 'a party to the dispute signed the opposing receipt')
  return undefined
}

function signatureRefusal(digest: Uint8Array, signature: string | undefined, address: string, what: string): Refusal | undefined {
  if (signature === undefined) return refuse('E_SIGNATURE_MISSING', `${what} is not signed`)
  const signer = recoverMoney(digest, signature)
  if (!signer.ok) return signer
  return signer.value === address ? undefined : refuse('E_SIGNATURE', `${what} is signed by ${signer.value}, not by ${address} (digest ${toHex(digest).slice(0, 18)}…)`)
}
