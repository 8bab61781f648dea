import { HearthError } from '../../src/errors.ts'
import { parseBlock, quantity, toQuantity } from './block.ts'
import { feesNow, replacementFees } from './fees.ts'
import type { GasCaps } from './fees.ts'
import { formatAmount } from './amounts.ts'
import type { Asset } from './amounts.ts'
import { refusalError } from './refusals.ts'
import { parseReceipt } from './receipt.ts'
import type { Receipt } from './receipt.ts'
import { unwrap } from './rpc.ts'
import type { ChainRpc, RpcAnswer, RpcCall } from './rpc.ts'
import { signTransaction } from './signing.ts'
import type { MoneySigner } from './signing.ts'
import type { ChainStore } from './store.ts'
import type { HeadView, TxChange, TxRecord, TxRequest } from './tx-record.ts'

/** Pools keep at least 16 of one account; more would wait there unseen. */
const MAX_IN_FLIGHT = 8
/** Of those, what winners may take: half are left to people. */
export const MAX_CARRYING = 4
/** A replaced transaction is looked for under each of its hashes. An eighth more each time: the last offers four times the first. */
const MAX_ATTEMPTS = 12
/** A fee that is not taken within so many blocks is raised. */
const RAISE_AFTER_BLOCKS = 5
/** Pools forget; what they still have they refuse, at no harm. */
const REPEAT_AFTER_BLOCKS = 10
/** The state may have moved between estimate and block. */
const GAS_MARGIN_PERCENT = 125n
const KEY = 'tx/'
const COIN: Asset = { kind: 'coin' }

export interface TransactorOptions {
  readonly rpc: ChainRpc
  readonly store: ChainStore
  readonly chainId: number
  readonly signer: MoneySigner
  readonly caps: GasCaps
  /** Blocks on top of a transaction's own before it counts. */
  readonly confirmations: number
  /** Blocks on top before it is forgotten: no reorganisation is as deep. */
  readonly finalDepth: number
  readonly asset: () => Asset
  /** Resolves when what follows from it is stored: only then the transaction's own state is. So a crash repeats a change, and never loses one. */
  readonly onChange: (change: TxChange) => Promise<void>
}

/** Where a transaction stands in this run; nothing of it needs to survive. */
interface Watch { sentAtBlock: number | undefined, bidAtBlock: number | undefined, missingSinceBlock: number | undefined }

/**
 * The account's transactions: their nonces, fees and fates. Each is stored, signed, before it is sent, so that a restart
 * finds it again; nothing is ever signed twice for one purpose while an earlier form could still be mined under another nonce.
 */
export class Transactor {
  readonly #options: TransactorOptions
  readonly #records = new Map<string, TxRecord>()
  readonly #watches = new WeakMap<TxRecord, Watch>()
  #sending: Promise<unknown> = Promise.resolve()

  constructor(options: TransactorOptions) {
    this.#options = options
  }

  /** Takes up what an earlier run left. Give it all of the store's entries. */
  restore(entries: readonly (readonly [string, unknown])[]): void {
    for (const [key, value] of entries) {
      if (key.startsWith(KEY)) this.#records.set(key.slice(KEY.length), value as TxRecord)
    }
  }

