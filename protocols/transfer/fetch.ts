import { formatSize } from '../../src/units.ts'
import { AHEAD_BYTES, MAX_BLOCKS, MAX_PARALLEL_SOURCES, MAX_PENDING_PUTS, PARALLEL_ABOVE_BYTES, PROGRESS_EVERY_MS, WINDOW_BLOCKS } from './constants.ts'
import { cidOfBlock, codecOfCid } from './content-id.ts'
import { rootRef, stepInto } from './dag-walk.ts'
import { codeOf, FetchFailure } from './fetch-types.ts'
import { expectedBytes, Frontier } from './frontier.ts'
import { SourceError } from './source-session.ts'
import type { DagStep } from './dag-walk.ts'
import type { FetchOutcome, FetchRequest, SourceReport } from './fetch-types.ts'
import type { Wanted } from './frontier.ts'
import type { BlockAnswer, SourceSession } from './source-session.ts'
import type { TransferHold, TransferStore } from './transfer-store.ts'
import type { PeerId } from '@libp2p/interface'

export interface FetchContext {
  store: TransferStore
  /** A stream to a source, kept from before or new. Rejects with a SourceError. */
  openSession: (peer: PeerId, options: { fresh: boolean }, signal: AbortSignal) => Promise<SourceSession>
  /** How much may be asked and not stored yet: less when many fetches run. */
  windowBytes: () => number
  /** Gives back a stream that is at rest. */
  keepSession: (peer: PeerId, session: SourceSession) => void
}

/** Nodes may take this much beside the content: theirs are a twenty-thousandth of an honest file, but a folder of tiny files has more node than content. */
const NODE_SHARE = 16
const NODE_BYTES = 1024 * 1024

type ReceivedBlock = BlockAnswer & { kind: 'block' }

/** One fetch: what is here is not asked for, what comes is verified before it is stored, and what one source fails to give another may. */
export class Fetch {
  readonly #context: FetchContext
  readonly #request: FetchRequest
  readonly #hold: TransferHold
  readonly #frontier = new Frontier()
  readonly #stop = new AbortController()
  readonly #reports = new Map<PeerId, SourceReport>()
  readonly #candidates: PeerId[]
  readonly #active = new Set<Promise<void>>()
  readonly #pendingPuts = new Set<Promise<void>>()
  #pendingPutBytes = 0
  #failure: FetchFailure | undefined
  #declaredBytes = 0
  #receivedBytes = 0
  #receivedBlocks = 0
  #leafBytes = 0
  #nodeBytes = 0
  #doneBytes = 0
  #totalBytes: number | undefined
  #toldMs = 0

  constructor(context: FetchContext, request: FetchRequest) {
    this.#context = context
    this.#request = request
    this.#candidates = [...request.from]
    this.#hold = context.store.hold()
  }

