/**
 * A real chain for tests: anvil from npm on a free port of the loopback, killed with `stop()` and when the process ends.
 *
 *   const chain = await startAnvil()
 *   const { address } = await chain.deploy(alice, bytecode)
 *   const id = await chain.snapshot(); await chain.increaseTime(3600); await chain.revert(id)
 *   await chain.stop()
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { anvilPath } from '../../node/chain/anvil.ts'

export interface CallRequest { readonly from?: string, readonly to?: string, readonly data?: string, readonly value?: bigint, readonly gas?: bigint }
export interface Log { readonly address: string, readonly topics: string[], readonly data: string }
export interface Receipt { readonly ok: boolean, readonly gasUsed: bigint, readonly blockNumber: number, readonly contractAddress: string | undefined, readonly logs: Log[], readonly hash: string }

/** The node refused a call or a transaction; `data` is what the contract reverted with, if it was one. */
export class RpcError extends Error {
  readonly data: string | undefined
  constructor(message: string, data?: string) {
    super(message)
    this.data = data
  }
}

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

const DEFAULT_CHAIN_ID = 31_337
/** Generous: a cold start on two busy cores takes a second. */
const START_WITHIN_MS = 30_000
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

function chainAt(url: string, chainId: number, accounts: string[], stop: () => Promise<void>): Chain {
  let id = 0
  const rpc = async <T>(method: string, params: unknown[] = []): Promise<T> => {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }) })
    const body = await response.json() as { result: T, error?: { message: string, data?: unknown } }
    if (body.error !== undefined) throw new RpcError(body.error.message, typeof body.error.data === 'string' ? body.error.data : undefined)
    return body.result
  }
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
    accounts,
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
    stop
  }
}

/** Starts a chain. Blocks are mined when a transaction comes, one each. */
export async function startAnvil(options: AnvilOptions = {}): Promise<Chain> {
  const chainId = options.chainId ?? DEFAULT_CHAIN_ID
  const child = spawn(anvilPath(), ['--port', '0', '--chain-id', String(chainId), '--hardfork', options.hardfork ?? 'prague', '--gas-limit', GAS_LIMIT, '--auto-impersonate', '--disable-code-size-limit', ...options.args ?? []], { stdio: ['ignore', 'pipe', 'pipe'] })
  const onExit = (): void => { child.kill('SIGKILL') }
  process.once('exit', onExit)
  const closed = new Promise<void>((resolve) => { child.once('close', () => { resolve() }) })
  const stop = async (): Promise<void> => {
    process.removeListener('exit', onExit)
    child.kill('SIGKILL')
    await closed
  }
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString() })
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => { reject(new Error(`anvil did not listen within ${START_WITHIN_MS} ms: ${said}`)) }, START_WITHIN_MS)
    child.once('error', reject)
    child.once('close', (code) => { clearTimeout(timer); reject(new Error(`anvil ended with ${code}: ${said}`)) })
    createInterface({ input: child.stdout }).on('line', (line) => {
      const port = /^Listening on [\d.]+:(\d+)/.exec(line)?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      resolve(`http://127.0.0.1:${port}`)
    })
  }).catch(async (err: unknown) => { await stop(); throw err })
  const chain = chainAt(url, chainId, [], stop)
  const accounts = await chain.rpc<string[]>('eth_accounts')
  return { ...chain, accounts }
}
