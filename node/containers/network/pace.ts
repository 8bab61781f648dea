/** A bucket of tokens that fills by `perSecond` up to `burst`. Time is an argument: milliseconds of a monotonic clock. */
export class Pace {
  readonly #burst: number
  readonly #perMs: number
  #tokens: number
  #atMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perMs = perSecond / 1_000
    this.#tokens = burst
    this.#atMs = nowMs
  }

  /** Takes a token, owing it if there is none. Milliseconds until it is there: 0 for at once. */
  take(nowMs: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs) - 1
    this.#atMs = nowMs
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs
  }
}
