/** A provider by hand: bids for what a real requester offers, agrees, and then does what a test likes. It never runs anything. */
import { randomBytes } from 'node:crypto'
import { nativeHasher } from '../../node/keys/index.ts'
import { agreementDigest } from '../../src/documents/agreement.ts'
import type { BondExposure } from '../../src/documents/acceptance.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { separatorOf } from '../../node/chain/index.ts'
import type { LeaseRef, MessageOf } from '../../src/documents/message.ts'
import type { PayMessageOf } from '../../src/documents/pay-message.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { commitOf, contextOf, expectedOf, isWin, jobDigest, TicketHasher } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { PARAMS } from '../../src/params.ts'
import { SECOND_MS } from '../../src/units.ts'
import { adFields, HARDWARE } from './network.ts'
import type { BrokerChain } from './pay-chain.ts'
import { HandPeer } from './pay-peer.ts'

const GWEI = 10n ** 9n
/** Fifty at once, on a busy machine, take a third of it. */
const ENGAGED_WITHIN_MS = 60_000

/** A tenth of a second a unit; a ticket pays one unit ahead; few of them win. */
export const TERMS: PaymentTerms = {
  mode: 'tickets', unit: { kind: 'resource-ms', size: 100 }, unitPriceWei: 1000n * GWEI, faceValueWei: 1_000_000n * GWEI, winProb: (7n << 64n) / 10_000n - 1n,
  ticketLifeSec: 3600, openCommits: 16, aheadUnits: 1, holdback: 3000, refund: 5000, prepayCapWei: 10_000_000n * GWEI
}

export interface Habits {
  terms?: Partial<PaymentTerms>
  slots?: number
  /** The secret of a number; fresh ones by default. */
  secret?: (index: number, provider: HandProvider) => Uint8Array
  /** Whether it says that a ticket came. */
  acknowledges?: boolean
  /** What it says of its bond, in the place of the truth. */
  says?: (truth: BondExposure) => BondExposure | undefined
  /** Of the commits that it offers; nearly all the life of a ticket by default. */
  expirySec?: number
}

export class HandProvider {
  readonly peer: HandPeer
  readonly terms: PaymentTerms
  readonly secrets = new Map<number, Uint8Array>()
  readonly tickets: PayMessageOf<'ticket'>[] = []
  readonly leases: LeaseRef[] = []
  acknowledges: boolean
  expirySec: number
  #agreement: Agreement | undefined
  #id: string | undefined
  #sequence = 0
  readonly #engaged = Promise.withResolvers<void>()
  readonly #slots: number
  readonly #secret: (index: number, provider: HandProvider) => Uint8Array
  readonly #says: NonNullable<Habits['says']>
  /** Behind its agreements so far; it counts all as standing. */
  #exposedWei = 0n

