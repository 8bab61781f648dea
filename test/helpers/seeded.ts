export interface SeededRandom {
  /** An integer in [0, limit). */
  below: (limit: number) => number
  bytes: (length: number) => Uint8Array
}

/** mulberry32: the same seed gives the same run. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return {
    below: (limit) => next() % limit,
    bytes(length) {
      const words = new Uint32Array(Math.ceil(length / 4))
      for (let i = 0; i < words.length; i++) words[i] = next()
      return new Uint8Array(words.buffer, 0, length)
    }
  }
}
