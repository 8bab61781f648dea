import { toHex } from '../../src/codec/hasher.ts'
import { HearthError } from '../../src/errors.ts'
import type { Secrets } from '../../src/payment/draws.ts'
import { commitOf, TicketHasher } from '../../src/documents/ticket.ts'
import { nativeHasher } from '../keys/native-hasher.ts'
import type { Block } from './block.ts'
import { hexBytes } from './block.ts'
import { brokerCode, callAt, readCheck, readHoldings, readTicketState, ticketEvents } from './broker.ts'
import type { BrokerTerms, Holdings, RevealedWinner } from './broker.ts'
import { Defaults } from './defaults.ts'
import { isWorth, planBatch } from './redemption-plan.ts'
import type { Candidate, PlanPolicy } from './redemption-plan.ts'
import { unwrap } from './rpc.ts'
import type { ChainRpc, RpcAnswer } from './rpc.ts'
import type { Snapshots } from './snapshots.ts'
import { MAX_CARRYING } from './transactor.ts'
import type { Transactor } from './transactor.ts'
import type { HeadView, TxChange, TxRecord } from './tx-record.ts'
import type { Entry, RedemptionReport, Winner, Winners } from './winners.ts'

/** Winners of which the chain is asked whether somebody else redeemed them, a block. */
const MAX_CHECKS = 32
/** A try that failed waits 1, 2, 4 … blocks, up to this many. */
const MAX_BACKOFF_BLOCKS = 32

export interface RedeemerOptions {
  readonly rpc: ChainRpc
  readonly contract: string
  readonly separator: Uint8Array
  readonly terms: () => BrokerTerms
  readonly secrets: Pick<Secrets, 'rand'>
  readonly winners: Winners
  readonly snapshots: Snapshots
  readonly transactor: Transactor
  readonly address: string
  readonly confirmations: number
  readonly finalDepth: number
  readonly policy: PlanPolicy
  /** What keeps winners waiting and people should know: no coin for gas, gas above the cap. */
  readonly onProblem: (err: HearthError) => void
}

/** Brings winners to the chain: in any order, each at most once, when it is worth the gas. It waits for nobody and nobody for it. */
export class Redeemer {
  readonly #options: RedeemerOptions
  readonly #hasher: TicketHasher
  readonly #defaults: Defaults

  constructor(options: RedeemerOptions) {
    this.#options = options
    this.#hasher = new TicketHasher(nativeHasher, options.separator)
    this.#defaults = new Defaults({ ...options, reveal: (winner) => this.#reveal(winner), attempt: (entries, deed) => this.#attempt(entries, deed) })
  }

