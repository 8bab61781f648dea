/** Who wants to hear of something. A listener that throws is a defect of its own and ends the caller's step. */
export class Listeners<T> {
  readonly #all = new Set<(value: T) => void>()

  /** Returns what takes it off again. */
  add(listener: (value: T) => void): () => void {
    this.#all.add(listener)
    return () => { this.#all.delete(listener) }
  }

  tell(value: T): void {
    for (const listener of this.#all) listener(value)
  }
}
