import { join } from 'node:path'
import { RunChild, type ChildOptions } from './child-process.ts'

/** Children that die before they are ready, in a row, until the pool stops trying by itself: then something is wrong with the host. */
const MAX_FAILED_STARTS = 3

/** A taken child is replaced after this time, or when its run ends: short runs need not share the processor with a start. */
const REFILL_MS = 100

export type ChildPoolOptions = Omit<ChildOptions, 'runDir'> & { runsDir: string, size: number }

/** Keeps `size` children started and waiting, so that a run begins without the 20 to 40 ms of a start. */
export class ChildPool {
  readonly #options: ChildPoolOptions
  readonly #waiting: RunChild[] = []
  #started = 0
  #failedStarts = 0

  constructor(options: ChildPoolOptions) { this.#options = options }

  fill(): void {
    while (this.#waiting.length < this.#options.size && this.#failedStarts < MAX_FAILED_STARTS) {
      let child: RunChild
      // No disk or no processes left: a run that needs a child will say so.
      try { child = this.#start() } catch { this.#failedStarts++; return }
      this.#waiting.push(child)
      void child.gone.then(() => {
        const at = this.#waiting.indexOf(child)
        if (at < 0) return
        this.#waiting.splice(at, 1)
        this.#failedStarts = child.ready ? 0 : this.#failedStarts + 1
        this.fill()
      })
    }
  }

  /** A child of the caller's own, ready or still starting; throws if none can start. The caller calls `fill` when its run is over. */
  take(): RunChild {
    this.#failedStarts = 0
    const ready = this.#waiting.findIndex((child) => child.ready && !child.dead)
    const [child = this.#start()] = this.#waiting.splice(Math.max(0, ready), 1)
    setTimeout(() => { this.fill() }, REFILL_MS).unref()
    return child
  }

  /** Resolves when the waiting children are ready (or gone). */
  async whenReady(): Promise<void> {
    await Promise.all(this.#waiting.map((child) => child.started))
  }

  #start(): RunChild {
    return new RunChild({ ...this.#options, runDir: join(this.#options.runsDir, String(this.#started++)) })
  }
}
