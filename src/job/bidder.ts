import type { HostState, Standing } from '../core/event.ts'
import type { Turn } from '../core/turn.ts'
import type { Agreement } from '../documents/agreement.ts'
import type { Offer } from '../documents/offer.ts'
import type { ErrorCode } from '../errors.ts'
import { closedBecause, decideBid } from '../market/bidding.ts'
import type { BidDecision } from '../market/bidding.ts'
import type { Capacity } from '../market/capacity.ts'
import type { SharePolicy } from '../documents/share.ts'
import { PARAMS } from '../params.ts'
import { termsHash } from '../documents/terms.ts'
import type { Terms } from '../documents/terms.ts'
import type { Earning } from './earning.ts'
import type { Parts } from './parts.ts'

/** Offers remembered, so that a proposal can be checked against what was offered. */
const MAX_OFFERS = 1024
/** Bids of one job whose terms are remembered: rounds come further and further apart, and a bid lives 30 s. */
const MAX_TERMS = 8
/** Offers that wait for the chain, and their payers: it answers within a second, or is away. */
const MAX_WAITING_OFFERS = 16
const MAX_WAITING_PAYERS = 256
/** An agreement outlives its offer's deadline by this at most: our bond stands behind it to its end. */
const MAX_OVERTIME_MS = PARAMS.clockSkewMs
/** Sampling of declines is out of this; see Offer.declineShare. */
const FULL_DECLINE_SHARE = 65_535

/** What its owner and its machine make of a host at this moment. */
export interface HostSide { policy: SharePolicy, host: HostState, draining: boolean }

/** Answers offers with a bid or a reason, and checks a proposal against what was offered. A bid reserves nothing. */
export class Bidder {
  readonly #parts: Parts
  readonly #capacity: Capacity
  readonly #earning: Earning
  /** By requester and job: nobody can put an offer in another's place. */
  readonly #offers = new Map<string, { offer: Offer, terms: readonly Terms[] }>()
  /** Offers that wait for the chain's word on their payer, by its address. */
  readonly #waiting = new Map<string, Offer[]>()
  readonly #declines = new Map<ErrorCode, number>()

  constructor(parts: Parts, capacity: Capacity, earning: Earning) {
    this.#parts = parts
    this.#earning = earning
    this.#capacity = capacity
  }

  /** Declines by code since the start. */
  get declines(): ReadonlyMap<ErrorCode, number> {
    return this.#declines
  }

