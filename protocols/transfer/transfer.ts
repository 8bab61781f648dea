import { handleFrames, openFrames, toWireError } from '../wire/index.ts'
import {
  KEEP_STREAM_MS, MANY_READERS, MAX_ANSWER_BYTES, MAX_FETCHES, MAX_KEPT_STREAMS, MAX_PEER_BYTES_PER_HOUR, MAX_READER_STREAMS, MAX_REQUEST_BYTES,
  MAX_STREAMS_PER_PEER, OPEN_TIMEOUT_MS, PROGRESS_EVERY_MS, STALL_TIMEOUT_MS, TRANSFER_PROTOCOL, WINDOW_BYTES
} from './constants.ts'
import { isContentCid } from './content-id.ts'
import { MAX_LEAF_BYTES } from './dag-node.ts'
import { Fetch } from './fetch.ts'
import { UploadCap } from './pacer.ts'
import { PeerShares } from './peer-shares.ts'
import { ServeSession } from './serve-session.ts'
import { SourceError, SourceSession } from './source-session.ts'
import type { FrameLimits, HandledProtocol, StreamDialer, StreamRegistrar } from '../wire/index.ts'
import type { FetchOutcome, FetchRequest } from './fetch-types.ts'
import type { RefusalReason } from './messages.ts'
import type { TransferStore } from './transfer-store.ts'
import type { PeerId } from '@libp2p/interface'

export interface ServedProgress {
  peer: PeerId
  cid: string
  agreementId: string
  /** Of this root to this peer, since it was last told. */
  sentBytes: number
}

export interface TransferOptions {
  network: StreamDialer & StreamRegistrar
  store: TransferStore
  /**
   * Whether `peer` may read the root `cid` under an agreement (`''`: it named none). What hangs below an allowed root may be read with it,
   * and nothing else. Asked once a root and stream.
   */
  authorize: (request: { peer: PeerId, cid: string, agreementId: string }) => boolean | Promise<boolean>
  /** Sends in small parts that do not delay the rest of the connection, whether readers ask for it or not. Default true. */
  paced?: boolean
  /** The owner's cap on what all readers together may take, until `limitUpload`; none when left out. */
  uploadBytesPerSecond?: number
  /** What one peer may read in an hour; 256 GiB when left out. */
  maxPeerBytesPerHour?: number
  /** Without a byte for this long, a source or a reader is given up; 30 s when left out. A block may take twice that. */
  stallTimeoutMs?: number
  /** Told about every 100 ms of what is being read, and at the end of each stream. */
  onServed?: (progress: ServedProgress) => void
  /** A source that lied, or a peer on either side that broke the protocol: its own doing beyond doubt. */
  onMisconduct?: (misconduct: Misconduct) => void
}

export interface Misconduct {
  peer: PeerId
  code: 'E_SOURCE_LIED' | 'E_SOURCE_PROTOCOL' | 'E_READER_PROTOCOL'
  message: string
}

/** Only the source sends large frames. */
function clientLimits(stallTimeoutMs: number): FrameLimits {
  return { maxFrameBytes: MAX_ANSWER_BYTES, maxSentFrameBytes: MAX_REQUEST_BYTES, readTimeoutMs: 2 * stallTimeoutMs, idleTimeoutMs: stallTimeoutMs, writeTimeoutMs: stallTimeoutMs }
}

/** How long a stream may rest is the session's to decide. */
function sourceLimits(stallTimeoutMs: number): FrameLimits {
  return { maxFrameBytes: MAX_REQUEST_BYTES, maxSentFrameBytes: MAX_ANSWER_BYTES, readTimeoutMs: stallTimeoutMs, idleTimeoutMs: Number.POSITIVE_INFINITY, writeTimeoutMs: stallTimeoutMs }
}

interface Kept {
  session: SourceSession
  timer: NodeJS.Timeout
}

