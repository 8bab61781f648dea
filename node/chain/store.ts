/** What the chain client keeps: structured values by key. Small: a record a transaction and a winner that is not final. */
export interface ChainStore {
  /** Every entry. */
  load(): Promise<(readonly [key: string, value: unknown])[]>
  /** One atomic batch, on the disk when it resolves; an undefined value deletes. */
  write(entries: readonly (readonly [key: string, value: unknown])[]): Promise<void>
}

/** A store for tests and for commands that need no memory. Values are cloned, as a disk would. */
export function memoryStore(): ChainStore & { readonly entries: Map<string, unknown> } {
  const entries = new Map<string, unknown>()
  return {
    entries,
    load: () => Promise.resolve([...entries].map(([key, value]) => [key, structuredClone(value)] as const)),
    write(batch) {
      for (const [key, value] of batch) {
        if (value === undefined) entries.delete(key)
        else entries.set(key, structuredClone(value))
      }
      return Promise.resolve()
    }
  }
}
