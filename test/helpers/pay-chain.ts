/** A chain with a broker whose blocks come with transactions alone, and what the broker says there. */
import { startDevnet } from '../../node/chain/devnet.ts'
import type { Devnet } from '../../node/chain/devnet.ts'
import { brokerCode, callAt, readHoldings } from '../../node/chain/broker.ts'
import type { Holdings } from '../../node/chain/broker.ts'
import { askRpc } from './rpc.ts'

export interface BrokerChain extends Devnet {
  /** Of a node that uses it. */
  readonly flags: string[]
  rpc<T = unknown>(method: string, params?: unknown[]): Promise<T>
}

export async function startBrokerChain(dir: string): Promise<BrokerChain> {
  const net = await startDevnet({ dir, blockTimeS: 0 })
  const { rpcUrl, chainId, contract } = net
  const flags = ['--payment.mode=devnet', `--payment.rpcUrl=${rpcUrl}`, `--payment.chainId=${chainId}`, `--payment.contract=${contract}`, '--payment.confirmations=0', '--payment.pollInterval=100 ms', '--payment.redeemShare=25 %']
  return { ...net, flags, rpc: (method, params = []) => askRpc(rpcUrl, method, params) }
}

/** What the broker holds, as of its newest block. */
export class BrokerReader {
  readonly #chain: BrokerChain

  constructor(chain: BrokerChain) {
    this.#chain = chain
  }

  async holdings(address: string): Promise<Holdings> {
    const { hash } = await this.#chain.rpc<{ hash: string }>('eth_getBlockByNumber', ['latest', false])
    const { method, params } = callAt(hash, this.#chain.contract, brokerCode.snapshot(address))
    return readHoldings(await this.#chain.rpc<string>(method, [...params]))
  }
}
