import type { PeerEvent } from '../../src/core/event.ts'
import { toWei } from '../../src/documents/ticket.ts'
import type { Bid } from '../../src/documents/bid.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import { HearthError } from '../../src/errors.ts'
import type { Job } from '../../src/job/job.ts'
import type { Peer } from '../../src/peer.ts'
import { BASIS } from '../../src/documents/terms.ts'
import { DAY_MS } from '../../src/units.ts'
import type { Bill, CapsChange, CapsReport, EarningsReport, FundRequest, MoneyApi, MoneyMoved, PriceChange, PriceReport, RefundsReport, TicketsReport, Wallet, Watching, Withdrawal, WithdrawRequest } from '../api/money.ts'
import type { Check, Estimate } from '../api/contract.ts'
import { formatAmount } from '../chain/amounts.ts'
import type { Config } from '../config/index.ts'
import { billOf } from '../money/bill.ts'
import { fund, withdraw } from '../money/moving.ts'
import type { Money } from '../money/open-money.ts'
import { claimRefunds } from '../money/refunds.ts'
import { earningsReport, ticketsReport } from '../money/reports.ts'
import { assetOf, walletOf } from '../money/wallet.ts'
import { costOf } from './cost.ts'
import { moneyChecks } from './money-checks.ts'

/** Providers of today that are named with what they cost. */
const MAX_PEERS = 20

export interface MoneyServiceParts {
  config: Config
  money: Money | undefined
  peer: Peer
  address: string
  payee: string
  dispatch: (event: PeerEvent) => void
  settled: () => Promise<void>
  /** By id or a beginning of it; throws E_JOB_UNKNOWN. */
  job: (id: string) => Job
}

/** The owner's money, over the core and the chain. Where nothing is paid, it says so. */
export class MoneyService implements MoneyApi {
  readonly #parts: MoneyServiceParts

  constructor(parts: MoneyServiceParts) {
    this.#parts = parts
  }

  async wallet(): Promise<Wallet> {
    const { money, payment: { mode, chain: { chainId, contract, confirmAboveWei } } } = this.#paying
    const { peer, address, payee } = this.#parts
    return await walletOf({ chain: money.chain, peer, mode, address, payee, chainId, contract, confirmAboveWei })
  }

