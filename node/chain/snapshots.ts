import { HearthError } from '../../src/errors.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/units.ts'
import { hexBytes, parseBlock, toQuantity } from './block.ts'
import type { Block } from './block.ts'
import { brokerCode, callAt, readHoldings, readWord } from './broker.ts'
import type { Holdings } from './broker.ts'
import { Listeners } from './listeners.ts'
import { unwrap } from './rpc.ts'
import type { ChainRpc } from './rpc.ts'

/** A whole refresh is then at most eleven requests of 50 calls. */
const MAX_WATCHED = 512
/** Hot keys that may sign for one payer and matter to us. */
const MAX_SIGNERS = 4
/** Who needs an account longer than this asks again. */
const WATCH_MS = 10 * MINUTE_MS
const MAX_WATCH_MS = 24 * HOUR_MS

/** What the contract held for an account at one block, which had `confirmations` blocks on top. */
export interface AccountSnapshot extends Holdings {
  readonly address: string
  readonly block: Block
  /** Last second in which each asked-for key may sign for the account; 0: not registered. */
  readonly signers: Readonly<Record<string, number>>
}

/** A snapshot as it may be used now. */
export interface SeenSnapshot {
  readonly snapshot: AccountSnapshot
  /** Since the chain last said that this is its confirmed state, by the monotonic clock. */
  readonly ageMs: number
  /** The chain has been silent for too long: grant no new credit on it. */
  readonly stale: boolean
}

interface Watched { signers: string[], until: number, used: number, snapshot: AccountSnapshot | undefined, seenMs: number }

export interface SnapshotsOptions {
  readonly rpc: ChainRpc
  readonly contract: string
  readonly confirmations: number
  /** A snapshot is stale when the chain has confirmed nothing for as long. */
  readonly staleAfterMs: number
  /** Monotonic. */
  readonly nowMs: () => number
}

/**
 * Confirmed states of accounts. Each snapshot is a statement about one block hash: all of a refresh are read at the same
 * one, so that no reorganisation can mix two histories.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions
  readonly #watched = new Map<string, Watched>()
  readonly #listeners = new Listeners<AccountSnapshot>()
  #confirmed: Block | undefined
  #uses = 0

  constructor(options: SnapshotsOptions) {
    this.#options = options
  }

  /** The block that snapshots speak of. */
  get confirmed(): Block | undefined {
    return this.#confirmed
  }

  get size(): number {
    return this.#watched.size
  }

  /** Hears each first or changed snapshot. Returns what takes the listener off. */
  onSnapshot(listener: (snapshot: AccountSnapshot) => void): () => void {
    return this.#listeners.add(listener)
  }

  /** Keeps an account up to date for `forMs` from now; the one used longest ago goes when there are too many. */
  add(address: string, { signers = [], forMs = WATCH_MS }: { signers?: readonly string[], forMs?: number } = {}): void {
    const key = address.toLowerCase()
    const watched = this.#watched.get(key) ?? { signers: [], until: 0, used: 0, snapshot: undefined, seenMs: 0 }
    watched.until = Math.max(watched.until, this.#options.nowMs() + Math.min(forMs, MAX_WATCH_MS))
    watched.used = ++this.#uses
    const unknown = signers.map((signer) => signer.toLowerCase()).filter((signer) => !watched.signers.includes(signer))
    if (unknown.length > 0) {
      watched.signers = [...watched.signers, ...unknown].slice(-MAX_SIGNERS)
      watched.snapshot = undefined
    }
    this.#watched.set(key, watched)
    if (this.#watched.size > MAX_WATCHED) this.#evict()
  }

  /** What is known; undefined when nothing is, or the account is not watched. */
  get(address: string): SeenSnapshot | undefined {
    const watched = this.#watched.get(address.toLowerCase())
    if (watched?.snapshot === undefined) return undefined
    watched.used = ++this.#uses
    const ageMs = this.#options.nowMs() - watched.seenMs
    return { snapshot: watched.snapshot, ageMs, stale: ageMs > this.#options.staleAfterMs }
  }

  /** Reads everything anew when the confirmed block is another one, and else only what was never read. Throws E_CHAIN_RPC…. */
  async refresh(head: Block): Promise<void> {
    this.#expire()
    const number = Math.max(0, head.number - this.#options.confirmations)
    const block = number === head.number ? head : parseBlock(await this.#options.rpc.ask('eth_getBlockByNumber', [toQuantity(number), false]))
    if (block === undefined) return
    const isSame = block.hash === this.#confirmed?.hash
    const wanted = [...this.#watched].filter(([, { snapshot }]) => !isSame || snapshot === undefined)
    // the state of one block never changes: what was read of it before stays true, and is as good as new
    if (isSame) for (const watched of this.#watched.values()) watched.seenMs = this.#options.nowMs()
    await this.#read(block, wanted)
    this.#confirmed = block
  }

  async #read(block: Block, wanted: readonly (readonly [string, Watched])[]): Promise<void> {
    const { rpc, contract, nowMs } = this.#options
    const calls = wanted.flatMap(([address, { signers }]) => [brokerCode.snapshot(address), ...signers.map((signer) => brokerCode.signerUntil(address, signer))])
    if (calls.length === 0) return
    const answers = (await rpc.batch(calls.map((data) => callAt(block.hash, contract, data)))).map((answer) => hexBytes(unwrap(answer)))
    const changed: AccountSnapshot[] = []
    let at = 0
    for (const [address, watched] of wanted) {
      const holdings = readHoldings(answers[at++] ?? '0x')
      const signers = Object.fromEntries(watched.signers.map((signer) => [signer, Number(readWord(answers[at++] ?? '0x'))]))
      const snapshot: AccountSnapshot = Object.freeze({ ...holdings, address, block, signers })
      const isNews = watched.snapshot === undefined || !isSameState(watched.snapshot, snapshot)
      watched.snapshot = snapshot
      watched.seenMs = nowMs()
      if (isNews) changed.push(snapshot)
    }
    for (const snapshot of changed) this.#listeners.tell(snapshot)
  }

  #expire(): void {
    const now = this.#options.nowMs()
    for (const [address, { until }] of this.#watched) if (until < now) this.#watched.delete(address)
  }

  #evict(): void {
    let oldest: readonly [string, number] | undefined
    for (const [address, { used }] of this.#watched) if (oldest === undefined || used < oldest[1]) oldest = [address, used]
    if (oldest !== undefined) this.#watched.delete(oldest[0])
  }
}

function isSameState(a: AccountSnapshot, b: AccountSnapshot): boolean {
  const text = (of: AccountSnapshot): string => JSON.stringify({ ...of, block: undefined }, (_key, value: unknown) => typeof value === 'bigint' ? String(value) : value)
  return text(a) === text(b)
}

/** For callers that cannot go on without one. */
export function noSnapshot(address: string): HearthError {
  return new HearthError('E_CHAIN_RPC', `The chain has not told anything of ${address} yet`, 'Try again when its RPC service answers')
}
