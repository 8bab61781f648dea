import type { LogChunk } from '../api/contract.ts'

/** Streams that are merged at once; one more is shown as it comes. */
const MAX_STREAMS = 20_000

/**
 * Makes one text of what several providers print for the same task: replicas print the same bytes, and a second attempt
 * prints them again. Whoever is ahead is shown; what was shown already is not.
 */
export class LogMerger {
  /** Bytes shown of each task and stream. */
  readonly #shown = new Map<string, number>()
  /** Bytes that came from each peer, for chunks that do not say where they begin. */
  readonly #came = new Map<string, number>()

  /** The part of a chunk that is new; undefined when none is. */
  next(chunk: LogChunk): Uint8Array | undefined {
    const bytes = Buffer.from(chunk.bytes, 'base64')
    const stream = `${chunk.task}/${chunk.stream}`
    const source = `${stream}/${chunk.peer}`
    const from = chunk.offset ?? this.#came.get(source) ?? 0
    const to = from + bytes.length
    const shown = this.#shown.get(stream) ?? 0
    if (this.#shown.size < MAX_STREAMS || this.#shown.has(stream)) this.#shown.set(stream, Math.max(shown, to))
    if (this.#came.size < MAX_STREAMS || this.#came.has(source)) this.#came.set(source, to)
    if (to <= shown) return undefined
    return bytes.subarray(Math.max(0, shown - from))
  }
}
