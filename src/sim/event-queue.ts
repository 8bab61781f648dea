interface Entry { atMs: number, order: number, act: () => void }

/** Times are whole multiples of 1/1024 ms, so that sums and differences of clocks are exact and no tick comes a hair early. */
const TICKS_A_MS = 1024

/** The world's clock: what happens next, in virtual milliseconds. A binary heap; the same time runs in the order planned. */
export class EventQueue {
  readonly #heap: Entry[] = []
  #order = 0
  #nowMs = 0

  get nowMs(): number {
    return this.#nowMs
  }

  get size(): number {
    return this.#heap.length
  }

  at(atMs: number, act: () => void): void {
    const entry = { atMs: Math.max(Math.ceil(atMs * TICKS_A_MS) / TICKS_A_MS, this.#nowMs), order: this.#order++, act }
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1, entry)
  }

  after(delayMs: number, act: () => void): void {
    this.at(this.#nowMs + delayMs, act)
  }

  /** Runs the next event; false when there is none at or before `untilMs`. */
  step(untilMs: number): boolean {
    const top = this.#heap[0]
    if (top === undefined || top.atMs > untilMs) return false
    const last = this.#heap.pop()
    if (last !== undefined && last !== top) this.#down(last)
    this.#nowMs = top.atMs
    top.act()
    return true
  }

  #up(start: number, entry: Entry): void {
    let i = start
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = this.#heap[up]
      if (parent === undefined || !before(entry, parent)) break
      this.#heap[i] = parent
      i = up
    }
    this.#heap[i] = entry
  }

  #down(entry: Entry): void {
    let i = 0
    for (;;) {
      const left = 2 * i + 1
      const [a, b] = [this.#heap[left], this.#heap[left + 1]]
      if (a === undefined) break
      const child = b !== undefined && before(b, a) ? b : a
      if (!before(child, entry)) break
      this.#heap[i] = child
      i = child === a ? left : left + 1
    }
    this.#heap[i] = entry
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