  get records(): readonly TxRecord[] {
    return [...this.#records.values()]
  }

  /** Sent, and not in a block. */
  get inFlight(): number {
    return this.records.filter(({ mined }) => mined === undefined).length
  }

  /** Of those in flight, the ones that carry winners. */
  get carrying(): number {
    return this.records.filter(({ mined, purpose }) => mined === undefined && 'digests' in purpose).length
  }

  /** Reads the head, our account and the fate of every transaction in one request, and tells what changed. */
  async look(): Promise<HeadView> {
    const open = this.records.filter(({ confirmed }) => !confirmed)
    const settled = this.records.filter(({ confirmed }) => confirmed)
    const newest = settled.reduce<TxRecord | undefined>((best, record) => (record.mined?.blockNumber ?? -1) > (best?.mined?.blockNumber ?? -1) ? record : best, undefined)
    const receiptCalls = open.map(receiptsOf)
    const probe: RpcCall[] = newest?.mined === undefined ? [] : [{ method: 'eth_getBlockByNumber', params: [toQuantity(newest.mined.blockNumber), false] }]
    const [answers, rest] = split(await this.#options.rpc.batch([...this.#viewCalls(), ...probe, ...receiptCalls.flat()]), VIEW_CALLS)
    const view = this.#view(answers)
    const [probed, receipts] = split(rest, probe.length)
    let at = 0
    for (const [i, record] of open.entries()) {
      const size = receiptCalls[i]?.length ?? 0
      await this.#judge(record, view, found(receipts.slice(at, at + size)))
      at += size
    }
    // If the newest confirmed one stands in the chain, so do all those below it.
    const block = probed[0] === undefined ? undefined : parseBlock(unwrap(probed[0]))
    if (block !== undefined && block.hash !== newest?.mined?.blockHash) await this.#recheck(settled, view)
    for (const record of settled) await this.#forget(record, view)
    return view
  }

  /** Sends again, raises fees and closes gaps, as far as the head calls for it. */
  async tend(view: HeadView): Promise<void> {
    const waiting = this.records.filter(({ mined }) => mined === undefined).sort((a, b) => a.nonce - b.nonce)
    for (const record of waiting) {
      if (record.nonce < view.nonce) continue
      const watch = this.#watch(record)
      watch.bidAtBlock ??= view.block.number
      if (view.block.number - watch.bidAtBlock >= RAISE_AFTER_BLOCKS && await this.#raise(record, view)) continue
      if (watch.sentAtBlock === undefined || view.block.number < watch.sentAtBlock || view.block.number - watch.sentAtBlock >= REPEAT_AFTER_BLOCKS) await this.#broadcast(record, view.block.number)
    }
    const lowest = waiting[0]
    const isGap = lowest !== undefined && lowest.nonce > view.nonce && view.pendingNonce === view.nonce && this.records.every(({ nonce }) => nonce !== view.nonce)
    if (isGap) await this.#fill(view.nonce)
  }

  /** Uses up a nonce that nobody has, but that those after it wait for. */
  async #fill(nonce: number): Promise<void> {
    try {
      await this.send({ purpose: { kind: 'fill' }, to: this.#options.signer.address, data: '0x' }, nonce)
    } catch (err) {
      // no coin, or gas above the cap: the next block is another chance
      if (!(err instanceof HearthError) || err.code === 'E_INVARIANT') throw err
    }
  }

  /**
   * Estimates, signs, stores and sends; undefined when `agree` said no. Throws what the contract refused (`refusalError`),
   * E_CHAIN_GAS_CAP, E_CHAIN_COIN (not enough for value and gas), E_CHAIN_BUSY, E_CHAIN_RPC. Once it resolves the transaction
   * is on its way, though the service may not have taken it yet.
   */
  send(request: TxRequest, nonce?: number): Promise<TxRecord | undefined> {
    // one after the other: two would take the same nonce
    const sent = this.#sending.then(() => this.#send(request, nonce))
    this.#sending = sent.catch(() => undefined)
    return sent
  }

  /** What it would take, without sending. Throws as `send`. */
  async estimate(request: TxRequest): Promise<{ gas: bigint, view: HeadView }> {
    const { rpc, signer, asset } = this.#options
    const { to, data, valueWei = 0n } = request
    const call = { from: signer.address, data, value: toQuantity(valueWei), ...to === undefined ? {} : { to } }
    const [answers, [estimated]] = split(await rpc.batch([...this.#viewCalls(), { method: 'eth_estimateGas', params: [call] }]), VIEW_CALLS)
    const view = this.#view(answers)
    if (estimated === undefined) throw new HearthError('E_CHAIN_RPC', 'The gas estimate is missing')
    if (!estimated.ok) {
      if (view.balanceWei < valueWei) throw noCoin(view.balanceWei, valueWei)
      throw refusalError(estimated, asset())
    }
    return { gas: quantity(estimated.value), view }
  }

  async #send(request: TxRequest, fixedNonce: number | undefined): Promise<TxRecord | undefined> {
    const { signer, chainId, store, caps } = this.#options
    if (this.inFlight >= MAX_IN_FLIGHT && fixedNonce === undefined) throw new HearthError('E_CHAIN_BUSY', `${MAX_IN_FLIGHT} transactions wait for the chain already`, 'Wait until some are mined; if gas is dear just now, payment.maxFeePerGas holds them back')
    const { gas, view } = await this.estimate(request)
    if (view.fees.aboveCap) throw new HearthError('E_CHAIN_GAS_CAP', `Gas costs ${formatAmount(view.fees.priceWei)} a unit, above the cap of ${formatAmount(caps.maxFeePerGasWei)}`, 'Wait until it is cheaper, or raise payment.maxFeePerGas')
    if (request.agree?.(gas, view.fees.priceWei) === false) return undefined
    const { maxFeeWei, tipWei } = view.fees
    const { purpose, to, data, valueWei = 0n, worthWei } = request
    const gasLimit = gas * GAS_MARGIN_PERCENT / 100n
    if (view.balanceWei < valueWei + gasLimit * maxFeeWei) throw noCoin(view.balanceWei, valueWei + gasLimit * maxFeeWei)
    const nonce = fixedNonce ?? this.#freeNonce(view)
    const signed = signTransaction({ chainId, nonce, to, data, valueWei, gasLimit, maxFeeWei, tipWei }, signer)
    const record: TxRecord = { id: signed.hash, nonce, purpose, to, data, valueWei, gasLimit, worthWei, attempts: [{ ...signed, maxFeeWei, tipWei }], confirmed: false }
    await store.write([[KEY + record.id, record]])
    this.#records.set(record.id, record)
    this.#watch(record).bidAtBlock = view.block.number
    await this.#broadcast(record, view.block.number)
    return record
  }

  /** The first that neither the chain, nor we, nor another wallet of the same key has taken. */
  #freeNonce(view: HeadView): number {
    const ours = new Set(this.records.map(({ nonce }) => nonce))
    let nonce = view.nonce
    while (ours.has(nonce) || nonce < view.pendingNonce) nonce++
    return nonce
  }

  async #broadcast(record: TxRecord, atBlock: number): Promise<void> {
    const raw = record.attempts.at(-1)?.raw
    if (raw === undefined) return
    const watch = this.#watch(record)
    try {
      // a refusal says "known already" or something that another look will show: its words differ from service to service
      const [answer] = await this.#options.rpc.batch([{ method: 'eth_sendRawTransaction', params: [raw] }])
      watch.sentAtBlock = answer?.ok === true ? atBlock : atBlock - REPEAT_AFTER_BLOCKS + 1
    } catch (err) {
      if (!(err instanceof HearthError)) throw err
      watch.sentAtBlock = undefined
    }
  }

  /** True when the fee was raised and the new form sent. */
  async #raise(record: TxRecord, view: HeadView): Promise<boolean> {
    const { store, caps, chainId, signer } = this.#options
    const last = record.attempts.at(-1)
    if (last === undefined || record.attempts.length >= MAX_ATTEMPTS) return false
    const worth = record.worthWei === undefined ? caps.maxFeePerGasWei : record.worthWei / record.gasLimit
    const next = replacementFees(last, view.fees, worth < caps.maxFeePerGasWei ? worth : caps.maxFeePerGasWei)
    if (next === undefined) return false
    const signed = signTransaction({ chainId, nonce: record.nonce, to: record.to, data: record.data, valueWei: record.valueWei, gasLimit: record.gasLimit, ...next }, signer)
    record.attempts = [...record.attempts, { ...signed, ...next }]
    await store.write([[KEY + record.id, record]])
    this.#watch(record).bidAtBlock = view.block.number
    await this.#broadcast(record, view.block.number)
    return true
  }

  /** What a receipt, or its absence, means for one that was not confirmed. */
  async #judge(record: TxRecord, view: HeadView, receipt: Receipt | undefined): Promise<void> {
    const { store, confirmations } = this.#options
    const watch = this.#watch(record)
    if (receipt === undefined) {
      await this.#miss(record, view, watch)
      return
    }
    watch.missingSinceBlock = undefined
    const { logs, contract: _, ...mined } = receipt
    const isNews = record.mined?.blockHash !== mined.blockHash || record.mined.hash !== mined.hash
    record.mined = mined
    if (view.block.number - mined.blockNumber < confirmations) {
      if (isNews) await store.write([[KEY + record.id, record]])
      return
    }
    await this.#options.onChange({ kind: 'confirmed', tx: record, mined, logs })
    record.confirmed = true
    await store.write([[KEY + record.id, record]])
  }

  async #miss(record: TxRecord, view: HeadView, watch: Watch): Promise<void> {
    // a node that lags behind does not know the block yet
    if (record.mined !== undefined && view.block.number < record.mined.blockNumber) return
    if (record.mined !== undefined) {
      record.mined = undefined
      watch.sentAtBlock = undefined
      await this.#options.store.write([[KEY + record.id, record]])
    }
    if (view.nonce <= record.nonce) {
      watch.missingSinceBlock = undefined
      return
    }
    watch.missingSinceBlock ??= view.block.number
    // the index of receipts may lag behind the account's nonce, and a reorganisation may bring it back
    if (view.block.number - watch.missingSinceBlock < Math.max(1, this.#options.confirmations)) return
    await this.#options.onChange({ kind: 'dead', tx: record })
    await this.#drop(record)
  }

  /** The chain is another than the one that confirmed these: which of them does it still have? */
  async #recheck(settled: readonly TxRecord[], view: HeadView): Promise<void> {
    const { rpc, store } = this.#options
    for (const record of settled) {
      const receipt = found(await rpc.batch(receiptsOf(record)))
      if (receipt?.blockHash === record.mined?.blockHash || record.mined === undefined || view.block.number < record.mined.blockNumber) continue
      await this.#options.onChange({ kind: 'reorged', tx: record })
      record.confirmed = false
      record.mined = undefined
      this.#watch(record).sentAtBlock = undefined
      await store.write([[KEY + record.id, record]])
    }
  }

  async #forget(record: TxRecord, view: HeadView): Promise<void> {
    if (!record.confirmed || record.mined === undefined || view.block.number - record.mined.blockNumber < this.#options.finalDepth) return
    await this.#options.onChange({ kind: 'final', tx: record })
    await this.#drop(record)
  }

  async #drop(record: TxRecord): Promise<void> {
    await this.#options.store.write([[KEY + record.id, undefined]])
    this.#records.delete(record.id)
  }

  #watch(record: TxRecord): Watch {
    let watch = this.#watches.get(record)
    if (watch === undefined) {
      watch = { sentAtBlock: undefined, bidAtBlock: undefined, missingSinceBlock: undefined }
      this.#watches.set(record, watch)
    }
    return watch
  }

