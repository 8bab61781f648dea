import { domainSeparator } from '../../src/codec/eip712.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { DOMAIN_NAME, DOMAIN_VERSION } from '../../src/contracts/index.ts'
import { ZERO_ADDRESS } from '../../src/documents/agreement.ts'
import { HearthError } from '../../src/errors.ts'
import { nativeHasher } from '../keys/native-hasher.ts'
import type { Asset } from './amounts.ts'
import { COIN } from './amounts.ts'
import { hexBytes, quantity } from './block.ts'
import { brokerCode, readAddress, readWord, tokenCode } from './broker.ts'
import type { BrokerTerms } from './broker.ts'
import { unwrap } from './rpc.ts'
import type { ChainRpc, RpcAnswer } from './rpc.ts'

/** Tokens may call themselves anything; people must be able to read and type it. */
const SYMBOL = /^[A-Za-z][A-Za-z0-9.]{0,11}$/
/** Amounts of 128 bits have 39 digits. */
const MAX_DECIMALS = 36

export interface Deployment { readonly chainId: number, /** 0x…, lower-case hex. */ readonly contract: string }
export interface BrokerFacts { readonly terms: BrokerTerms, readonly asset: Asset }

/** The 32 bytes that all signatures of this deployment are bound to. */
export function separatorOf({ chainId, contract }: Deployment): Uint8Array {
  return domainSeparator(nativeHasher, { name: DOMAIN_NAME, version: DOMAIN_VERSION, chainId: BigInt(chainId), verifyingContract: contract })
}

/** Makes sure that behind the RPC service stand this chain and this contract. Throws E_CHAIN_RPC, E_CHAIN_ID, E_CHAIN_CONTRACT. */
export async function checkDeployment(rpc: ChainRpc, deployment: Deployment): Promise<BrokerFacts> {
  const { contract, chainId } = deployment
  const call = (data: string, to = contract): { method: string, params: unknown[] } => ({ method: 'eth_call', params: [{ to, data }, 'latest'] })
  const answers = await rpc.batch([{ method: 'eth_chainId', params: [] }, { method: 'eth_getCode', params: [contract, 'latest'] }, call(brokerCode.domainSeparator()), ...brokerCode.terms().map((data) => call(data))])
  const [id, code, separator, ...terms] = answers
  const actual = id === undefined ? 0n : quantity(unwrap(id))
  if (actual !== BigInt(chainId)) throw new HearthError('E_CHAIN_ID', `The RPC service at ${rpc.place} serves chain ${actual}, not chain ${chainId}`, 'Correct payment.rpcUrl or payment.chainId: signatures made for one chain are worth nothing on another')
  if (code === undefined || hexBytes(unwrap(code)) === '0x') throw new HearthError('E_CHAIN_CONTRACT', `There is no contract at ${contract} on chain ${chainId}`, 'Correct payment.contract, or deploy one with "hearth deploy"; a devnet that was started anew needs its address again')
  const separated = wordOf(separator)
  if (separated !== toHex(separatorOf(deployment))) throw new HearthError('E_CHAIN_CONTRACT', `The contract at ${contract} is no ticket broker of this version`, 'Correct payment.contract; tickets signed for it could not be redeemed')
  const [delay, grace, feeBps, feeRecipient, asset] = terms.map((answer) => wordOf(answer) ?? '0x')
  const token = readAddress(asset ?? '0x')
  const facts = { delaySec: Number(readWord(delay ?? '0x')), graceSec: Number(readWord(grace ?? '0x')), feeBps: Number(readWord(feeBps ?? '0x')), feeRecipient: readAddress(feeRecipient ?? '0x'), token: token === ZERO_ADDRESS ? undefined : token }
  return { terms: facts, asset: facts.token === undefined ? COIN : await tokenAsset(rpc, facts.token) }
}

async function tokenAsset(rpc: ChainRpc, token: string): Promise<Asset> {
  const [decimals, symbol] = await rpc.batch([tokenCode.decimals(), tokenCode.symbol()].map((data) => ({ method: 'eth_call', params: [{ to: token, data }, 'latest'] })))
  const digits = decimals?.ok === true ? Number(readWord(hexBytes(decimals.value))) : 0
  return { kind: 'token', symbol: symbolOf(symbol), decimals: digits <= MAX_DECIMALS ? digits : 0 }
}

function symbolOf(answer: RpcAnswer | undefined): string {
  try {
    const symbol = answer?.ok === true ? tokenCode.readSymbol(hexBytes(answer.value)) : ''
    return SYMBOL.test(symbol) ? symbol : 'TOKEN'
  } catch {
    // a few old tokens give 32 bytes instead of text
    return 'TOKEN'
  }
}

function wordOf(answer: RpcAnswer | undefined): string | undefined {
  return answer?.ok === true ? hexBytes(answer.value) : undefined
}
