/**
 * Frames between node, supervisor and children: u32 length of the body, u8 type, u32 run, body; little-endian.
 * The same code reads both hops, but a child is not trusted: its bodies are small and every type and number is checked.
 */

export const FRAME_HEADER_BYTES = 9

/** Node to supervisor, and supervisor to node. */
export const FRAME = { run: 1, cancel: 2, warm: 3, log1: 4, log2: 5, result: 6, ready: 7, suspend: 8, resume: 9 } as const

/** Child to supervisor. The one frame from supervisor to child is a spec without header: length, then JSON. */
export const CHILD_FRAME = { hello: 1, stdout: 2, stderr: 3, entry: 4, done: 5 } as const

/** Answers header and body in one buffer. */
export function encodeFrame(type: number, run: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + body.length)
  frame.writeUInt32LE(body.length, 0)
  frame.writeUInt8(type, 4)
  frame.writeUInt32LE(run, 5)
  frame.set(body, FRAME_HEADER_BYTES)
  return frame
}

/** Cuts a stream of bytes into frames; holds at most one unfinished frame of `maxBodyBytes`. */
export class FrameReader {
  readonly #maxBodyBytes: number
  readonly #onFrame: (type: number, run: number, body: Buffer) => void
  #chunks: Buffer[] = []
  #bytes = 0
  #needBytes = FRAME_HEADER_BYTES

  constructor(maxBodyBytes: number, onFrame: (type: number, run: number, body: Buffer) => void) {
    this.#maxBodyBytes = maxBodyBytes
    this.#onFrame = onFrame
  }

  /** False when a frame is announced that is too large: the stream is of no more use. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#needBytes) return true
    let data = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    this.#needBytes = FRAME_HEADER_BYTES
    while (data.length >= FRAME_HEADER_BYTES) {
      const length = data.readUInt32LE(0)
      if (length > this.#maxBodyBytes) { this.#chunks = []; this.#bytes = 0; return false }
      const total = FRAME_HEADER_BYTES + length
      if (data.length < total) { this.#needBytes = total; break }
      this.#onFrame(data.readUInt8(4), data.readUInt32LE(5), data.subarray(FRAME_HEADER_BYTES, total))
      data = data.subarray(total)
    }
    this.#chunks = data.length === 0 ? [] : [data]
    this.#bytes = data.length
    return true
  }
}
