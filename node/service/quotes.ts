import { randomBytes } from 'node:crypto'
import { documentCid } from '../../src/codec/hasher.ts'
import type { Bid } from '../../src/documents/bid.ts'
import { taskCount } from '../../src/documents/job.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { Message } from '../../src/documents/message.ts'
import { movesOf } from '../../src/documents/moves.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { hardwareClass, offerRegion } from '../../src/market/fit.ts'
import { PARAMS } from '../../src/params.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { nativeHasher } from '../keys/index.ts'

/** A person waits; a provider that must look at the chain first answers within a block's look. */
const WITHIN_MS = 3 * SECOND_MS
/** Asked at once: prices of more tell no more. */
const MAX_ASKED = 32
/** Estimates at once, from scripts. */
const MAX_OPEN = 16
/** The offer is for nothing: it ends soon. */
const OFFER_LIFE_MS = MINUTE_MS

export interface QuotesParts {
  requester: string
  /** What an offer says of who pays. */
  asPayer: () => Pick<Offer, 'payer' | 'maxPrepayWei'>
  /** Sends an offer to these alone; those that it reached. */
  probe: (offer: Offer, peers: readonly string[]) => Promise<{ recipients: string[] }>
}

interface Open { waiting: Set<string> | undefined, heard: Set<string>, bids: Bid[], done: () => void }

/** Asks providers for bids on a job that is not sent: a bid binds nobody, and reserves nothing. The core hears nothing of it. */
export class Quotes {
  readonly #parts: QuotesParts
  readonly #open = new Map<string, Open>()

  constructor(parts: QuotesParts) {
    this.#parts = parts
  }

  /** Bids of those asked that came in time. */
  async ask(document: JobDocument, peers: readonly string[]): Promise<Bid[]> {
    if (peers.length === 0 || this.#open.size >= MAX_OPEN) return []
    const asked = peers.slice(0, MAX_ASKED)
    // an id that no job has
    const job = documentCid(nativeHasher, randomBytes(32))
    const { promise, resolve } = Promise.withResolvers<void>()
    const open: Open = { waiting: undefined, heard: new Set(), bids: [], done: resolve }
    this.#open.set(job, open)
    const timer = setTimeout(resolve, WITHIN_MS)
    try {
      const { recipients } = await this.#parts.probe(this.#offer(job, document), asked)
      open.waiting = new Set(recipients.filter((peer) => !open.heard.has(peer)))
      if (open.waiting.size === 0) resolve()
      await promise
      return open.bids
    } finally {
      clearTimeout(timer)
      this.#open.delete(job)
    }
  }

  /** Takes what answers a question of ours; false for what is the core's to hear. */
  hears(from: string, message: Message): boolean {
    const answer = message.kind === 'bid' ? message.bid : message.kind === 'decline' ? message.decline : undefined
    const open = answer === undefined ? undefined : this.#open.get(answer.job)
    if (open === undefined || open.heard.has(from)) return open !== undefined
    open.heard.add(from)
    if (message.kind === 'bid' && message.bid.identity.peer === from) open.bids.push(message.bid)
    open.waiting?.delete(from)
    if (open.waiting?.size === 0) open.done()
    return true
  }

  #offer(job: string, document: JobDocument): Offer {
    const { engine, resources, replication, placement, limits } = document
    const nowWallMs = Date.now()
    return {
      v: 1, job, round: 1, requester: this.#parts.requester, addresses: [],
      market: { engine: engine.kind, hardware: hardwareClass(resources), region: offerRegion(placement.regions) },
      resources, tasks: taskCount(document), replicas: replication.replicas,
      moduleBytes: engine.kind === 'wasm' ? engine.moduleBytes : 0,
      inputBytes: Math.min(PARAMS.maxInputBytes, document.inputs.reduce((sum, input) => sum + input.sizeBytes, 0)),
      moves: movesOf(document), runMs: limits.runMs, deadlineWallMs: nowWallMs + OFFER_LIFE_MS, issuedWallMs: nowWallMs,
      ...document.priceCapWei === undefined ? {} : { priceCapWei: document.priceCapWei },
      ...this.#parts.asPayer(),
      declineShare: 65_535
    }
  }
}
