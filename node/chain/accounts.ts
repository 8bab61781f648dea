import { HearthError } from '../../src/errors.ts'
import type { Refund, Statement } from '../../src/documents/payment-state.ts'
import { parseAddress } from './address.ts'
import { formatAmount, formatWhen } from './amounts.ts'
import type { Asset } from './amounts.ts'
import { hexBytes, parseBlock, quantity } from './block.ts'
import type { Block } from './block.ts'
import { brokerCode, callAt, readHoldings, readWord, tokenCode } from './broker.ts'
import type { BrokerTerms, Bucket, Holdings } from './broker.ts'
import { unwrap } from './rpc.ts'
import type { ChainRpc } from './rpc.ts'
import type { Transactor } from './transactor.ts'
import type { TxChange, TxRequest } from './tx-record.ts'

/** What an owner can do with its money. Addresses left out are the node's own. */
export type AccountAction =
  /** Into the deposit, the bond or the job bond of an account, from the node's coin or tokens. */
  | { readonly kind: 'add', readonly bucket: Bucket, readonly amountWei: bigint, readonly account?: string }
  | { readonly kind: 'request-unlock', readonly bucket: Bucket, readonly amountWei: bigint }
  | { readonly kind: 'cancel-unlock', readonly bucket: Bucket }
  | { readonly kind: 'withdraw', readonly bucket: Bucket, readonly to?: string }
  /** The whole credit: what tickets brought. */
  | { readonly kind: 'payout', readonly to?: string }
  /** The whole credit of another account, to that account: of a payee that sends no transactions itself. */
  | { readonly kind: 'payout-for', readonly account: string }
  | { readonly kind: 'add-signer', readonly signer: string }
  | { readonly kind: 'revoke-signer', readonly signer: string }
  | { readonly kind: 'claim-refund', readonly refund: Refund, readonly refundSignature: string, readonly statement: Statement, readonly statementSignature: string }
  | { readonly kind: 'collect-refund', readonly agreement: string, readonly provider: string }

/** What an action would take. */
export interface ActionEstimate { readonly gas: bigint, /** At today's price. */ readonly feeWei: bigint, /** At the caps' highest. */ readonly maxFeeWei: bigint, readonly words: string }

export interface ActionOutcome { readonly tx: string, readonly blockNumber: number, readonly gasUsed: bigint, /** All gas, a token's approval included. */ readonly feeWei: bigint, readonly words: string }

/** An account at one block. `tokenWei` is what it holds of the broker's token, undefined where the broker holds coin. */
export interface Balances extends Holdings {
  readonly address: string
  readonly asset: Asset
  readonly block: Block
  readonly coinWei: bigint
  readonly tokenWei: bigint | undefined
}

export interface ActOptions {
  /** Ends the waiting with E_CHAIN_PENDING; what was sent stays sent, and looked after. */
  readonly signal?: AbortSignal
  readonly onSubmitted?: (tx: string) => void
}

/** An approval before the first `fund` of a token; the second estimate is the chain's own. */
const TOKEN_ADD_GAS = 95_000n
const MAX_UINT128 = (1n << 128n) - 1n
const BUCKET_WORDS: Record<Bucket, string> = { deposit: 'deposit', bond: 'bond', jobBond: 'job bond' }

export interface AccountsOptions {
  readonly rpc: ChainRpc
  readonly contract: string
  readonly address: string
  readonly transactor: Transactor
  readonly facts: () => { terms: BrokerTerms, asset: Asset }
  /** A transaction was sent: look at the chain soon. */
  readonly poke: () => void
}

type Waiter = (change: TxChange | undefined) => void

/** The owner's side of the broker: what is where, and moving it. */
export class Accounts {
  readonly #options: AccountsOptions
  readonly #waiters = new Map<string, Waiter>()
  #isClosed = false

  constructor(options: AccountsOptions) {
    this.#options = options
  }

