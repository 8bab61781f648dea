import { Interface } from 'ethers/abi'
import { getCreateAddress } from 'ethers/address'
import { setTimeout as after } from 'node:timers/promises'
import { NativeTicketBroker, TokenTicketBroker } from '../../src/contracts/index.ts'
import { ZERO_ADDRESS } from '../../src/documents/agreement.ts'
import { HearthError } from '../../src/errors.ts'
import { DAY_MS, SECOND_MS } from '../../src/units.ts'
import { isMoneyKey, moneyAddress, signDigest } from '../keys/money.ts'
import { parseAddress } from './address.ts'
import { COIN } from './amounts.ts'
import { quantity } from './block.ts'
import { checkDeployment } from './connect.ts'
import type { BrokerFacts } from './connect.ts'
import { DEFAULT_GAS_CAPS } from './fees.ts'
import type { GasCaps } from './fees.ts'
import { ChainRpc } from './rpc.ts'
import type { MoneySigner } from './signing.ts'
import { memoryStore } from './store.ts'
import { Transactor } from './transactor.ts'
import type { TxChange } from './tx-record.ts'

/** What is fixed for the life of a broker. */
export interface DeployTerms {
  /** Between asking for money back and having it; also the longest life of a ticket. Up to 90 days. */
  readonly delaySec: number
  /** For topping up before a bond burns. */
  readonly graceSec: number
  /** Basis points, up to 500; none by default. */
  readonly feeBps?: number
  readonly feeRecipient?: string
}

/** A week to leave, a day to top up: what the contract's tests use too. */
export const DEFAULT_TERMS: DeployTerms = Object.freeze({ delaySec: 7 * DAY_MS / SECOND_MS, graceSec: DAY_MS / SECOND_MS })

export interface DeployOptions {
  readonly rpcUrl: string
  readonly kind: 'native' | 'token'
  /** Address of the ERC-20, for `token`. */
  readonly token?: string
  readonly terms?: DeployTerms
  /** Who pays for it: `keySigner(key)`, or the node's keys. It gets no rights: a broker has no owner. */
  readonly signer: MoneySigner
  readonly confirmations?: number
  readonly gas?: Partial<GasCaps>
  readonly pollMs?: number
  readonly signal?: AbortSignal
  readonly onSubmitted?: (tx: string) => void
}

export interface Deployed extends BrokerFacts { readonly chainId: number, readonly contract: string, readonly tx: string, readonly blockNumber: number, readonly gasUsed: bigint, readonly feeWei: bigint }

/** Signs with a private key of 32 bytes in hex. Throws E_KEY_TEXT, without repeating the text. */
export function keySigner(privateKey: string): MoneySigner {
  const key = /^(?:0x)?[0-9a-fA-F]{64}$/.test(privateKey.trim()) ? Uint8Array.from(Buffer.from(privateKey.trim().replace(/^0x/, ''), 'hex')) : undefined
  if (key === undefined || !isMoneyKey(key)) throw new HearthError('E_KEY_TEXT', 'That is not a private key', 'It is 64 hexadecimal digits')
  return { address: moneyAddress(key), signMoney: (digest) => signDigest(key, digest) }
}

/** Deploys a broker and waits until it is confirmed. Throws E_CHAIN_RPC, E_CHAIN_TERMS, E_CHAIN_COIN, E_CHAIN_GAS_CAP, E_CHAIN_PENDING. */
export async function deploy({ rpcUrl, kind, token, terms = DEFAULT_TERMS, signer, confirmations = 0, gas, pollMs = SECOND_MS, signal, onSubmitted }: DeployOptions): Promise<Deployed> {
  const data = creationCode(kind, token, terms)
  const rpc = new ChainRpc(rpcUrl)
  const ends: TxChange[] = []
  try {
    const chainId = Number(quantity(await rpc.ask('eth_chainId')))
    const onChange = (change: TxChange): Promise<void> => { ends.push(change); return Promise.resolve() }
    const transactor = new Transactor({ rpc, store: memoryStore(), chainId, signer, caps: { ...DEFAULT_GAS_CAPS, ...gas }, confirmations, finalDepth: Number.MAX_SAFE_INTEGER, asset: () => COIN, onChange })
    const tx = await transactor.send({ purpose: { kind: 'account', action: 'deploy' }, to: undefined, data })
    if (tx === undefined) throw new HearthError('E_INVARIANT', 'a deployment was held back')
    onSubmitted?.(tx.id)
    const contract = getCreateAddress({ from: signer.address, nonce: tx.nonce }).toLowerCase()
    for (;;) {
      await transactor.tend(await transactor.look())
      const [end] = ends
      if (end?.kind === 'confirmed' && end.mined.ok) {
        const { hash, blockNumber, gasUsed, feeWei } = end.mined
        return { ...await checkDeployment(rpc, { chainId, contract }), chainId, contract, tx: hash, blockNumber, gasUsed, feeWei }
      }
      if (end !== undefined) throw new HearthError('E_CHAIN_REPLACED', `The deployment ${tx.id} ${end.kind === 'confirmed' ? 'failed' : 'was replaced by another transaction of this key'}`, 'Try again, with a key that nothing else uses')
      if (signal?.aborted === true) throw new HearthError('E_CHAIN_PENDING', `The deployment ${tx.id} is sent and not confirmed yet`, `If it succeeds the contract is at ${contract}`)
      await after(pollMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    }
  } finally {
    rpc.close()
  }
}

function creationCode(kind: 'native' | 'token', token: string | undefined, { delaySec, graceSec, feeBps = 0, feeRecipient = ZERO_ADDRESS }: DeployTerms): string {
  const isSound = Number.isInteger(delaySec) && Number.isInteger(graceSec) && delaySec > 0 && delaySec <= 90 * DAY_MS / SECOND_MS && graceSec > 0 && graceSec <= delaySec && feeBps >= 0 && feeBps <= 500 && (feeBps === 0) === (feeRecipient === ZERO_ADDRESS)
  if (!isSound) throw new HearthError('E_CHAIN_TERMS', 'No broker can have these terms', 'The delay is at most 90 days, the grace no longer than the delay, a fee at most 5 % and with a recipient')
  if ((kind === 'token') !== (token !== undefined)) throw new HearthError('E_CHAIN_TERMS', 'A broker of a token needs the token\'s address, and one of the coin has none', '')
  const tuple = [delaySec, graceSec, feeBps, parseAddress(feeRecipient)]
  if (token === undefined) return NativeTicketBroker.bytecode + new Interface(NativeTicketBroker.abi).encodeDeploy([tuple]).slice(2)
  return TokenTicketBroker.bytecode + new Interface(TokenTicketBroker.abi).encodeDeploy([parseAddress(token), tuple]).slice(2)
}
