const BLOCK_BYTES = 32

/** Random bytes of a run: SHA-256(seed, block number as 64 bits little-endian), block after block. */
export class SeedRandom {
  readonly #preimage: Buffer
  #block = 0n
  #rest: Uint8Array = new Uint8Array(0)

  constructor(seed: Uint8Array) {
    this.#preimage = Buffer.alloc(seed.length + 8)
    this.#preimage.set(seed)
  }

  fill(into: Uint8Array): void {
    for (let at = 0; at < into.length;) {
      if (this.#rest.length === 0) this.#rest = this.#next()
      const part = this.#rest.subarray(0, into.length - at)
      into.set(part, at)
      at += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
  }

  #next(): Uint8Array {
    this.#preimage.writeBigUInt64LE(this.#block++, this.#preimage.length - 8)
    const digest = hash(this.#preimage)
    if (digest.length !== BLOCK_BYTES) throw new Error('SHA-256 has 32 bytes')
    return digest
  }
}

/** Loaded on first use: most programs never ask, and the child starts 3 ms sooner without it. */
function hash(preimage: Buffer): Uint8Array {
  return process.getBuiltinModule('node:crypto').hash('sha256', preimage, 'buffer')
}
