import { domainSeparator } from '../../src/codec/eip712.ts'
import type { EffectOf } from '../../src/core/effect.ts'
import type { PeerEvent } from '../../src/core/event.ts'
import type { Account } from '../../src/documents/account.ts'
import { ZERO_ADDRESS } from '../../src/documents/agreement.ts'
import { MIN_TICKET_LIFE_SEC } from '../../src/documents/terms.ts'
import { PARAMS } from '../../src/params.ts'
import type { Secrets } from '../../src/payment/draws.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { AccountSnapshot, Block, ChainClient, MoneySigner } from '../chain/index.ts'
import type { Config } from '../config/index.ts'
import { nativeHasher } from '../keys/index.ts'
import type { Room } from '../store/record-store.ts'

/** Gas of one ticket in a usual batch, as the checked snapshot of the contracts has it, with a quarter on top. */
const REDEMPTION_GAS = 50_000n
/** What a miner is tipped at least, wei a unit of gas. */
const TIP_WEI = 1_000_000_000n

/** EIP-712 domain of all signatures. In free mode there is no chain: id 0 and the zero address. */
export function domainOf({ payment }: Config): { chainId: number, contract: string, separator: Uint8Array } {
  const { chainId, contract } = payment.mode === 'free' ? { chainId: 0, contract: ZERO_ADDRESS } : payment.chain
  return { chainId, contract, separator: domainSeparator(nativeHasher, { name: 'Hearth', version: '1', chainId: BigInt(chainId), verifyingContract: contract }) }
}

/** The chain behind the core. */
export interface Money {
  readonly chain: ChainClient
  perform(effect: EffectOf<'watch-account'> | EffectOf<'redeem'>): void
  close(): Promise<void>
}

export interface MoneyParts {
  config: Config
  signer: MoneySigner
  secrets: Secrets
  room: Room
  dispatch: (event: PeerEvent) => void
}

/** Opens the chain client of a mode that pays; undefined in free mode. A chain that is down is no reason not to start. */
export async function openMoney({ config: { payment }, signer, secrets, room, dispatch }: MoneyParts): Promise<Money | undefined> {
  if (payment.mode === 'free') return undefined
  const { ChainClient } = await import('../chain/index.ts')
  const { rpcUrl, chainId, contract, confirmations, maxFeePerGasWei, redeemShare, pollMs } = payment.chain
  const chain = await ChainClient.open({
    rpcUrl, chainId, contract, confirmations, signer, secrets, store: room, redeemWhenGasShareBelow: redeemShare, gas: { maxFeePerGasWei }, ...pollMs === undefined ? {} : { pollMs }
  }, { mayBeDown: true })
  return new ChainMoney(chain, dispatch)
}

class ChainMoney implements Money {
  readonly chain: ChainClient
  readonly #dispatch: (event: PeerEvent) => void
  readonly #watched = new Set<string>()
  readonly #winners = new Map<string, { agreement: string, index: number }>()

  constructor(chain: ChainClient, dispatch: (event: PeerEvent) => void) {
    this.chain = chain
    this.#dispatch = dispatch
    chain.onSnapshot((snapshot) => { this.#tell(snapshot.address) })
    chain.onBlock((block) => { this.#costs(block) })
    chain.onStatus((status) => {
      if (status.state === 'up') this.#costs(status.block)
      for (const address of this.#watched) this.#tell(address)
    })
    chain.onRedemption((report) => {
      const of = this.#winners.get(report.digest)
      if (of === undefined) return
      const paid = report.kind === 'redeemed' || report.kind === 'lost-race' || report.kind === 'defaulted'
      if (paid || report.kind === 'refused') dispatch({ kind: 'redeemed', ...of, paid })
    })
  }

  perform(effect: EffectOf<'watch-account'> | EffectOf<'redeem'>): void {
    if (effect.kind === 'redeem') {
      const { winner } = effect
      this.#winners.set(winner.digest, { agreement: winner.agreement, index: winner.index })
      // it stays in the records: the core hands it over again at the next start
      this.chain.redeem(winner).catch(() => undefined)
      return
    }
    const { address } = effect
    this.#watched.add(address)
    const { status } = this.chain
    if (status.state === 'up') this.#costs(status.block)
    this.chain.watch(address).then(() => { this.#tell(address) }, () => { this.#dispatch({ kind: 'account', address, account: undefined }) })
  }

  async close(): Promise<void> {
    await this.chain.close()
  }

  #costs({ baseFeeWei }: Block): void {
    const { delaySec } = this.chain.facts.terms
    this.#dispatch({ kind: 'chain-costs', costs: { redemptionWei: REDEMPTION_GAS * ((baseFeeWei ?? 0n) + TIP_WEI), maxTicketLifeSec: Math.max(MIN_TICKET_LIFE_SEC, delaySec - 2 * PARAMS.clockSkewMs / SECOND_MS) } })
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
