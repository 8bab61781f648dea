const NEWLINE = 0x0a
/** An endless line is printed in pieces of this. */
const MAX_LINE_BYTES = 64 * 1024
/** Streams with an unfinished line; beyond them lines are printed as they come. */
const MAX_OPEN = 20_000

/** Puts a prefix before each whole line, so that the outputs of many tasks do not mix within one. */
export class LinePrefixer {
  readonly #open = new Map<string, { prefix: string, bytes: Buffer }>()

  /** The lines that `bytes` ends. */
  add(stream: string, prefix: string, bytes: Uint8Array): Buffer {
    const held = this.#open.get(stream)
    const all = held === undefined ? Buffer.from(bytes) : Buffer.concat([held.bytes, bytes])
    const end = all.lastIndexOf(NEWLINE) + 1
    const whole = all.length - end > MAX_LINE_BYTES || (held === undefined && this.#open.size >= MAX_OPEN) ? all : all.subarray(0, end)
    const rest = all.subarray(whole.length)
    if (rest.length === 0) this.#open.delete(stream)
    else this.#open.set(stream, { prefix, bytes: rest })
    return withPrefix(prefix, whole)
  }

  /** Lines that were never ended, by stream. */
  rest(): [string, Buffer][] {
    return [...this.#open].map(([stream, { prefix, bytes }]) => [stream, withPrefix(prefix, bytes)])
  }
}

function withPrefix(prefix: string, bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes
  const lines: Buffer[] = []
  for (let from = 0; from < bytes.length;) {
    const at = bytes.indexOf(NEWLINE, from)
    const to = at === -1 ? bytes.length : at + 1
    lines.push(Buffer.from(prefix), bytes.subarray(from, to))
    if (at === -1) lines.push(Buffer.from('\n'))
    from = to
  }
  return Buffer.concat(lines)
}