  /** At the chain's latest block, all at the same one. Throws E_CHAIN_RPC…. */
  async balances(address: string = this.#options.address): Promise<Balances> {
    const { rpc, contract, facts } = this.#options
    const { asset, terms: { token } } = facts()
    const block = parseBlock(await rpc.ask('eth_getBlockByNumber', ['latest', false]))
    if (block === undefined) throw new HearthError('E_CHAIN_RPC', 'The chain\'s RPC service knows no block', 'Its node may still be syncing')
    const calls = [callAt(block.hash, contract, brokerCode.snapshot(address)), { method: 'eth_getBalance', params: [address, { blockHash: block.hash }] }, ...token === undefined ? [] : [callAt(block.hash, token, tokenCode.balanceOf(address))]]
    const [holdings, coin, tokens] = (await rpc.batch(calls)).map(unwrap)
    return { ...readHoldings(hexBytes(holdings)), address: address.toLowerCase(), asset, block, coinWei: quantity(coin), tokenWei: tokens === undefined ? undefined : readWord(hexBytes(tokens)) }
  }

  /** What an action would do and cost. Throws what the contract would refuse, in words for people. */
  async estimate(action: AccountAction): Promise<ActionEstimate> {
    const approvals = await this.#approvals(action)
    const first = approvals[0] ?? this.#request(action)
    const { gas: firstGas, view } = await this.#options.transactor.estimate(first)
    const gas = firstGas * BigInt(Math.max(1, approvals.length)) + (approvals.length > 0 ? TOKEN_ADD_GAS : 0n)
    return { gas, feeWei: gas * view.fees.priceWei, maxFeeWei: gas * 5n / 4n * view.fees.maxFeeWei, words: this.words(action) }
  }

  /** Does it, and resolves when the chain has confirmed it. Throws as `estimate`, and E_CHAIN_COIN, E_CHAIN_GAS_CAP, E_CHAIN_BUSY, E_CHAIN_REPLACED, E_CHAIN_PENDING. */
  async act(action: AccountAction, options: ActOptions = {}): Promise<ActionOutcome> {
    let feeWei = 0n
    for (const approval of await this.#approvals(action)) feeWei += (await this.#run(approval, options)).feeWei
    const outcome = await this.#run(this.#request(action), options)
    return { ...outcome, feeWei: outcome.feeWei + feeWei, words: this.words(action) }
  }

  /** What an action is, as a person would say it. */
  words(action: AccountAction): string {
    const { address, facts } = this.#options
    const { asset, terms } = facts()
    const own = (other: string | undefined): string => other === undefined || other.toLowerCase() === address ? 'this node' : other
    switch (action.kind) {
      case 'add': return `Adds ${formatAmount(action.amountWei, asset)} to the ${BUCKET_WORDS[action.bucket]} of ${own(action.account)}`
      case 'request-unlock': return `Asks for ${formatAmount(action.amountWei, asset)} of the ${BUCKET_WORDS[action.bucket]} back; it can be withdrawn ${terms.delaySec} s later, after about ${formatWhen(Math.floor(Date.now() / 1000) + terms.delaySec)}`
      case 'cancel-unlock': return `Leaves the ${BUCKET_WORDS[action.bucket]} where it is`
      case 'withdraw': return `Withdraws what was unlocked of the ${BUCKET_WORDS[action.bucket]} to ${own(action.to)}`
      case 'payout': return `Pays all earnings out to ${own(action.to)}`
      case 'payout-for': return `Pays all earnings of ${action.account} out to it`
      case 'add-signer': return `Lets ${action.signer} sign tickets for this node`
      case 'revoke-signer': return `Forbids ${action.signer} to sign tickets for this node, in ${terms.delaySec} s`
      case 'claim-refund': return `Claims a refund of ${formatAmount(action.refund.amount, asset)} from ${action.refund.provider}`
      case 'collect-refund': return `Collects the refund from ${action.provider}`
    }
  }

  /** For the client: what became of a transaction. */
  onChange(change: TxChange): void {
    if (change.kind !== 'confirmed' && change.kind !== 'dead') return
    this.#waiters.get(change.tx.id)?.(change)
  }

  close(): void {
    this.#isClosed = true
    for (const wake of this.#waiters.values()) wake(undefined)
  }

  async #run(request: TxRequest, { signal, onSubmitted }: ActOptions): Promise<Omit<ActionOutcome, 'words'>> {
    const tx = await this.#options.transactor.send(request)
    if (tx === undefined) throw new HearthError('E_INVARIANT', 'an account action was held back')
    onSubmitted?.(tx.id)
    const change = await this.#wait(tx.id, signal)
    if (change === undefined) throw new HearthError('E_CHAIN_PENDING', `The transaction ${tx.id} is sent and not confirmed yet`, 'It is looked after while the node runs; "hearth wallet" shows what it did')
    if (change.kind === 'dead') throw new HearthError('E_CHAIN_REPLACED', `Another transaction of this key took the place of ${tx.id}`, 'Is the same key used in another wallet or a second node? See the balances, then try again')
    if (change.kind !== 'confirmed' || !change.mined.ok) throw new HearthError('E_CHAIN_REVERTED', `The transaction ${tx.id} was mined and failed: the contract's state had changed meanwhile`, 'Try again; the gas is spent')
    const { hash, blockNumber, gasUsed, feeWei } = change.mined
    return { tx: hash, blockNumber, gasUsed, feeWei }
  }

  async #wait(id: string, signal: AbortSignal | undefined): Promise<TxChange | undefined> {
    if (this.#isClosed || signal?.aborted === true) return undefined
    const waiting = new Promise<TxChange | undefined>((resolve) => {
      this.#waiters.set(id, resolve)
      signal?.addEventListener('abort', () => { resolve(undefined) }, { once: true })
    })
    this.#options.poke()
    try {
      return await waiting
    } finally {
      this.#waiters.delete(id)
    }
  }

  /** A broker of a token takes what it was allowed to take, exactly; some tokens change an allowance only from zero. */
  async #approvals(action: AccountAction): Promise<TxRequest[]> {
    const { rpc, contract, address, facts } = this.#options
    const { token } = facts().terms
    if (action.kind !== 'add' || token === undefined) return []
    const reads = [tokenCode.allowance(address, contract), tokenCode.balanceOf(address)]
    const [allowed = 0n, has = 0n] = (await rpc.batch(reads.map((data) => ({ method: 'eth_call', params: [{ to: token, data }, 'latest'] })))).map((answer) => readWord(hexBytes(unwrap(answer))))
    if (has < action.amountWei) throw new HearthError('E_CHAIN_INSUFFICIENT', `The account has only ${formatAmount(has, facts().asset)}`, 'Send more of the token to it first')
    if (allowed >= action.amountWei) return []
    const approve = (amount: bigint): TxRequest => ({ purpose: { kind: 'account', action: 'approve' }, to: token, data: tokenCode.approve(contract, amount) })
    return [...allowed === 0n ? [] : [approve(0n)], approve(action.amountWei)]
  }

