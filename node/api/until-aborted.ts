/**
 * The elements of `source` until `signal` aborts, which ends a pending read at once. The source is returned, not awaited:
 * a generator that waits for its next element would answer only after it.
 */
export function untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const inner = source[Symbol.asyncIterator]()
      const release = (): void => { inner.return?.().catch(() => {}) }
      return {
        next() {
          return new Promise<IteratorResult<T>>((resolve, reject) => {
            const stop = (): void => { release(); resolve({ done: true, value: undefined }) }
            if (signal.aborted) { stop(); return }
            // one listener a read, taken away after it: racing one long-lived promise would gather a reaction an element
            signal.addEventListener('abort', stop, { once: true })
            inner.next().then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
          })
        },
        async return() {
          release()
          return { done: true, value: undefined }
        }
      }
    }
  }
}