  private constructor(peer: HandPeer, { terms = {}, slots = 1, secret = () => randomBytes(32), acknowledges = true, expirySec, says = (truth) => truth }: Habits) {
    this.peer = peer
    this.terms = { ...TERMS, ...terms }
    this.#slots = slots
    this.acknowledges = acknowledges
    this.#says = says
    this.#secret = secret
    this.expirySec = expirySec ?? Math.floor(Date.now() / SECOND_MS) + this.terms.ticketLifeSec - 60
    peer.network.onOffer((offer) => { void this.#bid(offer) })
    peer.network.setAd(() => adFields({ free: { ...HARDWARE, gpus: 0 } }))
    peer.network.setMarkets([{ engine: 'wasm', hardware: 'cpu', region: 'any' }])
    peer.onHeard(({ from, message }) => {
      if (message.kind === 'propose') void this.#agree(from, message)
      if (message.kind === 'lease') this.leases.push(...message.leases)
      if (message.kind === 'ticket') this.#take(message)
      if (message.kind === 'close') void peer.send(from, { kind: 'closed', agreement: message.agreement }).catch(() => undefined)
    })
  }

  /** Funded with a bond by its caller, as a requester looks at it. */
  static async arrive(chain: BrokerChain, habits: Habits = {}): Promise<HandProvider> {
    return new HandProvider(await HandPeer.arrive(chain), habits)
  }

  get id(): string {
    if (this.#id === undefined) throw new Error('there is no agreement yet')
    return this.#id
  }

  get agreement(): Agreement {
    if (this.#agreement === undefined) throw new Error('there is no agreement yet')
    return this.#agreement
  }

  get requester(): string {
    return this.agreement.requester
  }

  /** Tickets by number: the last that came of each. */
  get distinct(): Map<number, PayMessageOf<'ticket'>> {
    return new Map(this.tickets.map((message) => [message.index, message]))
  }

  /** Worth of all tickets that it was given, 2^-64 wei. */
  get earned(): bigint {
    return BigInt(this.distinct.size) * expectedOf(this.terms)
  }

  async engaged(): Promise<void> {
    await this.peer.until('an agreement', () => this.#id !== undefined, ENGAGED_WITHIN_MS)
    await this.#engaged.promise
  }

  /** Claims all the time that has passed since the agreement, or as much as is said. */
  async claim(workedMs: number = (Date.now() - (this.#agreement?.createdWallMs ?? 0)) * this.#slots): Promise<void> {
    await this.peer.send(this.requester, { kind: 'beat', agreement: this.id, running: this.leases, suspended: false, worked: workedMs })
  }

  /** Says that a lease failed after this much work. */
  async fail(lease: LeaseRef, spent: number, worked: number): Promise<void> {
    const since = this.peer.heard.length
    await this.peer.send(this.requester, { kind: 'failed', agreement: this.id, ...lease, code: 'E_HOST_LEFT', message: 'it says', worked, spent })
    await this.peer.hears('settled', { since })
  }

  /** What the requester has sent before this is here: it is asked something twice, and its answers come after. */
  async roundTrip(): Promise<void> {
    for (let i = 0; i < 2; i++) await this.fail({ task: 9999, attempt: 60_000 + i }, 0, 0)
  }

  /** Commits from `first` on. */
  lots(first: number, count: number = this.terms.openCommits): MessageOf<'credit'>['lots'] {
    return [{ first, expirySec: this.expirySec, commits: Array.from({ length: count }, (_, i) => this.commit(first + i)) }]
  }

  commit(index: number): string {
    let secret = this.secrets.get(index)
    if (secret === undefined) {
      secret = this.#secret(index, this)
      this.secrets.set(index, secret)
    }
    return commitOf(nativeHasher, secret)
  }

  /** The ticket of a number as an honest payer would make it with this salt. */
  expected(index: number, commit: string, salt: string): Ticket {
    const { agreement: { requesterAddress: payer, payee, job } } = this
    const { faceValueWei, winProb } = this.terms
    return { payer, payee, faceValueWei, winProb, expirySec: this.expirySec, commit, salt, context: contextOf(nativeHasher, jobDigest(job), this.id, index) }
  }

  /** Those of the tickets that it was given that won. */
  get won(): PayMessageOf<'ticket'>[] {
    const tickets = new TicketHasher(nativeHasher, separatorOf(this.peer.chain))
    return [...this.distinct.values()].filter(({ index, ticket }) => isWin(nativeHasher, this.secrets.get(index)!, tickets.digest(ticket), ticket.winProb))
  }

  async credit(change: Partial<MessageOf<'credit'>> = {}): Promise<void> {
    const tickets = this.distinct.size
    await this.peer.send(this.requester, {
      kind: 'credit', agreement: this.id, lots: this.lots(Math.max(-1, ...this.distinct.keys()) + 1), final: false,
      state: { agreement: this.id, sequence: ++this.#sequence, tickets, expectedPaid: BigInt(tickets) * expectedOf(this.terms), heldBack: 0n, refunded: 0n }, ...change
    })
  }

  async leave(): Promise<void> {
    await this.peer.leave()
  }

  async #bid(offer: Offer): Promise<void> {
    const { terms, peer } = this
    await peer.send(offer.requester, { kind: 'bid', bid: {
      v: 1, job: offer.job, round: offer.round, identity: peer.keys.identity, slots: this.#slots, startMs: 0, expiresWallMs: Date.now() + PARAMS.bidLifeMs, hardware: HARDWARE, region: 'any',
      terms, taskPriceWei: terms.unitPriceWei, bondWei: 10n ** 18n, exposureWei: 0n
    } }).catch(() => undefined)
  }

  async #agree(from: string, { agreement, leases }: MessageOf<'propose'>): Promise<void> {
    const id = toHex(agreementDigest(nativeHasher, separatorOf(this.peer.chain), agreement))
    this.#agreement = agreement
    this.#id = id
    this.peer.agreements.set(id, agreement)
    this.peer.parties.set(id, { requester: agreement.requester, provider: agreement.provider, requesterAddress: agreement.requesterAddress, providerAddress: agreement.providerAddress })
    this.leases.push(...leases)
    const ownWei = this.terms.prepayCapWei
    this.#exposedWei += ownWei
    const exposure = this.#says({ sequence: Date.now(), ownWei, totalWei: this.#exposedWei, expiresWallMs: agreement.expiresWallMs })
    await this.peer.send(from, { kind: 'agreed', agreement: id, lots: this.lots(0), ...exposure === undefined ? {} : { exposure } }).catch(() => undefined)
    this.#engaged.resolve()
  }

  #take(message: PayMessageOf<'ticket'>): void {
    this.tickets.push(message)
    if (this.acknowledges) void this.credit({ index: message.index }).catch(() => undefined)
  }
}
