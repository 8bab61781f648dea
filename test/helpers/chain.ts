/** A real chain with a broker, payers and a payee, for tests of the chain client: every block is mined by hand. */
import { createServer, request } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startAnvil } from '../../node/chain/anvil.ts'
import type { Anvil, AnvilOptions } from '../../node/chain/anvil.ts'
import { devAccounts } from '../../node/chain/devnet.ts'
import { ChainClient, deploy, keySigner, memoryStore, separatorOf } from '../../node/chain/index.ts'
import type { ChainOptions, DeployTerms, MoneySigner, RedemptionReport, Winner } from '../../node/chain/index.ts'
import { TicketChecker } from '../../node/keys/ticket-checker.ts'
import { ticketSecrets } from '../../node/keys/ticket-secrets.ts'
import { toHex } from '../../src/codec/hasher.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { askRpc } from './rpc.ts'
import { seededRandom } from './seeded.ts'

export const ETHER = 10n ** 18n
export const GWEI = 10n ** 9n
export const DAY_SEC = 86_400
export const TERMS: DeployTerms = { delaySec: 7 * DAY_SEC, graceSec: DAY_SEC }
const MAX_WIN = (1n << 64n) - 1n

const hex = (value: bigint | number): string => `0x${value.toString(16)}`

/** Keys of the accounts that anvil funds. */
export const KEYS: readonly MoneySigner[] = devAccounts().map(({ privateKey }) => keySigner(privateKey))
export const [OWNER, PAYER, PAYEE, OTHER] = KEYS as readonly [MoneySigner, MoneySigner, MoneySigner, MoneySigner]

export interface WinnerOptions { payer?: MoneySigner, payee?: string, faceValueWei?: bigint, lifeSec?: number, winProb?: bigint, expirySec?: number }

export class ChainWorld {
  readonly secrets = ticketSecrets(new Uint8Array(32).fill(7))
  readonly offerId = `0x${'0f'.repeat(32)}`
  readonly contract: string
  anvil: Anvil
  readonly #anvilOptions: AnvilOptions
  readonly #clients = new Set<ChainClient>()
  readonly #random = seededRandom(1)
  #index = 0

  private constructor(anvil: Anvil, anvilOptions: AnvilOptions, contract: string) {
    this.anvil = anvil
    this.#anvilOptions = anvilOptions
    this.contract = contract
  }

