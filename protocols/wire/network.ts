import { toWireError, WireError } from './errors.ts'
import { FrameStream } from './frame-stream.ts'
import type { FrameLimits } from './limits.ts'
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'

/** What opening a stream needs of a libp2p node. */
export type StreamDialer = Pick<Libp2p, 'dialProtocol'>

/** What answering streams needs of a libp2p node. */
export type StreamRegistrar = Pick<Libp2p, 'handle' | 'unhandle'>

/** Streams one node may have open at once to one peer in one protocol. libp2p's own bound, stated. */
const MAX_OUTBOUND_STREAMS = 64

/** Streams of one protocol over all peers, unless the protocol says otherwise. */
const DEFAULT_MAX_STREAMS = 1024

/**
 * Opens a stream to `peer`, dialling where no connection exists, also over a relay.
 * Rejects with a WireError: E_STREAM_OPEN when the peer cannot be reached or does not speak the protocol, E_WIRE_ABORTED.
 */
export async function openFrames(network: StreamDialer, peer: PeerId, protocolId: string, limits: FrameLimits, signal: AbortSignal): Promise<FrameStream> {
  try {
    const stream = await network.dialProtocol(peer, protocolId, { signal, runOnLimitedConnection: true, maxOutboundStreams: MAX_OUTBOUND_STREAMS })
    return new FrameStream(stream, limits, peer)
  } catch (err) {
    if (signal.aborted) throw new WireError('E_WIRE_ABORTED', 'Opening the stream was given up', { cause: signal.reason })
    throw toWireError(err, 'E_STREAM_OPEN')
  }
}

export interface HandleOptions {
  /** Streams of this protocol one peer may have open here at once, over all its connections. More are reset. */
  maxStreamsPerPeer: number
  /** The same over all peers; 1024 when left out. */
  maxStreams?: number
  /** Told of what a handler threw, and of refused streams: for logs and metrics. */
  onError?: (err: WireError, peer: PeerId) => void
}

/** Serves one stream: when it resolves the stream is closed, when it rejects it is reset. */
export type FrameHandler = (frames: FrameStream, peer: PeerId, connection: Connection) => Promise<void>

export interface HandledProtocol {
  /** Streams being served now. */
  readonly streams: number
  /** Takes no more streams and resets those being served. */
  stop(): Promise<void>
}

/** Answers `protocolId`. A handler that fails resets its own stream and nothing else. */
export async function handleFrames(network: StreamRegistrar, protocolId: string, limits: FrameLimits, handler: FrameHandler, options: HandleOptions): Promise<HandledProtocol> {
  const live = new Set<FrameStream>()
  const perPeer = new Map<string, number>()
  const maxStreams = options.maxStreams ?? DEFAULT_MAX_STREAMS

  const serve = async (frames: FrameStream, peer: PeerId, connection: Connection): Promise<void> => {
    const key = peer.toString()
    const open = perPeer.get(key) ?? 0
    if (open >= options.maxStreamsPerPeer || live.size >= maxStreams) {
      const err = new WireError('E_QUEUE_FULL', `The peer has ${open} streams of ${protocolId} open, and all peers ${live.size}`)
      frames.abort(err)
      options.onError?.(err, peer)
      return
    }
    perPeer.set(key, open + 1)
    live.add(frames)
    try {
      await handler(frames, peer, connection)
      await frames.close()
    } catch (err) {
      const wireError = toWireError(err, 'E_STREAM_CLOSED')
      frames.abort(wireError)
      options.onError?.(wireError, peer)
    } finally {
      live.delete(frames)
      const left = (perPeer.get(key) ?? 1) - 1
      if (left === 0) perPeer.delete(key)
      else perPeer.set(key, left)
    }
  }

  await network.handle(protocolId, (stream, connection) => serve(new FrameStream(stream, limits, connection.remotePeer), connection.remotePeer, connection), {
    // one more than allowed, so that it is this function that counts, over all connections, and says why
    maxInboundStreams: options.maxStreamsPerPeer + 1,
    maxOutboundStreams: MAX_OUTBOUND_STREAMS,
    runOnLimitedConnection: true
  })
  return {
    get streams() { return live.size },
    async stop() {
      await network.unhandle(protocolId)
      for (const frames of live) frames.abort(new WireError('E_STREAM_CLOSED', 'The node is stopping'))
    }
  }
}

export interface RequestOptions {
  limits: FrameLimits
  /** For everything together: dialling, asking and the whole answer. */
  timeoutMs: number
  signal?: AbortSignal
}

/**
 * Sends one frame and returns the one frame that comes back.
 * Rejects with a WireError: E_FRAME_TIMEOUT after `timeoutMs`, E_STREAM_CLOSED when the remote ends without an answer, and those of `openFrames`.
 */
export async function requestResponse(network: StreamDialer, peer: PeerId, protocolId: string, request: Uint8Array, { limits, timeoutMs, signal }: RequestOptions): Promise<Uint8Array> {
  const deadline = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
  let frames: FrameStream | undefined
  try {
    frames = await openFrames(network, peer, protocolId, limits, either)
    await frames.write(request, either)
    const response = await frames.read(either)
    if (response === undefined) throw new WireError('E_STREAM_CLOSED', 'The remote ended the stream without an answer')
    void frames.close()
    return response
  } catch (err) {
    const failure = deadline.aborted && signal?.aborted !== true
      ? new WireError('E_FRAME_TIMEOUT', `No answer within ${timeoutMs} ms`, { cause: err })
      : toWireError(err, 'E_STREAM_CLOSED')
    frames?.abort(failure)
    throw failure
  }
}
