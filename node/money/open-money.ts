import { domainSeparator } from '../../src/codec/eip712.ts'
import type { EffectOf, Notice } from '../../src/core/effect.ts'
import type { PeerEvent } from '../../src/core/event.ts'
import type { Account } from '../../src/documents/account.ts'
import { ZERO_ADDRESS } from '../../src/documents/agreement.ts'
import { MIN_TICKET_LIFE_SEC } from '../../src/documents/terms.ts'
import { PARAMS } from '../../src/params.ts'
import type { Secrets } from '../../src/payment/draws.ts'
import type { Peer } from '../../src/peer.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { AccountSnapshot, Block, ChainClient, MoneySigner, RedemptionReport } from '../chain/index.ts'
import type { Config } from '../config/index.ts'
import { nativeHasher } from '../keys/index.ts'
import type { Room } from '../store/record-store.ts'
import type { ChainRpc } from '../chain/rpc.ts'
import { MoneyJournal } from './journal.ts'
import { MoneySettingsStore } from './settings-store.ts'
import { SpentWatch } from './spent-watch.ts'

/** Gas of one ticket in a usual batch, as the checked snapshot of the contracts has it, with a quarter on top. */
const REDEMPTION_GAS = 50_000n
/** As many accounts as the core follows. */
const MAX_WATCHED = 1024
/** What a miner is tipped where the service suggests nothing, wei a unit of gas. */
const TIP_WEI = 1_000_000_000n

/** How exact the journal's days are at midnight. */
const LOOK_EVERY_MS = 10 * SECOND_MS
/** Of these looks, one asks the chain what was drawn from the deposit: services count questions. Who wants to know sooner is answered at once. */
const LOOKS_A_QUESTION = 12

/** EIP-712 domain of all signatures. In free mode there is no chain: id 0 and the zero address. */
export function domainOf({ payment }: Config): { chainId: number, contract: string, separator: Uint8Array } {
  const { chainId, contract } = payment.mode === 'free' ? { chainId: 0, contract: ZERO_ADDRESS } : payment.chain
  return { chainId, contract, separator: domainSeparator(nativeHasher, { name: 'Hearth', version: '1', chainId: BigInt(chainId), verifyingContract: contract }) }
}

/** The chain behind the core. */
export interface Money {
  readonly chain: ChainClient
  readonly journal: MoneyJournal
  readonly settings: MoneySettingsStore
  /** Takes in what the core and the chain have done up to now. */
  look(): Promise<void>
  perform(effect: EffectOf<'watch-account'> | EffectOf<'redeem'>): void
  close(): Promise<void>
}

export interface MoneyParts {
  config: Config
  /** Of `openSettings`. */
  settings: MoneySettingsStore | undefined
  signer: MoneySigner
  secrets: Secrets
  room: Room
  journalRoom: Room
  peer: Pick<Peer, 'earning' | 'paying'>
  notify: (notice: Notice) => void
  dispatch: (event: PeerEvent) => void
}

/** What the owner asks and may spend, as saved or configured; undefined in free mode. Throws E_PAYMENT_FILE. */
export async function openSettings({ payment, dataDir }: Config): Promise<MoneySettingsStore | undefined> {
  return payment.mode === 'free' ? undefined : await MoneySettingsStore.open(dataDir, { prices: payment.chain.prices, caps: payment.chain.caps })
}

