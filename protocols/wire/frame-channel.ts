import { toWireError, WireError } from './errors.ts'
import type { FrameStream } from './frame-stream.ts'
import type { PeerId } from '@libp2p/interface'

/** One packet's worth: frames are joined up to this, so that a long queue is not copied into one buffer. */
const BATCH_BYTES = 64 * 1024

export interface ChannelLimits {
  /** Frames that may wait for one peer. */
  maxQueuedFrames: number
  /** Bytes that may wait for one peer. */
  maxQueuedBytes: number
  /** A channel unused for this long closes its stream; the next frame opens it again. */
  idleCloseMs: number
  /** What leaves together is at most this, where a frame is smaller than a usual batch: a stream takes no more at once. */
  maxBatchBytes?: number
}

export interface ChannelEvents {
  /** A frame came in. While a returned promise is pending no further frame of this stream is read. */
  onFrame: (frame: Uint8Array, peer: PeerId) => void | Promise<void>
  /** These frames were not sent: the peer cannot be reached, or broke off twice. */
  onUndelivered?: (frames: Uint8Array[], peer: PeerId, err: WireError) => void
  /** A stream broke, or `onFrame` threw and cost the peer its stream: for logs and metrics. */
  onError?: (err: WireError, peer: PeerId) => void
}

/**
 * Many small frames to and from one peer over a stream that stays open. What is sent in one turn of the event loop leaves together.
 * Order holds within one stream; when a stream breaks, its last batch is sent once more over a new one, so a frame may come twice,
 * and what was on the wire may be lost: the messages must bear both.
 */
export class FrameChannel {
  readonly peer: PeerId
  readonly #limits: ChannelLimits
  readonly #events: ChannelEvents
  readonly #openStream: () => Promise<FrameStream>
  readonly #onRest: () => void
  readonly #streams = new Set<FrameStream>()
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  /** The stream frames leave on: the newest of ours or the peer's that is open. */
  #out: FrameStream | undefined
  #flushing: Promise<void> | undefined
  #scheduled: NodeJS.Immediate | undefined
  #lastUseMs = performance.now()
  #closed = false

  /** `onRest` is called whenever a stream ended or the queue was sent: `empty` may have become true. */
  constructor(peer: PeerId, limits: ChannelLimits, events: ChannelEvents, openStream: () => Promise<FrameStream>, onRest: () => void) {
    this.peer = peer
    this.#limits = limits
    this.#events = events
    this.#openStream = openStream
    this.#onRest = onRest
  }

  /** Queues a frame. Throws WireError E_QUEUE_FULL, and E_STREAM_CLOSED after `close`. The bytes must not change. */
  send(frame: Uint8Array): void {
    if (this.#closed) throw new WireError('E_STREAM_CLOSED', 'The channel is closed')
    if (this.#queue.length >= this.#limits.maxQueuedFrames || this.#queuedBytes + frame.byteLength > this.#limits.maxQueuedBytes) {
      throw new WireError('E_QUEUE_FULL', `${this.#queue.length} frames of ${this.#queuedBytes} bytes wait for the peer already`)
    }
    this.#queue.push(frame)
    this.#queuedBytes += frame.byteLength
    if (this.#flushing !== undefined || this.#scheduled !== undefined) return
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined
      this.#startFlush()
    })
  }

  /** Whether nothing is queued and no stream is open. */
  get empty(): boolean {
    return this.#queue.length === 0 && this.#flushing === undefined && this.#streams.size === 0
  }

  /** Reads a stream the peer opened until it ends, and sends on it when there is none of ours. */
  async accept(frames: FrameStream): Promise<void> {
    await this.#use(frames)
  }

  /** Ends the outgoing stream when nobody used the channel for `idleCloseMs`. What the peer still sends is read. */
  closeIfIdle(nowMs: number): void {
    if (this.#flushing !== undefined || this.#queue.length > 0 || nowMs - this.#lastUseMs < this.#limits.idleCloseMs) return
    const out = this.#out
    this.#out = undefined
    void out?.closeWrite()
  }

  /** Sends what is queued, as far as the peer takes it, and closes. */
  async close(): Promise<void> {
    this.#closed = true
    clearImmediate(this.#scheduled)
    if (this.#queue.length > 0) this.#startFlush()
    await this.#flushing
    await Promise.all([...this.#streams].map(async (frames) => { await frames.close() }))
  }

  #startFlush(): void {
    if (this.#flushing !== undefined) return
    this.#flushing = this.#flush().finally(() => {
      this.#flushing = undefined
      this.#onRest()
    })
  }

  async #flush(): Promise<void> {
    let mayRetry = true
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch()
      const err = await this.#sendBatch(batch)
      if (err === undefined) {
        mayRetry = true
        for (const frame of batch) this.#queuedBytes -= frame.byteLength
        continue
      }
      this.#queue.unshift(...batch)
      // one failure may only show that an old stream has gone: the second is the peer's
      if (mayRetry && err.code !== 'E_STREAM_OPEN' && err.code !== 'E_WIRE_ABORTED') {
        mayRetry = false
        continue
      }
      const lost = this.#queue
      this.#queue = []
      this.#queuedBytes = 0
      this.#events.onUndelivered?.(lost, this.peer, err)
    }
  }

  async #sendBatch(batch: Uint8Array[]): Promise<WireError | undefined> {
    try {
      const out = await this.#outgoing()
      await out.writeAll(batch)
      this.#lastUseMs = performance.now()
      return undefined
    } catch (err) {
      const wireError = toWireError(err, 'E_STREAM_CLOSED')
      this.#out?.abort(wireError)
      this.#out = undefined
      return wireError
    }
  }

  /** At least one frame, and more while they fit one batch. Their bytes count as queued until they are sent. */
  #takeBatch(): Uint8Array[] {
    const maxBatchBytes = Math.min(BATCH_BYTES, this.#limits.maxBatchBytes ?? BATCH_BYTES)
    let bytes = 0
    let count = 0
    for (const frame of this.#queue) {
      bytes += frame.byteLength
      if (count > 0 && bytes > maxBatchBytes) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #outgoing(): Promise<FrameStream> {
    if (this.#out !== undefined && !this.#out.closed) return this.#out
    const frames = await this.#openStream()
    void this.#use(frames)
    return frames
  }

  async #use(frames: FrameStream): Promise<void> {
    this.#streams.add(frames)
    this.#out = frames
    this.#lastUseMs = performance.now()
    try {
      for (let frame = await frames.read(); frame !== undefined; frame = await frames.read()) {
        this.#lastUseMs = performance.now()
        const pending = this.#events.onFrame(frame, this.peer)
        if (pending !== undefined) await pending
      }
      if (this.#out === frames) this.#out = undefined
      await frames.close()
    } catch (err) {
      const wireError = toWireError(err, 'E_STREAM_CLOSED')
      frames.abort(wireError)
      if (!this.#closed) this.#events.onError?.(wireError, this.peer)
    } finally {
      this.#streams.delete(frames)
      if (this.#out === frames) this.#out = undefined
      this.#onRest()
    }
  }
}
