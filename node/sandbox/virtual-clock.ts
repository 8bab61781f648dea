import { CLOCK_STEP_NS } from './limits.ts'

/** As far as a clock goes: what a program reads stays in the positive half of 64 bits. */
const LAST_NS = 2n ** 63n - 1n

/**
 * Time as the program sees it: it starts at the job's base time, advances by a fixed step with each reading and by the
 * whole span with each wait, and by nothing else. So every host sees the same times, and no program waits.
 */
export class VirtualClock {
  readonly #baseNs: bigint
  #elapsedNs = 0n

  constructor(baseTimeMs: number) { this.#baseNs = BigInt(baseTimeMs) * 1_000_000n }

  /** Nanoseconds since the start, without advancing. */
  get elapsedNs(): bigint { return this.#elapsedNs }

  /** Nanoseconds since 1970, without advancing: for the times of files. */
  get nowNs(): bigint { return this.#baseNs + this.#elapsedNs }

  /** One reading, counted from 1970 or from the start. */
  read(realtime: boolean): bigint {
    const elapsedNs = this.#elapsedNs
    this.advanceTo(elapsedNs + CLOCK_STEP_NS)
    return realtime ? this.#baseNs + elapsedNs : elapsedNs
  }

  /** The elapsed time at which an absolute time of either clock comes. */
  elapsedAt(realtime: boolean, timeNs: bigint): bigint { return realtime ? timeNs - this.#baseNs : timeNs }

  advanceTo(elapsedNs: bigint): void {
    const last = LAST_NS - this.#baseNs
    if (elapsedNs > this.#elapsedNs) this.#elapsedNs = elapsedNs < last ? elapsedNs : last
  }
}
