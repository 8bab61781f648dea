import { utf8ToBytes } from '@noble/hashes/utils.js'
import { toHex } from '../../src/codec/hasher.ts'
import { commitOf, contextOf, jobDigest, TicketHasher } from '../../src/documents/ticket.ts'
import { nativeHasher } from '../keys/index.ts'
import type { ChainRpc } from '../chain/rpc.ts'
import type { MoneyJournal } from './journal.ts'

/** Services refuse to look through more at once. */
const MAX_BLOCKS_A_LOOK = 2_000
/** After a long absence, older ones are left to the sums of the chain. */
const MAX_BLOCKS_BACK = 100_000
/** Commits that an agreement may have skipped between tickets: see the payer's span. */
const SKIPPED = 2048
const WORD = 64
/** How far is written down so seldom: to look at a block again costs nothing but a question. */
const STORE_EVERY_BLOCKS = 256

const REDEEMED = toHex(nativeHasher.keccak256(utf8ToBytes('TicketRedeemed(address,address,bytes32,uint256)')))
const DEFAULTED = toHex(nativeHasher.keccak256(utf8ToBytes('DefaultClaimed(bytes32,address,address,uint256,uint256)')))

interface Log { topics: string[], data: string, transactionHash: string }
/** Of an agreement, what tells its tickets. */
export interface Payee { id: string, issued: number, payment: { job: string, payee: string } }

export interface SpentWatchParts {
  rpc: Pick<ChainRpc, 'ask'>
  contract: string
  payer: string
  /** Of the EIP-712 domain. */
  separator: Uint8Array
  journal: MoneyJournal
  senders: () => Iterable<Payee>
}

/** Finds what winners took from our deposit, and for which job: the contract names the ticket, and whoever redeemed it had to show it. */
export class SpentWatch {
  readonly #parts: SpentWatchParts
  readonly #tickets: TicketHasher
  #looking: Promise<void> | undefined
  /** Looked at up to here, by this run. */
  #scanned = -1

  constructor(parts: SpentWatchParts) {
    this.#parts = parts
    this.#tickets = new TicketHasher(nativeHasher, parts.separator)
  }

  /** Looks up to this confirmed block. A service that does not answer is asked again with the next block; it throws nothing. */
  look(confirmedBlock: number): Promise<void> {
    this.#looking ??= this.#look(confirmedBlock).catch(() => undefined).finally(() => { this.#looking = undefined })
    return this.#looking
  }

  async #look(head: number): Promise<void> {
    const { journal, rpc, contract, payer } = this.#parts
    const stored = journal.scannedBlock ?? -1
    // a chain that became shorter is another one
    if (stored > head) return journal.drawn([], head)
    // what was not issued cannot be drawn; nothing is written just because blocks come
    if (journal.total.issued.tickets === 0) return stored === -1 ? journal.drawn([], head) : undefined
    const scanned = Math.max(stored, this.#scanned > head ? -1 : this.#scanned)
    for (let from = Math.max(scanned + 1, head - MAX_BLOCKS_BACK); from <= head; from += MAX_BLOCKS_A_LOOK) {
      const to = Math.min(head, from + MAX_BLOCKS_A_LOOK - 1)
      const range = { address: contract, fromBlock: hex(from), toBlock: hex(to) }
      const us = padded(payer)
      const redeemed = await rpc.ask('eth_getLogs', [{ ...range, topics: [REDEEMED, us] }]) as Log[]
      const defaulted = await rpc.ask('eth_getLogs', [{ ...range, topics: [DEFAULTED, null, us] }]) as Log[]
      const found = [
        ...redeemed.map(({ data, transactionHash }) => ({ digest: data.slice(0, 2 + WORD), faceWei: BigInt(`0x${data.slice(2 + WORD, 2 + 2 * WORD)}`), transactionHash })),
        ...defaulted.map(({ topics, data, transactionHash }) => ({ digest: topics[1] ?? '', faceWei: BigInt(data.slice(0, 2 + WORD)), transactionHash }))
      ].filter(({ digest }) => !journal.hasSpent(digest))
      const contexts = await this.#contexts(new Set(found.map(({ transactionHash }) => transactionHash)))
      this.#scanned = to
      if (found.length > 0 || to - (journal.scannedBlock ?? -1) >= STORE_EVERY_BLOCKS) await journal.drawn(found.map(({ digest, faceWei }) => ({ digest, faceWei, ...this.#agreementOf(contexts.get(digest)) })), to)
    }
  }

  /** Context and payee of each ticket of ours that these transactions show, by digest. Its digest proves what was read. */
  async #contexts(hashes: ReadonlySet<string>): Promise<Map<string, { context: string, payee: string }>> {
    const contexts = new Map<string, { context: string, payee: string }>()
    const { rpc, payer } = this.#parts
    for (const hash of hashes) {
      const { input = '0x' } = (await rpc.ask('eth_getTransactionByHash', [hash]) ?? {}) as { input?: string }
      const us = padded(payer).slice(2)
      // a function's name has four bytes; after it come words
      for (let at = input.indexOf(us); at !== -1; at = input.indexOf(us, at + 2)) {
        const word = (i: number): string => input.slice(at + i * WORD, at + (i + 1) * WORD)
        if (word(7).length < WORD) break
        const payee = `0x${word(1).slice(-40)}`
        const expirySec = Number(`0x${word(4)}`)
        if (!Number.isSafeInteger(expirySec)) continue
        const shown = { payer, payee, faceValueWei: BigInt(`0x${word(2)}`) & MAX_UINT128, winProb: BigInt(`0x${word(3)}`) & MAX_UINT64, expirySec, salt: `0x${word(6)}`, context: `0x${word(7)}` }
        // a redemption shows the secret, a claim its commit
        for (const commit of [commitOf(nativeHasher, Uint8Array.from(Buffer.from(word(5), 'hex'))), `0x${word(5)}`]) contexts.set(toHex(this.#tickets.digest({ ...shown, commit })), { context: shown.context, payee })
      }
    }
    return contexts
  }

  /** A context is a hash of job, agreement and number: those of that payee are tried. */
  #agreementOf(ticket: { context: string, payee: string } | undefined): { agreement: string, job: string } {
    for (const { id, issued, payment: { job, payee } } of this.#parts.senders()) {
      if (ticket === undefined || payee.toLowerCase() !== ticket.payee) continue
      const digest = jobDigest(job)
      for (let index = 0; index < issued + SKIPPED; index++) if (contextOf(nativeHasher, digest, id, index) === ticket.context) return { agreement: id, job }
    }
    return { agreement: '', job: '' }
  }
}

const MAX_UINT128 = (1n << 128n) - 1n
const MAX_UINT64 = (1n << 64n) - 1n

function padded(address: string): string {
  return `0x${address.slice(2).toLowerCase().padStart(WORD, '0')}`
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
