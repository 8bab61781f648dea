import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { HearthError } from '../../src/errors.ts'
import type { ErrorShape } from '../../src/errors.ts'
import { BoundedQueue } from '../api/bounded-queue.ts'
import { API_VERSION, CLIENT_WINDOW, GREET_WITHIN_MS, MAX_RESPONSE_BYTES } from '../api/limits.ts'
import { LineSplitter } from '../api/lines.ts'
import type { Watch } from '../api/contract.ts'
import type { ClientFrame, ServerFrame } from '../api/frames.ts'

interface Call { resolve: (value: unknown) => void, reject: (err: unknown) => void, onProgress: Watch['onProgress'] }
/** A stream's items, with how many were taken since the node was last allowed more. */
interface Stream { queue: BoundedQueue<unknown>, taken: number }

export function nodeDown(path: string, cause: unknown): HearthError {
  return new HearthError('E_NODE_DOWN', `No node answers at ${path}`, 'Start one with `hearth up`', { cause })
}

function toError(shape: ErrorShape): HearthError {
  return new HearthError(shape.code, shape.message, shape.hint)
}

/** One greeted connection to a node: matches answers to calls and items to streams. It ends once, and is not reused. */
export class Link {
  readonly #socket: Socket
  readonly #lines = new LineSplitter(MAX_RESPONSE_BYTES)
  readonly #greeted = Promise.withResolvers<void>()
  readonly #calls = new Map<number, Call>()
  readonly #streams = new Map<number, Stream>()
  #isGreeted = false
  #nextId = 1
  #error: HearthError | undefined

  private constructor(path: string) {
    this.#socket = connect(path)
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (err) => this.#lost(path, err))
    this.#socket.on('close', () => this.#lost(path))
  }

  /** Throws E_NODE_DOWN when nobody answers, E_API_VERSION when the node speaks another protocol. */
  static async open(path: string): Promise<Link> {
    const link = new Link(path)
    const timer = setTimeout(() => link.#fail(new HearthError('E_NODE_HANGS', `The node at ${path} accepts connections but does not answer`, 'Look at its processor use and its log; end it if it does not come back')), GREET_WITHIN_MS)
    try {
      await link.#greeted.promise
    } finally {
      clearTimeout(timer)
    }
    link.#rest()
    return link
  }

  get ended(): boolean {
    return this.#error !== undefined
  }

  /** An aborted call is still waited for: the node answers when nothing of it is left. */
  async call(method: string, params: unknown, { onProgress, signal }: Watch = {}): Promise<unknown> {
    const id = this.#nextId++
    const cancel = (): void => { if (this.#calls.has(id)) this.#send({ id, cancel: true }) }
    const answer = new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onProgress })
      this.#send({ id, method, ...params === undefined ? {} : { params }, ...onProgress === undefined ? {} : { progress: true } })
    })
    if (signal?.aborted === true) cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await answer
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  stream(method: string, params: unknown): AsyncIterable<unknown> {
    const id = this.#nextId++
    // the node never sends more than the window before it is allowed to, so the queue cannot overflow
    const queue = new BoundedQueue<unknown>(CLIENT_WINDOW, () => {
      if (this.#streams.delete(id)) this.#send({ id, cancel: true })
    })
    this.#streams.set(id, { queue, taken: 0 })
    this.#send({ id, method, params, window: CLIENT_WINDOW })
    const inner = queue[Symbol.asyncIterator]()
    const iterator: AsyncIterator<unknown> = {
      next: async () => {
        const next = await inner.next()
        if (next.done !== true) this.#allowMore(id)
        return next
      },
      return: async () => inner.return?.() ?? { done: true, value: undefined }
    }
    return { [Symbol.asyncIterator]: () => iterator }
  }

  close(): void {
    this.#fail(new HearthError('E_CLIENT_CLOSED', 'The client was closed', 'Connect again'))
  }

  #allowMore(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined || ++stream.taken < CLIENT_WINDOW / 2) return
    this.#send({ id, more: stream.taken })
    stream.taken = 0
  }

  #send(frame: ClientFrame): void {
    if (this.#error !== undefined) { this.#drop(frame.id, this.#error); return }
    this.#socket.ref()
    this.#socket.write(`${JSON.stringify(frame)}\n`)
  }

  #read(chunk: Buffer): void {
    const lines = this.#lines.push(chunk)
    if (lines === 'too-long') { this.#fail(new HearthError('E_API_FRAME', 'The node sent an endless answer', 'Restart the node')); return }
    try {
      for (const line of lines) this.#frame(JSON.parse(line) as ServerFrame)
    } catch (err) {
      this.#fail(new HearthError('E_API_FRAME', 'What answers there is not a node', 'Check the path of the socket', { cause: err }))
    }
    this.#rest()
  }

  #frame(frame: ServerFrame): void {
    if ('hearth' in frame) this.#greet(frame)
    else if (!('id' in frame)) this.#fail(toError(frame.error))
    else if ('progress' in frame) this.#calls.get(frame.id)?.onProgress?.(frame.progress)
    else if ('item' in frame) this.#streams.get(frame.id)?.queue.push(frame.item)
    else if ('result' in frame) { this.#calls.get(frame.id)?.resolve(frame.result); this.#calls.delete(frame.id) }
    else this.#drop(frame.id, 'error' in frame ? toError(frame.error) : undefined)
  }

  #greet(frame: { hearth: string, api: number }): void {
    this.#isGreeted = true
    if (frame.api === API_VERSION) this.#greeted.resolve()
    else this.#fail(new HearthError('E_API_VERSION', `The node (hearth ${frame.hearth}) speaks version ${frame.api} of the local protocol, this program version ${API_VERSION}`, 'Restart the node, so that both are of one installation'))
  }

  /** A call or stream is over. */
  #drop(id: number, error: HearthError | undefined): void {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    call?.reject(error)
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    stream?.queue.end(error)
  }

  #lost(path: string, cause?: Error): void {
    const gone = new HearthError('E_NODE_GONE', 'The node ended the connection', 'It was stopped or has crashed; `hearth up` starts it again', { cause })
    this.#fail(this.#isGreeted ? gone : nodeDown(path, cause))
  }

  #fail(error: HearthError): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#socket.destroy()
    this.#greeted.reject(error)
    for (const id of [...this.#calls.keys(), ...this.#streams.keys()]) this.#drop(id, error)
  }

  /** A script whose calls are all answered ends by itself, without closing the client. */
  #rest(): void {
    if (this.#calls.size === 0 && this.#streams.size === 0) this.#socket.unref()
  }
}
