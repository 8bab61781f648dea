import { toWireError, WireError } from './errors.ts'
import { encodePrefix, FrameParser } from './frame-parser.ts'
import { countTraffic } from './garbage.ts'
import { MAX_FRAME_BYTES, MAX_WAITING_WRITES, READ_AHEAD_BYTES } from './limits.ts'
import type { FrameLimits } from './limits.ts'
import type { PeerId, Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'

/** Below this a frame leaves as one buffer; above, its copy costs more than a second packet. */
const JOIN_BELOW_BYTES = 32 * 1024

interface Waiter {
  resolve: (frame: Uint8Array | undefined) => void
  reject: (err: WireError) => void
}

/**
 * Length-prefixed frames over one libp2p 3 stream, with the five stream traps closed:
 * the drain event is awaited each time (1), an end that came before the first read is seen (2),
 * reading stops the remote when nobody reads (3), and pausing holds because the windows are ours (4, 5: `yamuxOptions`).
 *
 * One reader at a time. Writes keep their order, and each resolves when the muxer has taken its bytes.
 * The stream given must not be touched by anybody else.
 */
export class FrameStream {
  /** Who is at the other end, where it is known. */
  readonly remotePeer: PeerId | undefined
  readonly #stream: Stream
  readonly #limits: FrameLimits
  readonly #maxSentBytes: number
  readonly #parser: FrameParser
  #waiter: Waiter | undefined
  #timer: NodeJS.Timeout | undefined
  #timerIsForFrame = false
  /** Why this end gave the stream up: reads and writes reject at once. */
  #failure: WireError | undefined
  /** Why the stream closed under us: what had arrived whole is still read. */
  #closeError: WireError | undefined
  #remoteEnded: boolean
  #transportClosed: boolean
  #discarding = false
  #pausing = false
  #lastWrite: Promise<void> = Promise.resolve()
  #waitingWrites = 0

  constructor(stream: Stream, limits: FrameLimits, remotePeer?: PeerId) {
    this.#maxSentBytes = limits.maxSentFrameBytes ?? limits.maxFrameBytes
    if (Math.max(limits.maxFrameBytes, this.#maxSentBytes) > MAX_FRAME_BYTES) throw new RangeError(`maxFrameBytes is above ${MAX_FRAME_BYTES}`)
    this.#stream = stream
    this.#limits = limits
    this.remotePeer = remotePeer
    this.#parser = new FrameParser(limits.maxFrameBytes)
    // trap 2: what ended before anybody listened sends no event any more
    this.#remoteEnded = stream.remoteWriteStatus === 'closed' && stream.status === 'open'
    this.#transportClosed = stream.status !== 'open'
    if (stream.status === 'reset') this.#closeError = new WireError('E_STREAM_RESET', 'The remote reset the stream')
    stream.addEventListener('remoteCloseWrite', this.#onRemoteEnd)
    stream.addEventListener('close', this.#onClose)
    stream.addEventListener('message', this.#onMessage)
  }

  /** Whether nothing more can be written: this end closed or failed, or the connection is gone. */
  get closed(): boolean {
    return this.#failure !== undefined || this.#transportClosed || this.#stream.writeStatus !== 'writable'
  }

  /**
   * The next frame, or undefined when the remote ended its side between two frames.
   * Rejects with a WireError; on E_FRAME_TIMEOUT, E_FRAME_SIZE and E_FRAME_MALFORMED the stream is aborted.
   * A read given up by its signal loses nothing.
   */
  async read(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    if (this.#waiter !== undefined) throw new WireError('E_STREAM_CLOSED', 'Two reads of one stream at once')
    if (signal?.aborted === true) throw new WireError('E_WIRE_ABORTED', 'The read was given up', { cause: signal.reason })
    const frame = this.#takeFrame()
    if (frame !== undefined) return frame
    if (this.#isOver()) return this.#endOrThrow()
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>()
    this.#waiter = { resolve, reject }
    const onAbort = (): void => { this.#rejectRead(new WireError('E_WIRE_ABORTED', 'The read was given up', { cause: signal?.reason })) }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#armTimer()
    try {
      // whatever the muxer held back while paused comes in here, and may settle the read at once
      this.#unpause()
      return await promise
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Gives a frame's memory back for later frames of this stream. Nobody may touch it again. */
  recycle(frame: Uint8Array): void {
    if (this.#failure === undefined && !this.#discarding) this.#parser.recycle(frame)
  }

  /** For a stream that will rest: it keeps no memory for later frames. */
  dropSpares(): void {
    this.#parser.dropSpares()
  }

  /**
   * Sends one frame, given whole or as the parts of its body, and waits until the muxer has taken all of it (trap 1).
   * The bytes must not change before it resolves. A write given up by its signal is still sent.
   */
  async write(frame: Uint8Array | readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const parts = frame instanceof Uint8Array ? [frame] : frame
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
    if (bytes > this.#maxSentBytes) throw new WireError('E_FRAME_SIZE', `A frame of ${bytes} bytes is above the limit of ${this.#maxSentBytes}`)
    await this.#enqueue([encodePrefix(bytes), ...parts], signal)
  }

  /** Sends several small frames in one go, as one packet where they fit. Together they must be smaller than one largest frame. */
  async writeAll(frames: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const parts = frames.flatMap((frame) => [encodePrefix(frame.byteLength), frame])
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0)
    if (bytes > Math.max(this.#maxSentBytes, JOIN_BELOW_BYTES) + parts.length * 2) throw new WireError('E_FRAME_SIZE', `${frames.length} frames of together ${bytes} bytes are above the limit of ${this.#maxSentBytes}`)
    if (frames.some((frame) => frame.byteLength > this.#maxSentBytes)) throw new WireError('E_FRAME_SIZE', `A frame is above the limit of ${this.#maxSentBytes}`)
    await this.#enqueue(parts, signal)
  }

  /** Ends this side; the remote may go on sending, and reads go on. */
  async closeWrite(): Promise<void> {
    if (this.#failure !== undefined || this.#stream.writeStatus !== 'writable') return
    await this.#lastWrite.catch(() => {})
    try {
      await this.#stream.close({ signal: AbortSignal.timeout(this.#limits.writeTimeoutMs) })
    } catch (err) {
      this.#fail(toWireError(err, 'E_STREAM_CLOSED'))
    }
  }

  /**
   * Ends this side and stops reading. Resolves when what was written is on its way; the stream is freed when the remote ends
   * its side too, or aborted when it has not within the write timeout.
   */
  async close(): Promise<void> {
    this.#discarding = true
    this.#parser.clear()
    this.#rejectRead(new WireError('E_STREAM_CLOSED', 'The stream was closed'))
    this.#unpause()
    await this.closeWrite()
    if (this.#stream.status !== 'open') return
    const linger = setTimeout(() => { this.#stream.abort(new WireError('E_FRAME_TIMEOUT', 'The remote did not end the stream')) }, this.#limits.writeTimeoutMs)
    linger.unref()
    this.#stream.addEventListener('close', () => { clearTimeout(linger) }, { once: true })
  }

  /** Resets the stream: what is queued is dropped, pending reads and writes reject with `err`. */
  abort(err: Error): void {
    this.#fail(toWireError(err, 'E_STREAM_CLOSED'))
  }

  #takeFrame(): Uint8Array | undefined {
    let frame: Uint8Array | undefined
    try {
      frame = this.#parser.take()
    } catch (err) {
      this.#fail(toWireError(err, 'E_FRAME_MALFORMED'))
      return undefined
    }
    if (this.#stream.readStatus === 'paused' && !this.#shouldPause()) this.#unpause()
    return frame
  }

  /** Whether no byte will arrive any more. */
  #isOver(): boolean {
    if (this.#failure !== undefined) return true
    return (this.#remoteEnded || this.#transportClosed) && this.#stream.readBufferLength === 0
  }

  #endOrThrow(): undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#remoteEnded) throw this.#closeError ?? new WireError('E_STREAM_CLOSED', 'The connection closed')
    if (this.#parser.inFrame) throw new WireError('E_FRAME_TRUNCATED', 'The remote ended the stream inside a frame')
    return undefined
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    countTraffic(event.data.byteLength)
    if (this.#discarding || this.#failure !== undefined) return
    try {
      if (event.data instanceof Uint8Array) this.#parser.push(event.data)
      else for (const chunk of event.data) this.#parser.push(chunk)
    } catch (err) {
      this.#fail(toWireError(err, 'E_FRAME_MALFORMED'))
      return
    }
    this.#settleRead()
    if (this.#waiter !== undefined && this.#parser.inFrame && !this.#timerIsForFrame) this.#armTimer()
    this.#pauseSoon()
  }

  readonly #onRemoteEnd = (): void => {
    this.#remoteEnded = true
    this.#settleRead()
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    this.#transportClosed = true
    if (event.error !== undefined) this.#closeError = toWireError(event.error, event.local === true ? 'E_STREAM_CLOSED' : 'E_STREAM_RESET')
    this.#stream.removeEventListener('remoteCloseWrite', this.#onRemoteEnd)
    this.#settleRead()
  }

  #settleRead(): void {
    const waiter = this.#waiter
    if (waiter === undefined) return
    const frame = this.#takeFrame()
    if (frame === undefined && !this.#isOver()) return
    this.#waiter = undefined
    this.#disarmTimer()
    if (frame !== undefined) {
      waiter.resolve(frame)
      return
    }
    try {
      waiter.resolve(this.#endOrThrow())
    } catch (err) {
      waiter.reject(toWireError(err, 'E_STREAM_CLOSED'))
    }
  }

  #rejectRead(err: WireError): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    this.#disarmTimer()
    waiter?.reject(err)
  }

  #fail(err: WireError): void {
    if (this.#failure === undefined) this.#failure = err
    this.#parser.clear()
    this.#stream.abort(err)
    this.#rejectRead(err)
  }

  #armTimer(): void {
    this.#disarmTimer()
    this.#timerIsForFrame = this.#parser.inFrame
    const timeoutMs = this.#timerIsForFrame ? this.#limits.readTimeoutMs : this.#limits.idleTimeoutMs ?? this.#limits.readTimeoutMs
    if (!Number.isFinite(timeoutMs)) return
    this.#timer = setTimeout(() => { this.#fail(new WireError('E_FRAME_TIMEOUT', `The remote sent no whole frame within ${timeoutMs} ms`)) }, timeoutMs)
  }

  #disarmTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #shouldPause(): boolean {
    return this.#parser.hasFrame && this.#parser.waitingBytes >= READ_AHEAD_BYTES
  }

  /**
   * Trap 3. Not from inside the message event: `resume()` delivers what it holds before it tells the muxer, so a pause in between
   * would leave the stream paused here and open there, and libp2p aborts it when its buffer is full.
   */
  #pauseSoon(): void {
    if (this.#pausing || !this.#shouldPause()) return
    this.#pausing = true
    queueMicrotask(() => {
      this.#pausing = false
      if (this.#shouldPause() && this.#stream.readStatus === 'readable') this.#stream.pause()
    })
  }

  #unpause(): void {
    if (this.#stream.readStatus !== 'paused') return
    try {
      this.#stream.resume()
    } catch {
      // the muxer is gone: what the stream held was delivered before it noticed
    }
    this.#settleRead()
  }

  #enqueue(parts: Uint8Array[], signal: AbortSignal | undefined): Promise<void> {
    if (this.#waitingWrites >= MAX_WAITING_WRITES) return Promise.reject(new WireError('E_QUEUE_FULL', `${MAX_WAITING_WRITES} writes wait for the remote already`))
    this.#waitingWrites++
    const previous = this.#lastWrite
    // the first of its kind goes out in the caller's own turn
    const write = (this.#waitingWrites === 1 ? this.#send(parts, signal) : previous.then(() => this.#send(parts, signal)))
      .finally(() => { this.#waitingWrites-- })
    this.#lastWrite = write.catch(() => {})
    return write
  }

  async #send(parts: Uint8Array[], signal: AbortSignal | undefined): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (signal?.aborted === true) throw new WireError('E_WIRE_ABORTED', 'The write was given up', { cause: signal.reason })
    try {
      for (const part of parts) countTraffic(part.byteLength)
      const firstLarge = parts.findIndex((part) => part.byteLength >= JOIN_BELOW_BYTES)
      const head = firstLarge === -1 ? parts : parts.slice(0, firstLarge)
      this.#stream.send(Buffer.concat(head))
      if (firstLarge !== -1) for (const part of parts.slice(firstLarge)) this.#stream.send(part)
    } catch (err) {
      throw this.#failure ?? this.#closeError ?? toWireError(err, 'E_STREAM_CLOSED')
    }
    if (this.#isUnsent()) await this.#drained(signal)
  }

  #isUnsent(): boolean {
    return this.#stream.writableNeedsDrain || this.#stream.writeBufferLength > 0
  }

  /** Trap 1: `stream.onDrain()` resolves at once from its second use on, so the events are awaited instead, as often as needed. */
  #drained(signal: AbortSignal | undefined): Promise<void> {
    const stream = this.#stream
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onProgress = (): void => { queueMicrotask(() => { if (!this.#isUnsent()) resolve() }) }
    const onClose = (): void => { reject(this.#failure ?? this.#closeError ?? new WireError('E_STREAM_CLOSED', 'The stream closed before all was written')) }
    const onAbort = (): void => { reject(new WireError('E_WIRE_ABORTED', 'The write was given up', { cause: signal?.reason })) }
    const timer = setTimeout(() => { this.#fail(new WireError('E_FRAME_TIMEOUT', `The remote took no data within ${this.#limits.writeTimeoutMs} ms`)) }, this.#limits.writeTimeoutMs)
    stream.addEventListener('drain', onProgress)
    stream.addEventListener('idle', onProgress)
    stream.addEventListener('close', onClose)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (stream.status !== 'open') onClose()
    return promise.finally(() => {
      clearTimeout(timer)
      stream.removeEventListener('drain', onProgress)
      stream.removeEventListener('idle', onProgress)
      stream.removeEventListener('close', onClose)
      signal?.removeEventListener('abort', onAbort)
    })
  }
}
