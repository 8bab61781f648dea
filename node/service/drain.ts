import type { PeerEvent } from '../../src/core/event.ts'

export interface DrainOptions { worker: { idle(): Promise<void> }, dispatch: (event: PeerEvent) => void }

/** Leaving politely: nothing new, what runs may end and be handed over, within a time. */
export class Drain {
  readonly #options: DrainOptions
  readonly #over = Promise.withResolvers<void>()
  #timer: NodeJS.Timeout | undefined
  #endMonoMs = Number.POSITIVE_INFINITY

  constructor(options: DrainOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const { worker, dispatch } = this.#options
    dispatch({ kind: 'draining' })
    await Promise.race([worker.idle(), this.#over.promise])
    clearTimeout(this.#timer)
  }

  /** From now on at most this long, and never longer than was said before: a second signal ends the waiting of the first. */
  within(ms: number): void {
    const endMonoMs = performance.now() + ms
    if (endMonoMs >= this.#endMonoMs) return
    this.#endMonoMs = endMonoMs
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { this.#over.resolve() }, ms).unref()
  }
}
