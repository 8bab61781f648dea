interface Entry { id: string, atMonoMs: number, order: number }

/**
 * Named deadlines in monotonic time. Setting a name again moves it. Names due at the same time fire in the order set,
 * so a replay fires them alike. A binary heap with lazy deletion: a set or clear costs O(log n).
 */
export class Timers {
  readonly #heap: Entry[] = []
  readonly #live = new Map<string, Entry>()
  #order = 0

  set(id: string, atMonoMs: number): void {
    const entry = { id, atMonoMs, order: this.#order++ }
    this.#live.set(id, entry)
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1)
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#live.size) this.#compact()
  }

  clear(id: string): void {
    this.#live.delete(id)
  }

  has(id: string): boolean {
    return this.#live.has(id)
  }

  /** When a name is due; undefined when it is not set. */
  at(id: string): number | undefined {
    return this.#live.get(id)?.atMonoMs
  }

  get size(): number {
    return this.#live.size
  }

  /** When the earliest is due; undefined when none is set. */
  next(): number | undefined {
    this.#dropStale()
    return this.#heap[0]?.atMonoMs
  }

  /** Removes and returns the earliest name that is due at `monoMs`. */
  takeDue(monoMs: number): string | undefined {
    this.#dropStale()
    const top = this.#heap[0]
    if (top === undefined || top.atMonoMs > monoMs) return undefined
    this.#pop()
    this.#live.delete(top.id)
    return top.id
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top !== undefined && this.#live.get(top.id) !== top; top = this.#heap[0]) this.#pop()
  }

  #compact(): void {
    const live = this.#heap.filter((entry) => this.#live.get(entry.id) === entry).sort((a, b) => before(a, b) ? -1 : 1)
    this.#heap.length = 0
    this.#heap.push(...live)
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(start: number): void {
    let i = start
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#swapIfBefore(i, parent)) return
      i = parent
    }
  }

  #down(start: number): void {
    let i = start
    for (;;) {
      const left = 2 * i + 1
      const [a, b] = [this.#heap[left], this.#heap[left + 1]]
      if (a === undefined) return
      const child = b !== undefined && before(b, a) ? left + 1 : left
      if (!this.#swapIfBefore(child, i)) return
      i = child
    }
  }

  #swapIfBefore(i: number, j: number): boolean {
    const [a, b] = [this.#heap[i], this.#heap[j]]
    if (a === undefined || b === undefined || !before(a, b)) return false
    this.#heap[i] = b
    this.#heap[j] = a
    return true
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMonoMs < b.atMonoMs || (a.atMonoMs === b.atMonoMs && a.order < b.order)
}
