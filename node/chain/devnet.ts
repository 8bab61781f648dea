import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HDNodeWallet } from 'ethers/wallet'
import { HearthError } from '../../src/errors.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { parseAddress } from './address.ts'
import { DEV_CHAIN_ID, DEV_MNEMONIC, startAnvil } from './anvil.ts'
import type { Anvil } from './anvil.ts'
import { quantity, toQuantity } from './block.ts'
import { ChainClient } from './client.ts'
import { checkDeployment } from './connect.ts'
import { deploy, keySigner } from './deploy.ts'
import type { DeployTerms } from './deploy.ts'
import { ChainRpc } from './rpc.ts'
import { memoryStore } from './store.ts'

/** Short enough to see an unlock and a default within a session. */
export const DEVNET_TERMS: DeployTerms = Object.freeze({ delaySec: 2 * HOUR_MS / SECOND_MS, graceSec: 2 * MINUTE_MS / SECOND_MS })
const ETHER = 10n ** 18n
/** What an account gets unless the caller says something else. */
const GIFT = { coinWei: 100n * ETHER, depositWei: 10n * ETHER, bondWei: 5n * ETHER, jobBondWei: 5n * ETHER }
const DEV_ACCOUNTS = 10
const BLOCK_TIME_S = 2
const FACTS_FILE = 'devnet.json'
const STATE_FILE = 'chain.json'

/** An account that is to have at least this much. */
export interface DevnetGift { readonly address: string, readonly coinWei?: bigint, readonly depositWei?: bigint, readonly bondWei?: bigint, readonly jobBondWei?: bigint }

export interface DevnetOptions {
  /** Where the chain's state survives. */
  readonly dir: string
  /** 0 lets the system choose. */
  readonly port?: number
  readonly chainId?: number
  /** Seconds between blocks, besides the one that each transaction gets; 0: only those. Default 2. */
  readonly blockTimeS?: number
  readonly terms?: DeployTerms
  readonly accounts?: readonly DevnetGift[]
}

export interface DevAccount { readonly address: string, /** Known to everybody. */ readonly privateKey: string }

