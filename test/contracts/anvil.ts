/**
 * A real chain for tests of contracts: the node's own anvil, whose accounts sign for anyone, and what such tests ask of it.
 *
 *   const chain = await startAnvil()
 *   const { address } = await chain.deploy(alice, bytecode)
 *   const id = await chain.snapshot(); await chain.increaseTime(3600); await chain.revert(id)
 *   await chain.stop()
 */
import type { Test } from 'uvu'
import { DEV_CHAIN_ID, startAnvil as start } from '../../node/chain/anvil.ts'
import type { Anvil } from '../../node/chain/anvil.ts'
import { askRpc, RpcError } from '../helpers/rpc.ts'

export interface CallRequest { readonly from?: string, readonly to?: string, readonly data?: string, readonly value?: bigint, readonly gas?: bigint }
export interface Log { readonly address: string, readonly topics: string[], readonly data: string }
export interface Receipt { readonly ok: boolean, readonly gasUsed: bigint, readonly blockNumber: number, readonly contractAddress: string | undefined, readonly logs: Log[], readonly hash: string }

export interface AnvilOptions {
  readonly chainId?: number
  /** EVM rules; Prague by default, because Osaka caps a transaction's gas. */
  readonly hardfork?: string
  readonly args?: readonly string[]
}

export interface Chain {
  readonly url: string
  readonly chainId: number
  /** Ten accounts with 10,000 coins each; anvil signs for them and for anyone else. */
  readonly accounts: readonly string[]
  rpc<T>(method: string, params?: unknown[]): Promise<T>
  /** Runs without a transaction, on the latest state. Throws `RpcError` on a revert. */
  call(request: CallRequest): Promise<string>
  /** Mines a transaction from any account. Throws `RpcError` when it reverted, unless `gas` is given: then read `ok`. */
  send(request: CallRequest): Promise<Receipt>
  deploy(from: string, creationCode: string): Promise<{ address: string, receipt: Receipt }>
  balance(account: string): Promise<bigint>
  setBalance(account: string, wei: bigint): Promise<void>
  setCode(account: string, code: string): Promise<void>
  /** Later `revert(id)` puts everything back, once. */
  snapshot(): Promise<string>
  revert(id: string): Promise<void>
  mine(blocks?: number): Promise<void>
  /** Moves the clock and mines a block there. */
  increaseTime(seconds: number): Promise<void>
  /** The second in which the next block is mined, and nothing is mined. */
  setNextTime(seconds: number): Promise<void>
  /** Of the latest block, in seconds. */
  now(): Promise<number>
  stop(): Promise<void>
}

const GAS_LIMIT = '1000000000'
/** Of a transaction that names none: more than anything honest here takes. */
const DEFAULT_GAS = 30_000_000n

const hex = (value: bigint | number): string => `0x${value.toString(16)}`

function requestParams(request: CallRequest): Record<string, string> {
  const params: Record<string, string> = {}
  for (const [key, value] of Object.entries(request)) {
    if (value !== undefined) params[key] = typeof value === 'bigint' ? hex(value) : String(value)
  }
  return params
}

interface RawReceipt { status: string, gasUsed: string, blockNumber: string, contractAddress: string | null, logs: Log[], transactionHash: string }

async function chainOf(anvil: Anvil, chainId: number): Promise<Chain> {
  const { url } = anvil
  const rpc = <T>(method: string, params: unknown[] = []): Promise<T> => askRpc<T>(url, method, params)
  const send = async (request: CallRequest): Promise<Receipt> => {
    const raw = await rpc<RawReceipt>('eth_sendTransactionSync', [requestParams(request.gas === undefined ? { ...request, gas: DEFAULT_GAS } : request)])
    if (raw.status !== '0x1' && request.gas === undefined) {
      const trace = await rpc<{ output?: string, error?: string }>('debug_traceTransaction', [raw.transactionHash, { tracer: 'callTracer' }])
      throw new RpcError(trace.error ?? 'execution reverted', trace.output ?? '0x')
    }
    return { ok: raw.status === '0x1', gasUsed: BigInt(raw.gasUsed), blockNumber: Number(raw.blockNumber), contractAddress: raw.contractAddress ?? undefined, logs: raw.logs, hash: raw.transactionHash }
  }
  return {
    url,
    chainId,
    accounts: await rpc<string[]>('eth_accounts'),
    rpc,
    send,
    call: (request) => rpc<string>('eth_call', [requestParams(request), 'latest']),
    async deploy(from, creationCode) {
      const receipt = await send({ from, data: creationCode })
      if (receipt.contractAddress === undefined) throw new Error('nothing was deployed')
      return { address: receipt.contractAddress, receipt }
    },
    balance: async (account) => BigInt(await rpc<string>('eth_getBalance', [account, 'latest'])),
    setBalance: (account, wei) => rpc('anvil_setBalance', [account, hex(wei)]),
    setCode: (account, code) => rpc('anvil_setCode', [account, code]),
    snapshot: () => rpc('evm_snapshot'),
    async revert(snapshot) {
      if (!await rpc<boolean>('evm_revert', [snapshot])) throw new Error(`no snapshot ${snapshot}`)
    },
    mine: (blocks = 1) => rpc('anvil_mine', [hex(blocks)]),
    async increaseTime(seconds) {
      await rpc('evm_increaseTime', [hex(seconds)])
      await rpc('evm_mine')
    },
    setNextTime: (seconds) => rpc('evm_setNextBlockTimestamp', [hex(seconds)]),
    now: async () => Number((await rpc<{ timestamp: string }>('eth_getBlockByNumber', ['latest', false])).timestamp),
    stop: () => anvil.stop()
  }
}

/** Starts a chain. Blocks are mined when a transaction comes, one each. */
export async function startAnvil({ chainId = DEV_CHAIN_ID, hardfork = 'prague', args = [] }: AnvilOptions = {}): Promise<Chain> {
  const anvil = await start({ chainId, args: ['--hardfork', hardfork, '--gas-limit', GAS_LIMIT, '--auto-impersonate', '--disable-code-size-limit', ...args] })
  return await chainOf(anvil, chainId)
}

/** A chain for a file's tests. What `prepare` throws is told, since uvu says nothing of a hook. */
export function onChain<T>(test: Test<T>, prepare: (chain: Chain) => Promise<void>, options: AnvilOptions = {}): void {
  let running: Chain | undefined
  test.before(async () => {
    try {
      running = await startAnvil(options)
      await prepare(running)
    } catch (err) {
      console.error(err)
      throw err
    }
  })
  test.after(async () => { await running?.stop() })
}

/** The same, and each test begins with what `prepare` left. */
export function onFreshChain<T>(test: Test<T>, prepare: (chain: Chain) => Promise<void>, options: AnvilOptions = {}): void {
  let back: () => Promise<void> = async () => undefined
  onChain(test, async (chain) => {
    await prepare(chain)
    let fresh = await chain.snapshot()
    back = async () => {
      await chain.revert(fresh)
      fresh = await chain.snapshot()
    }
  }, options)
  test.before.each(() => back())
}
