import { join } from 'node:path'
import { parseBlock, hash32, hexBytes, quantity, toQuantity } from '../chain/block.ts'
import { brokerCode, callAt, readHoldings, ticketEvents } from '../chain/broker.ts'
import type { Holdings, RawLog } from '../chain/broker.ts'
import { startDevnet } from '../chain/devnet.ts'
import type { Devnet } from '../chain/devnet.ts'
import { parseReceipt } from '../chain/receipt.ts'
import { ChainRpc, unwrap } from '../chain/rpc.ts'
import { nodeKeys, openSeed } from '../keys/index.ts'
import type { DemoPrices } from './prices.ts'

const GWEI = 10n ** 9n
const ETHER = 10n ** 18n
const BLOCK_TIME_S = 1

/** Deposit: some fifty times what the job costs, so that no luck exhausts it. Bond: hosts take tickets of up to half of it. */
const REQUESTER = { coinWei: ETHER, depositWei: ETHER, bondWei: ETHER, jobBondWei: 0n }
/** Coin for the gas of their redemptions; of the job bond a sixteenth (`payment.bondShares`) is paid ahead, some 900 core-seconds. */
const PROVIDER = { coinWei: ETHER, depositWei: 0n, bondWei: 0n, jobBondWei: ETHER }

/** What the chain says of one account at one block. */
export interface ChainAccount extends Holdings { readonly coinWei: bigint }

/** A redemption, as the contract told it. */
export interface Redemption { readonly payer: string, readonly payee: string, readonly digest: string, readonly faceValueWei: bigint, readonly tx: string, readonly blockNumber: number }

/** All that an audit needs of the chain, as of one block. */
export interface ChainFacts {
  readonly blockNumber: number
  readonly accounts: ReadonlyMap<string, ChainAccount>
  /** Coin of the contract itself. */
  readonly brokerWei: bigint
  readonly redemptions: readonly Redemption[]
  /** Gas of the redemptions by who sent them. */
  readonly gasWei: ReadonlyMap<string, bigint>
}

/** The demo's own chain, and what anybody can read there. */
export class DemoChain {
  readonly #devnet: Devnet
  readonly #prices: DemoPrices
  readonly #rpc: ChainRpc
  readonly #addresses: string[] = []
  #since = 0

  private constructor(devnet: Devnet, prices: DemoPrices) {
    this.#devnet = devnet
    this.#prices = prices
    this.#rpc = new ChainRpc(devnet.rpcUrl)
  }

  static async start(dir: string, prices: DemoPrices): Promise<DemoChain> {
    return new DemoChain(await startDevnet({ dir: join(dir, 'chain'), blockTimeS: BLOCK_TIME_S }), prices)
  }

  get contract(): string {
    return this.#devnet.contract
  }

  get confirmations(): number {
    return this.#devnet.confirmations
  }

  /** What a node needs to pay and be paid here. */
  get flags(): string[] {
    const { rpcUrl, chainId, contract, confirmations } = this.#devnet
    return ['--payment.mode=devnet', `--payment.rpcUrl=${rpcUrl}`, `--payment.chainId=${chainId}`, `--payment.contract=${contract}`, `--payment.confirmations=${confirmations}`,
      '--payment.pollInterval=500 ms', `--payment.price.coreHour=${this.#prices.coreHourGwei} gwei`, `--payment.unit=${this.#prices.unitMs} ms`]
  }

  get coreHourWei(): bigint {
    return BigInt(this.#prices.coreHourGwei) * GWEI
  }

  /** Makes the key of a node that is to start in this folder and gives its account what it needs, so that it finds its money there. */
  async fund(dataDir: string, role: 'requester' | 'provider'): Promise<string> {
    const { seed } = await openSeed({ dataDir })
    const { address } = await nodeKeys(seed)
    await this.#devnet.give([{ address, ...role === 'requester' ? REQUESTER : PROVIDER }])
    this.#addresses.push(address)
    return address
  }

  /** Waits until what was given is as deep as the nodes want it, and counts from here. */
  async open(): Promise<ChainFacts> {
    const given = await this.#head()
    await this.#rpc.ask('anvil_mine', [toQuantity(this.confirmations)])
    this.#since = given + 1
    return await this.facts()
  }

  /** Everything as of the newest block. Throws E_CHAIN_RPC…. */
  async facts(): Promise<ChainFacts> {
    const block = parseBlock(await this.#rpc.ask('eth_getBlockByNumber', ['latest', false]))
    const { number, hash } = block ?? { number: 0, hash: '' }
    const { contract } = this
    const balance = (address: string): { method: string, params: unknown[] } => ({ method: 'eth_getBalance', params: [address, { blockHash: hash }] })
    const answers = (await this.#rpc.batch([balance(contract), ...this.#addresses.flatMap((address) => [callAt(hash, contract, brokerCode.snapshot(address)), balance(address)])])).map(unwrap)
    const accounts = this.#addresses.map((address, i) => [address, { ...readHoldings(hexBytes(answers[2 * i + 1])), coinWei: quantity(answers[2 * i + 2]) }] as const)
    const redemptions = await this.#redemptions(number)
    return { blockNumber: number, accounts: new Map(accounts), brokerWei: quantity(answers[0]), redemptions, gasWei: await this.#gas(redemptions) }
  }

  /** Winners that the contract paid and that are as deep as the nodes want them, by payee. */
  async confirmed(): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    for (const { payee } of await this.#redemptions(await this.#head() - this.confirmations)) counts.set(payee, (counts.get(payee) ?? 0) + 1)
    return counts
  }

  async stop(): Promise<void> {
    this.#rpc.close()
    await this.#devnet.stop()
  }

  async #head(): Promise<number> {
    return Number(quantity(await this.#rpc.ask('eth_blockNumber')))
  }

  async #redemptions(toBlock: number): Promise<Redemption[]> {
    if (toBlock < this.#since) return []
    const raw = await this.#rpc.ask('eth_getLogs', [{ address: this.contract, fromBlock: toQuantity(this.#since), toBlock: toQuantity(toBlock) }])
    return (Array.isArray(raw) ? raw as Record<string, unknown>[] : []).flatMap((one) => {
      const log: RawLog = { address: hexBytes(one['address']), topics: (one['topics'] as unknown[]).map(hash32), data: hexBytes(one['data']) }
      const [event] = ticketEvents(this.contract, [log])
      const [, payer = '', payee = ''] = log.topics
      return event?.kind !== 'redeemed' ? [] : [{ payer: addressOf(payer), payee: addressOf(payee), digest: event.digest, faceValueWei: event.faceValueWei, tx: hash32(one['transactionHash']), blockNumber: Number(quantity(one['blockNumber'])) }]
    })
  }

  async #gas(redemptions: readonly Redemption[]): Promise<Map<string, bigint>> {
    const hashes = [...new Set(redemptions.map(({ tx }) => tx))]
    const answers = (await this.#rpc.batch(hashes.map((hash) => ({ method: 'eth_getTransactionReceipt', params: [hash] })))).map(unwrap)
    const gas = new Map<string, bigint>()
    for (const answer of answers) {
      const from = hexBytes((answer as Record<string, unknown>)['from']).toLowerCase()
      gas.set(from, (gas.get(from) ?? 0n) + (parseReceipt(answer)?.feeWei ?? 0n))
    }
    return gas
  }
}

/** An indexed address is the last 20 bytes of its topic. */
function addressOf(topic: string): string {
  return `0x${topic.slice(-40)}`
}
