import { chanceOf, chanceOfAtLeast, chanceOfAtMost } from './odds.ts'

/**
 * Alarms about luck. What each side can see:
 * - A payee sees every draw. Too few wins mean that its secrets are known (a payer that knows them sends losers only, or
 *   withholds winners: it cannot without them) or that its own draw is broken. Too many mean a predictable salt on the
 *   payer's side; an honest payee that sees it tells its payer.
 * - A payer sees only redemptions. More of them than tickets allow mean that the payee knew the salts before it chose its
 *   commits. Too few mean nothing: a payee may redeem late, or never.
 */
export type LuckAlarm = { kind: 'none' } | { kind: 'too-many' | 'too-few', /** Bound on the chance that luck alone did it. */ chance: number }

/** One side of five standard deviations: less than one honest side in three million sees it by luck. */
const ALARM_CHANCE = 2.87e-7

/** Counts draws of any mix of chances, in constant memory. */
export class LuckMeter {
  #tickets = 0
  #wins = 0
  #mean = 0

  /** A draw, or on the payer's side a ticket issued. */
  drawn(winProb: bigint, won: boolean): void {
    this.#tickets++
    this.#mean += chanceOf(winProb)
    if (won) this.#wins++
  }

  /** On the payer's side: a redemption of one of the tickets counted. */
  redeemed(): void {
    this.#wins++
  }

  get tickets(): number {
    return this.#tickets
  }

  get wins(): number {
    return this.#wins
  }

  /** Wins expected. */
  get mean(): number {
    return this.#mean
  }

  /**
   * Whether luck explains the wins. The bound (Hoeffding) is above the true chance, so that the alarm is rarer than it says.
   * It needs about fifteen expected wins before none at all is suspicious.
   */
  alarm(side: 'payee' | 'payer' = 'payee'): LuckAlarm {
    return alarmOf({ tickets: this.#tickets, wins: this.#wins, mean: this.#mean }, side)
  }
}

/** The same for counts kept elsewhere; `mean` is the wins expected. */
export function alarmOf({ tickets, wins, mean }: { tickets: number, wins: number, mean: number }, side: 'payee' | 'payer'): LuckAlarm {
  const many = chanceOfAtLeast(wins, tickets, mean)
  if (many < ALARM_CHANCE) return { kind: 'too-many', chance: many }
  const few = chanceOfAtMost(wins, tickets, mean)
  return side === 'payee' && few < ALARM_CHANCE ? { kind: 'too-few', chance: few } : { kind: 'none' }
}

/** |wins - n p| in standard deviations, for reports. */
export function deviations(wins: number, tickets: number, chance: number): number {
  return Math.abs(wins - tickets * chance) / Math.sqrt(tickets * chance * (1 - chance))
}
