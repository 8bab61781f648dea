import { toWireError } from '../wire/index.ts'
import { ACK_EVERY_BYTES, MIN_PART_BYTES } from './constants.ts'
import { MAX_LEAF_BYTES } from './dag-node.ts'
import { decodeAnswer, encodeRequest } from './messages.ts'
import type { FrameStream, WireError } from '../wire/index.ts'
import type { Answer, RefusalReason } from './messages.ts'

/** Why a source was given up. `E_SOURCE_LIED` and `E_SOURCE_PROTOCOL` are its fault beyond doubt; the others may be the network's. */
export type SourceCode =
  | 'E_SOURCE_UNREACHABLE' | 'E_SOURCE_BROKE' | 'E_SOURCE_STALLED'
  | 'E_SOURCE_REFUSED' | 'E_SOURCE_BUSY' | 'E_SOURCE_ABSENT'
  | 'E_SOURCE_LIED' | 'E_SOURCE_PROTOCOL'

/** A source that cannot be used further. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceCode

  constructor(code: SourceCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const REFUSALS: Record<RefusalReason, SourceCode> = { refused: 'E_SOURCE_REFUSED', busy: 'E_SOURCE_BUSY', absent: 'E_SOURCE_ABSENT' }

/** As many as a fetch has on their way to the store. */
const MAX_SPARE_BLOCKS = 6

function toSourceError(err: WireError): SourceError {
  const code: SourceCode = err.code === 'E_FRAME_TIMEOUT' ? 'E_SOURCE_STALLED'
    : err.code === 'E_FRAME_SIZE' || err.code === 'E_FRAME_MALFORMED' ? 'E_SOURCE_PROTOCOL'
      : err.code === 'E_STREAM_OPEN' ? 'E_SOURCE_UNREACHABLE' : 'E_SOURCE_BROKE'
  return new SourceError(code, err.message, { cause: err })
}

/** What stands for a block in the order of asking. */
export type BlockAnswer = { kind: 'block', bytes: Uint8Array, recycle: () => void } | { kind: 'not-here' } | { kind: 'ahead-end' }

/** One stream to a source. It can read several roots, one after the other. Rejects with SourceErrors. */
export class SourceSession {
  readonly #frames: FrameStream
  readonly #blockTimeoutMs: number
  /** Memory of blocks put together before. */
  readonly #spares: Uint8Array[] = []
  /** Bytes of whole parts that came and are not acknowledged yet. */
  #unacknowledgedBytes = 0

  constructor(blockTimeoutMs: number, frames: FrameStream) {
    this.#blockTimeoutMs = blockTimeoutMs
    this.#frames = frames
  }

  /** Whether it can be used no more. */
  get closed(): boolean {
    return this.#frames.closed
  }

  /** Asks for a root. Blocks sent ahead follow, and then an `ahead-end`. */
  async ask(root: string, options: { agreementId: string, aheadBytes: number, paced: boolean }, signal: AbortSignal): Promise<void> {
    await this.#write(encodeRequest({ kind: 'ask', root, ...options }), signal)
    const answer = await this.#read(signal)
    if (answer.kind === 'refused') throw new SourceError(REFUSALS[answer.reason], `The source answered: ${answer.reason}`)
    if (answer.kind !== 'accepted') throw new SourceError('E_SOURCE_PROTOCOL', 'The source sent something before it answered')
    this.#unacknowledgedBytes = 0
  }

  /** Asks for children of the node at `path`. */
  async want(path: number[], positions: number[], signal: AbortSignal): Promise<void> {
    await this.#write(encodeRequest({ kind: 'want', path, positions }), signal)
  }

  /** The next block, put together from its parts. Not verified. Its memory may be given back when nobody needs it any more. */
  async next(signal: AbortSignal): Promise<BlockAnswer> {
    const first = await this.#read(signal)
    if (first.kind === 'not-here' || first.kind === 'ahead-end') return first
    if (first.kind !== 'part') throw new SourceError('E_SOURCE_PROTOCOL', 'The source answered what was not asked')
    await this.#acknowledge(first.bytes, signal)
    if (first.isLast) return { kind: 'block', bytes: first.bytes, recycle: () => { this.#frames.recycle(first.bytes) } }
    const startedMs = performance.now()
    const block = this.#spares.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(MAX_LEAF_BYTES).buffer)
    let at = 0
    for (let part: Answer = first; ; part = await this.#read(signal)) {
      if (part.kind !== 'part') throw new SourceError('E_SOURCE_PROTOCOL', 'The source broke off a block')
      if (part !== first) await this.#acknowledge(part.bytes, signal)
      const tooSmall = !part.isLast && part.bytes.byteLength < MIN_PART_BYTES
      if (tooSmall || at + part.bytes.byteLength > MAX_LEAF_BYTES) throw new SourceError('E_SOURCE_PROTOCOL', 'The source sent parts that are too small, or too many')
      if (performance.now() - startedMs > this.#blockTimeoutMs) throw new SourceError('E_SOURCE_STALLED', `A block took more than ${this.#blockTimeoutMs} ms`)
      block.set(part.bytes, at)
      at += part.bytes.byteLength
      this.#frames.recycle(part.bytes)
      if (part.isLast) break
    }
    return { kind: 'block', bytes: block.subarray(0, at), recycle: () => { if (this.#spares.length < MAX_SPARE_BLOCKS) this.#spares.push(block) } }
  }

  /** Small parts are acknowledged together: the source's smallest window has room for a large part beside what is held back here. */
  async #acknowledge(part: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#unacknowledgedBytes += part.byteLength
    if (this.#unacknowledgedBytes < ACK_EVERY_BYTES) return
    const bytes = this.#unacknowledgedBytes
    this.#unacknowledgedBytes = 0
    await this.#write(encodeRequest({ kind: 'ack', bytes }), signal)
  }

  async #write(request: Uint8Array, signal: AbortSignal): Promise<void> {
    try {
      await this.#frames.write(request, signal)
    } catch (err) {
      throw toSourceError(toWireError(err, 'E_STREAM_CLOSED'))
    }
  }

  async #read(signal: AbortSignal): Promise<Answer> {
    let raw: Uint8Array | undefined
    try {
      raw = await this.#frames.read(signal)
    } catch (err) {
      throw toSourceError(toWireError(err, 'E_STREAM_CLOSED'))
    }
    if (raw === undefined) throw new SourceError('E_SOURCE_BROKE', 'The source ended the stream')
    const answer = decodeAnswer(raw)
    if (!answer.ok) throw new SourceError('E_SOURCE_PROTOCOL', answer.message)
    return answer.value
  }

  /** Before it is kept for later: it holds no memory meanwhile. */
  rest(): void {
    this.#spares.length = 0
    this.#frames.dropSpares()
  }

  async close(): Promise<void> {
    await this.#frames.close()
  }

  abort(): void {
    this.#frames.abort(new Error('The transfer ended'))
  }
}
