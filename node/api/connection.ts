import type { Socket } from 'node:net'
import { HearthError, toErrorShape } from '../../src/errors.ts'
import type { ErrorShape } from '../../src/errors.ts'
import { clientFrame } from './frames.ts'
import { toJson } from './json.ts'
import { FLUSH_WITHIN_MS, FRAME_WITHIN_MS, MAX_CALLS_A_CLIENT, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, MAX_UNREAD_BYTES, MAX_WINDOW, PROGRESS_EVERY_MS } from './limits.ts'
import { LineSplitter } from './lines.ts'
import { describeIssue, isMethod, isWatched, PARAMETERS } from './methods.ts'
import { untilAborted } from './until-aborted.ts'
import type { CallFrame, ClientFrame, ServerFrame } from './frames.ts'
import type { ByteProgress, NodeApi, Watch } from './contract.ts'
import type { Method } from './methods.ts'

/** A call that has not ended. */
interface Open {
  abort: AbortController
  /** A stream's reader is gone with its half of the connection; the answer to a call may still be read. */
  isStream: boolean
  /** Items that may be sent; infinite without a window. */
  credit: number
  /** Wakes the stream that waits for credit. */
  wake: () => void
}

/** One client of the local socket: reads its frames, calls the node, writes answers, and holds little whatever it does. */
export class Connection {
  readonly #socket: Socket
  readonly #api: () => Promise<NodeApi>
  readonly #lines = new LineSplitter(MAX_REQUEST_BYTES)
  readonly #calls = new Map<number, Open>()
  #frameTimer: NodeJS.Timeout | undefined
  #ending = false

