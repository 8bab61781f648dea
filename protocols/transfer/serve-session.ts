import { setTimeout as sleep } from 'node:timers/promises'
import { toWireError, WireError } from '../wire/index.ts'
import { IDLE_STREAM_MS, LOAD_AHEAD, MAX_AHEAD_BLOCKS, MAX_QUEUED_REQUESTS, SMALL_BLOCK_BYTES, TOGETHER_BYTES } from './constants.ts'
import { rootRef, stepInto } from './dag-walk.ts'
import { LentMemory } from './lent-memory.ts'
import { decodeRequest, encodeControl, LAST_PART_HEADER, PART_HEADER } from './messages.ts'
import { DelayWindow } from './pacer.ts'
import type { FrameStream } from '../wire/index.ts'
import type { DagRef } from './dag-walk.ts'
import type { RefusalReason, Request } from './messages.ts'
import type { UploadCap } from './pacer.ts'
import type { TransferStore } from './transfer-store.ts'

export interface ServeOptions {
  store: TransferStore
  /** Why a root is not served to this peer, or undefined when it is. */
  refusal: (root: string, agreementId: string) => Promise<RefusalReason | undefined>
  /** Whether parts are paced even when the reader does not ask for it. */
  paced: boolean
  /** The owner's, over all readers. */
  cap: UploadCap
  /** How long a reader may take nothing. */
  stallTimeoutMs: number
  /** Runs `work` and counts it; it is told whether so many others run that memory must be spared. */
  whileSending: (work: (isBusy: boolean) => Promise<void>) => Promise<void>
  /** Told of each block that left; false when this peer has had its share. */
  onSent: (root: string, agreementId: string, bytes: number) => boolean
}

/** The root a stream reads now, and the nodes looked at on the way down. */
interface Reading {
  root: string
  agreementId: string
  paced: boolean
  /** Children by node, for the nodes used last: a window's requests stay within one or two. */
  children: Map<string, DagRef[]>
}

/** Nodes whose children a stream remembers: the way down to where it reads. */
const MAX_REMEMBERED_NODES = 16

/** Who waits for the owner's cap looks this often whether it has changed, or its reader has gone. */
const CAP_LOOK_MS = 250

/** A stream without requests for this long holds no memory for the next. */
const REST_AFTER_MS = 1000

interface Loaded {
  bytes?: Uint8Array | undefined
  memory?: Uint8Array
}

const broken = (message: string): WireError => new WireError('E_FRAME_MALFORMED', message)

/** One stream of a reader, from its first request to its last. */
export class ServeSession {
  readonly #frames: FrameStream
  readonly #options: ServeOptions
  readonly #window = new DelayWindow()
  readonly #memory = new LentMemory()
  readonly #requests: Request[] = []
  /** Frames that leave with the next. */
  #together: Uint8Array[] = []
  #togetherBytes = 0
  #wake: (() => void) | undefined
  #over: { error: WireError | undefined } | undefined
  #reading: Reading | undefined

  constructor(frames: FrameStream, options: ServeOptions) {
    this.#frames = frames
    this.#options = options
  }

  /** Serves until the reader ends the stream or is idle. Rejects with a WireError when it breaks the protocol or stalls. */
  async run(): Promise<void> {
    void this.#receive()
    for (;;) {
      const request = this.#requests.shift()
      if (request !== undefined) {
        await this.#serve(request)
        continue
      }
      if (this.#over !== undefined) break
      if (await this.#woken(REST_AFTER_MS)) continue
      this.#memory.dropSpares()
      if (!await this.#woken(IDLE_STREAM_MS)) return
    }
    if (this.#over.error !== undefined) throw this.#over.error
  }

  /** Reads requests while blocks are being sent: acknowledgements come in between. */
  async #receive(): Promise<void> {
    try {
      for (let raw = await this.#frames.read(); raw !== undefined; raw = await this.#frames.read()) {
        const request = decodeRequest(raw)
        if (!request.ok) throw broken(request.message)
        if (request.value.kind === 'ack') {
          this.#onAck(request.value.bytes)
        } else if (this.#requests.push(request.value) > MAX_QUEUED_REQUESTS) {
          throw broken(`More than ${MAX_QUEUED_REQUESTS} requests wait`)
        }
        this.#wake?.()
      }
      this.#over = { error: undefined }
    } catch (err) {
      this.#over = { error: toWireError(err, 'E_STREAM_CLOSED') }
    }
    this.#wake?.()
  }

  #onAck(bytes: number): void {
    const isMeant = this.#memory.onAck(bytes) && (this.#reading?.paced !== true || this.#window.onAck(bytes, performance.now()))
    if (!isMeant) throw broken('What was acknowledged was not sent')
  }

  /** Waits for a request, an acknowledgement or the end. False when nothing comes within `timeoutMs`. */
  async #woken(timeoutMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#wake = () => { resolve(true) }
    const timer = setTimeout(() => { resolve(false) }, timeoutMs)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#wake = undefined
    }
  }

