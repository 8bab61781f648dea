import type { LeaseId } from '../core/event.ts'
import { leaseKey } from './lease.ts'

/** How long a run's program ran before it goes now, since when it goes, and what of all that was claimed. */
interface Clock {
  ranMs: number
  sinceMonoMs: number | undefined
  claimedMs: number
  /** For want of money. */
  held: boolean
  /** For its owner, who uses what it runs on. */
  aside: boolean
}

/** The time that runs of a host take, by agreement: it goes while nothing holds the run. */
export class RunClocks {
  readonly #byAgreement = new Map<string, Map<string, Clock>>()
  /** Its owner has the computer: nothing runs. */
  #suspended = false

  /** A program began, or goes on after its owner used what it runs on. True when it began. */
  began(lease: LeaseId, nowMonoMs: number): boolean {
    const clocks = this.#byAgreement.get(lease.agreement) ?? new Map<string, Clock>()
    const known = clocks.get(leaseKey(lease))
    const clock = known ?? { ranMs: 0, sinceMonoMs: undefined, claimedMs: 0, held: false, aside: false }
    clock.aside = false
    this.#go(clock, nowMonoMs)
    clocks.set(leaseKey(lease), clock)
    this.#byAgreement.set(lease.agreement, clocks)
    return known === undefined
  }

  /** It stands still for its owner until it `began` again. */
  aside(lease: LeaseId, nowMonoMs: number): void {
    const clock = this.#byAgreement.get(lease.agreement)?.get(leaseKey(lease))
    if (clock === undefined) return
    stop(clock, nowMonoMs)
    clock.aside = true
  }

  /** It is over: how long it ran, and what of that was claimed. */
  end(lease: LeaseId, nowMonoMs: number): { ranMs: number, claimedMs: number } {
    const clocks = this.#byAgreement.get(lease.agreement)
    const clock = clocks?.get(leaseKey(lease))
    clocks?.delete(leaseKey(lease))
    return clock === undefined ? { ranMs: 0, claimedMs: 0 } : { ranMs: ranFor(clock, nowMonoMs), claimedMs: clock.claimedMs }
  }

  runs(agreement: string): boolean {
    return (this.#byAgreement.get(agreement)?.size ?? 0) > 0
  }

  /** What was worked since it was last claimed, which claims it. */
  claim(agreement: string, nowMonoMs: number): number {
    let moreMs = 0
    for (const clock of this.#byAgreement.get(agreement)?.values() ?? []) {
      const ranMs = ranFor(clock, nowMonoMs)
      moreMs += ranMs - clock.claimedMs
      clock.claimedMs = ranMs
    }
    return moreMs
  }

  /** Holds all runs of an agreement, or lets them go on: those for which that is new. */
  hold(agreement: string, held: boolean, nowMonoMs: number): LeaseId[] {
    const changed = [...this.#byAgreement.get(agreement) ?? []].filter(([, clock]) => clock.held !== held)
    for (const [, clock] of changed) {
      clock.held = held
      if (held) stop(clock, nowMonoMs)
      else this.#go(clock, nowMonoMs)
    }
    return changed.map(([key]) => leaseOf(key))
  }

  holds(agreement: string): boolean {
    return [...this.#byAgreement.get(agreement)?.values() ?? []].some(({ held }) => held)
  }

  suspend(suspended: boolean, nowMonoMs: number): void {
    this.#suspended = suspended
    for (const clocks of this.#byAgreement.values()) {
      for (const clock of clocks.values()) {
        if (suspended) stop(clock, nowMonoMs)
        else this.#go(clock, nowMonoMs)
      }
    }
  }

  forget(agreement: string): void {
    this.#byAgreement.delete(agreement)
  }

  #go(clock: Clock, nowMonoMs: number): void {
    if (!clock.held && !clock.aside && !this.#suspended) clock.sinceMonoMs ??= nowMonoMs
  }
}

function ranFor({ ranMs, sinceMonoMs }: Clock, nowMonoMs: number): number {
  return Math.floor(ranMs + (sinceMonoMs === undefined ? 0 : nowMonoMs - sinceMonoMs))
}

function stop(clock: Clock, nowMonoMs: number): void {
  if (clock.sinceMonoMs !== undefined) clock.ranMs += nowMonoMs - clock.sinceMonoMs
  clock.sinceMonoMs = undefined
}

function leaseOf(key: string): LeaseId {
  const [agreement = '', task, attempt] = key.split('/')
  return { agreement, task: Number(task), attempt: Number(attempt) }
}
