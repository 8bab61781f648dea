import { Interface } from 'ethers/abi'
import type { Result } from 'ethers/abi'
import { HearthError } from '../../src/errors.ts'
import { BUCKET, NativeTicketBroker, REFUSALS } from '../../src/contracts/index.ts'
import type { TicketRefusal } from '../../src/contracts/index.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import type { Refund, Statement } from '../../src/documents/payment-state.ts'
import type { RpcCall } from './rpc.ts'

/** The three locked buckets of an account. */
export type Bucket = keyof typeof BUCKET

/** Part of a bucket that its owner asked to have back; withdrawable strictly after `lockedUntilSec` (the chain's clock). */
export interface Unlock { readonly amountWei: bigint, readonly lockedUntilSec: number }

/** All that the contract holds for an account. */
export interface Holdings {
  readonly depositWei: bigint
  readonly bondWei: bigint
  readonly jobBondWei: bigint
  /** Part of the job bond that waits to be collected as refunds. */
  readonly reservedWei: bigint
  readonly creditWei: bigint
  /** Deposit and bond stay until the end of this second while claims are open. */
  readonly heldUntilSec: number
  readonly openClaims: number
  readonly unlocks: Readonly<Partial<Record<Bucket, Unlock>>>
}

/** A winner with all that its redemption shows. */
export interface RevealedWinner { readonly ticket: Ticket, /** 0x… of 32 bytes. */ readonly rand: string, readonly signature: string }

/** What was fixed when the broker was deployed. */
export interface BrokerTerms {
  readonly delaySec: number
  readonly graceSec: number
  readonly feeBps: number
  readonly feeRecipient: string
  /** Undefined: the chain's own coin. */
  readonly token: string | undefined
}

/** An event of the broker that concerns a ticket. */
export type TicketEvent =
  | { readonly kind: 'redeemed', readonly digest: string, readonly faceValueWei: bigint }
  | { readonly kind: 'skipped', readonly digest: string, readonly reason: TicketRefusal }
  | { readonly kind: 'noticed', readonly digest: string, readonly graceUntilSec: number }
  | { readonly kind: 'claimed', readonly digest: string, readonly paidWei: bigint, readonly burnedWei: bigint }

export interface RawLog { readonly address: string, readonly topics: readonly string[], readonly data: string }

/** A contract's typed error. */
export interface ContractError { readonly name: string, readonly args: readonly unknown[] }

/** Both brokers have these functions. */
const abi = new Interface(NativeTicketBroker.abi)
/** Pseudo-random ids of errors of others that may come through: OpenZeppelin's and the ERC-20 standard's (ERC-6093). */
const others = new Interface([
  'error Error(string)', 'error Panic(uint256)', 'error ReentrancyGuardReentrantCall()', 'error SafeERC20FailedOperation(address)',
  'error ERC20InsufficientBalance(address,uint256,uint256)', 'error ERC20InsufficientAllowance(address,uint256,uint256)'
])
const erc20 = new Interface([
  'function balanceOf(address) view returns (uint256)', 'function allowance(address,address) view returns (uint256)', 'function approve(address,uint256) returns (bool)',
  'function decimals() view returns (uint8)', 'function symbol() view returns (string)'
])

function ticketTuple(ticket: Ticket): unknown[] {
  return [ticket.payer, ticket.payee, ticket.faceValueWei, ticket.winProb, ticket.expirySec, ticket.commit, ticket.salt, ticket.context]
}

/** The contract makes the commit of `rand` itself, so that a wrong one gives another digest, and reads the signature in its three parts. */
function winnerTuple({ ticket, rand, signature }: RevealedWinner): unknown[] {
  const words = ticketTuple({ ...ticket, commit: rand })
  return [...words, signature.slice(0, 66), `0x${signature.slice(66, 130)}`, Number(`0x${signature.slice(130, 132)}`)]
}

/** The words of the broker's calls: data in, values out. It does no I/O. */
export const brokerCode = {
  redeem: (winner: RevealedWinner) => abi.encodeFunctionData('redeem', [winnerTuple(winner)]),
  redeemBatch: (winners: readonly RevealedWinner[]) => abi.encodeFunctionData('redeemBatch', [winners.map(winnerTuple)]),
  check: (winner: RevealedWinner) => abi.encodeFunctionData('check', [winnerTuple(winner)]),
  noticeDefault: (winner: RevealedWinner) => abi.encodeFunctionData('noticeDefault', [winnerTuple(winner)]),
  claimDefault: (ticket: Ticket) => abi.encodeFunctionData('claimDefault', [ticketTuple(ticket)]),
  ticketState: (digest: string) => abi.encodeFunctionData('ticketState', [digest]),
  snapshot: (account: string) => abi.encodeFunctionData('snapshot', [account]),
  signerUntil: (account: string, signer: string) => abi.encodeFunctionData('signerUntil', [account, signer]),
  domainSeparator: () => abi.encodeFunctionData('domainSeparator'),
  terms: () => (['delay', 'grace', 'feeBps', 'feeRecipient', 'asset'] as const).map((name) => abi.encodeFunctionData(name)),
  add: (bucket: Bucket, account: string, amountWei: bigint) => abi.encodeFunctionData(({ deposit: 'fund', bond: 'addBond', jobBond: 'addJobBond' } as const)[bucket], [account, amountWei]),
  requestUnlock: (bucket: Bucket, amountWei: bigint) => abi.encodeFunctionData('requestUnlock', [BUCKET[bucket], amountWei]),
  cancelUnlock: (bucket: Bucket) => abi.encodeFunctionData('cancelUnlock', [BUCKET[bucket]]),
  withdraw: (bucket: Bucket, to: string) => abi.encodeFunctionData('withdraw', [BUCKET[bucket], to]),
  payout: (to: string) => abi.encodeFunctionData('payout', [to]),
  payoutFor: (account: string) => abi.encodeFunctionData('payoutFor', [account]),
  addSigner: (signer: string) => abi.encodeFunctionData('addSigner', [signer]),
  revokeSigner: (signer: string) => abi.encodeFunctionData('revokeSigner', [signer]),
  claimRefund: (refund: Refund, refundSignature: string, statement: Statement, statementSignature: string) => abi.encodeFunctionData('claimRefund', [
    [refund.agreement, refund.provider, refund.requester, refund.amount, refund.expiry], refundSignature,
    [statement.agreement, statement.provider, statement.requester, statement.sequence, statement.paid], statementSignature
  ]),
  collectRefund: (agreement: string, provider: string, requester: string) => abi.encodeFunctionData('collectRefund', [agreement, provider, requester])
} as const

