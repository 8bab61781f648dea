import { setTimeout as delay } from 'node:timers/promises'
import { SECOND_MS } from '../../src/units.ts'
import type { Out } from '../cli/out.ts'
import type { View } from '../cli/term/view.ts'
import { spentWei, readBooks } from './books.ts'
import type { DemoChain } from './demo-chain.ts'
import { ether } from './money-lines.ts'

const LOOK_EVERY_MS = 2 * SECOND_MS
/** Where nobody watches live, a line this often. */
const SAY_EVERY_MS = 20 * SECOND_MS

/** The money spent so far, for a line under the job's progress. */
export class Meter {
  #line: string | undefined
  readonly #chain: DemoChain
  readonly #dataDir: string

  constructor(chain: DemoChain, dataDir: string) {
    this.#chain = chain
    this.#dataDir = dataDir
  }

  /** Looks until `signal` aborts. */
  async run(out: Out, signal: AbortSignal): Promise<void> {
    let saidMonoMs = performance.now()
    let isDark = false
    while (!signal.aborted) {
      try {
        const [books, confirmed] = await Promise.all([readBooks(this.#dataDir), this.#chain.confirmed()])
        const redeemed = [...confirmed.values()].reduce((sum, count) => sum + count, 0)
        this.#line = `${ether(spentWei(books))} ether paid so far, in expectation, with ${books.paid.reduce((sum, { issued }) => sum + issued, 0)} tickets; ${redeemed} of them were redeemed`
        isDark = false
        if (!out.live && performance.now() - saidMonoMs > SAY_EVERY_MS) {
          saidMonoMs = performance.now()
          out.note(() => [this.#line ?? ''])
        }
        await delay(LOOK_EVERY_MS, undefined, { signal })
      } catch (err) {
        // it is an extra while the job runs: the audit at the end reads everything again, and says what is wrong
        if (!signal.aborted && !isDark) out.note(() => [`the money cannot be seen just now: ${err instanceof Error ? err.message : String(err)}`])
        isDark = true
        await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** The same output, with the money under what is drawn live. */
  below(out: Out): Out {
    const lines = (view: View): string[] => this.#line === undefined ? [] : ['', view.paint('dim', `  ${this.#line}`)]
    return {
      json: out.json, live: out.live, signal: out.signal, cwd: out.cwd,
      result: (value, render) => { out.result(value, render) },
      item: (value, render) => out.item(value, render),
      raw: (stream, bytes) => out.raw(stream, bytes),
      note: (render) => { out.note(render) },
      shows: (job) => { out.shows(job) },
      ask: (question, options) => out.ask(question, options),
      progress: (render) => out.progress((view) => [...render(view), ...lines(view)])
    }
  }
}
