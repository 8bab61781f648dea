import type { StoredRecord, Write } from '../core/effect.ts'

/** A copy that shares nothing with the live object: what a real disk would hold. Plain data, bigint and bytes included. */
export function frozenCopy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(frozenCopy) as T
  if (value instanceof Uint8Array) return value.slice() as T
  const copy: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) if (field !== undefined) copy[key] = frozenCopy(field)
  return copy as T
}

export function frozenWrites(writes: readonly Write[]): Write[] {
  return writes.map((write) => write.kind === 'put' ? { ...write, value: frozenCopy(write.value) } : write)
}

/** A computer's committed records: all of a step's writes, or none. */
export class Disk {
  readonly #records = new Map<string, StoredRecord>()

  /** `writes` must be copies already, made when the step was: the live objects have moved on since. */
  commit(writes: readonly Write[]): void {
    for (const write of writes) {
      if (write.kind === 'put') this.#records.set(write.key, write.value)
      else this.#records.delete(write.key)
    }
  }

  /** In key order, as a sorted store gives them; copies, because a peer may mutate what it restores. */
  records(): [key: string, value: StoredRecord][] {
    return [...this.#records].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => [key, frozenCopy(value)])
  }

  get(key: string): StoredRecord | undefined {
    return this.#records.get(key)
  }

  get size(): number {
    return this.#records.size
  }
}