  /** `api` settles once the node has started. */
  constructor(socket: Socket, api: () => Promise<NodeApi>) {
    this.#socket = socket
    this.#api = api
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => this.#ended())
    socket.on('drain', () => socket.resume())
    // what a client does to its own connection concerns nobody else; `close` follows
    socket.on('error', () => {})
    socket.on('close', () => this.#gone())
  }

  greet(frame: ServerFrame): void {
    this.#write(frame)
  }

  /** Says why, then closes. */
  refuse(error: ErrorShape): void {
    this.#write({ error })
    this.#ending = true
    this.#socket.end()
    // a client that does not even read this is cut off
    setTimeout(() => this.#socket.destroy(), FLUSH_WITHIN_MS).unref()
  }

  /** Ends streams, waits for answers that are under way, and closes. */
  async close(withinMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.#socket.once('close', () => resolve()) })
    this.#ending = true
    this.#stopStreams()
    this.#finish()
    const timer = setTimeout(() => this.#socket.destroy(), withinMs)
    if (!this.#socket.destroyed) await closed
    clearTimeout(timer)
  }

  #read(chunk: Buffer): void {
    if (this.#ending) return
    const lines = this.#lines.push(chunk)
    if (lines === 'too-long') {
      this.refuse({ code: 'E_API_FRAME', message: `A request passes ${MAX_REQUEST_BYTES} bytes`, hint: 'Name files in a job instead of putting their content into it' })
      return
    }
    for (const line of lines) this.#line(line)
    this.#watchFrame()
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#socket.pause()
  }

  /**
   * A client may close its half after the last request and still read the answers. Its streams end here: a client that
   * died looks the same, and on a quiet stream nothing else would ever tell.
   */
  #ended(): void {
    const rest = this.#lines.end()
    if (rest !== '') this.#line(rest)
    this.#ending = true
    this.#stopStreams()
    this.#finish()
  }

  #gone(): void {
    clearTimeout(this.#frameTimer)
    for (const call of this.#calls.values()) stop(call)
  }

  #stopStreams(): void {
    for (const call of this.#calls.values()) if (call.isStream) stop(call)
  }

  /** A frame begun and never ended would hold its bytes for ever. */
  #watchFrame(): void {
    clearTimeout(this.#frameTimer)
    if (!this.#lines.partial) return
    this.#frameTimer = setTimeout(() => {
      this.refuse({ code: 'E_API_FRAME', message: `A request was begun and not ended within ${FRAME_WITHIN_MS / 1000} s`, hint: 'End each request with a line feed' })
    }, FRAME_WITHIN_MS)
    this.#frameTimer.unref()
  }

  #line(line: string): void {
    if (line.trim() === '' || this.#ending) return
    const frame = parseFrame(line)
    if (frame === undefined) {
      this.refuse({ code: 'E_API_FRAME', message: 'A line is not a request', hint: 'Send one JSON object a line: {"id": 1, "method": "status"}' })
      return
    }
    if ('method' in frame) { void this.#start(frame); return }
    const call = this.#calls.get(frame.id)
    // a stream may have ended while the client's word about it was under way
    if (call === undefined) return
    if ('cancel' in frame) { stop(call); return }
    call.credit = Math.min(call.credit + frame.more, MAX_WINDOW)
    call.wake()
  }

  async #start(frame: CallFrame): Promise<void> {
    const { id, method } = frame
    if (this.#calls.has(id)) { this.#error(id, new HearthError('E_API_FRAME', `The id ${id} is in use`, 'Give each open call an id of its own')); return }
    if (this.#calls.size >= MAX_CALLS_A_CLIENT) { this.#error(id, new HearthError('E_API_BUSY', `More than ${MAX_CALLS_A_CLIENT} calls are open on this connection`, 'Wait for some of them to end')); return }
    const call: Open = { abort: new AbortController(), isStream: false, credit: frame.window ?? Number.POSITIVE_INFINITY, wake: () => {} }
    this.#calls.set(id, call)
    try {
      if (!isMethod(method)) throw new HearthError('E_API_METHOD', `There is no method "${method.slice(0, 64)}"`, `Methods are: ${Object.keys(PARAMETERS).join(', ')}`)
      const { signal } = call.abort
      const watch = frame.progress === true ? { signal, onProgress: this.#reporter(id) } : { signal }
      const returned = invoke(await this.#api(), method, frame.params, isWatched(method) ? watch : signal)
      call.isStream = isStream(returned)
      // while the node started, its reader may have gone
      if (call.isStream && this.#ending) stop(call)
      if (isStream(returned)) await this.#pump(id, call, returned)
      else this.#write({ id, result: await returned ?? null })
    } catch (err) {
      this.#error(id, err)
    } finally {
      this.#calls.delete(id)
      this.#finish()
    }
  }

  async #pump(id: number, call: Open, items: AsyncIterable<unknown>): Promise<void> {
    const { signal } = call.abort
    for await (const item of untilAborted(items, signal)) {
      call.credit--
      await this.#writeItem({ id, item })
      while (call.credit <= 0 && !signal.aborted) await new Promise<void>((resolve) => { call.wake = resolve })
      if (signal.aborted) break
    }
    this.#write({ id, end: true })
  }

  /** Tells how far a call is, at most so often, and never to a client that does not read. */
  #reporter(id: number): (progress: ByteProgress) => void {
    let toldMs = Number.NEGATIVE_INFINITY
    return (progress) => {
      const nowMs = performance.now()
      if (nowMs - toldMs < PROGRESS_EVERY_MS || this.#socket.writableNeedDrain || !this.#calls.has(id)) return
      toldMs = nowMs
      this.#write({ id, progress })
    }
  }

  #error(id: number, err: unknown): void {
    this.#write({ id, error: toErrorShape(err) })
  }

  /** Waits for the reader, so that a stream is read from the node only as fast as the client reads. */
  async #writeItem(frame: ServerFrame): Promise<void> {
    if (this.#write(frame)) return
    await new Promise<void>((resolve) => {
      const go = (): void => { this.#socket.off('drain', go).off('close', go); resolve() }
      this.#socket.on('drain', go).on('close', go)
    })
  }

  #write(frame: ServerFrame): boolean {
    if (!this.#socket.writable) return true
    const line = toJson(frame)
    if (line.length > MAX_RESPONSE_BYTES) {
      const error: ErrorShape = { code: 'E_API_TOO_LARGE', message: `An answer passes ${MAX_RESPONSE_BYTES} bytes`, hint: 'Ask for less: one task, or one job' }
      return this.#socket.write(`${JSON.stringify('id' in frame ? { id: frame.id, error } : { error })}\n`)
    }
    return this.#socket.write(`${line}\n`)
  }

  #finish(): void {
    if (this.#ending && this.#calls.size === 0 && this.#socket.writable) this.#socket.end()
  }
}

function stop(call: Open): void {
  call.abort.abort()
  call.wake()
}

function parseFrame(line: string): ClientFrame | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  const parsed = clientFrame.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

/** Checks the parameter, then calls. Throws E_API_PARAMS. */
function invoke<M extends Method>(api: NodeApi, method: M, params: unknown, second: Watch | AbortSignal): ReturnType<NodeApi[M]> {
  const parsed = PARAMETERS[method].safeParse(params)
  if (!parsed.success) throw new HearthError('E_API_PARAMS', `${method}: ${describeIssue(parsed.error)}`, 'The methods and their parameters are in node/api/contract.ts')
  const call = api[method].bind(api) as (argument: unknown, second: Watch | AbortSignal) => ReturnType<NodeApi[M]>
  return call(parsed.data, second)
}

function isStream(value: Promise<unknown> | AsyncIterable<unknown>): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value
}
