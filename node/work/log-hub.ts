import { MIB } from '../../src/units.ts'

/** Live logs kept in memory over all leases; a lease's own cap comes from its job. */
const MAX_TOTAL_BYTES = 64 * MIB

export type LogStreamName = 'stdout' | 'stderr'
export interface LogPiece { stream: LogStreamName, bytes: Uint8Array }

interface Log { pieces: LogPiece[], bytes: number, ended: boolean, waiting: Set<() => void> }

/** What running tasks print, kept until their lease is gone, so that a follower sees all of it whenever it comes. */
export class LogHub {
  readonly #logs = new Map<string, Log>()
  #totalBytes = 0

  open(lease: string): void {
    this.drop(lease)
    this.#logs.set(lease, { pieces: [], bytes: 0, ended: false, waiting: new Set() })
  }

  append(lease: string, stream: LogStreamName, bytes: Uint8Array): void {
    const log = this.#logs.get(lease)
    if (log === undefined || log.ended || this.#totalBytes + bytes.length > MAX_TOTAL_BYTES) return
    log.pieces.push({ stream, bytes })
    log.bytes += bytes.length
    this.#totalBytes += bytes.length
    this.#wake(log)
  }

  end(lease: string): void {
    const log = this.#logs.get(lease)
    if (log === undefined) return
    log.ended = true
    this.#wake(log)
  }

  drop(lease: string): void {
    const log = this.#logs.get(lease)
    if (log === undefined) return
    this.#totalBytes -= log.bytes
    log.ended = true
    this.#logs.delete(lease)
    this.#wake(log)
  }

  /** Everything so far, then what comes, until the run ends. Nothing for an unknown lease. */
  async * follow(lease: string, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const log = this.#logs.get(lease)
    if (log === undefined) return
    for (let next = 0; !signal.aborted;) {
      const piece = log.pieces[next]
      if (piece !== undefined) {
        next++
        yield piece
      } else if (log.ended) {
        return
      } else {
        await new Promise<void>((resolve) => {
          const wake = (): void => { log.waiting.delete(wake); signal.removeEventListener('abort', wake); resolve() }
          log.waiting.add(wake)
          signal.addEventListener('abort', wake, { once: true })
        })
      }
    }
  }

  #wake(log: Log): void {
    for (const wake of log.waiting) wake()
  }
}