/** Brings content of others into the store, and serves what is in it to those who may read it. */
export class Transfer {
  readonly #options: TransferOptions
  readonly #stallTimeoutMs: number
  readonly #cap: UploadCap
  readonly #shares: PeerShares
  /** Streams at rest, by peer, for the next fetch. */
  readonly #kept = new Map<string, Kept[]>()
  #keptStreams = 0
  /** Fetches of one address follow each other: the later one finds what the earlier one brought. */
  readonly #running = new Map<string, Promise<unknown>>()
  #fetches = 0
  /** Fetches that wait for one of the others to end. */
  readonly #waiting: (() => void)[] = []
  /** Readers being sent blocks now. */
  #serving = 0
  readonly #stop = new AbortController()
  #handled: HandledProtocol | undefined

  private constructor(options: TransferOptions) {
    this.#options = options
    this.#stallTimeoutMs = options.stallTimeoutMs ?? STALL_TIMEOUT_MS
    this.#cap = new UploadCap(options.uploadBytesPerSecond, performance.now())
    this.#shares = new PeerShares(options.maxPeerBytesPerHour ?? MAX_PEER_BYTES_PER_HOUR)
  }

  /** Begins to serve. */
  static async start(options: TransferOptions): Promise<Transfer> {
    const transfer = new Transfer(options)
    transfer.#handled = await handleFrames(options.network, TRANSFER_PROTOCOL, sourceLimits(transfer.#stallTimeoutMs), async (frames, peer) => {
      const told = transfer.#teller(peer)
      try {
        await new ServeSession(frames, {
          store: options.store,
          refusal: (root, agreementId) => transfer.#refusal(peer, root, agreementId),
          paced: options.paced ?? true,
          cap: transfer.#cap,
          stallTimeoutMs: transfer.#stallTimeoutMs,
          whileSending: async (work) => {
            transfer.#serving++
            try {
              await work(transfer.#serving > MANY_READERS)
            } finally {
              transfer.#serving--
            }
          },
          onSent: (root, agreementId, bytes) => {
            told.add(root, agreementId, bytes)
            return transfer.#shares.take(peer.toString(), bytes, performance.now())
          }
        }).run()
      } finally {
        told.flush()
      }
    }, {
      maxStreamsPerPeer: MAX_STREAMS_PER_PEER, maxStreams: MAX_READER_STREAMS,
      onError: ({ code, message }, peer) => { if (code === 'E_FRAME_MALFORMED' || code === 'E_FRAME_SIZE') options.onMisconduct?.({ peer, code: 'E_READER_PROTOCOL', message }) }
    })
    return transfer
  }

  /** The owner's cap from now on, also for what is being sent; undefined: none. */
  limitUpload(bytesPerSecond: number | undefined): void {
    this.#cap.setRate(bytesPerSecond, performance.now())
  }

  /** Ends every stream; fetches under way end with E_TRANSFER_ABORTED. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#handled?.stop()
    const kept = [...this.#kept.values()].flat()
    this.#kept.clear()
    this.#keptStreams = 0
    for (const { session, timer } of kept) {
      clearTimeout(timer)
      session.abort()
    }
    await Promise.allSettled(this.#running.values())
  }

  /**
   * Brings a file or folder into the store, whole and verified. What is there already, also from a fetch that was broken off, is not asked
   * for again. Never rejects: failures, and what each source did, stand in the outcome.
   */
  async fetchContent(request: FetchRequest): Promise<FetchOutcome> {
    const { cid } = request
    if (!isContentCid(cid)) return { ok: false, cid, code: 'E_TRANSFER_CID', message: `"${cid.slice(0, 100)}" is not a content address of Hearth`, hint: 'It must be a CIDv1 in base32 of raw or dag-pb content by SHA-256', receivedBytes: 0, sources: [] }
    const signal = request.signal === undefined ? this.#stop.signal : AbortSignal.any([this.#stop.signal, request.signal])
    const before = this.#running.get(cid)
    const running = (async () => {
      await orAborted(before, signal)
      if (this.#fetches >= MAX_FETCHES) await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
      this.#fetches++
      const outcome = await new Fetch({
        store: this.#options.store,
        windowBytes: () => Math.max(MAX_LEAF_BYTES, Math.floor(2 * WINDOW_BYTES / Math.max(2, this.#fetches))),
        openSession: (peer, options, fetchSignal) => this.#openSession(peer, options.fresh, fetchSignal),
        keepSession: (peer, session) => { this.#keepSession(peer, session) }
      }, { ...request, signal }).run().finally(() => {
        this.#fetches--
        this.#waiting.shift()?.()
      })
      this.#report(outcome)
      return outcome
    })()
    const settled = running.then(() => {}, () => {}).then(() => {
      if (this.#running.get(cid) === settled) this.#running.delete(cid)
    })
    this.#running.set(cid, settled)
    return running
  }

  #report({ cid, sources }: FetchOutcome): void {
    for (const { peer, code } of sources) {
      if (code === 'E_SOURCE_LIED' || code === 'E_SOURCE_PROTOCOL') this.#options.onMisconduct?.({ peer, code, message: `while ${cid} was read from it` })
    }
  }

  async #refusal(peer: PeerId, cid: string, agreementId: string): Promise<RefusalReason | undefined> {
    if (this.#shares.isSpent(peer.toString(), performance.now())) return 'busy'
    return await this.#options.authorize({ peer, cid, agreementId }) ? undefined : 'refused'
  }

  async #openSession(peer: PeerId, fresh: boolean, signal: AbortSignal): Promise<SourceSession> {
    const kept = fresh ? undefined : this.#takeKept(peer)
    if (kept !== undefined) return kept
    try {
      return new SourceSession(2 * this.#stallTimeoutMs, await openFrames(this.#options.network, peer, TRANSFER_PROTOCOL, clientLimits(this.#stallTimeoutMs), AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)])))
    } catch (err) {
      throw new SourceError('E_SOURCE_UNREACHABLE', toWireError(err, 'E_STREAM_OPEN').message, { cause: err })
    }
  }

  #takeKept(peer: PeerId): SourceSession | undefined {
    const key = peer.toString()
    const kept = this.#kept.get(key) ?? []
    for (let last = kept.pop(); last !== undefined; last = kept.pop()) {
      this.#keptStreams--
      clearTimeout(last.timer)
      if (kept.length === 0) this.#kept.delete(key)
      if (!last.session.closed) return last.session
    }
    return undefined
  }

  #keepSession(peer: PeerId, session: SourceSession): void {
    if (this.#stop.signal.aborted || this.#keptStreams >= MAX_KEPT_STREAMS || session.closed) {
      void session.close()
      return
    }
    session.rest()
    const key = peer.toString()
    const kept = this.#kept.get(key) ?? []
    const timer = setTimeout(() => {
      const at = kept.findIndex((candidate) => candidate.session === session)
      if (at === -1) return
      kept.splice(at, 1)
      this.#keptStreams--
      if (kept.length === 0) this.#kept.delete(key)
      void session.close()
    }, KEEP_STREAM_MS)
    timer.unref()
    kept.push({ session, timer })
    this.#kept.set(key, kept)
    this.#keptStreams++
  }

  /** Gathers what one stream sends, to be told now and then. */
  #teller(peer: PeerId): { add: (cid: string, agreementId: string, bytes: number) => void, flush: () => void } {
    const { onServed } = this.#options
    let progress: ServedProgress | undefined
    let toldMs = 0
    const flush = (): void => {
      if (progress !== undefined && progress.sentBytes > 0) onServed?.(progress)
      progress = undefined
      toldMs = performance.now()
    }
    return {
      add(cid, agreementId, sentBytes) {
        if (progress?.cid === cid && progress.agreementId === agreementId) {
          progress.sentBytes += sentBytes
        } else {
          flush()
          progress = { peer, cid, agreementId, sentBytes }
        }
        if (performance.now() - toldMs > PROGRESS_EVERY_MS) flush()
      },
      flush
    }
  }
}

/** Resolves with `work`, or as soon as `signal` fires. */
async function orAborted(work: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
  if (work === undefined || signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const onAbort = (): void => { resolve() }
  signal.addEventListener('abort', onAbort, { once: true })
  await Promise.race([work, promise])
  signal.removeEventListener('abort', onAbort)
}
