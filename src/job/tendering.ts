import type { Turn } from '../core/turn.ts'
import type { Bid } from '../documents/bid.ts'
import type { JobDocument } from '../documents/job.ts'
import { movesOf } from '../documents/moves.ts'
import type { Offer } from '../documents/offer.ts'
import type { ErrorCode, ErrorShape } from '../errors.ts'
import { hardwareClass, offerRegion, unmetResources } from '../market/fit.ts'
import { rank, SELECTION } from '../market/selection.ts'
import { MAX_BIDS, Tender } from '../market/tender.ts'
import type { Spare } from '../market/tender.ts'
import { PARAMS } from '../params.ts'
import { score, shunned } from '../reputation/history.ts'
import { SECOND_MS } from '../units.ts'
import { deadlineWallMs, waitingCount } from './job.ts'
import type { Job } from './job.ts'
import { taskInputBytes } from './offered-job.ts'
import type { Parts } from './parts.ts'
import type { Paying } from './paying.ts'
import type { RequesterSettings } from './parts.ts'

const FIRST_RETRY_MS = 1 * SECOND_MS
const LAST_RETRY_MS = 15 * SECOND_MS
/** A newcomer is asked this soon, so that several that come together are asked at once. */
const HURRY_MS = 100
/** Latency assumed of a peer that was never measured. */
const UNKNOWN_LATENCY_MS = 200
/** Peers whose latency is remembered. */
const MAX_LATENCIES = 4096
/** Bidders of one job remembered, so that a bid serves once. */
const MAX_BIDDERS = 1024
/** Providers expected to answer a decline-sampled offer; see Offer.declineShare. */
const FULL_DECLINE_SHARE = 65_535

/** Asks the market for a job, takes the bids in, and keeps those not used as spares. */
export class Tendering {
  readonly #parts: Parts
  readonly #settings: RequesterSettings
  readonly #paying: Paying
  readonly #latencyMs = new Map<string, number>()

  constructor(parts: Parts, settings: RequesterSettings, paying: Paying) {
    this.#parts = parts
    this.#paying = paying
    this.#settings = settings
  }