  /** Joins winners and the transactions that carry them, after both were restored. */
  restore(): void {
    for (const tx of this.#options.transactor.records) if (!tx.confirmed) this.#carry(tx)
  }

  /** Takes a winner; one that is known gets its latest report again. Stored when it resolves. Throws E_CHAIN_BUSY. */
  async redeem(winner: Winner): Promise<void> {
    const { winners } = this.#options
    const known = winners.get(winner.digest)
    if (known?.end !== undefined) winners.tell(known.end.report)
    else if (known?.tx !== undefined) winners.tell({ kind: 'submitted', digest: winner.digest, tx: known.tx })
    if (known !== undefined) return
    const wrong = this.#wrong(winner)
    if (wrong === undefined) await winners.add(winner)
    else winners.tell({ kind: 'refused', digest: winner.digest, reason: wrong })
  }

  /** One look at all that waits. Throws E_CHAIN_RPC… when the chain cannot be asked. */
  async step(view: HeadView): Promise<void> {
    await this.#settleRaced(view)
    await this.#sweep(view)
    for (let i = 0; i < MAX_CARRYING; i++) {
      if (!await this.#redeemSome(view)) break
    }
    await this.#defaults.step(view)
  }

  /** What became of a transaction. Resolves when its winners' records say so too. */
  async onChange(change: TxChange): Promise<void> {
    const { tx } = change
    if (tx.purpose.kind === 'account' || tx.purpose.kind === 'fill') return
    const { winners } = this.#options
    const carried = tx.purpose.digests.flatMap((digest) => winners.get(digest) ?? [])
    if (change.kind === 'final') return winners.forget(carried.filter(({ end }) => end !== undefined && 'tx' in end.report && end.report.tx === change.tx.mined?.hash).map(({ winner }) => winner.digest))
    if (change.kind === 'reorged') {
      await winners.reopen(carried.filter(({ end }) => end !== undefined).map(({ winner }) => winner.digest), tx.id)
      this.#carry(tx)
      return
    }
    for (const entry of carried) if (entry.tx === tx.id) entry.tx = undefined
    if (change.kind === 'dead') return
    const reports = this.#reportsOf(change)
    await winners.end(reports.filter(({ kind }) => kind !== 'noticed'), change.mined.blockNumber)
    for (const report of reports) if (report.kind === 'noticed') winners.tell(report)
    if (!change.mined.ok) this.#backOff(carried, change.mined.blockNumber)
  }

  /** What the chain could not tell from another ticket's fault: these are mistakes of our own. */
  #wrong(winner: Winner): 'malformed' | 'wrongDigest' | 'wrongRand' | undefined {
    const { ticket, digest, offerId, index } = winner
    try {
      // what cannot be written down would stop every look at the queue
      brokerCode.check(this.#reveal(winner))
      if (toHex(this.#hasher.digest(ticket)) !== digest) return 'wrongDigest'
      return commitOf(nativeHasher, this.#options.secrets.rand(offerId, index)) === ticket.commit ? undefined : 'wrongRand'
    } catch {
      return 'malformed'
    }
  }

  #carry(tx: TxRecord): void {
    if (!('digests' in tx.purpose)) return
    for (const digest of tx.purpose.digests) {
      const entry = this.#options.winners.get(digest)
      if (entry !== undefined && entry.end === undefined) entry.tx = tx.id
    }
  }

  /** True when a batch was sent, so that another may follow. */
  async #redeemSome(view: HeadView): Promise<boolean> {
    const { transactor, winners, policy } = this.#options
    if (transactor.carrying >= MAX_CARRYING) return false
    const plan = planBatch(this.#candidates(this.#ready(view)), view.fees.priceWei, view.block.timeSec, policy)
    if (plan === undefined) return false
    const { good, bad } = await this.#check(plan.digests.flatMap((digest) => winners.get(digest) ?? []), view)
    if (good.length === 0) return bad
    const faceWei = good.reduce((sum, { winner }) => sum + winner.ticket.faceValueWei, 0n)
    const purpose = { kind: 'redeem' as const, digests: good.map(({ winner }) => winner.digest) }
    const revealed = good.map(({ winner }) => this.#reveal(winner))
    const [first] = revealed
    if (first === undefined) return false
    const data = revealed.length === 1 ? brokerCode.redeem(first) : brokerCode.redeemBatch(revealed)
    const agree = (gas: bigint, priceWei: bigint): boolean => isWorth(gas * priceWei, faceWei, plan.urgent, policy)
    return this.#attempt(good, () => transactor.send({ purpose, to: this.#options.contract, data, worthWei: faceWei, agree }), view.block)
  }

  #ready(view: HeadView): Entry[] {
    return this.#options.winners.waiting.filter(({ notBefore, usedSince, underfundedSince }) => notBefore <= view.block.number && usedSince === undefined && underfundedSince === undefined)
  }

  /** Those that were never worth their gas are asked about once more when they are over: a notice may have kept some alive. */
  async #sweep(view: HeadView): Promise<void> {
    const over = this.#ready(view).filter(({ winner }) => winner.ticket.expirySec < view.block.timeSec).slice(0, MAX_CHECKS)
    if (over.length > 0) await this.#check(over, view)
  }

  #candidates(entries: readonly Entry[]): Candidate[] {
    const { snapshots } = this.#options
    const owed = new Map<string, bigint>()
    for (const { winner: { ticket } } of entries) owed.set(ticket.payer, (owed.get(ticket.payer) ?? 0n) + ticket.faceValueWei)
    for (const payer of owed.keys()) snapshots.add(payer)
    return entries.map(({ winner: { ticket, digest } }) => {
      const seen = snapshots.get(ticket.payer)?.snapshot
      return {
        digest,
        faceValueWei: ticket.faceValueWei,
        deadlineSec: ticket.expirySec,
        // A deposit that covers ours twice over survives another payee as large as we are; an unlock that ends after the
        // ticket does is no danger to it.
        atRisk: seen !== undefined && ((seen.unlocks.deposit?.lockedUntilSec ?? Infinity) < ticket.expirySec || seen.depositWei < 2n * (owed.get(ticket.payer) ?? 0n))
      }
    })
  }

  /** Asks the contract of each before any gas is spent; `bad`: some left the queue, so that others may take their place. */
  async #check(entries: readonly Entry[], view: HeadView): Promise<{ good: Entry[], bad: boolean }> {
    const { rpc, contract, winners } = this.#options
    const payers = [...new Set(entries.map(({ winner }) => winner.ticket.payer))]
    const data = [...entries.map(({ winner }) => brokerCode.check(this.#reveal(winner))), ...payers.map((payer) => brokerCode.snapshot(payer))]
    const answers = await rpc.batch(data.map((one) => callAt(view.block.hash, contract, one)))
    const holdings = new Map<string, Holdings>(payers.map((payer, i) => [payer, readHoldings(valueOf(answers[entries.length + i]))]))
    const left = new Map([...holdings].map(([payer, { depositWei }]) => [payer, depositWei]))
    const good: Entry[] = []
    for (const [i, entry] of entries.entries()) {
      const { ticket, digest } = entry.winner
      // holdings could be read: what is refused is this ticket's own
      const reason = answers[i]?.ok === true ? readCheck(valueOf(answers[i])).reason : 'reverted'
      if (reason === 'none') {
        // each is covered by itself; together they may not be
        const rest = (left.get(ticket.payer) ?? 0n) - ticket.faceValueWei
        if (rest >= 0n) {
          left.set(ticket.payer, rest)
          good.push(entry)
        } else {
          entry.notBefore = view.block.number + 1
        }
      } else if (reason === 'used') {
        entry.usedSince = view.block.number
      } else if (reason === 'underfunded') {
        this.#defaults.park(entry, view, holdings.get(ticket.payer))
      } else if (reason === 'tooFarAhead' || reason === 'reverted') {
        this.#backOff([entry], view.block.number)
      } else {
        await winners.refuse(digest, reason)
      }
    }
    return { good, bad: good.length < entries.length }
  }

  /** Runs a deed that sends a transaction for these; false when it was not sent. What only waits for better times is a problem told, not an error. */
  async #attempt(entries: readonly Entry[], deed: () => Promise<TxRecord | undefined>, block?: Block): Promise<boolean> {
    try {
      const tx = await deed()
      if (tx === undefined) return false
      this.#carry(tx)
      for (const { winner } of entries) this.#options.winners.tell({ kind: 'submitted', digest: winner.digest, tx: tx.id })
      return true
    } catch (err) {
      if (!(err instanceof HearthError) || err.code === 'E_CHAIN_RPC' || err.code === 'E_INVARIANT') throw err
      if (err.code === 'E_CHAIN_REVERTED' || err.code === 'E_CHAIN_RPC_REFUSED') this.#backOff(entries, block?.number ?? 0)
      this.#options.onProblem(err)
      return false
    }
  }

  #backOff(entries: readonly Entry[], blockNumber: number): void {
    for (const entry of entries) entry.notBefore = blockNumber + Math.min(2 ** entry.failures++, MAX_BACKOFF_BLOCKS)
  }

  /** Those that others redeemed: told when confirmed, looked at once more when final. */
  async #settleRaced(view: HeadView): Promise<void> {
    const { rpc, contract, snapshots, confirmations, finalDepth, winners } = this.#options
    const { block } = view
    const told = winners.raced.filter(({ end }) => end !== undefined && block.number - end.atBlock >= finalDepth)
    const fresh = winners.waiting.filter(({ usedSince }) => usedSince !== undefined && block.number - usedSince >= confirmations)
    const asked = [...told, ...fresh].slice(0, MAX_CHECKS)
    const at = snapshots.confirmed
    if (asked.length === 0 || at === undefined) return
    const answers = await rpc.batch(asked.map(({ winner }) => callAt(at.hash, contract, brokerCode.ticketState(winner.digest))))
    for (const [i, entry] of asked.entries()) {
      const answer = answers[i]
      if (answer === undefined) continue
      const { used } = readTicketState(hexBytes(unwrap(answer)))
      const { digest } = entry.winner
      if (entry.end !== undefined) await (used ? winners.forget([digest]) : winners.reopen([digest], undefined))
      else if (used) await winners.end([{ kind: 'lost-race', digest }], block.number)
      else entry.usedSince = undefined
    }
  }

  #reportsOf({ tx, mined, logs }: Extract<TxChange, { kind: 'confirmed' }>): RedemptionReport[] {
    const { contract, terms, winners } = this.#options
    const digests = new Set('digests' in tx.purpose ? tx.purpose.digests : [])
    const events = ticketEvents(contract, logs).filter(({ kind, digest }) => kind !== 'skipped' && digests.has(digest))
    const count = BigInt(events.length)
    return events.flatMap((event, i): RedemptionReport[] => {
      const { digest } = event
      // the first takes the remainder: sums agree with the chain to the wei
      const share = (all: bigint): bigint => all / count + (i === 0 ? all % count : 0n)
      const spent = { tx: mined.hash, blockNumber: mined.blockNumber, gasUsed: share(mined.gasUsed), feeWei: share(mined.feeWei) }
      const net = (wei: bigint): bigint => wei - wei * BigInt(terms().feeBps) / 10_000n
      switch (event.kind) {
        case 'redeemed': return [{ kind: 'redeemed', digest, paidWei: net(event.faceValueWei), ...spent }]
        // topped up at the last moment: then the claim pays the ticket whole
        case 'claimed': return [event.paidWei === winners.get(digest)?.winner.ticket.faceValueWei ? { kind: 'redeemed', digest, paidWei: net(event.paidWei), ...spent } : { kind: 'defaulted', digest, paidWei: net(event.paidWei), burnedWei: event.burnedWei, ...spent }]
        case 'noticed': return [{ kind: 'noticed', digest, tx: mined.hash, graceUntilSec: event.graceUntilSec, feeWei: spent.feeWei }]
        case 'skipped': return []
      }
    })
  }

  #reveal({ ticket, offerId, index, signature }: Winner): RevealedWinner {
    return { ticket, rand: toHex(this.#options.secrets.rand(offerId, index)), signature }
  }
}

function valueOf(answer: RpcAnswer | undefined): string {
  return answer === undefined ? '0x' : hexBytes(unwrap(answer))
}
