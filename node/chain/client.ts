import { HearthError, toErrorShape } from '../../src/errors.ts'
import type { ErrorShape } from '../../src/errors.ts'
import type { Secrets } from '../../src/payment/draws.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { Accounts } from './accounts.ts'
import { parseAddress } from './address.ts'
import type { Block } from './block.ts'
import { checkDeployment, separatorOf } from './connect.ts'
import type { BrokerFacts } from './connect.ts'
import { DEFAULT_GAS_CAPS } from './fees.ts'
import type { GasCaps } from './fees.ts'
import { Listeners } from './listeners.ts'
import { Redeemer } from './redeemer.ts'
import { ChainRpc } from './rpc.ts'
import type { MoneySigner } from './signing.ts'
import { noSnapshot, Snapshots } from './snapshots.ts'
import type { AccountSnapshot, SeenSnapshot } from './snapshots.ts'
import type { ChainStore } from './store.ts'
import { Transactor } from './transactor.ts'
import type { TxChange } from './tx-record.ts'
import { Winners } from './winners.ts'
import type { RedemptionReport, Winner } from './winners.ts'

/** A third of Ethereum's slot; on faster chains more often tells nothing that could not wait. */
const POLL_MS = 4 * SECOND_MS
/** With nothing to watch or to bring, and while the service is down, it is asked no more often than this. */
const IDLE_POLL_MS = MINUTE_MS
const STALE_AFTER_MS = 2 * MINUTE_MS
/** 51 minutes of Ethereum: four times what it takes to finalize. */
const FINAL_DEPTH_BLOCKS = 256
const MAX_BASIS = 10_000

export interface ChainOptions {
  readonly rpcUrl: string
  readonly chainId: number
  readonly contract: string
  /** Blocks on top of one before what it says counts. 0: the newest block counts. */
  readonly confirmations: number
  /** The node's money account: `NodeKeys` is one. */
  readonly signer: MoneySigner
  readonly secrets: Pick<Secrets, 'rand'>
  readonly store: ChainStore
  /** Hears from the first look on, which may bring news of what happened while the node was off. */
  readonly onRedemption?: (report: RedemptionReport) => void
  readonly gas?: Partial<GasCaps>
  /** Winners are redeemed when gas costs at most this share of what they bring. Default 0.05. */
  readonly redeemWhenGasShareBelow?: number
  /** From this long before expiry on, whatever brings more than its gas is redeemed. Default 6 hours. */
  readonly redeemBeforeExpiryMs?: number
  readonly pollMs?: number
  readonly staleAfterMs?: number
  /** Blocks on top of a redemption before it is forgotten. */
  readonly finalDepth?: number
  /** The monotonic clock, for tests. */
  readonly nowMs?: () => number
  /** Of one RPC request. */
  readonly timeoutMs?: number
}

export type ChainStatus =
  | { readonly state: 'up', readonly block: Block }
  /** The service is silent, or serves another chain or contract now. Snapshots grow old and no money moves. */
  | { readonly state: 'down', readonly error: ErrorShape, readonly sinceMs: number }

/** Everything the node knows of the chain and does there. See the README. */
export class ChainClient {
  readonly accounts: Accounts
  readonly #options: ChainOptions
  readonly #rpc: ChainRpc
  readonly #contract: string
  readonly #nowMs: () => number
  readonly #snapshots: Snapshots
  readonly #transactor: Transactor
  readonly #winners: Winners
  readonly #redeemer: Redeemer
  readonly #onStatus = new Listeners<ChainStatus>()
  readonly #onBlock = new Listeners<Block>()
  readonly #onProblem = new Listeners<ErrorShape>()
  #facts: BrokerFacts | undefined
  #gasPriceWei: bigint | undefined
  #status: ChainStatus = { state: 'down', error: { code: 'E_CHAIN_RPC', message: 'The chain was not asked yet', hint: '' }, sinceMs: 0 }
  #ticking: Promise<void> | undefined
  #next: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #isClosed = false