export const tokenCode = {
  balanceOf: (account: string) => erc20.encodeFunctionData('balanceOf', [account]),
  allowance: (owner: string, spender: string) => erc20.encodeFunctionData('allowance', [owner, spender]),
  approve: (spender: string, amount: bigint) => erc20.encodeFunctionData('approve', [spender, amount]),
  decimals: () => erc20.encodeFunctionData('decimals'),
  symbol: () => erc20.encodeFunctionData('symbol'),
  readSymbol: (data: string) => String(erc20.decodeFunctionResult('symbol', data)[0])
} as const

/** What a call returned. Throws E_CHAIN_RPC for what the contract cannot have said. */
function decode(name: 'check' | 'ticketState' | 'snapshot', data: string): Result {
  try {
    return abi.decodeFunctionResult(name, data)
  } catch (err) {
    throw new HearthError('E_CHAIN_RPC', `The chain's RPC service answered ${name} with something else than the contract says`, 'Its node may be syncing, or the contract is gone: was a local chain started anew?', { cause: err })
  }
}

/** The first word of what a call returned. */
export function readWord(data: string): bigint {
  return BigInt(data.length >= 66 ? data.slice(0, 66) : '0x0')
}

export function readAddress(data: string): string {
  return `0x${data.slice(26, 66).toLowerCase()}`
}

export function readCheck(data: string): { digest: string, reason: TicketRefusal } {
  const [digest, reason] = decode('check', data)
  return { digest: String(digest), reason: REFUSALS[Number(reason)] ?? 'wrongSignature' }
}

export function readTicketState(data: string): { used: boolean, graceUntilSec: number } {
  const [used, graceUntil] = decode('ticketState', data)
  return { used: used === true, graceUntilSec: Number(graceUntil) }
}

export function readHoldings(data: string): Holdings {
  const [value] = decode('snapshot', data)
  const found = value as Result
  const wei = (name: string): bigint => found.getValue(name) as bigint
  const raw = found.getValue('unlocks') as Result
  const unlocks: Partial<Record<Bucket, Unlock>> = {}
  for (const bucket of ['deposit', 'bond', 'jobBond'] as const) {
    const unlock = raw[BUCKET[bucket]] as Result
    const amountWei = unlock.getValue('amount') as bigint
    if (amountWei !== 0n) unlocks[bucket] = { amountWei, lockedUntilSec: Number(unlock.getValue('lockedUntil')) }
  }
  return {
    depositWei: wei('deposit'), bondWei: wei('bond'), jobBondWei: wei('jobBond'), reservedWei: wei('reserved'), creditWei: wei('credit'),
    heldUntilSec: Number(wei('heldUntil')), openClaims: Number(wei('openClaims')), unlocks
  }
}

/** The ticket events of a transaction's logs, of this broker only. */
export function ticketEvents(contract: string, logs: readonly RawLog[]): TicketEvent[] {
  return logs.flatMap((log): TicketEvent[] => {
    if (log.address.toLowerCase() !== contract) return []
    const found = abi.parseLog(log)
    if (found === null || !found.fragment.inputs.some(({ name }) => name === 'digest')) return []
    const digest = String(found.args.getValue('digest'))
    switch (found.name) {
      case 'TicketRedeemed': return [{ kind: 'redeemed', digest, faceValueWei: found.args.getValue('faceValue') as bigint }]
      case 'TicketSkipped': return [{ kind: 'skipped', digest, reason: REFUSALS[Number(found.args.getValue('reason'))] ?? 'wrongSignature' }]
      case 'DefaultNoticed': return [{ kind: 'noticed', digest, graceUntilSec: Number(found.args.getValue('graceUntil')) }]
      case 'DefaultClaimed': return [{ kind: 'claimed', digest, paidWei: found.args.getValue('paid') as bigint, burnedWei: found.args.getValue('bondBurned') as bigint }]
      default: return []
    }
  })
}

/** What a contract reverted with; undefined for what nobody of ours says. */
export function readError(data: string | undefined): ContractError | undefined {
  if (data === undefined || data.length < 10) return undefined
  const found = abi.parseError(data) ?? others.parseError(data)
  return found === null ? undefined : { name: found.name, args: [...found.args] as unknown[] }
}

/** An eth_call at a block of this hash and no other (EIP-1898). */
export function callAt(blockHash: string, to: string, data: string, from?: string): RpcCall {
  return { method: 'eth_call', params: [{ to, data, ...from === undefined ? {} : { from } }, { blockHash }] }
}
