import { HearthError } from '../../src/errors.ts'
import type { TicketRefusal } from '../../src/contracts/index.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { Listeners } from './listeners.ts'
import type { ChainStore } from './store.ts'

/** A ticket that won, as the core hands it over. */
export interface Winner {
  readonly ticket: Ticket
  readonly signature: string
  /** Where its secret comes from: `Secrets.rand(offerId, index)`. */
  readonly offerId: string
  readonly index: number
  /** The ticket's EIP-712 digest, 0x… : its name everywhere. */
  readonly digest: string
}

/** What became of a winner. Each may be told again after a restart, or when the winner is handed over again. */
export type RedemptionReport = { readonly digest: string } & (
  | { readonly kind: 'submitted', readonly tx: string }
  /** Confirmed. The gas of a batch is shared out so that the fees of its winners add up to the transaction's. */
  | { readonly kind: 'redeemed', readonly tx: string, readonly blockNumber: number, readonly paidWei: bigint, readonly gasUsed: bigint, readonly feeWei: bigint }
  /** Somebody else's transaction redeemed it, confirmed. The payee has the money: a redemption pays nobody else. */
  | { readonly kind: 'lost-race' }
  /** It will never be paid. */
  | { readonly kind: 'refused', readonly reason: TicketRefusal | 'malformed' | 'wrongDigest' | 'wrongRand' }
  /** What was told as redeemed or lost-race is undone by a reorganisation. It waits again; another report follows. */
  | { readonly kind: 'reorged' }
  /** The deposit does not cover it. It is tried again with each block, and claimed as a default when that pays. */
  | { readonly kind: 'underfunded', readonly depositWei: bigint, readonly bondWei: bigint }
  /** The payer has until then to top up. */
  | { readonly kind: 'noticed', readonly tx: string, readonly graceUntilSec: number, readonly feeWei: bigint }
  /** The payer did not: what was left of its deposit came, and its bond burned. */
  | { readonly kind: 'defaulted', readonly tx: string, readonly blockNumber: number, readonly paidWei: bigint, readonly burnedWei: bigint, readonly gasUsed: bigint, readonly feeWei: bigint }
)

/** Stored: kept until no reorganisation can undo its end. */
interface WinnerRecord { readonly winner: Winner, readonly end: { readonly report: RedemptionReport, readonly atBlock: number } | undefined }

/** A winner and where it stands in this run. */
export interface Entry {
  readonly winner: Winner
  end: WinnerRecord['end']
  /** The transaction that carries it now. */
  tx: string | undefined
  /** Not looked at before this block: its last try failed. */
  notBefore: number
  failures: number
  /** Since which block the chain says that it is used, though not by us: told when that is confirmed. */
  usedSince: number | undefined
  /** Since which block the deposit does not cover it. */
  underfundedSince: number | undefined
}

/** 1 KiB each; a core that holds more hands them over again later. */
const MAX_WINNERS = 65_536
const KEY = 'winner/'

/** All winners that are not final, in memory and on disk. */
export class Winners {
  readonly #store: ChainStore
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Listeners<RedemptionReport>()

  constructor(store: ChainStore) {
    this.#store = store
  }

  /** Takes up what an earlier run left. Give it all of the store's entries. */
  restore(entries: readonly (readonly [string, unknown])[]): void {
    for (const [key, value] of entries) {
      if (!key.startsWith(KEY)) continue
      const { winner, end } = value as WinnerRecord
      this.#entries.set(winner.digest, entryOf(winner, end))
    }
  }

  onReport(listener: (report: RedemptionReport) => void): () => void {
    return this.#listeners.add(listener)
  }

  tell(report: RedemptionReport): void {
    this.#listeners.tell(report)
  }

  get(digest: string): Entry | undefined {
    return this.#entries.get(digest)
  }

  /** Those that no transaction carries and that have no end yet. */
  get waiting(): Entry[] {
    return [...this.#entries.values()].filter(({ end, tx }) => end === undefined && tx === undefined)
  }

  /** Those that others redeemed: nothing of ours watches over them. */
  get raced(): Entry[] {
    return [...this.#entries.values()].filter(({ end }) => end?.report.kind === 'lost-race')
  }

  get open(): number {
    let open = 0
    for (const { end } of this.#entries.values()) if (end === undefined) open++
    return open
  }

  /** Stores a new one. Throws E_CHAIN_BUSY. */
  async add(winner: Winner): Promise<void> {
    if (this.#entries.size >= MAX_WINNERS) throw new HearthError('E_CHAIN_BUSY', `${MAX_WINNERS} winning tickets wait for the chain`, 'Is gas above payment.maxFeePerGas, or the account without coin?')
    const entry = entryOf(winner, undefined)
    this.#entries.set(winner.digest, entry)
    await this.#store.write([[KEY + winner.digest, { winner, end: undefined } satisfies WinnerRecord]])
  }

  /** Stores how these ended, then tells. */
  async end(reports: readonly RedemptionReport[], atBlock: number): Promise<void> {
    const known = reports.flatMap((report) => {
      const entry = this.#entries.get(report.digest)
      return entry === undefined ? [] : [{ entry, report }]
    })
    await this.#store.write(known.map(({ entry, report }) => [KEY + report.digest, { winner: entry.winner, end: { report, atBlock } } satisfies WinnerRecord]))
    for (const { entry, report } of known) {
      entry.end = { report, atBlock }
      entry.tx = undefined
    }
    for (const { report } of known) this.tell(report)
  }

  /** The end of these was undone; `tx` still carries them, or nothing does. */
  async reopen(digests: readonly string[], tx: string | undefined): Promise<void> {
    const ended = digests.flatMap((digest) => this.#entries.get(digest) ?? []).filter(({ end }) => end !== undefined)
    await this.#store.write(ended.map(({ winner }) => [KEY + winner.digest, { winner, end: undefined } satisfies WinnerRecord]))
    for (const entry of ended) {
      Object.assign(entry, entryOf(entry.winner, undefined), { tx })
      this.tell({ kind: 'reorged', digest: entry.winner.digest })
    }
  }

  /** Forgets these: their end is final. */
  async forget(digests: readonly string[]): Promise<void> {
    await this.#store.write(digests.map((digest) => [KEY + digest, undefined]))
    for (const digest of digests) this.#entries.delete(digest)
  }

  /** It will never be paid: told, and forgotten. */
  async refuse(digest: string, reason: TicketRefusal): Promise<void> {
    await this.forget([digest])
    this.tell({ kind: 'refused', digest, reason })
  }
}

function entryOf(winner: Winner, end: WinnerRecord['end']): Entry {
  return { winner, end, tx: undefined, notBefore: 0, failures: 0, usedSince: undefined, underfundedSince: undefined }
}