  static async start({ terms = TERMS, depositWei = 50n * ETHER, bondWei = 10n * ETHER, ...options }: AnvilOptions & { terms?: DeployTerms, depositWei?: bigint, bondWei?: bigint } = {}): Promise<ChainWorld> {
    const anvil = await startAnvil(options)
    const { contract } = await deploy({ rpcUrl: anvil.url, kind: 'native', terms, signer: OWNER, pollMs: 5 })
    const world = new ChainWorld(anvil, options, contract)
    const owner = await world.client({ signer: OWNER, confirmations: 0, pollMs: 5 })
    await owner.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: depositWei, account: PAYER.address })
    if (bondWei > 0n) await owner.accounts.act({ kind: 'add', bucket: 'bond', amountWei: bondWei, account: PAYER.address })
    await world.close(owner)
    await world.rpc('evm_setAutomine', [false])
    return world
  }

  async rpc<T = unknown>(method: string, params: unknown[] = []): Promise<T> {
    return await askRpc<T>(this.anvil.url, method, params)
  }

  async mine(blocks = 1): Promise<void> {
    for (let i = 0; i < blocks; i++) await this.rpc('evm_mine')
  }

  /** A block whose gas costs this; the ones after it fall by an eighth each while they are empty. */
  async mineAt(baseFeeWei: bigint): Promise<void> {
    await this.rpc('anvil_setNextBlockBaseFeePerGas', [hex(baseFeeWei)])
    await this.mine()
  }

  async passTime(sec: number): Promise<void> {
    await this.rpc('evm_increaseTime', [sec])
    await this.mine()
  }

  async now(): Promise<number> {
    return Number((await this.rpc<{ timestamp: string }>('eth_getBlockByNumber', ['latest', false])).timestamp)
  }

  async height(): Promise<number> {
    return Number(await this.rpc<string>('eth_blockNumber'))
  }

  async balance(address: string): Promise<bigint> {
    return BigInt(await this.rpc<string>('eth_getBalance', [address, 'latest']))
  }

  async nonce(address: string): Promise<number> {
    return Number(await this.rpc<string>('eth_getTransactionCount', [address, 'latest']))
  }

  /** By the payee, polling only when told to. */
  async client(options: Partial<ChainOptions> = {}, mode: { mayBeDown?: boolean } = {}): Promise<ChainClient> {
    const client = await ChainClient.open({
      rpcUrl: this.anvil.url, chainId: 31_337, contract: this.contract, confirmations: 2, signer: PAYEE, secrets: this.secrets, store: memoryStore(), pollMs: 1e8,
      redeemBeforeExpiryMs: 3_600_000, ...options
    }, mode)
    this.#clients.add(client)
    return client
  }

  async close(client: ChainClient): Promise<void> {
    this.#clients.delete(client)
    await client.close()
  }

  /** A ticket that wins, unless `winProb` says otherwise. */
  async winner({ payer = PAYER, payee = PAYEE.address, faceValueWei = ETHER / 10n, lifeSec = DAY_SEC, winProb = MAX_WIN, expirySec }: WinnerOptions = {}): Promise<Winner> {
    const index = this.#index++
    const ticket: Ticket = {
      payer: payer.address, payee, faceValueWei, winProb, expirySec: expirySec ?? await this.now() + lifeSec,
      commit: this.secrets.commit(this.offerId, index), salt: toHex(this.#random.bytes(32)), context: toHex(this.#random.bytes(32))
    }
    const checker = new TicketChecker(separatorOf({ chainId: 31_337, contract: this.contract }))
    return { ticket, signature: checker.sign(ticket, (digest) => payer.signMoney(digest)), offerId: this.offerId, index, digest: toHex(checker.digest(ticket)) }
  }

  /** Mines and looks until it is done: nothing here waits for a clock. */
  async until<T>(client: ChainClient, done: Promise<T>): Promise<T> {
    let isDone = false
    const settled = done.finally(() => { isDone = true })
    settled.catch(() => undefined)
    while (!isDone) {
      await client.poll()
      await this.mine()
    }
    return settled
  }

  /** Kills the chain as a crash of its machine would, after it wrote its state; `resume` brings it back at the same place. */
  async halt(): Promise<void> {
    await this.anvil.stop()
  }

  async resume(): Promise<void> {
    this.anvil = await startAnvil({ ...this.#anvilOptions, port: Number(new URL(this.anvil.url).port) })
    await this.rpc('evm_setAutomine', [false])
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) await client.close()
    await this.anvil.stop()
  }
}

/** The reports of a client, as they come. */
export function reportsOf(client: ChainClient): RedemptionReport[] {
  const reports: RedemptionReport[] = []
  client.onRedemption((report) => { reports.push(report) })
  return reports
}

export const kinds = (reports: readonly RedemptionReport[], digest?: string): string[] => reports.filter((report) => digest === undefined || report.digest === digest).map(({ kind }) => kind)

type RpcBody = { method: string, params: unknown[], id: unknown }

/** Stands between a client and the chain, and swallows what `drops` says: answers it, and passes nothing on. */
export class LossyRpc {
  drops: (method: string) => boolean = () => false
  seen: string[] = []
  readonly #target: string
  readonly #server: Server

  private constructor(target: string) {
    this.#target = target
    this.#server = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      incoming.on('end', () => {
        const body = Buffer.concat(chunks)
        const parsed = JSON.parse(body.toString()) as RpcBody | RpcBody[]
        const calls = Array.isArray(parsed) ? parsed : [parsed]
        this.seen.push(...calls.map(({ method }) => method))
        if (calls.some(({ method }) => this.drops(method))) {
          outgoing.end(JSON.stringify(calls.map(({ id }) => ({ jsonrpc: '2.0', id, error: { code: -32_000, message: 'lost on the way' } }))))
          return
        }
        const onward = request(this.#target, { method: 'POST', headers: { 'content-type': 'application/json' } }, (answer) => { answer.pipe(outgoing) })
        onward.on('error', () => { outgoing.destroy() })
        onward.end(body)
      })
    })
  }

  static async start(target: string): Promise<LossyRpc> {
    const proxy = new LossyRpc(target)
    await new Promise<void>((resolve) => { proxy.#server.listen(0, '127.0.0.1', resolve) })
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => { this.#server.close(() => { resolve() }) })
  }
}
