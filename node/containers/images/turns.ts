import { cancelled } from './flights.ts'
import { ImageRefusal } from './refusal.ts'

/** So many at a time; the others wait in a line of bounded length. */
export class Turns {
  readonly #waiting: (() => void)[] = []
  readonly #maxWaiting: number
  #free: number

  constructor(parallel: number, maxWaiting: number) {
    this.#free = parallel
    this.#maxWaiting = maxWaiting
  }

  async take<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal)
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) throw cancelled()
    if (this.#free > 0) {
      this.#free--
      return
    }
    if (this.#waiting.length >= this.#maxWaiting) throw new ImageRefusal('E_IMAGE_ROOM', `${this.#maxWaiting} images wait here already`)
    const turn = Promise.withResolvers<void>()
    const enter = (): void => { turn.resolve() }
    this.#waiting.push(enter)
    const leave = (): void => {
      const at = this.#waiting.indexOf(enter)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      turn.reject(cancelled())
    }
    signal?.addEventListener('abort', leave, { once: true })
    try {
      await turn.promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
}
