import { HearthError } from '../../src/errors.ts'

/**
 * Hands live elements to one reader and never holds more than `limit`: a reader that lags further is ended with
 * `E_SLOW_READER`, since dropping elements silently would be a lie. Returning the iterator (as `break` does) ends a
 * pending read at once, which a generator cannot do.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #limit: number
  readonly #onClose: () => void
  #items: T[] = []
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined
  #closed = false
  #error: unknown

  constructor(limit: number, onClose: () => void = () => {}) {
    this.#limit = limit
    this.#onClose = onClose
  }

  get closed(): boolean {
    return this.#closed
  }

  /** False when the queue takes no more: it was closed, or the reader lags too far. */
  push(item: T): boolean {
    if (this.#closed) return false
    if (this.#waiting !== undefined) {
      this.#waiting.resolve({ done: false, value: item })
      this.#waiting = undefined
      return true
    }
    if (this.#items.length >= this.#limit) {
      this.end(new HearthError('E_SLOW_READER', `The reader of a stream is more than ${this.#limit} elements behind`, 'Read faster, or ask again: `job ID` has what happened in between'))
      return false
    }
    this.#items.push(item)
    return true
  }

  /** What is queued is still read; then the stream ends, with `error` when one is given. */
  end(error?: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    this.#settle()
    this.#onClose()
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {
      next: async () => {
        if (this.#items.length > 0) return { done: false, value: this.#shift() }
        if (this.#closed) return this.#last()
        this.#waiting ??= Promise.withResolvers<IteratorResult<T>>()
        return this.#waiting.promise
      },
      return: async () => {
        this.#items = []
        this.#error = undefined
        this.end()
        return { done: true, value: undefined }
      }
    }
  }

  #shift(): T {
    const [item] = this.#items.splice(0, 1)
    return item as T
  }

  async #last(): Promise<IteratorResult<T>> {
    const error = this.#error
    this.#error = undefined
    if (error !== undefined) throw error
    return { done: true, value: undefined }
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) this.#last().then(waiting.resolve, waiting.reject)
  }
}
