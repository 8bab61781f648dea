/** A payer by hand: makes an agreement with a real provider, and then pays it as a test likes. */
import { randomBytes } from 'node:crypto'
import { nativeHasher } from '../../node/keys/index.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { separatorOf } from '../../node/chain/index.ts'
import { agreementDigest, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import type { Bid } from '../../src/documents/bid.ts'
import type { LeaseRef, Message, MessageOf } from '../../src/documents/message.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { contextOf, jobDigest } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { MIB } from '../../src/units.ts'
import { createHash } from 'node:crypto'
import { PARAMS_TEXT } from '../../src/params.ts'
import { offerOf } from './network.ts'
import type { HandPeer } from './pay-peer.ts'

export interface Engagement { offer?: Partial<Offer>, slots?: number, leases?: LeaseRef[], change?: (agreement: Agreement) => Agreement }
/** What a provider made of a ticket: `credited`, or the code of its refusal. */
export type Answer = 'credited' | `E_${string}`

const PARAMS_HASH = toHex(createHash('sha256').update(PARAMS_TEXT).digest())

/** A provider may have looked at the chain a moment before its payer was funded. */
const MAX_ASKS = 5

/** What a provider bids for an offer of this peer. */
export async function bidOf(peer: HandPeer, provider: string, change: Partial<Offer> = {}): Promise<Bid> {
  for (let round = 0; ; round++) {
    const offer = offerOf(peer, { resources: { cores: 0.5, memoryBytes: 16 * MIB, diskBytes: 0 }, runMs: 60_000, deadlineWallMs: Date.now() + 600_000, payer: peer.keys.identity, maxPrepayWei: 10n ** 15n, ...change, round })
    const found = (): Message | undefined => peer.heard.map(({ message }) => message).find((message) => (message.kind === 'bid' && message.bid.job === offer.job && message.bid.round === round) || (message.kind === 'decline' && message.decline.job === offer.job && message.decline.round === round))
    await peer.send(provider, { kind: 'offer', offer })
    await peer.until(`a bid for ${offer.job}`, () => found() !== undefined)
    const answer = found()
    if (answer?.kind === 'bid') return answer.bid
    if (answer?.kind === 'decline' && (answer.decline.code !== 'E_TERMS_FUNDS' || round === MAX_ASKS)) throw new Error(`declined: ${answer.decline.code} ${answer.decline.message}`)
  }
}

export function agreementOf(peer: HandPeer, bid: Bid, slots = 1): Agreement {
  return {
    v: 1, job: bid.job, requester: peer.peerId, provider: bid.identity.peer, requesterAddress: peer.keys.address, providerAddress: bid.identity.address, payee: bid.identity.payee,
    chainId: peer.chain.chainId, contract: peer.chain.contract, paramsHash: PARAMS_HASH, programRoot: ZERO_BYTES32, initialRoot: ZERO_BYTES32, meterVersion: 0, attempt: 0, slots,
    taskPriceWei: bid.taskPriceWei, terms: bid.terms, createdWallMs: Date.now(), expiresWallMs: Date.now() + 600_000
  }
}

/** Proposes; the agreement's id, or the code of the refusal. */
export async function propose(peer: HandPeer, agreement: Agreement, leases: LeaseRef[] = []): Promise<{ id: string, agreed?: MessageOf<'agreed'>, code?: string }> {
  const id = toHex(agreementDigest(nativeHasher, separatorOf(peer.chain), agreement))
  peer.agreements.set(id, agreement)
  peer.parties.set(id, { requester: agreement.requester, provider: agreement.provider, requesterAddress: agreement.requesterAddress, providerAddress: agreement.providerAddress })
  await peer.send(agreement.provider, { kind: 'propose', agreement, identity: peer.keys.identity, leases })
  const isAnswer = ({ message }: { message: { kind: string } }): boolean => (message.kind === 'agreed' || message.kind === 'refused') && (message as MessageOf<'agreed' | 'refused'>).agreement === id
  await peer.until('an answer to a proposal', () => peer.heard.some(isAnswer))
  const { message } = peer.heard.find(isAnswer)!
  return message.kind === 'agreed' ? { id, agreed: message } : { id, code: (message as MessageOf<'refused'>).code }
}

export class HandPayer {
  readonly peer: HandPeer
  readonly agreement: Agreement
  readonly id: string

  private constructor(peer: HandPeer, agreement: Agreement, id: string) {
    this.peer = peer
    this.agreement = agreement
    this.id = id
  }

  static async engage(peer: HandPeer, provider: string, { offer = {}, slots = 1, leases = [] }: Engagement = {}): Promise<HandPayer> {
    const agreement = agreementOf(peer, await bidOf(peer, provider, offer), slots)
    const { id, code } = await propose(peer, agreement, leases)
    if (code !== undefined) throw new Error(`refused: ${code}`)
    return new HandPayer(peer, agreement, id)
  }

  get terms(): PaymentTerms {
    const { terms } = this.agreement
    if (terms.mode === 'free') throw new Error('works for nothing')
    return terms
  }

  get provider(): string {
    return this.agreement.provider
  }

  /** Everything that the provider has offered so far, by number. */
  get commits(): Map<number, { commit: string, expirySec: number }> {
    const commits = new Map<number, { commit: string, expirySec: number }>()
    for (const { message } of this.peer.heard) {
      if ((message.kind !== 'agreed' && message.kind !== 'credit') || message.agreement !== this.id) continue
      for (const { first, expirySec, commits: lot } of message.lots ?? []) lot.forEach((commit, i) => { commits.set(first + i, { commit, expirySec }) })
    }
    return commits
  }

  /** The honest ticket of a number, with changes. */
  ticket(index: number, change: Partial<Ticket> = {}): Ticket {
    const open = this.commits.get(index)
    if (open === undefined) throw new Error(`no commit ${index} was offered`)
    const { agreement, terms } = this
    return {
      payer: agreement.requesterAddress, payee: agreement.payee, faceValueWei: terms.faceValueWei, winProb: terms.winProb, ...open,
      salt: toHex(randomBytes(32)), context: contextOf(nativeHasher, jobDigest(agreement.job), this.id, index), ...change
    }
  }

  /** Sends a ticket and hears what becomes of it. */
  async pay(index: number, change: Partial<Ticket> = {}): Promise<Answer> {
    return await this.give(index, this.ticket(index, change))
  }

  async give(index: number, ticket: Ticket): Promise<Answer> {
    const since = this.peer.heard.length
    await this.peer.send(this.provider, { kind: 'ticket', agreement: this.id, index, ticket })
    return await this.answer(index, since)
  }

  /** The provider's word on a number, said after `since`. A peer that is cut off hears no more. */
  async answer(index: number, since: number): Promise<Answer> {
    const found = (): Answer | undefined => {
      for (const { message } of this.peer.heard.slice(since)) {
        if (message.kind === 'credit' && message.agreement === this.id && message.index === index) return 'credited'
        if (message.kind === 'ticket-refused' && message.agreement === this.id && message.index === index) return message.code
      }
      return this.peer.isConnected(this.provider) ? undefined : 'E_CUT_OFF'
    }
    await this.peer.until(`an answer to ticket ${index}`, () => found() !== undefined)
    return found()!
  }

  /** Where the provider says that it stands now. */
  async state(): Promise<MessageOf<'credit'>['state']> {
    const since = this.peer.heard.length
    await this.peer.send(this.provider, { kind: 'reconcile', agreement: this.id, final: false, state: { agreement: this.id, sequence: 0, tickets: 0, expectedPaid: 0n, heldBack: 0n, refunded: 0n } })
    return (await this.peer.hears('credit', { since, holds: ({ agreement, index }) => agreement === this.id && index === undefined })).state
  }
}
