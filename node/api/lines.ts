const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d

/**
 * Cuts a byte stream into lines, holding at most `maxBytes` of an unfinished one. Bytes, not text: a character may be
 * cut by the chunk's end.
 */
export class LineSplitter {
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #heldBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Whether a line was begun and not ended. */
  get partial(): boolean {
    return this.#heldBytes > 0
  }

  /** The lines that `chunk` ends, without their line ends, or `too-long` when one passes the cap: then stop reading. */
  push(chunk: Buffer): string[] | 'too-long' {
    const lines: string[] = []
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      const line = this.#take(chunk.subarray(from, at))
      if (line === undefined) return 'too-long'
      lines.push(line)
      from = at + 1
    }
    const rest = chunk.subarray(from)
    if (this.#heldBytes + rest.length > this.#maxBytes) return 'too-long'
    if (rest.length > 0) {
      this.#parts.push(rest)
      this.#heldBytes += rest.length
    }
    return lines
  }

  /** What came after the last line end: a peer may leave out the last one. */
  end(): string {
    return this.#take(Buffer.alloc(0)) ?? ''
  }

  #take(last: Buffer): string | undefined {
    const bytes = this.#heldBytes + last.length
    if (bytes > this.#maxBytes) return undefined
    let line = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last], bytes)
    this.#parts = []
    this.#heldBytes = 0
    if (line.at(-1) === CARRIAGE_RETURN) line = line.subarray(0, -1)
    return line.toString('utf8')
  }
}