  private constructor(options: ChainOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
    const { signer, store, confirmations, chainId, secrets, finalDepth = FINAL_DEPTH_BLOCKS } = options
    const contract = parseAddress(options.contract)
    const share = options.redeemWhenGasShareBelow ?? 0.05
    const rpc = new ChainRpc(options.rpcUrl, options.timeoutMs)
    const facts = (): BrokerFacts => this.#requireFacts()
    this.#contract = contract
    this.#rpc = rpc
    this.#snapshots = new Snapshots({ rpc, contract, confirmations, staleAfterMs: options.staleAfterMs ?? STALE_AFTER_MS, nowMs: this.#nowMs })
    this.#transactor = new Transactor({ rpc, store, chainId, signer, caps: { ...DEFAULT_GAS_CAPS, ...options.gas }, confirmations, finalDepth, asset: () => facts().asset, onChange: (change) => this.#onChange(change) })
    this.#winners = new Winners(store)
    if (options.onRedemption !== undefined) this.#winners.onReport(options.onRedemption)
    this.#redeemer = new Redeemer({
      rpc, contract, separator: separatorOf({ chainId, contract }), terms: () => facts().terms, secrets, winners: this.#winners, snapshots: this.#snapshots, transactor: this.#transactor,
      address: signer.address, confirmations, finalDepth,
      policy: { gasShareBasis: Math.round(share * MAX_BASIS), urgentSec: Math.round((options.redeemBeforeExpiryMs ?? 6 * HOUR_MS) / SECOND_MS) },
      onProblem: (err) => { this.#onProblem.tell(err.toJSON()) }
    })
    this.accounts = new Accounts({ rpc, contract, address: signer.address, transactor: this.#transactor, facts, poke: () => { this.#poke() } })
  }

  /**
   * Opens the client and looks at the chain once. Throws E_CHAIN_URL, E_CHAIN_ADDRESS; E_CHAIN_ID and E_CHAIN_CONTRACT when the
   * service answers for another chain or contract; E_CHAIN_RPC when it does not answer, unless `mayBeDown`: then it keeps asking.
   */
  static async open(options: ChainOptions, { mayBeDown = false }: { mayBeDown?: boolean } = {}): Promise<ChainClient> {
    const client = new ChainClient(options)
    const entries = await options.store.load()
    client.#transactor.restore(entries)
    client.#winners.restore(entries)
    client.#redeemer.restore()
    await client.poll()
    const status = client.status
    if (status.state === 'down' && !(mayBeDown && ['E_CHAIN_RPC', 'E_CHAIN_RPC_REFUSED'].includes(status.error.code))) {
      await client.close()
      throw new HearthError(status.error.code, status.error.message, status.error.hint)
    }
    return client
  }

  get status(): ChainStatus {
    return this.#status
  }

  /** The terms of the broker and what it holds. Throws E_CHAIN_RPC before the first answer of the chain. */
  get facts(): BrokerFacts {
    return this.#requireFacts()
  }

  /** What a unit of gas would cost in the next block; undefined before the first answer of the chain. */
  get gasPriceWei(): bigint | undefined {
    return this.#gasPriceWei
  }

  /** Whether winners wait for the chain, and transactions for their end. */
  get pending(): { winners: number, transactions: number } {
    return { winners: this.#winners.open, transactions: this.#transactor.records.filter(({ confirmed }) => !confirmed).length }
  }

  /**
   * Keeps an account up to date for ten minutes (or `forMs`) from now and resolves with its confirmed snapshot: at once when
   * one is known, stale or not. Throws E_CHAIN_RPC where nothing is known and the chain is silent.
   */
  async watch(address: string, options: { signers?: readonly string[], forMs?: number } = {}): Promise<SeenSnapshot> {
    this.#snapshots.add(address, options)
    if (this.#snapshots.get(address) === undefined) await this.poll()
    const seen = this.#snapshots.get(address)
    if (seen === undefined) throw this.#status.state === 'down' ? new HearthError(this.#status.error.code, this.#status.error.message, this.#status.error.hint) : noSnapshot(address)
    this.#schedule()
    return seen
  }

  /** What is known of a watched account now, without asking; undefined when nothing is. */
  snapshot(address: string): SeenSnapshot | undefined {
    return this.#snapshots.get(address)
  }

  /** Hears each first or changed confirmed snapshot. */
  onSnapshot(listener: (snapshot: AccountSnapshot) => void): () => void {
    return this.#snapshots.onSnapshot(listener)
  }

  /** Hears reports from now on; `ChainOptions.onRedemption` hears those of the first look too. */
  onRedemption(listener: (report: RedemptionReport) => void): () => void {
    return this.#winners.onReport(listener)
  }

  /** Hears when the chain is lost and found again. */
  onStatus(listener: (status: ChainStatus) => void): () => void {
    return this.#onStatus.add(listener)
  }

  /** Hears each new head, after everything of it was handled. */
  onBlock(listener: (block: Block) => void): () => void {
    return this.#onBlock.add(listener)
  }

  /** Hears what holds money up and people can mend: no coin for gas, gas above the cap. It is told each time that it does. */
  onProblem(listener: (problem: ErrorShape) => void): () => void {
    return this.#onProblem.add(listener)
  }

  /** Hands a winner over; handing it over again is harmless. Resolves when it is stored: then reports follow until one is final. Throws E_CHAIN_BUSY. */
  async redeem(winner: Winner): Promise<void> {
    await this.#redeemer.redeem(winner)
    this.#poke()
  }

  /** Looks at the chain from now on, and resolves when all that follows is done. It never throws: see `status`. */
  poll(): Promise<void> {
    if (this.#ticking === undefined) return this.#look()
    // the look under way may have seen the chain before the caller did
    this.#next ??= this.#ticking.then(() => {
      this.#next = undefined
      return this.#look()
    })
    return this.#next
  }

  /** What is in flight stays on disk and goes on with the next client. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#rpc.close()
    this.accounts.close()
    await this.#next
    await this.#ticking
    clearTimeout(this.#timer)
  }

  #look(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = undefined
      this.#schedule()
    })
    return this.#ticking
  }

  async #tick(): Promise<void> {
    try {
      if (this.#status.state === 'down') this.#facts = await checkDeployment(this.#rpc, { chainId: this.#options.chainId, contract: this.#contract })
      const before = this.#status.state === 'up' ? this.#status.block.hash : undefined
      const view = await this.#transactor.look()
      this.#gasPriceWei = view.fees.priceWei
      await this.#snapshots.refresh(view.block)
      await this.#redeemer.step(view)
      await this.#transactor.tend(view)
      this.#failures = 0
      const wasDown = this.#status.state === 'down'
      this.#status = { state: 'up', block: view.block }
      if (wasDown) this.#onStatus.tell(this.#status)
      if (before !== view.block.hash) this.#onBlock.tell(view.block)
    } catch (err) {
      if (this.#isClosed) return
      this.#failures++
      const wasUp = this.#status.state === 'up' || this.#failures === 1
      this.#status = { state: 'down', error: toErrorShape(err), sinceMs: this.#status.state === 'down' ? this.#status.sinceMs : this.#nowMs() }
      if (wasUp) this.#onStatus.tell(this.#status)
    }
  }

  async #onChange(change: TxChange): Promise<void> {
    await this.#redeemer.onChange(change)
    this.accounts.onChange(change)
  }

  /** There is news of ours: look soon, but gather what comes together. */
  #poke(): void {
    if (this.#isClosed || this.#status.state === 'down') return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { void this.poll() }, Math.min(50, this.#pollMs))
  }

  #schedule(): void {
    if (this.#isClosed) return
    clearTimeout(this.#timer)
    const isIdle = this.#snapshots.size === 0 && this.#winners.open === 0 && this.pending.transactions === 0
    const waitMs = isIdle ? Math.max(IDLE_POLL_MS, this.#pollMs) : Math.min(this.#pollMs * 2 ** Math.min(this.#failures, 10), Math.max(IDLE_POLL_MS, this.#pollMs))
    this.#timer = setTimeout(() => { void this.poll() }, waitMs)
  }

  get #pollMs(): number {
    return this.#options.pollMs ?? POLL_MS
  }

  #requireFacts(): BrokerFacts {
    if (this.#facts === undefined) throw new HearthError('E_CHAIN_RPC', 'The chain has not answered since the node started', 'Check payment.rpcUrl and that the service runs')
    return this.#facts
  }
}