  /** Opens a round of asking, unless one is open or it is too soon to ask again. */
  open(turn: Turn, job: Job): void {
    if (job.tender !== undefined || this.#parts.timers.has(`retender|${job.id}`)) return
    job.offerRound++
    job.tender = new Tender(job.offerRound)
    const allow = job.document.placement.allow
    turn.do({ kind: 'publish-offer', offer: this.#offer(turn, job), ...allow === undefined ? {} : { only: allow } })
    if (job.offerRound === 1) {
      const { engine, resources, placement } = job.document
      turn.do({ kind: 'find-ads', engine: engine.kind, hardware: hardwareClass(resources), regions: placement.regions ?? ['any'] })
    }
    this.#parts.timers.set(`tender|${job.id}`, turn.now.monoMs + this.#settings.bidWindowMs)
  }

  /** Takes a bid in; true when it came late, as a spare. Its own expiry is on its bidder's clock, so that clock's error is allowed for. */
  bid(turn: Turn, job: Job, bid: Bid): boolean {
    const { peer } = bid.identity
    if (bid.round > job.offerRound || bid.round <= (job.bidRounds.get(peer) ?? 0) || bid.expiresWallMs + PARAMS.clockSkewMs <= turn.now.wallMs) return false
    job.bidRounds.delete(peer)
    job.bidRounds.set(peer, bid.round)
    if (job.bidRounds.size > MAX_BIDDERS) job.bidRounds.delete(job.bidRounds.keys().next().value ?? '')
    const refusal = this.#refuses(turn, job, bid)
    if (refusal !== undefined) {
      job.refusals.add(peer, refusal.code, refusal.message, [refusal.code])
      if (job.tender?.round === bid.round) job.tender.declined(peer)
      return false
    }
    turn.notify({ kind: 'bid', job: job.id, peer })
    const spare: Spare = { bid, untilMonoMs: turn.now.monoMs + PARAMS.bidLifeMs }
    const late = job.tender?.round !== bid.round
    if (late) job.spares = freshest([...job.spares.filter((other) => other.bid.identity.peer !== peer), spare])
    else job.tender?.bid(spare)
    return late
  }

  /** Ends the open round when it is complete or its window is over. True when there is something to schedule with. */
  settle(turn: Turn, job: Job, windowOver: boolean): boolean {
    const { tender } = job
    if (tender === undefined) return false
    const policy = SELECTION[job.document.selection]
    const wanted = Math.min(this.#settings.maxProviders, Math.max(job.document.replication.replicas, waitingCount(job)))
    if (!windowOver && !tender.complete(policy, wanted)) return false
    job.tender = undefined
    this.#parts.timers.clear(`tender|${job.id}`)
    const candidates = tender.bids.map(({ bid, untilMonoMs }) => ({
      bid,
      untilMonoMs,
      latencyMs: this.#latencyMs.get(bid.identity.peer) ?? UNKNOWN_LATENCY_MS,
      reputation: score(this.#parts.histories.get(bid.identity.peer, turn.now.wallMs)),
      luck: turn.random()
    }))
    job.spares = freshest([...rank(policy, candidates).map(({ bid, untilMonoMs }) => ({ bid, untilMonoMs })), ...job.spares])
    // a job that has providers and asks for more in vain is no news
    if (tender.bids.length > 0 || job.deals.size === 0) turn.notify({ kind: 'tender', job: job.id, round: tender.round, asked: tender.asked, bids: tender.bids.length, declines: tender.answered - tender.bids.length })
    this.#parts.timers.set(`retender|${job.id}`, turn.now.monoMs + Math.min(FIRST_RETRY_MS * 2 ** Math.min(job.fruitlessRounds, 6), LAST_RETRY_MS))
    job.fruitlessRounds++
    return true
  }

  /** Takes the best spare that is still good, has no deal yet, and that something waits for. */
  take(turn: Turn, job: Job, suits: (bid: Bid) => boolean): Bid | undefined {
    const engaged = new Set([...job.deals.values()].flatMap(({ provider, payee }) => [provider, payee]))
    job.spares = job.spares.filter(({ bid, untilMonoMs }) => untilMonoMs > turn.now.monoMs && !engaged.has(bid.identity.peer) && !engaged.has(bid.identity.payee) && this.#refuses(turn, job, bid) === undefined)
    const best = job.spares.findIndex(({ bid }) => suits(bid) && this.#paying.distrusts(turn, bid) === undefined)
    return best === -1 ? undefined : job.spares.splice(best, 1)[0]?.bid
  }

  /** A job that lacks providers asks again soon, since somebody came. More that come do not put it off. */
  hurry(turn: Turn, job: Job): void {
    if (job.tender !== undefined || (waitingCount(job) === 0 && !job.blocked)) return
    const soonMonoMs = turn.now.monoMs + HURRY_MS
    if ((this.#parts.timers.at(`retender|${job.id}`) ?? Number.POSITIVE_INFINITY) > soonMonoMs) this.#parts.timers.set(`retender|${job.id}`, soonMonoMs)
  }

  latency(peer: string, latencyMs: number): void {
    this.#latencyMs.delete(peer)
    this.#latencyMs.set(peer, latencyMs)
    if (this.#latencyMs.size > MAX_LATENCIES) this.#latencyMs.delete(this.#latencyMs.keys().next().value ?? '')
  }

  /** Why a job found nobody: which requirement nobody met, and who said what. */
  nobody(job: Job): ErrorShape {
    const [missing] = job.refusals.missing()
    const message = missing === undefined
      ? 'no provider answered'
      : `no provider took the job; ${missing.peers} of ${job.refusals.list().length} that answered said ${missing.code}: ${missing.message}`
    return { code: 'E_NO_PROVIDER', message, hint: missing === undefined ? 'See `peers` and `doctor`: is this node connected to providers of this engine and region?' : `See \`why ${job.id.slice(0, 12)}\`, and lower that requirement or wait` }
  }

  #refuses(turn: Turn, job: Job, bid: Bid): { code: ErrorCode, message: string } | undefined {
    const { placement, resources, priceCapWei } = job.document
    const { peer } = bid.identity
    if (placement.deny?.includes(peer) === true || (placement.allow !== undefined && !placement.allow.includes(peer))) return { code: 'E_PLACEMENT_PEER', message: 'is not among the peers that the job allows' }
    if (placement.regions !== undefined && !placement.regions.includes('any') && !placement.regions.includes(bid.region)) return { code: 'E_PLACEMENT_REGION', message: `is in ${bid.region}, not ${placement.regions.join(' or ')}` }
    if (placement.maxLatencyMs !== undefined && (this.#latencyMs.get(peer) ?? UNKNOWN_LATENCY_MS) > placement.maxLatencyMs) return { code: 'E_PLACEMENT_LATENCY', message: `answers in ${Math.round(this.#latencyMs.get(peer) ?? UNKNOWN_LATENCY_MS)} ms, the job allows ${placement.maxLatencyMs}` }
    if (shunned(this.#parts.histories.get(peer, turn.now.wallMs))) return { code: 'E_SHUNNED', message: 'gave wrong results here before' }
    const [unmet] = unmetResources(resources, bid.hardware)
    if (unmet !== undefined) return unmet
    const terms = this.#paying.refuses(turn, bid, movesOf(job.document))
    if (terms !== undefined) return terms
    if (priceCapWei !== undefined && bid.taskPriceWei > priceCapWei) return { code: 'E_PRICE', message: 'asks more than the price cap' }
    return undefined
  }

  #offer(turn: Turn, job: Job): Offer {
    const { document } = job
    return {
      v: 1, job: job.id, round: job.offerRound, requester: this.#parts.self.identity.peer, addresses: [],
      market: { engine: document.engine.kind, hardware: hardwareClass(document.resources), region: offerRegion(document.placement.regions) },
      resources: document.resources, tasks: job.taskCount, replicas: document.replication.replicas,
      moduleBytes: document.engine.kind === 'wasm' ? document.engine.moduleBytes : 0,
      ...containerOf(document),
      inputBytes: Math.min(PARAMS.maxInputBytes, taskInputBytes(document)),
      moves: movesOf(document), runMs: document.limits.runMs, deadlineWallMs: deadlineWallMs(job), issuedWallMs: turn.now.wallMs,
      ...document.priceCapWei === undefined ? {} : { priceCapWei: document.priceCapWei },
      ...this.#paying.asPayer(this.#parts.self.identity),
      declineShare: FULL_DECLINE_SHARE
    }
  }
}

/** One bid a peer, the first in the list, and no more than one tender may bring. */
function freshest(spares: readonly Spare[]): Spare[] {
  const byPeer = new Map<string, Spare>()
  for (const spare of spares) if (!byPeer.has(spare.bid.identity.peer) && byPeer.size < MAX_BIDS) byPeer.set(spare.bid.identity.peer, spare)
  return [...byPeer.values()]
}

function containerOf({ engine }: JobDocument): Pick<Offer, 'container'> {
  if (engine.kind !== 'container') return {}
  const { image, signatures, network } = engine
  return { container: { image, ...signatures === undefined ? {} : { signatures }, ...network === undefined ? {} : { networkBytes: network.maxBytes } } }
}
