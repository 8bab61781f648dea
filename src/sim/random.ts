/** FNV-1a over UTF-16 code units, 32 bits: for seeds and traces, never for security. */
export function hashText(text: string, start = 0x811c9dc5): number {
  let hash = start
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/**
 * All luck of a simulated world: sfc32 (Doty-Humphrey's Small Fast Counter, 128 bits of state), so that one number
 * replays everything. `fork` gives a stream of its own to each user, so that one fault less leaves the others' luck alone.
 */
export class Random {
  readonly #seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#seed = seed
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 2 ** 32) >>> 0
    this.#c = 0x9e3779b9
    // The generator's author asks for about a dozen rounds before the first number is used.
    for (let i = 0; i < 12; i++) this.#next()
  }

  /** An independent stream; the same label of the same seed is the same stream. */
  fork(label: string): Random {
    return new Random(hashText(label, 0x811c9dc5 ^ this.#seed) * 2 ** 20 + (hashText(label) & 0xfffff))
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.#next() / 2 ** 32
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.float() * limit)
  }

  /** An integer in [min, max]. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  chance(probability: number): boolean {
    return this.float() < probability
  }

  /** Mean `mean`; memoryless, as failures are modelled. */
  exponential(mean: number): number {
    return -Math.log(1 - this.float()) * mean
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0]
  }

  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items]
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const [a, b] = [all[i], all[j]]
      if (a !== undefined && b !== undefined) { all[i] = b; all[j] = a }
    }
    return all
  }

  bytes(length: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(length / 4))
    for (let i = 0; i < words.length; i++) words[i] = this.#next()
    return new Uint8Array(words.buffer, 0, length)
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return sum >>> 0
  }
}