/** Opens the chain client of a mode that pays; undefined in free mode. A chain that is down is no reason not to start. */
export async function openMoney({ config, settings, signer, secrets, room, journalRoom, peer, notify, dispatch }: MoneyParts): Promise<Money | undefined> {
  const { payment } = config
  if (payment.mode === 'free' || settings === undefined) return undefined
  const [{ ChainClient }, { ChainRpc }] = await Promise.all([import('../chain/index.ts'), import('../chain/rpc.ts')])
  const { rpcUrl, chainId, contract, confirmations, maxFeePerGasWei, redeemShare, pollMs } = payment.chain
  const chain = await ChainClient.open({
    rpcUrl, chainId, contract, confirmations, signer, secrets, store: room, redeemWhenGasShareBelow: redeemShare, gas: { maxFeePerGasWei }, ...pollMs === undefined ? {} : { pollMs }
  }, { mayBeDown: true })
  const rpc = new ChainRpc(rpcUrl)
  const journal = await MoneyJournal.open(journalRoom, { recipients: () => peer.earning.recipients.values(), senders: () => peer.paying.senders.values() })
  const spent = new SpentWatch({ rpc, contract, payer: signer.address, separator: domainOf(config).separator, journal, senders: () => peer.paying.senders.values() })
  return new ChainMoney({ chain, rpc, journal, settings, spent, confirmations, peer, notify, dispatch })
}

interface ChainMoneyParts extends Pick<MoneyParts, 'peer' | 'notify' | 'dispatch'> { chain: ChainClient, rpc: ChainRpc, journal: MoneyJournal, settings: MoneySettingsStore, spent: SpentWatch, confirmations: number }

class ChainMoney implements Money {
  readonly chain: ChainClient
  readonly journal: MoneyJournal
  readonly settings: MoneySettingsStore
  readonly #parts: ChainMoneyParts
  readonly #dispatch: (event: PeerEvent) => void
  /** Asked for last comes last: beyond the bound, who was not asked for longest is told of no more. */
  readonly #watched = new Set<string>()
  readonly #winners = new Map<string, { agreement: string, index: number }>()
  /** What holds money up and was told, until it does no more. */
  #told = new Set<string>()
  #isDown: boolean
  readonly #timer: NodeJS.Timeout
  #looks = 0

