import { Transform, type TransformCallback } from 'node:stream'

/** What passed through the tunnels of one run: `sentBytes` from the job, `receivedBytes` to it. */
export interface Traffic { sentBytes: number, receivedBytes: number }

/** Counts both ways of all tunnels of a run against one limit. */
export class TrafficMeter {
  readonly traffic: Traffic = { sentBytes: 0, receivedBytes: 0 }
  readonly #maxBytes: number
  readonly #onSpent: () => void
  #isSpent = false

  /** `onSpent` is called once, when a byte more than `maxBytes` wants to pass. */
  constructor(maxBytes: number, onSpent: () => void) {
    this.#maxBytes = maxBytes
    this.#onSpent = onSpent
  }

  get isSpent(): boolean {
    return this.#isSpent
  }

  /** How many of `bytes` may pass; they count from now on. */
  take(way: keyof Traffic, bytes: number): number {
    const left = this.#maxBytes - this.traffic.sentBytes - this.traffic.receivedBytes
    const taken = Math.min(left, bytes)
    this.traffic[way] += taken
    if (taken < bytes && !this.#isSpent) {
      this.#isSpent = true
      this.#onSpent()
    }
    return taken
  }

  /** One way of one tunnel, which passes on what may pass. `onBytes`: something moved. */
  stream(way: keyof Traffic, onBytes: () => void): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done: TransformCallback) => {
        onBytes()
        done(null, chunk.subarray(0, this.take(way, chunk.length)))
      }
    })
  }
}
