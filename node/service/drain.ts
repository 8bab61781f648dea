import type { PeerEvent } from '../../src/core/event.ts'

export interface DrainOptions { worker: { readonly running: number, idle(): Promise<void> }, dispatch: (event: PeerEvent) => void }

/** Leaving politely: nothing new, what runs may end, within a time. */
export class Drain {
  readonly #options: DrainOptions

  constructor(options: DrainOptions) {
    this.#options = options
  }

  async run(withinMs: number): Promise<void> {
    const { worker, dispatch } = this.#options
    dispatch({ kind: 'draining' })
    if (worker.running === 0 || withinMs === 0) return
    const over = Promise.withResolvers<void>()
    const timer = setTimeout(() => { over.resolve() }, withinMs)
    await Promise.race([worker.idle(), over.promise])
    clearTimeout(timer)
  }
}
