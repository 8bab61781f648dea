/** A token bucket a key. When there are too many keys the longest unused is forgotten, and starts with a full bucket again. */
export class RateLimit {
  readonly #burst: number
  readonly #perSecond: number
  readonly #maxKeys: number
  readonly #buckets = new Map<string, { tokens: number, atMs: number }>()

  constructor(burst: number, perSecond: number, maxKeys: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#maxKeys = maxKeys
  }

  /** Whether `key` may do one more at this monotonic time. */
  take(key: string, nowMs: number): boolean {
    const known = this.#buckets.get(key)
    const tokens = known === undefined ? this.#burst : Math.min(this.#burst, known.tokens + (nowMs - known.atMs) / 1000 * this.#perSecond)
    const allowed = tokens >= 1
    this.#buckets.delete(key)
    this.#buckets.set(key, { tokens: allowed ? tokens - 1 : tokens, atMs: nowMs })
    if (this.#buckets.size > this.#maxKeys) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest)
        break
      }
    }
    return allowed
  }
}
