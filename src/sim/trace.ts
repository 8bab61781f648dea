import { hashText } from './random.ts'

/** What happened, as a hash that two runs of one seed must share, and as lines for people who ask for them. */
export class Trace {
  #low = 0x811c9dc5
  #high = 0x01234567
  #lines = 0
  readonly #sink: ((line: string) => void) | undefined

  constructor(sink?: (line: string) => void) {
    this.#sink = sink
  }

  get lines(): number {
    return this.#lines
  }

  add(atMs: number, who: string, what: string): void {
    const line = `${atMs.toFixed(1).padStart(10)} ${who.padEnd(4)} ${what}`
    this.#low = hashText(line, this.#low)
    this.#high = Math.imul(this.#high ^ this.#low, 0x85ebca77) ^ (this.#high >>> 13)
    this.#lines++
    this.#sink?.(line)
  }

  /** 16 hex digits. */
  digest(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }
}