  #request(action: AccountAction): TxRequest {
    const { contract, address, facts } = this.#options
    if ('amountWei' in action && (action.amountWei <= 0n || action.amountWei > MAX_UINT128)) throw new HearthError('E_CHAIN_AMOUNT', `${formatAmount(action.amountWei, facts().asset)} cannot be moved`, 'Give an amount above zero')
    const value = action.kind === 'add' && facts().terms.token === undefined ? action.amountWei : 0n
    return { purpose: { kind: 'account', action: action.kind }, to: contract, data: dataOf(action, address), valueWei: value }
  }
}

function dataOf(action: AccountAction, own: string): string {
  switch (action.kind) {
    case 'add': return brokerCode.add(action.bucket, parseAddress(action.account ?? own), action.amountWei)
    case 'request-unlock': return brokerCode.requestUnlock(action.bucket, action.amountWei)
    case 'cancel-unlock': return brokerCode.cancelUnlock(action.bucket)
    case 'withdraw': return brokerCode.withdraw(action.bucket, parseAddress(action.to ?? own))
    case 'payout': return brokerCode.payout(parseAddress(action.to ?? own))
    case 'payout-for': return brokerCode.payoutFor(parseAddress(action.account))
    case 'add-signer': return brokerCode.addSigner(parseAddress(action.signer))
    case 'revoke-signer': return brokerCode.revokeSigner(parseAddress(action.signer))
    case 'claim-refund': return brokerCode.claimRefund(action.refund, action.refundSignature, action.statement, action.statementSignature)
    case 'collect-refund': return brokerCode.collectRefund(action.agreement, parseAddress(action.provider), own)
  }
}
