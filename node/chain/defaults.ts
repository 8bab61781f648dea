import { hexBytes } from './block.ts'
import { brokerCode, callAt, readCheck, readHoldings, readTicketState, readWord } from './broker.ts'
import type { BrokerTerms, Holdings, RevealedWinner } from './broker.ts'
import { isWorth } from './redemption-plan.ts'
import type { PlanPolicy } from './redemption-plan.ts'
import { unwrap } from './rpc.ts'
import type { ChainRpc } from './rpc.ts'
import { MAX_CARRYING } from './transactor.ts'
import type { Transactor } from './transactor.ts'
import type { HeadView, TxRecord, TxRequest } from './tx-record.ts'
import type { Entry, Winner, Winners } from './winners.ts'

/** Looked at again, a block. */
const MAX_LOOKS = 16
/** Questions about one. */
const CALLS = 4
/** Measured on the broker: a notice, and a claim, with the transaction's own 21,000 each. */
const NOTICE_GAS = 95_000n
const CLAIM_GAS = 80_000n

export interface DefaultsOptions {
  readonly rpc: ChainRpc
  readonly contract: string
  readonly winners: Winners
  readonly transactor: Transactor
  /** The payee claims, or a key that it lets sign for it. */
  readonly address: string
  readonly confirmations: number
  readonly policy: PlanPolicy
  readonly terms: () => BrokerTerms
  readonly reveal: (winner: Winner) => RevealedWinner
  readonly attempt: (entries: readonly Entry[], deed: () => Promise<TxRecord | undefined>) => Promise<boolean>
}

/**
 * Winners that the payer's deposit does not cover: a notice, a grace in which the payer can top up, then the claim, which
 * burns its bond. They stand beside the queue, so that none of them holds up the others.
 */
export class Defaults {
  readonly #options: DefaultsOptions

  constructor(options: DefaultsOptions) {
    this.#options = options
  }

  /** Sets a winner aside. */
  park(entry: Entry, view: HeadView, holdings: Holdings | undefined): void {
    entry.underfundedSince = view.block.number
    entry.notBefore = view.block.number + 1
    if (holdings !== undefined) this.#options.winners.tell({ kind: 'underfunded', digest: entry.winner.digest, depositWei: holdings.depositWei, bondWei: holdings.bondWei })
  }

  /** Looks at those set aside. Throws E_CHAIN_RPC…. */
  async step(view: HeadView): Promise<void> {
    const { rpc, contract, address, winners, reveal } = this.#options
    const parked = winners.waiting.filter(({ underfundedSince, usedSince, notBefore }) => underfundedSince !== undefined && usedSince === undefined && notBefore <= view.block.number)
      .sort((a, b) => a.notBefore - b.notBefore).slice(0, MAX_LOOKS)
    const data = parked.flatMap(({ winner }) => [brokerCode.check(reveal(winner)), brokerCode.ticketState(winner.digest), brokerCode.snapshot(winner.ticket.payer), brokerCode.signerUntil(winner.ticket.payee, address)])
    if (data.length === 0) return
    const answers = (await rpc.batch(data.map((one) => callAt(view.block.hash, contract, one)))).map((answer) => hexBytes(unwrap(answer)))
    for (const [i, entry] of parked.entries()) {
      const { reason } = readCheck(answers[CALLS * i] ?? '0x')
      const { graceUntilSec } = readTicketState(answers[CALLS * i + 1] ?? '0x')
      // behind those that waited longer: all of many get their turn
      entry.notBefore = view.block.number + 1
      if (reason === 'none') this.#unpark(entry)
      else if (reason === 'used') entry.usedSince = view.block.number
      else if (reason === 'underfunded') {
        const mayClaim = entry.winner.ticket.payee === address || readWord(answers[CALLS * i + 3] ?? '0x') >= BigInt(view.block.timeSec)
        if (mayClaim) await this.#pursue(entry, view, graceUntilSec, readHoldings(answers[CALLS * i + 2] ?? '0x'))
      }
      else await winners.refuse(entry.winner.digest, reason)
    }
  }

  /** The payer topped up. */
  #unpark(entry: Entry): void {
    entry.underfundedSince = undefined
    entry.notBefore = 0
    entry.failures = 0
  }

  async #pursue(entry: Entry, view: HeadView, graceUntilSec: number, { depositWei, bondWei }: Holdings): Promise<void> {
    const { confirmations } = this.#options
    const { ticket } = entry.winner
    // a deposit that one block shows empty may be a reorganisation's
    const isSure = view.block.number - (entry.underfundedSince ?? view.block.number) >= confirmations
    if (!isSure) return
    const left = depositWei < ticket.faceValueWei ? depositWei : ticket.faceValueWei
    if (graceUntilSec === 0) {
      if (this.#pays((NOTICE_GAS + CLAIM_GAS) * view.fees.priceWei, left, bondWei, ticket.faceValueWei)) await this.#send(entry, { purpose: { kind: 'notice', digests: [entry.winner.digest] }, to: this.#options.contract, data: brokerCode.noticeDefault(this.#options.reveal(entry.winner)) })
    } else if (view.block.timeSec > graceUntilSec && this.#pays(CLAIM_GAS * view.fees.priceWei, left, bondWei, ticket.faceValueWei)) {
      await this.#send(entry, { purpose: { kind: 'claim', digests: [entry.winner.digest] }, to: this.#options.contract, data: brokerCode.claimDefault(ticket) })
    }
  }

  /**
   * What is left pays for the gas, or there is a bond to burn and the gas is small beside what was lost: a threat that is
   * never carried out would bring no payer to top up.
   */
  #pays(gasWei: bigint, leftWei: bigint, bondWei: bigint, faceWei: bigint): boolean {
    return isWorth(gasWei, leftWei, true, this.#options.policy) || bondWei > 0n && isWorth(gasWei, faceWei, false, this.#options.policy)
  }

  async #send(entry: Entry, request: TxRequest): Promise<void> {
    if (this.#options.transactor.carrying >= MAX_CARRYING) return
    await this.#options.attempt([entry], () => this.#options.transactor.send(request))
  }
}
