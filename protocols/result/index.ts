import type { PeerId, Startable } from '@libp2p/interface'
import { errorCode } from '../../src/codec/schema.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { resultRequestCodec } from '../../src/documents/message.ts'
import type { ResultRequest } from '../../src/documents/message.ts'
import { HearthError } from '../../src/errors.ts'
import { PARAMS } from '../../src/params.ts'
import { handleFrames, openFrames } from '../wire/index.ts'
import type { FrameStream, HandledProtocol, StreamDialer, StreamRegistrar } from '../wire/index.ts'
import { FRAME, MAX_CHUNK_BYTES, MAX_REFUSAL_CHARS, MAX_STREAMS_PER_PEER, OPEN_TIMEOUT_MS, RESULT_LIMITS, RESULT_PROTOCOL, STILL_HERE_MS } from './constants.ts'

export { RESULT_PROTOCOL } from './constants.ts'

/** Bytes that a program wrote, in the order in which it did. */
export interface LogBytes { stream: 'stdout' | 'stderr', bytes: Uint8Array }

/**
 * Where a provider's logs come from: decides whether `peer` may follow (it must be the agreement's requester) and gives the bytes
 * from `fromByte` on (of the one stream asked for, or of both together), until the lease ends.
 */
export type LogSource = (peer: string, request: ResultRequest, signal: AbortSignal) => Result<AsyncIterable<LogBytes>>

export interface ResultInit {
  network: StreamDialer & StreamRegistrar
  source: LogSource
  /** A request that no honest peer sends. */
  onRefused: (from: string, refusal: Refusal) => void
}

/** Follows what a lease prints while it runs, from its provider. */
export class ResultProtocol implements Startable {
  readonly #init: ResultInit
  #handled: HandledProtocol | undefined

  constructor(init: ResultInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    this.#handled = await handleFrames(this.#init.network, RESULT_PROTOCOL, RESULT_LIMITS, (frames, peer) => this.#serve(frames, peer.toString()), { maxStreamsPerPeer: MAX_STREAMS_PER_PEER })
  }

  async stop(): Promise<void> {
    await this.#handled?.stop()
  }

  /**
   * The bytes from `request.fromByte` on, until the lease ends or `signal` fires. Throws a WireError when the provider goes away,
   * a HearthError with the provider's code when it refuses, E_LOG_SIZE when it sends more than a log may hold.
   */
  async * follow(peer: PeerId, request: ResultRequest, signal: AbortSignal): AsyncGenerator<LogBytes> {
    const opening = AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)])
    const frames = await openFrames(this.#init.network, peer, RESULT_PROTOCOL, RESULT_LIMITS, opening)
    let leftBytes = 2 * PARAMS.maxLogBytes
    try {
      await frames.write(resultRequestCodec.encode(request), opening)
      for (let frame = await frames.read(signal); frame !== undefined; frame = await frames.read(signal)) {
        const kind = frame[0]
        if (kind === FRAME.end) return
        if (kind === FRAME.refused) throw refusalOf(frame.subarray(1))
        if (kind === FRAME.stillHere) continue
        leftBytes -= frame.length
        if (leftBytes < 0) throw new HearthError('E_LOG_SIZE', 'The provider sent more log than a task may write', 'Its output is still bounded in the result')
        yield { stream: kind === FRAME.stderr ? 'stderr' : 'stdout', bytes: frame.subarray(1) }
      }
      throw new HearthError('E_LOG_BROKEN', 'The log ended before its task did', 'The task goes on: ask again, or read the result when it is there')
    } finally {
      void frames.close()
    }
  }

  async #serve(frames: FrameStream, peer: string): Promise<void> {
    const raw = await frames.read()
    if (raw === undefined) return
    const request = resultRequestCodec.decode(raw)
    if (!request.ok) {
      this.#init.onRefused(peer, request)
      await frames.write(frameOf(FRAME.refused, Buffer.from(request.code)))
      return
    }
    const stop = new AbortController()
    const logs = this.#init.source(peer, request.value, stop.signal)
    if (!logs.ok) {
      await frames.write(frameOf(FRAME.refused, Buffer.from(`${logs.code} ${logs.message}`.slice(0, MAX_REFUSAL_CHARS))))
      return
    }
    // the follower sends nothing more: its end, or anything else, stops the source
    void frames.read(stop.signal).then(() => { stop.abort() }, () => { stop.abort() })
    const stillHere = setInterval(() => { frames.write(frameOf(FRAME.stillHere)).catch(() => { stop.abort() }) }, STILL_HERE_MS)
    try {
      for await (const { stream, bytes } of logs.value) {
        for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES) await frames.write(frameOf(FRAME[stream], bytes.subarray(at, at + MAX_CHUNK_BYTES)))
        if (stop.signal.aborted) return
      }
      await frames.write(frameOf(FRAME.end))
    } finally {
      clearInterval(stillHere)
      stop.abort()
    }
  }
}

function frameOf(kind: number, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const frame = new Uint8Array(1 + bytes.length)
  frame[0] = kind
  frame.set(bytes, 1)
  return frame
}

/** Only a code of our alphabet and printable text are taken from a stranger's refusal. */
function refusalOf(raw: Uint8Array): HearthError {
  const [code = '', ...words] = Buffer.from(raw).toString('utf8').split(' ')
  const parsed = errorCode.safeParse(code)
  const message = words.join(' ').replaceAll(/[\p{C}]/gu, '')
  return new HearthError(parsed.success ? parsed.data : 'E_LOG_REFUSED', message === '' ? 'The provider does not show this log' : message, 'Ask again once the task runs there')
}