  #viewCalls(): RpcCall[] {
    const { address } = this.#options.signer
    return [
      { method: 'eth_getBlockByNumber', params: ['latest', false] },
      { method: 'eth_getTransactionCount', params: [address, 'latest'] },
      { method: 'eth_getTransactionCount', params: [address, 'pending'] },
      { method: 'eth_getBalance', params: [address, 'latest'] },
      { method: 'eth_gasPrice', params: [] },
      { method: 'eth_maxPriorityFeePerGas', params: [] }
    ]
  }

  #view(answers: readonly RpcAnswer[]): HeadView {
    const [block, nonce, pending, balance, gasPrice] = answers.slice(0, VIEW_CALLS - 1).map(unwrap)
    const head = parseBlock(block ?? null)
    if (head === undefined) throw new HearthError('E_CHAIN_RPC', 'The chain\'s RPC service knows no block', 'Its node may still be syncing')
    const gasPriceWei = quantity(gasPrice)
    // a chain of before EIP-1559 has no tip; one after it may not suggest any, but says what gas costs
    const tip = answers[VIEW_CALLS - 1]
    const rest = gasPriceWei - (head.baseFeeWei ?? 0n)
    const tipWei = tip?.ok === true ? quantity(tip.value) : rest > 0n ? rest : 0n
    return { block: head, nonce: Number(quantity(nonce)), pendingNonce: Number(quantity(pending)), balanceWei: quantity(balance), fees: feesNow(head, { tipWei, gasPriceWei }, this.#options.caps) }
  }
}

const VIEW_CALLS = 6

function receiptsOf(record: TxRecord): RpcCall[] {
  return record.attempts.map(({ hash }) => ({ method: 'eth_getTransactionReceipt', params: [hash] }))
}

function found(answers: readonly RpcAnswer[]): Receipt | undefined {
  for (const answer of answers) {
    const receipt = parseReceipt(unwrap(answer))
    if (receipt !== undefined) return receipt
  }
  return undefined
}

function split<T>(all: readonly T[], at: number): [T[], T[]] {
  return [all.slice(0, at), all.slice(at)]
}

function noCoin(hasWei: bigint, needsWei: bigint): HearthError {
  return new HearthError('E_CHAIN_COIN', `The account has ${formatAmount(hasWei, COIN)} and this may take ${formatAmount(needsWei, COIN)}, gas at its highest included`, 'Send the chain\'s coin to the node\'s money address first')
}
