import { randomBytes } from 'node:crypto'
import { MAX_OUT_PATH_BYTES } from '../sandbox/limits.ts'
import { MAX_USAGE_FRAME_BYTES } from './limits.ts'

/**
 * What passes between the node and process 1 of a job's container (init/init.c), over the container's own streams.
 *
 * Orders, to standard input, numbers little-endian: `HRT1`, mark (32 bytes), length and text of the working directory (u32),
 * count of secrets (u32), for each: length and name (u32), length and bytes (u32).
 *
 * Answers: the job's own bytes on both streams; when the job and all it left running have ended, the mark on both; then on
 * standard output frames of kind (1 byte), length of the name (u16), value (u64), name, bytes:
 * `U` a control group file (value: bytes that follow), `D` directory, `F` file (value: bytes that follow), `X` what is
 * neither (value: its mode or an error), and last `E` (value: the job's wait status, and above its 32 bits the milliseconds it took). Without `E` the answer is cut.
 */
const MAGIC = Buffer.from('HRT1')
export const MARK_BYTES = 32
const HEAD_BYTES = 11
/** A name longer than any that is allowed is still read, to be refused: paths below /out end at 4096. */
const MAX_FRAME_NAME_BYTES = 4096

export function newMark(): Buffer {
  return randomBytes(MARK_BYTES)
}

function text(value: string | Uint8Array): Buffer[] {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return [length, bytes]
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export function encodeOrders({ mark, workingDir, secrets }: { mark: Buffer, workingDir: string, secrets: readonly { name: string, bytes: Uint8Array }[] }): Buffer {
  return Buffer.concat([MAGIC, mark, ...text(workingDir), u32(secrets.length), ...secrets.flatMap(({ name, bytes }) => [...text(name), ...text(bytes)])])
}

/** Splits one stream at the mark, whatever pieces it comes in. Holds back at most the mark's length. */
export class MarkFinder {
  readonly #mark: Buffer
  #held: Buffer = Buffer.alloc(0)
  #found = false

  constructor(mark: Buffer) {
    this.#mark = mark
  }

  get found(): boolean { return this.#found }

  /** `before` is the job's own; `after` follows the mark. */
  push(chunk: Buffer): { before: Buffer, after: Buffer } {
    const none = Buffer.alloc(0)
    if (this.#found) return { before: none, after: chunk }
    const all = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const at = all.indexOf(this.#mark)
    if (at >= 0) {
      this.#found = true
      this.#held = none
      return { before: all.subarray(0, at), after: all.subarray(at + this.#mark.length) }
    }
    const keep = this.#beginning(all)
    this.#held = Buffer.from(all.subarray(all.length - keep))
    return { before: all.subarray(0, all.length - keep), after: none }
  }

  /** What was held back, once no more comes. */
  rest(): Buffer { return this.#held }

  /** Bytes at the end that could begin the mark. */
  #beginning(all: Buffer): number {
    for (let keep = Math.min(this.#mark.length - 1, all.length); keep > 0; keep--) {
      if (all.subarray(all.length - keep).equals(this.#mark.subarray(0, keep))) return keep
    }
    return 0
  }
}

export interface Frame { kind: 'U' | 'D' | 'F' | 'X' | 'E', name: Buffer, value: bigint }

/** Takes a container's frames as they come. Throwing from a handler, or returning a promise, ends or holds the reading. */
export interface FrameHandlers {
  onFrame: (frame: Frame) => Promise<void> | void
  /** Bytes of the file or report announced last. */
  onBytes: (bytes: Buffer) => Promise<void> | void
}

/** A container's word that cannot be read. */
export class FrameFault extends Error {}

/** Reads frames out of pieces of any size; nothing is held beyond one head and name. */
export class FrameParser {
  readonly #handlers: FrameHandlers
  #pending: Buffer = Buffer.alloc(0)
  #bodyLeft = 0n
  #ended = false

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers
  }

  /** The last frame has come. */
  get ended(): boolean { return this.#ended }

  async push(chunk: Buffer): Promise<void> {
    let data = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (data.length > 0) {
      if (this.#ended) throw new FrameFault('something follows the end')
      if (this.#bodyLeft > 0n) {
        const part = data.subarray(0, this.#bodyLeft < BigInt(data.length) ? Number(this.#bodyLeft) : data.length)
        this.#bodyLeft -= BigInt(part.length)
        data = data.subarray(part.length)
        const pending = this.#handlers.onBytes(part)
        if (pending !== undefined) await pending
        continue
      }
      const nameBytes = data.length < HEAD_BYTES ? 0 : data.readUInt16LE(1)
      if (nameBytes > MAX_FRAME_NAME_BYTES) throw new FrameFault('a name is too long')
      if (data.length < HEAD_BYTES + nameBytes) break
      const frame = decodeHead(data, nameBytes)
      data = data.subarray(HEAD_BYTES + nameBytes)
      if (frame.kind === 'F' || frame.kind === 'U') this.#bodyLeft = frame.value
      if (frame.kind === 'E') this.#ended = true
      const pending = this.#handlers.onFrame(frame)
      if (pending !== undefined) await pending
    }
    this.#pending = Buffer.from(data)
  }
}

function decodeHead(data: Buffer, nameBytes: number): Frame {
  const kind = String.fromCharCode(data[0] ?? 0)
  if (kind !== 'U' && kind !== 'D' && kind !== 'F' && kind !== 'X' && kind !== 'E') throw new FrameFault('a frame of no known kind')
  const value = data.readBigUInt64LE(3)
  if (kind === 'U' && value > BigInt(MAX_USAGE_FRAME_BYTES)) throw new FrameFault('a report is too long')
  return { kind, name: Buffer.from(data.subarray(HEAD_BYTES, HEAD_BYTES + nameBytes)), value }
}

/** The name of an output in the job's own bytes, or undefined where no such name is allowed. */
export function outPath(name: Buffer): string | undefined {
  if (name.length === 0 || name.length > MAX_OUT_PATH_BYTES) return undefined
  const path = name.toString('utf8')
  return Buffer.from(path).equals(name) ? path : undefined
}
