import { ImageRefusal } from './refusal.ts'

interface Flight<T> { done: Promise<T>, stop: AbortController, watchers: Set<(progress: ImageProgress) => void>, last?: ImageProgress }

export interface ImageProgress { phase: 'fetch' | 'load', doneBytes: number, totalBytes: number }

export const cancelled = (): ImageRefusal => new ImageRefusal('E_IMAGE_CANCELLED', 'making the image ready was cancelled')

/** Several that want one thing at the same time get one attempt; it ends early when the last of them has left. */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>()
  /** Also those that everybody has left, until they have tidied up. */
  readonly #all = new Set<Flight<T>>()

  get size(): number { return this.#flights.size }

  async join(key: string, start: (signal: AbortSignal, progress: (progress: ImageProgress) => void) => Promise<T>, signal: AbortSignal, onProgress: (progress: ImageProgress) => void = () => undefined): Promise<T> {
    if (signal.aborted) throw cancelled()
    // one that is being given up takes nobody on
    const flying = this.#flights.get(key)
    const flight = flying ?? this.#start(key, start)
    // each caller has a place of its own, even with one function for all
    const watcher = (progress: ImageProgress): void => { onProgress(progress) }
    flight.watchers.add(watcher)
    if (flight.last !== undefined) watcher(flight.last)
    const left = Promise.withResolvers<never>()
    const leave = (): void => { left.reject(cancelled()) }
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await Promise.race([flight.done, left.promise])
    } finally {
      signal.removeEventListener('abort', leave)
      flight.watchers.delete(watcher)
      if (flight.watchers.size === 0) this.#end(key, flight)
    }
  }

  /** Ends all, and waits until they have. */
  async close(): Promise<void> {
    const flights = [...this.#all]
    for (const { stop } of flights) stop.abort(cancelled())
    await Promise.allSettled(flights.map(async ({ done }) => { await done }))
  }

  #start(key: string, start: (signal: AbortSignal, progress: (progress: ImageProgress) => void) => Promise<T>): Flight<T> {
    const stop = new AbortController()
    const watchers: Flight<T>['watchers'] = new Set()
    const done = start(stop.signal, (progress) => {
      flight.last = progress
      for (const watch of watchers) watch(progress)
    })
    const flight: Flight<T> = { done, stop, watchers }
    this.#flights.set(key, flight)
    this.#all.add(flight)
    const ended = (): void => {
      this.#forget(key, flight)
      this.#all.delete(flight)
    }
    done.then(ended, ended)
    return flight
  }

  #end(key: string, flight: Flight<T>): void {
    flight.stop.abort(cancelled())
    this.#forget(key, flight)
  }

  #forget(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
