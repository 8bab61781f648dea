import { refuse } from '../codec/result.ts'
import type { Refusal } from '../codec/result.ts'
import type { Now } from '../core/event.ts'
import { PARAMS } from '../params.ts'
import { SECOND_MS } from '../units.ts'
import type { Ticket } from '../documents/ticket.ts'
import { chanceOf, chanceOfAtLeast } from './odds.ts'

/** A deposit that does not cover its winners costs the whole bond, unless its owner adds to it within the contract's grace. */
const MAX_OVERDRAFT_CHANCE = 1e-3
/** Expiries are counted in steps of this, upwards: at most 13,000 of them fit into the longest life of a ticket. */
const STEP_SEC = 600

interface Open { tickets: number, meanWei: number, mostWei: number }

/**
 * A payer's own deposit against every ticket of its that may still be redeemed, over all agreements: many providers, each of
 * which sees it covered, can together win more than is there. In memory: after a restart all that agreements have issued counts
 * as signed just now. What was redeemed has left the deposit and still counts as open until it expires, which errs on the safe side.
 */
export class Cover {
  readonly #open = new Map<number, Open>()
  #depositWei: number | undefined

  /** As last confirmed, or lower. Until it is known nothing is refused for it. */
  setDeposit(depositWei: bigint | undefined): void {
    this.#depositWei = depositWei === undefined ? undefined : Number(depositWei)
  }

  /** E_DEPOSIT_LOW: the chance that the winners among all open tickets and this one take more than the deposit is too high. */
  refusal(now: Now, { faceValueWei, winProb }: Pick<Ticket, 'faceValueWei' | 'winProb'>): Refusal | undefined {
    if (this.#depositWei === undefined) return undefined
    let { tickets, meanWei, mostWei }: Open = { tickets: 1, meanWei: chanceOf(winProb) * Number(faceValueWei), mostWei: Number(faceValueWei) }
    for (const [expirySec, open] of this.#open) {
      if (now.wallMs > expirySec * SECOND_MS + PARAMS.clockSkewMs) { this.#open.delete(expirySec); continue }
      tickets += open.tickets
      meanWei += open.meanWei
      mostWei = Math.max(mostWei, open.mostWei)
    }
    // Hoeffding's bound holds for any payouts between zero and the greatest
    const chance = chanceOfAtLeast(this.#depositWei / mostWei, tickets, meanWei / mostWei)
    return chance > MAX_OVERDRAFT_CHANCE ? refuse('E_DEPOSIT_LOW', `${tickets} tickets that may win would take more than the deposit of ${this.#depositWei} wei with a chance of ${chance.toPrecision(2)}`) : undefined
  }

  issued({ faceValueWei, winProb, expirySec }: Pick<Ticket, 'faceValueWei' | 'winProb' | 'expirySec'>, tickets = 1): void {
    const step = Math.ceil(expirySec / STEP_SEC) * STEP_SEC
    const open = this.#open.get(step) ?? { tickets: 0, meanWei: 0, mostWei: 0 }
    const face = Number(faceValueWei)
    this.#open.set(step, { tickets: open.tickets + tickets, meanWei: open.meanWei + tickets * chanceOf(winProb) * face, mostWei: Math.max(open.mostWei, face) })
  }
}