  async run(): Promise<FetchOutcome> {
    const { cid, signal, pinFor } = this.#request
    const onAbort = (): void => { this.#fail(new FetchFailure('E_TRANSFER_ABORTED', 'The transfer was given up', 'Start it again: what has come is not fetched twice')) }
    if (signal?.aborted === true) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      this.#frontier.addRoot(rootRef(cid))
      await this.#absorb()
      if (!this.#frontier.isDone) await this.#useSources()
      if (pinFor !== undefined) await this.#inStore(() => this.#context.store.pin(cid, pinFor))
      this.#tell(true)
      return { ok: true, cid, receivedBytes: this.#receivedBytes, receivedBlocks: this.#receivedBlocks, sources: [...this.#reports.values()] }
    } catch (err) {
      if (!(err instanceof FetchFailure)) throw err
      return { ok: false, cid, code: err.code, message: err.message, hint: err.hint, receivedBytes: this.#receivedBytes, sources: [...this.#reports.values()] }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#stop.abort()
      await Promise.all(this.#active)
      await Promise.all(this.#pendingPuts)
      this.#hold.release()
    }
  }

  #fail(failure: FetchFailure): void {
    this.#failure ??= failure
    this.#stop.abort()
    this.#frontier.notify()
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async #inStore<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      throw new FetchFailure('E_TRANSFER_STORE', `The store failed (${codeOf(err) ?? 'unknown'}): ${err instanceof Error ? err.message : String(err)}`, err instanceof Error && 'hint' in err && typeof err.hint === 'string' ? err.hint : 'Check the disk', { cause: err })
    }
  }

  /** Whether the store has it and it may be used; it is kept then. */
  #isHere(cid: string): boolean {
    return this.#request.mayUse?.(cid) !== false && this.#hold.has(cid)
  }

  /** Settles what the store has, from the next item on, down to the first that it lacks. */
  async #absorb(): Promise<void> {
    for (;;) {
      this.#throwIfFailed()
      const next = this.#frontier.peek()
      if (next === undefined || !this.#isHere(next.ref.cid)) return
      const wanted = this.#frontier.takeOne()
      if (wanted === undefined) return
      if (codecOfCid(wanted.ref.cid) === 'raw') {
        this.#doneBytes += wanted.ref.sizeBytes ?? 0
        this.#frontier.settle()
        continue
      }
      const bytes = await this.#inStore(() => this.#context.store.getBlock(wanted.ref.cid))
      // damaged on disk: the store has just dropped it, so the next look finds it missing
      if (bytes === undefined) {
        this.#frontier.giveBack([wanted])
        continue
      }
      this.#enter(wanted, this.#read(wanted, bytes))
      this.#frontier.settle()
    }
  }

  /** What a verified block says. A DAG that no honest importer made ends the fetch. */
  #read(wanted: Wanted, bytes: Uint8Array): DagStep {
    const step = stepInto(wanted.ref, bytes)
    if (!step.ok) throw new FetchFailure('E_TRANSFER_FORMAT', `${this.#request.cid} is not a file or folder that can be read: ${step.message}`, 'Ask its author to import it again')
    return step.value
  }

  /** Takes a node's children up. */
  #enter(wanted: Wanted, step: DagStep): void {
    if (step.kind === 'leaf') return
    const { maxBytes } = this.#request
    if (step.kind === 'file' && wanted.ref.role === 'entry') this.#declaredBytes += step.sizeBytes
    if (step.kind === 'file' && wanted.position === -1) this.#totalBytes = step.sizeBytes
    if (this.#declaredBytes > maxBytes) throw this.#tooLarge(this.#declaredBytes)
    const path = wanted.position === -1 ? [] : [...wanted.parentPath, wanted.position]
    if (!this.#frontier.addChildren(step.children, path)) throw new FetchFailure('E_TRANSFER_FORMAT', `${this.#request.cid} has more than ${MAX_BLOCKS} blocks`, 'Ask its author to divide it')
  }

  #tooLarge(bytes: number): FetchFailure {
    return new FetchFailure('E_TRANSFER_TOO_LARGE', `The content has at least ${formatSize(bytes)}, above the ${formatSize(this.#request.maxBytes)} allowed`, 'Allow more, or ask its author for less')
  }

  async #useSources(): Promise<void> {
    this.#startSource()
    while (!this.#frontier.isDone) {
      this.#throwIfFailed()
      // what came from a source that has ended since may still be on its way to the disk
      if (this.#active.size === 0 && this.#pendingPuts.size === 0 && !this.#startSource()) {
        throw new FetchFailure('E_TRANSFER_NO_SOURCE', `No source gave all of ${this.#request.cid} (${[...this.#reports.values()].map((report) => report.code ?? 'incomplete').join(', ') || 'none was named'})`, 'Try again when more peers that have it are online')
      }
      await this.#frontier.changed()
    }
    this.#throwIfFailed()
  }