  constructor(parts: ChainMoneyParts) {
    const { chain, journal, settings, dispatch, notify } = parts
    this.#parts = parts
    this.chain = chain
    this.journal = journal
    this.settings = settings
    this.#dispatch = dispatch
    this.#isDown = chain.status.state === 'down'
    chain.onSnapshot((snapshot) => { this.#tell(snapshot.address) })
    chain.onBlock((block) => { this.#costs(block) })
    chain.onStatus((status) => {
      if (status.state === 'up') this.#costs(status.block)
      for (const address of this.#watched) this.#tell(address)
      this.#tellStatus()
    })
    chain.onProblem(({ code, message }) => { this.#once(`problem/${code}`, { kind: 'money', job: '', state: 'problem', code, message }, notify) })
    chain.onRedemption((report) => { void this.#redemption(report) })
    this.#timer = setInterval(() => { this.#looks++; void (this.#looks % LOOKS_A_QUESTION === 1 ? this.look() : this.#lookHere()) }, LOOK_EVERY_MS)
  }

  perform(effect: EffectOf<'watch-account'> | EffectOf<'redeem'>): void {
    if (effect.kind === 'redeem') {
      const { winner } = effect
      this.#winners.set(winner.digest, { agreement: winner.agreement, index: winner.index })
      this.journal.won(winner, this.#parts.peer.earning.recipients.get(winner.agreement)?.earning)
      // it stays in the records: the core hands it over again at the next start
      this.chain.redeem(winner).catch(() => undefined)
      return
    }
    const { address } = effect
    this.#watched.delete(address)
    this.#watched.add(address)
    if (this.#watched.size > MAX_WATCHED) this.#watched.delete(this.#watched.values().next().value ?? '')
    const { status } = this.chain
    if (status.state === 'up') this.#costs(status.block)
    this.chain.watch(address).then(() => { this.#tell(address) }, () => { this.#dispatch({ kind: 'account', address, account: undefined }) })
  }

  async look(): Promise<void> {
    await this.#lookHere()
    const { status } = this.chain
    if (status.state === 'up') await this.#parts.spent.look(Math.max(0, status.block.number - this.#parts.confirmations))
  }

  async #lookHere(): Promise<void> {
    await this.journal.look()
    this.#lookForTrouble()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#parts.rpc.close()
    await this.chain.close()
    await this.journal.look()
  }

  /** The journal first: the core forgets a winner when it hears of its end. */
  async #redemption(report: RedemptionReport): Promise<void> {
    const entry = await this.journal.redemption(report)
    const paid = report.kind === 'redeemed' || report.kind === 'lost-race' || report.kind === 'defaulted'
    if (entry !== undefined && (paid || report.kind === 'refused')) {
      this.#parts.notify({ kind: 'money', job: entry.job, state: paid ? 'redeemed' : 'lost', code: 'E_NONE', amountWei: (paid ? entry.paidWei : entry.faceWei).toString(), message: report.kind === 'refused' ? `the contract says: ${report.reason}` : report.kind === 'defaulted' ? 'all that was left of its payer\'s deposit' : '' })
    }
    const of = this.#winners.get(report.digest)
    if (of === undefined || (!paid && report.kind !== 'refused')) return
    // the core forgets it now: a reorganisation is the chain client's to mend, and it keeps the winner
    this.#winners.delete(report.digest)
    this.#dispatch({ kind: 'redeemed', ...of, paid })
  }

  /** Work here that nobody pays, and jobs that may cost no more: each told once, until it is over. */
  #lookForTrouble(): void {
    const { peer: { earning, paying }, notify } = this.#parts
    const now = new Set([...this.#told].filter((key) => key.startsWith('problem/') && this.chain.pending.winners > 0))
    for (const { id, earning: { job } } of earning.recipients.values()) {
      if (!earning.isUnpaid(id)) continue
      now.add(`unpaid/${id}`)
      this.#once(`unpaid/${id}`, { kind: 'money', job, state: 'unpaid', code: 'E_NONE', message: '' }, notify)
    }
    for (const { id, paused, payment: { job } } of paying.senders.values()) {
      if (paused === undefined || !paused.code.startsWith('E_BUDGET_')) continue
      now.add(`cap/${id}`)
      this.#once(`cap/${id}`, { kind: 'money', job, state: 'cap', code: paused.code, message: paused.message }, notify)
    }
    this.#told = now
  }

  #once(key: string, notice: Notice, notify: (notice: Notice) => void): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    notify(notice)
  }

  #tellStatus(): void {
    const { status } = this.chain
    const isDown = status.state === 'down'
    if (isDown === this.#isDown) return
    this.#isDown = isDown
    this.#parts.notify({ kind: 'money', job: '', state: isDown ? 'chain-down' : 'chain-up', code: 'E_NONE', message: status.state === 'down' ? status.error.message : '' })
  }

  #costs({ baseFeeWei }: Block): void {
    const { delaySec } = this.chain.facts.terms
    this.#dispatch({ kind: 'chain-costs', costs: { redemptionWei: REDEMPTION_GAS * (this.chain.gasPriceWei ?? (baseFeeWei ?? 0n) + TIP_WEI), maxTicketLifeSec: Math.max(MIN_TICKET_LIFE_SEC, delaySec - 2 * PARAMS.clockSkewMs / SECOND_MS) } })
  }

  #tell(address: string): void {
    const seen = this.chain.snapshot(address)
    this.#dispatch({ kind: 'account', address, account: seen === undefined || seen.stale ? undefined : accountOf(seen.snapshot) })
  }
}

function accountOf({ depositWei, bondWei, jobBondWei, reservedWei, unlocks }: AccountSnapshot): Account {
  return {
    depositWei, bondWei, jobBondWei: jobBondWei > reservedWei ? jobBondWei - reservedWei : 0n,
    ...unlocks.deposit === undefined ? {} : { depositUnlock: { ...unlocks.deposit } },
    ...unlocks.bond === undefined ? {} : { bondUnlock: { ...unlocks.bond } }
  }
}