  offer(turn: Turn, offer: Offer, side: HostSide, standing: Standing | undefined): void {
    const { identity } = this.#parts.self
    if (offer.requester === identity.peer || offer.deadlineWallMs + PARAMS.clockSkewMs <= turn.now.wallMs) return
    let decision = this.#decide(turn, offer, side, standing)
    if (decision.kind === 'bid') {
      const { slots } = decision
      const answer = this.#earning.terms(turn, offer, slots)
      if (answer.kind === 'wait') { this.#wait(offer); return }
      if (answer.kind === 'terms') {
        this.#remember(offer, answer.terms)
        this.#bid(turn, offer, slots, answer.terms, side)
        return
      }
      decision = { kind: 'decline', code: answer.code, message: answer.message, unmet: [answer.code] }
    }
    this.#declines.set(decision.code, (this.#declines.get(decision.code) ?? 0) + 1)
    if (turn.random() * FULL_DECLINE_SHARE <= offer.declineShare) {
      turn.send(offer.requester, { kind: 'decline', decline: { v: 1, job: offer.job, round: offer.round, code: decision.code, message: decision.message, unmet: decision.unmet } })
    }
  }

  /** The chain has spoken of this payer: its offers that still stand are answered. */
  payerSeen(turn: Turn, address: string, side: HostSide): void {
    const offers = this.#waiting.get(address) ?? []
    this.#waiting.delete(address)
    for (const offer of offers) this.offer(turn, offer, side, undefined)
  }

  /** What a redemption costs is known now: all offers that waited for the chain are looked at again. */
  costsSeen(turn: Turn, side: HostSide): void {
    for (const address of [...this.#waiting.keys()]) this.payerSeen(turn, address, side)
  }

  /** The offer that a proposal may be accepted under, or why it may not. */
  check(turn: Turn, from: string, agreement: Agreement, side: HostSide, standing: Standing): { kind: 'fits', offer: Offer } | { kind: 'refused', code: ErrorCode, message: string } {
    const { self } = this.#parts
    const refused = (code: ErrorCode, message: string): { kind: 'refused', code: ErrorCode, message: string } => ({ kind: 'refused', code, message })
    if (agreement.requester !== from) return refused('E_AGREEMENT_PARTY', 'the requester is another')
    const known = this.#offers.get(offerKey(from, agreement.job))
    if (known === undefined) return refused('E_OFFER_UNKNOWN', 'knows no such offer')
    const { offer } = known
    if (agreement.provider !== self.identity.peer || agreement.providerAddress !== self.identity.address || agreement.payee !== self.identity.payee) return refused('E_AGREEMENT_PARTY', 'the provider is another')
    if (agreement.paramsHash !== self.paramsHash) return refused('E_PARAMS', 'speaks another version of the protocol')
    if (agreement.chainId !== self.chainId || agreement.contract !== self.contract) return refused('E_AGREEMENT_CHAIN', 'is on another chain')
    const asked = termsHash(turn.hasher, agreement.terms)
    if (!known.terms.some((terms) => termsHash(turn.hasher, terms) === asked)) return refused('E_AGREEMENT_TERMS', 'the terms are not those of its bid')
    if (offer.payer !== undefined && agreement.requesterAddress !== offer.payer.address) return refused('E_AGREEMENT_PARTY', 'somebody else would pay')
    if (agreement.expiresWallMs + PARAMS.clockSkewMs <= turn.now.wallMs || agreement.expiresWallMs > offer.deadlineWallMs + MAX_OVERTIME_MS || agreement.createdWallMs > turn.now.wallMs + PARAMS.clockSkewMs) return refused('E_AGREEMENT_TIME', 'the agreement is over or in the future: check the clocks')
    if (!this.#earning.covers(agreement.terms, from, turn.now.wallMs)) return refused('E_BOND_EXPOSED', 'has put its bond behind other agreements since it bid')
    const decision = this.#decide(turn, offer, side, standing)
    if (decision.kind === 'decline') return refused(decision.code, decision.message)
    return decision.slots < agreement.slots ? refused('E_HOST_BUSY', `has room for ${decision.slots} tasks, not ${agreement.slots}`) : { kind: 'fits', offer }
  }

  closedBecause(side: HostSide): { code: ErrorCode, message: string } | undefined {
    return closedBecause(side)
  }

  #decide(turn: Turn, offer: Offer, side: HostSide, standing: Standing | undefined): BidDecision {
    const { histories, guests } = this.#parts
    const { wallMs } = turn.now
    return decideBid(offer, { ...side, capacity: this.#capacity, history: histories.get(offer.requester, wallMs), unwelcome: this.#earning.earns ? undefined : guests.unmet(offer.requester, standing, wallMs) })
  }

  #bid(turn: Turn, offer: Offer, slots: number, terms: Terms, side: HostSide): void {
    turn.send(offer.requester, { kind: 'bid', bid: {
      v: 1, job: offer.job, round: offer.round, identity: this.#parts.self.identity, slots, startMs: 0, expiresWallMs: turn.now.wallMs + PARAMS.bidLifeMs,
      hardware: this.#capacity.total, region: side.policy.region, terms, taskPriceWei: this.#earning.taskPriceWei(terms, offer.runMs), ...terms.mode === 'free' ? {} : { fuelWei: this.#earning.prices?.fuelWei ?? 0n }, ...this.#earning.bond(turn.now.wallMs)
    } })
  }

  #wait(offer: Offer): void {
    const address = offer.payer?.address ?? ''
    const offers = (this.#waiting.get(address) ?? []).filter(({ requester, job }) => requester !== offer.requester || job !== offer.job)
    if (offers.length < MAX_WAITING_OFFERS) this.#waiting.set(address, [...offers, offer])
    if (this.#waiting.size > MAX_WAITING_PAYERS) this.#waiting.delete(this.#waiting.keys().next().value ?? '')
  }

  #remember(offer: Offer, terms: Terms): void {
    const key = offerKey(offer.requester, offer.job)
    // the price of gas moves between rounds, and an earlier bid may be the one that is taken
    const earlier = this.#offers.get(key)?.terms ?? []
    this.#offers.delete(key)
    this.#offers.set(key, { offer, terms: [terms, ...earlier].slice(0, MAX_TERMS) })
    if (this.#offers.size > MAX_OFFERS) this.#offers.delete(this.#offers.keys().next().value ?? '')
  }
}

function offerKey(requester: string, job: string): string {
  return `${requester}/${job}`
}