  #startSource(): boolean {
    const peer = this.#candidates.shift()
    if (peer === undefined) return false
    const report = this.#reports.get(peer) ?? { peer, receivedBytes: 0, misbehaved: false }
    this.#reports.set(peer, report)
    delete report.code
    const running = this.#runSource(peer, report).finally(() => {
      this.#active.delete(running)
      this.#frontier.notify()
    })
    this.#active.add(running)
    return true
  }

  /** Reads from one source until nothing is left or it fails; never rejects. */
  async #runSource(peer: PeerId, report: SourceReport): Promise<void> {
    const before = report.receivedBytes
    const outstanding: Wanted[] = []
    let session: SourceSession | undefined
    try {
      const root = this.#frontier.peek()?.position === -1 ? this.#frontier.takeOne() : undefined
      if (root !== undefined) outstanding.push(root)
      const isAhead = root !== undefined
      session = await this.#context.openSession(peer, { fresh: false }, this.#stop.signal)
      if (!await this.#askRoot(session, isAhead)) {
        session.abort()
        session = await this.#context.openSession(peer, { fresh: true }, this.#stop.signal)
        await this.#askRoot(session, isAhead, true)
      }
      await this.#takeAhead(session, report, outstanding, isAhead)
      await this.#readOn(session, report, outstanding)
      this.#context.keepSession(peer, session)
    } catch (err) {
      session?.abort()
      this.#frontier.giveBack(outstanding)
      if (err instanceof FetchFailure) {
        this.#fail(err)
      } else if (err instanceof SourceError) {
        if (this.#stop.signal.aborted) return
        report.code = err.code
        report.misbehaved = err.code === 'E_SOURCE_LIED' || err.code === 'E_SOURCE_PROTOCOL'
        // a connection that broke after it had been of use is worth another try
        const isWorthIt = err.code === 'E_SOURCE_BROKE' || err.code === 'E_SOURCE_STALLED'
        if (isWorthIt && report.receivedBytes > before) this.#candidates.push(peer)
      } else {
        this.#fail(new FetchFailure('E_TRANSFER_STORE', `The transfer failed: ${err instanceof Error ? err.message : String(err)}`, 'This is a defect of Hearth: please report it with the steps that led here', { cause: err }))
      }
    }
  }

  /** Asks for the root, and for what follows it while nobody has sent it yet. False when a stream kept from before has gone meanwhile. */
  async #askRoot(session: SourceSession, isAhead: boolean, isFresh = false): Promise<boolean> {
    const { cid, agreementId = '', paced = false } = this.#request
    try {
      await session.ask(cid, { agreementId, aheadBytes: isAhead ? AHEAD_BYTES : 0, paced }, this.#stop.signal)
      return true
    } catch (err) {
      if (isFresh || this.#stop.signal.aborted || !(err instanceof SourceError) || err.code !== 'E_SOURCE_BROKE') throw err
      return false
    }
  }

  /** The source goes through the DAG in the order of the frontier, so what comes is what stands next there. */
  async #takeAhead(session: SourceSession, report: SourceReport, outstanding: Wanted[], isAsked: boolean): Promise<void> {
    const { signal } = this.#stop
    for (let answer = await session.next(signal); answer.kind !== 'ahead-end'; answer = await session.next(signal)) {
      if (answer.kind !== 'block' || !isAsked) throw new SourceError('E_SOURCE_PROTOCOL', 'The source sent ahead what was not asked')
      const wanted = outstanding.shift() ?? this.#frontier.takeOne()
      if (wanted === undefined) throw new SourceError('E_SOURCE_PROTOCOL', 'The source sent ahead more than there is')
      await this.#take(wanted, answer, report)
    }
    if (outstanding.length > 0) throw new SourceError('E_SOURCE_PROTOCOL', 'The source did not send the root')
  }

  async #readOn(session: SourceSession, report: SourceReport, outstanding: Wanted[]): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      this.#throwIfFailed()
      await this.#absorb()
      await this.#ask(session, outstanding)
      this.#helpOut()
      const wanted = outstanding[0]
      if (wanted === undefined) {
        if (this.#frontier.isDone) return
        if (this.#frontier.isEmpty) await this.#frontier.changed()
        continue
      }
      const answer = await session.next(signal)
      if (answer.kind === 'not-here') throw new SourceError('E_SOURCE_ABSENT', 'The source lacks a part of the content')
      if (answer.kind !== 'block') throw new SourceError('E_SOURCE_PROTOCOL', 'The source sent something instead of a block')
      outstanding.shift()
      await this.#take(wanted, answer, report)
    }
  }

  /** With much to come, a further source is read too. */
  #helpOut(): void {
    if (this.#active.size < MAX_PARALLEL_SOURCES && this.#frontier.openBytes > PARALLEL_ABOVE_BYTES) this.#startSource()
  }

  /** Fills the window. */
  async #ask(session: SourceSession, outstanding: Wanted[]): Promise<void> {
    for (;;) {
      const bytes = outstanding.reduce((sum, wanted) => sum + expectedBytes(wanted), 0)
      const windowBytes = this.#context.windowBytes()
      if (outstanding.length >= WINDOW_BLOCKS || (bytes >= windowBytes / 2 && outstanding.length > 0)) return
      const batch = this.#frontier.takeBatch(WINDOW_BLOCKS - outstanding.length, windowBytes - bytes, (wanted) => this.#isHere(wanted.ref.cid))
      const [first] = batch
      if (first === undefined) return
      outstanding.push(...batch)
      await session.want(first.parentPath, batch.map((wanted) => wanted.position), this.#stop.signal)
      await this.#absorb()
    }
  }

  /** Verifies, reads and stores one block. The caller has taken `wanted`; here it is settled or given back. */
  async #take(wanted: Wanted, { bytes, recycle }: ReceivedBlock, report: SourceReport): Promise<void> {
    const codec = codecOfCid(wanted.ref.cid)
    try {
      if (cidOfBlock(codec, bytes) !== wanted.ref.cid) throw new SourceError('E_SOURCE_LIED', 'The source sent other bytes than the address says')
      this.#countBlock(codec === 'raw', bytes.byteLength, report)
      this.#request.onBlock?.(wanted.ref.cid)
      this.#enter(wanted, this.#read(wanted, bytes))
      // what is here, and only asked for again, takes no more room
      if (this.#totalBytes !== undefined && wanted.position === -1 && !this.#hold.has(wanted.ref.cid)) await this.#inStore(() => this.#hold.assertRoomFor(this.#totalBytes ?? 0))
    } catch (err) {
      this.#frontier.giveBack([wanted])
      throw err
    }
    await this.#put(wanted, bytes, recycle)
  }

  #countBlock(isLeaf: boolean, bytes: number, report: SourceReport): void {
    const { maxBytes } = this.#request
    this.#receivedBytes += bytes
    this.#receivedBlocks++
    report.receivedBytes += bytes
    if (isLeaf) this.#leafBytes += bytes
    else this.#nodeBytes += bytes
    if (isLeaf) this.#doneBytes += bytes
    if (this.#leafBytes > maxBytes) throw this.#tooLarge(this.#leafBytes)
    if (this.#nodeBytes > maxBytes / NODE_SHARE + NODE_BYTES) throw this.#tooLarge(this.#nodeBytes)
    this.#tell(false)
  }

  /** Stores a verified block while others come: resolves when there is room for the next. */
  async #put(wanted: Wanted, bytes: Uint8Array, recycle: () => void): Promise<void> {
    const putting = this.#inStore(() => this.#hold.put(wanted.ref.cid, bytes)).then(() => { this.#frontier.settle() }, (err: unknown) => {
      this.#frontier.giveBack([wanted])
      if (err instanceof FetchFailure) this.#fail(err)
    }).finally(() => {
      this.#pendingPuts.delete(putting)
      this.#pendingPutBytes -= bytes.byteLength
      recycle()
      this.#frontier.notify()
    })
    this.#pendingPuts.add(putting)
    this.#pendingPutBytes += bytes.byteLength
    while (this.#pendingPuts.size >= MAX_PENDING_PUTS || this.#pendingPutBytes >= this.#context.windowBytes()) await Promise.race(this.#pendingPuts)
  }

  #tell(isLast: boolean): void {
    const { onProgress } = this.#request
    const nowMs = performance.now()
    if (onProgress === undefined || (!isLast && nowMs - this.#toldMs < PROGRESS_EVERY_MS)) return
    this.#toldMs = nowMs
    onProgress({ receivedBytes: this.#receivedBytes, doneBytes: this.#doneBytes, totalBytes: this.#totalBytes })
  }
}