export interface Devnet {
  readonly rpcUrl: string
  readonly chainId: number
  readonly contract: string
  readonly confirmations: number
  /** Ten accounts with 10,000 coins each, whose keys everybody knows. */
  readonly accounts: readonly DevAccount[]
  /** YAML for the config file of a node that is to use it. */
  readonly config: string
  /** Brings accounts up to these amounts. */
  give(gifts: readonly DevnetGift[]): Promise<void>
  /** Resolves when the chain has ended, by whatever cause. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

/** The accounts that anvil funds. */
export function devAccounts(count: number = DEV_ACCOUNTS): DevAccount[] {
  const root = HDNodeWallet.fromPhrase(DEV_MNEMONIC, undefined, 'm/44\'/60\'/0\'/0')
  return Array.from({ length: count }, (_, i) => {
    const { address, privateKey } = root.deriveChild(i)
    return { address: address.toLowerCase(), privateKey }
  })
}

/** Starts, or continues, a local chain with a broker on it. Throws E_DEVNET_BINARY, E_DEVNET_START, E_DEVNET_STATE. */
export async function startDevnet({ dir, port = 0, chainId = DEV_CHAIN_ID, blockTimeS = BLOCK_TIME_S, terms = DEVNET_TERMS, accounts = [] }: DevnetOptions): Promise<Devnet> {
  await mkdir(dir, { recursive: true })
  const anvil = await startAnvil({ port, chainId, statePath: join(dir, STATE_FILE), ...blockTimeS === 0 ? {} : { blockTimeS } })
  try {
    const known = devAccounts()
    const [owner] = known
    if (owner === undefined) throw new HearthError('E_INVARIANT', 'a devnet without accounts')
    const contract = await brokerOf(anvil, dir, chainId, owner, terms)
    // with blocks that come by themselves, one on top makes the demo look like a chain
    const confirmations = blockTimeS === 0 ? 0 : 1
    const give = (gifts: readonly DevnetGift[]): Promise<void> => giveAll(anvil.url, chainId, contract, owner, gifts)
    await give(accounts)
    const config = `payment:\n  mode: devnet\n  rpcUrl: ${anvil.url}\n  chainId: ${chainId}\n  contract: "${contract}"\n  confirmations: ${confirmations}\n`
    return { rpcUrl: anvil.url, chainId, contract, confirmations, accounts: known, config, give, ended: anvil.ended, stop: () => anvil.stop() }
  } catch (err) {
    await anvil.stop()
    throw err
  }
}

/** Brings accounts of a local chain that runs already, in another process, up to these amounts; false when none runs there. Throws E_DEVNET_STATE. */
export async function giveToRunning({ dir, port }: { dir: string, port: number }, gifts: readonly DevnetGift[]): Promise<false | { rpcUrl: string, chainId: number, contract: string }> {
  const stored = await readFacts(join(dir, FACTS_FILE))
  if (stored === undefined || port === 0) return false
  const rpcUrl = `http://127.0.0.1:${port}`
  const rpc = new ChainRpc(rpcUrl)
  try {
    await checkDeployment(rpc, stored)
  } catch {
    return false
  } finally {
    rpc.close()
  }
  const [owner] = devAccounts()
  if (owner !== undefined) await giveAll(rpcUrl, stored.chainId, stored.contract, owner, gifts)
  return { rpcUrl, ...stored }
}

/** The broker that this folder's chain has, or a new one. */
async function brokerOf(anvil: Anvil, dir: string, chainId: number, owner: DevAccount, terms: DeployTerms): Promise<string> {
  const path = join(dir, FACTS_FILE)
  const rpc = new ChainRpc(anvil.url)
  try {
    const stored = await readFacts(path)
    if (stored?.chainId === chainId) {
      try {
        await checkDeployment(rpc, stored)
        return stored.contract
      } catch (err) {
        // the chain's state was deleted, or never dumped: a new broker takes its place
        if (!(err instanceof HearthError) || err.code !== 'E_CHAIN_CONTRACT') throw err
      }
    }
    const { contract } = await deploy({ rpcUrl: anvil.url, kind: 'native', terms, signer: keySigner(owner.privateKey), pollMs: 20 })
    await writeFile(`${path}.tmp`, `${JSON.stringify({ chainId, contract })}\n`)
    await rename(`${path}.tmp`, path)
    return contract
  } finally {
    rpc.close()
  }
}

async function readFacts(path: string): Promise<{ chainId: number, contract: string } | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    const { chainId, contract } = JSON.parse(text) as Record<string, unknown>
    return { chainId: Number(chainId), contract: parseAddress(String(contract)) }
  } catch (err) {
    throw new HearthError('E_DEVNET_STATE', `${path} is damaged`, 'Delete its folder to start a new local chain', { cause: err })
  }
}

async function giveAll(rpcUrl: string, chainId: number, contract: string, owner: DevAccount, gifts: readonly DevnetGift[]): Promise<void> {
  if (gifts.length === 0) return
  const rpc = new ChainRpc(rpcUrl)
  const client = await ChainClient.open({ rpcUrl, chainId, contract, confirmations: 0, signer: keySigner(owner.privateKey), secrets: { rand: () => new Uint8Array(32) }, store: memoryStore(), pollMs: 20 })
  try {
    for (const gift of gifts) {
      const { address, coinWei, depositWei, bondWei, jobBondWei } = { ...GIFT, ...gift }
      const account = parseAddress(address)
      if (quantity(await rpc.ask('eth_getBalance', [account, 'latest'])) < coinWei) await rpc.ask('anvil_setBalance', [account, toQuantity(coinWei)])
      const has = await client.accounts.balances(account)
      for (const [bucket, wanted, now] of [['deposit', depositWei, has.depositWei], ['bond', bondWei, has.bondWei], ['jobBond', jobBondWei, has.jobBondWei]] as const) {
        if (now < wanted) await client.accounts.act({ kind: 'add', bucket, amountWei: wanted - now, account })
      }
    }
  } finally {
    await client.close()
    rpc.close()
  }
}