  async fund(request: FundRequest, { signal }: Watching = {}): Promise<MoneyMoved> {
    return await fund(this.#paying.money.chain, request, signal)
  }

  async withdraw(request: WithdrawRequest, { signal }: Watching = {}): Promise<Withdrawal> {
    return await withdraw(this.#paying.money.chain, this.#parts.payee, request, signal)
  }

  async claimRefunds(): Promise<RefundsReport> {
    const { money } = this.#paying
    return { asset: assetOf(money.chain), ...await claimRefunds(money.chain, this.#parts.peer.paying.senders.values()) }
  }

  async tickets(): Promise<TicketsReport> {
    const { money } = this.#paying
    await money.look()
    return { asset: assetOf(money.chain), ...ticketsReport(money.journal, this.#parts.peer) }
  }

  async earnings(): Promise<EarningsReport> {
    const { money } = this.#paying
    await money.look()
    return { asset: assetOf(money.chain), ...earningsReport(money.journal, Date.now()) }
  }

  async price(): Promise<PriceReport> {
    const { money, payment: { chain: { unitMs, holdback, refund } } } = this.#paying
    const { coreHourWei, gibHourWei, gpuHourWei, movedWei, fuelWei } = money.settings.get().prices
    return { asset: assetOf(money.chain), coreHourWei: coreHourWei.toString(), gibHourWei: gibHourWei.toString(), gpuHourWei: gpuHourWei.toString(), movedWei: movedWei.toString(), fuelWei: fuelWei.toString(), unitMs, holdback: holdback / BASIS, refund: refund / BASIS }
  }

  async setPrice(change: PriceChange): Promise<PriceReport> {
    const { prices } = await this.#paying.money.settings.set({ ...change })
    this.#parts.dispatch({ kind: 'money', prices: { ...prices } })
    await this.#parts.settled()
    return await this.price()
  }

  async caps(): Promise<CapsReport> {
    const { money, payment: { chain: { confirmAboveWei } } } = this.#paying
    const { budget } = this.#parts.peer.paying
    const { jobWei, dayWei, peerDayWei } = money.settings.get().caps
    const day = `peer/${Math.floor(Date.now() / DAY_MS)}/`
    const peers = [...budget.entries()].flatMap(([key, spent]) => key.startsWith(day) ? [{ peer: key.slice(day.length), spent }] : []).sort((a, b) => a.spent < b.spent ? 1 : -1)
    return {
      asset: assetOf(money.chain),
      ...jobWei === undefined ? {} : { jobWei: jobWei.toString() }, ...dayWei === undefined ? {} : { dayWei: dayWei.toString() }, ...peerDayWei === undefined ? {} : { peerDayWei: peerDayWei.toString() },
      ...confirmAboveWei === undefined ? {} : { confirmAboveWei: confirmAboveWei.toString() },
      spentTodayWei: toWei(budget.spentOnDay({ wallMs: Date.now(), monoMs: 0 })).toString(),
      peers: peers.slice(0, MAX_PEERS).map(({ peer, spent }) => ({ peer, spentWei: toWei(spent).toString() }))
    }
  }

  async setCaps(change: CapsChange): Promise<CapsReport> {
    const { caps } = await this.#paying.money.settings.set({ ...change })
    this.#parts.dispatch({ kind: 'money', caps: { ...caps } })
    await this.#parts.settled()
    return await this.caps()
  }

  async bill(id: string): Promise<Bill> {
    const { money } = this.#paying
    const job = this.#parts.job(id)
    await money.look()
    return { asset: assetOf(money.chain), ...billOf(job, this.#parts.peer.paying.senders.values(), money.journal, lower(job.document.priceCapWei, money.settings.get().caps.jobWei)) }
  }

  /** What `doctor` says of money; nothing where nothing is paid. */
  async checks(): Promise<Check[]> {
    const { money, peer } = this.#parts
    if (money === undefined) return []
    return moneyChecks(await this.wallet(), { lends: peer.hosting.policy.enabled })
  }

  /** Undefined where nothing is paid. */
  cost(document: JobDocument, bids: readonly Bid[]): Required<Pick<Estimate, 'costWei' | 'costBasis'>> | undefined {
    const { money, peer, config: { payment } } = this.#parts
    if (money === undefined || payment.mode === 'free') return undefined
    const { prices, caps: { jobWei } } = money.settings.get()
    const quoted = bids.flatMap(({ terms }) => terms.mode === 'tickets' ? [terms] : [])
    const own = document.priceCapWei
    return costOf({ document, quoted, jobs: peer.requesting.jobs, senders: peer.paying.senders.values(), ownPrices: prices, unitMs: payment.chain.unitMs, holdback: payment.chain.holdback, capWei: lower(own, jobWei), confirmAboveWei: payment.chain.confirmAboveWei })
  }

  /** Whether its owner wants to be asked above an amount. */
  get hasLimit(): boolean {
    const { payment } = this.#parts.config
    return payment.mode !== 'free' && payment.chain.confirmAboveWei !== undefined
  }

  /** Throws E_PAYMENT_CONFIRM for a job that may cost more than its owner lets it without a word. */
  checkCost(document: JobDocument): void {
    const cost = this.cost(document, [])
    const limitWei = cost?.costBasis.confirmAboveWei
    if (cost === undefined || limitWei === undefined || BigInt(cost.costWei.high) <= BigInt(limitWei)) return
    const asset = assetOf(this.#paying.money.chain)
    throw new HearthError('E_PAYMENT_CONFIRM', `the job may cost up to ${formatAmount(rounded(BigInt(cost.costWei.high)), asset)}, more than payment.confirmAbove of ${formatAmount(BigInt(limitWei), asset)}`, 'Look at `estimate`; confirm with --yes, lower the job\'s priceCap, or raise payment.confirmAbove')
  }

  get #paying(): { money: Money, payment: Exclude<Config['payment'], { mode: 'free' }> } {
    const { money, config: { payment } } = this.#parts
    if (money === undefined || payment.mode === 'free') throw new HearthError('E_PAYMENT_FREE', 'this node works and asks for free: it has no money', 'To pay and be paid, set payment.mode: `help money` explains it, and `hearth devnet` lets you try it')
    return { money, payment }
  }
}

/** Up, to four digits: for a sentence. */
function rounded(wei: bigint): bigint {
  const unit = 10n ** BigInt(Math.max(0, wei.toString().length - 4))
  return (wei + unit - 1n) / unit * unit
}

function lower(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}