  async #serve(request: Request): Promise<void> {
    if (request.kind === 'ask') await this.#answerAsk(request)
    else if (request.kind === 'want') await this.#options.whileSending((isBusy) => this.#sendWanted(request.path, request.positions, isBusy))
  }

  async #answerAsk(request: Request & { kind: 'ask' }): Promise<void> {
    const { root, agreementId } = request
    this.#reading = undefined
    this.#window.rest()
    this.#memory.rest()
    const reason = await this.#options.refusal(root, agreementId)
    if (reason !== undefined) {
      await this.#frames.write(encodeControl({ kind: 'refused', reason }))
      return
    }
    const reading: Reading = { root, agreementId, paced: request.paced || this.#options.paced, children: new Map() }
    this.#reading = reading
    const ahead = await this.#blocksAhead(root, request.aheadBytes)
    if (request.aheadBytes > 0 && ahead.length === 0) {
      await this.#frames.write(encodeControl({ kind: 'refused', reason: 'absent' }))
      return
    }
    this.#together.push(encodeControl({ kind: 'accepted' }))
    for (const bytes of ahead) await this.#sendBlock(reading, bytes)
    this.#together.push(encodeControl({ kind: 'ahead-end' }))
    // a small result leaves as one packet
    await this.#sendTogether()
  }

  /** The first blocks in depth-first order, each address once, until the next would pass `maxBytes`; the root in any case. */
  async #blocksAhead(root: string, maxBytes: number): Promise<Uint8Array[]> {
    const blocks: Uint8Array[] = []
    if (maxBytes === 0) return blocks
    const seen = new Set([root])
    const open = [rootRef(root)]
    let sum = 0
    for (let ref = open.pop(); ref !== undefined && blocks.length < MAX_AHEAD_BLOCKS; ref = open.pop()) {
      const bytes = await this.#options.store.getBlock(ref.cid)
      if (bytes === undefined || (blocks.length > 0 && sum + bytes.byteLength > maxBytes)) break
      sum += bytes.byteLength
      blocks.push(bytes)
      const step = stepInto(ref, bytes)
      if (!step.ok) break
      if (step.value.kind === 'leaf') continue
      for (const child of step.value.children.toReversed()) {
        if (seen.has(child.cid)) continue
        seen.add(child.cid)
        open.push(child)
      }
    }
    return blocks
  }

  async #sendWanted(path: number[], positions: number[], isBusy: boolean): Promise<void> {
    const reading = this.#reading
    if (reading === undefined) throw broken('Blocks were asked for before their root')
    const children = await this.#childrenAt(reading, path)
    if (children !== undefined && positions.some((position) => position >= children.length)) throw broken('A block was asked for where its parent has none')
    // the next blocks are read and checked while one is sent
    const loading: Promise<Loaded>[] = []
    for (let index = 0, started = 0; index < positions.length; index++) {
      for (; started < positions.length && loading.length <= (isBusy ? 0 : LOAD_AHEAD); started++) {
        const loaded = this.#load(children?.[positions[started] ?? 0])
        loaded.catch(() => {})
        loading.push(loaded)
      }
      const { bytes, memory } = await loading.shift() ?? {}
      if (bytes === undefined) this.#together.push(encodeControl({ kind: 'not-here' }))
      else await this.#sendBlock(reading, bytes)
      if (memory !== undefined && !isBusy) this.#memory.lend(memory)
    }
    await this.#sendTogether()
    if (isBusy) this.#memory.dropSpares()
  }

  /** A block, and the memory of ours that it lies in, if it does. */
  async #load(child: DagRef | undefined): Promise<Loaded> {
    if (child === undefined) return {}
    const memory = this.#memory.take()
    const bytes = await this.#options.store.getBlock(child.cid, memory)
    if (bytes?.buffer === memory.buffer) return { bytes, memory }
    this.#memory.spare(memory)
    return { bytes }
  }

  /** The children of the node at `path` below the root, one link at a time; undefined when a node on the way is not here. */
  async #childrenAt(reading: Reading, path: number[]): Promise<DagRef[] | undefined> {
    let ref = rootRef(reading.root)
    for (let depth = 0; ; depth++) {
      const key = path.slice(0, depth).join('/')
      let children = reading.children.get(key)
      if (children === undefined) {
        const bytes = await this.#options.store.getBlock(ref.cid)
        if (bytes === undefined) return undefined
        const step = stepInto(ref, bytes)
        if (!step.ok || step.value.kind === 'leaf') throw broken('A path leads through something that is no node')
        children = step.value.children
      }
      // the node used last stands last
      reading.children.delete(key)
      reading.children.set(key, children)
      for (const oldest of reading.children.keys()) {
        if (reading.children.size <= MAX_REMEMBERED_NODES) break
        reading.children.delete(oldest)
      }
      const position = path[depth]
      if (position === undefined) return children
      const child = children[position]
      if (child === undefined) throw broken('A path leads where its node has no child')
      ref = child
    }
  }

  async #sendBlock(reading: Reading, bytes: Uint8Array): Promise<void> {
    this.#count(reading, bytes.byteLength)
    if (bytes.byteLength <= SMALL_BLOCK_BYTES) {
      await this.#mayLeave(reading.paced, bytes.byteLength)
      this.#together.push(Buffer.concat([LAST_PART_HEADER, bytes]))
      this.#togetherBytes += bytes.byteLength
      if (this.#togetherBytes >= TOGETHER_BYTES) await this.#sendTogether()
      return
    }
    await this.#sendTogether()
    for (let at = 0; at < bytes.byteLength;) {
      const part = bytes.subarray(at, at + (reading.paced ? Math.min(this.#window.partBytes, this.#options.cap.maxPartBytes) : bytes.byteLength))
      at += part.byteLength
      await this.#mayLeave(reading.paced, part.byteLength)
      await this.#frames.write([at < bytes.byteLength ? PART_HEADER : LAST_PART_HEADER, part])
    }
  }

  /** Sends the small frames that wait for company. */
  async #sendTogether(): Promise<void> {
    if (this.#together.length === 0) return
    const frames = this.#together
    this.#together = []
    this.#togetherBytes = 0
    await this.#frames.writeAll(frames)
  }

  async #mayLeave(paced: boolean, bytes: number): Promise<void> {
    this.#memory.onSent(bytes)
    const { cap } = this.#options
    const ticket = cap.take(bytes, performance.now())
    for (let waitMs = cap.waitMs(ticket, performance.now()); waitMs > 0 && this.#over === undefined; waitMs = cap.waitMs(ticket, performance.now())) {
      // what waits here has its turn already
      await this.#sendTogether()
      await sleep(Math.min(waitMs, CAP_LOOK_MS))
    }
    if (!paced) return
    while (!this.#window.mayHave(bytes)) {
      // what waits here would never be acknowledged
      await this.#sendTogether()
      if (this.#window.mayHave(bytes)) break
      if (this.#over !== undefined) throw this.#over.error ?? new WireError('E_STREAM_CLOSED', 'The reader ended before it acknowledged what it read')
      if (!await this.#woken(this.#options.stallTimeoutMs)) throw new WireError('E_FRAME_TIMEOUT', `Nothing was acknowledged within ${this.#options.stallTimeoutMs} ms`)
    }
    this.#window.onSent(bytes, performance.now())
  }

  #count(reading: Reading, bytes: number): void {
    if (!this.#options.onSent(reading.root, reading.agreementId, bytes)) throw new WireError('E_QUEUE_FULL', 'The peer has read its share of this hour')
  }
}
