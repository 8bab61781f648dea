import { KIB, MIB } from '../../src/units.ts'

/** Live logs kept in memory over all leases, with what keeping them costs. */
const MAX_TOTAL_BYTES = 64 * MIB
/** Of one lease, so that a few that print much leave room for others. The whole log comes with the result. */
const MAX_LEASE_BYTES = 16 * MIB
/** Neighbours of one stream are joined up to this size. */
const JOIN_BYTES = 4 * KIB
const FIRST_BYTES = 64
/** What a piece takes beside its bytes: the objects around them. */
const PIECE_BYTES = 256

export type LogStreamName = 'stdout' | 'stderr'
export interface LogPiece { stream: LogStreamName, bytes: Uint8Array }

/** The first `used` bytes of its memory; those never change again. */
interface Kept { stream: LogStreamName, memory: Uint8Array, used: number }

/** `isCut`: something found no room, so that nothing may follow: a log without holes. */
interface Log { pieces: Kept[], costBytes: number, isCut: boolean, ended: boolean, waiting: Set<() => void> }

/** What running tasks print, kept until their lease is gone, so that a follower sees all of it whenever it comes. */
export class LogHub {
  readonly #logs = new Map<string, Log>()
  #totalBytes = 0

  /** Bytes of memory that the logs take, about. */
  get costBytes(): number {
    return this.#totalBytes
  }

  open(lease: string): void {
    this.drop(lease)
    this.#logs.set(lease, { pieces: [], costBytes: 0, isCut: false, ended: false, waiting: new Set() })
  }

  append(lease: string, stream: LogStreamName, bytes: Uint8Array): void {
    const log = this.#logs.get(lease)
    if (log === undefined || log.ended || log.isCut || bytes.length === 0) return
    const last = log.pieces.at(-1)
    const isJoined = last?.stream === stream && last.used + bytes.length <= JOIN_BYTES
    const kept = isJoined ? last : { stream, memory: new Uint8Array(0), used: 0 }
    const neededBytes = kept.used + bytes.length
    const memoryBytes = neededBytes <= kept.memory.length ? kept.memory.length : neededBytes > JOIN_BYTES ? neededBytes : Math.min(JOIN_BYTES, Math.max(FIRST_BYTES, 2 * kept.memory.length, neededBytes))
    const costBytes = memoryBytes - kept.memory.length + (isJoined ? 0 : PIECE_BYTES)
    if (log.costBytes + costBytes > MAX_LEASE_BYTES || this.#totalBytes + costBytes > MAX_TOTAL_BYTES) {
      log.isCut = true
      return
    }
    if (memoryBytes > kept.memory.length) {
      // what a follower was given stays as it is
      const memory = new Uint8Array(memoryBytes)
      memory.set(kept.memory.subarray(0, kept.used))
      kept.memory = memory
    }
    kept.memory.set(bytes, kept.used)
    kept.used = neededBytes
    if (!isJoined) log.pieces.push(kept)
    log.costBytes += costBytes
    this.#totalBytes += costBytes
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
    this.#totalBytes -= log.costBytes
    log.ended = true
    this.#logs.delete(lease)
    this.#wake(log)
  }

  /** Everything so far, then what comes, until the run ends. Nothing for an unknown lease. */
  async * follow(lease: string, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const log = this.#logs.get(lease)
    if (log === undefined) return
    for (let [next, taken] = [0, 0]; !signal.aborted;) {
      const piece = log.pieces[next]
      if (piece !== undefined && taken < piece.used) {
        const bytes = piece.memory.subarray(taken, piece.used)
        taken = piece.used
        yield { stream: piece.stream, bytes }
      } else if (next + 1 < log.pieces.length) {
        next++
        taken = 0
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
