import type { YamuxMuxerInit } from '@libp2p/yamux'

/** The bounds of one stream of frames. */
export interface FrameLimits {
  /** The largest body accepted, in bytes. Checked when the prefix arrives, before the body is read. */
  maxFrameBytes: number
  /** The largest body sent where it is another; `maxFrameBytes` when left out. */
  maxSentFrameBytes?: number
  /** From the first byte of a frame to its last. A peer that drips bytes runs into it. */
  readTimeoutMs: number
  /** How long one write may wait for the remote to take it. */
  writeTimeoutMs: number
  /** How long a read waits for a frame to begin; `readTimeoutMs` when left out. */
  idleTimeoutMs?: number
}

/** No protocol may set `maxFrameBytes` above this: a paused stream still holds one frame and one window. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024

/** While a whole frame waits unread, at most about this much more is read ahead before the remote is told to stop. */
export const READ_AHEAD_BYTES = 256 * 1024

/** At most this many writes of one stream may wait for each other: the backstop against a caller that does not await. */
export const MAX_WAITING_WRITES = 64

/** What a stream's first window is in the yamux specification. A peer that assumes another one breaks the connection (trap 5). */
const INITIAL_STREAM_WINDOW_BYTES = 256 * 1024

/** The window may grow to this. It must stay below the read buffer, or pausing aborts the stream (trap 4). */
const MAX_STREAM_WINDOW_BYTES = 2 * 1024 * 1024

/** What libp2p holds of a paused stream before it aborts it: the largest window twice over. */
const MAX_READ_BUFFER_BYTES = 2 * MAX_STREAM_WINDOW_BYTES

/** Every node must create its muxer with these: `yamux(yamuxOptions)`. */
export const yamuxOptions = Object.freeze({
  streamOptions: Object.freeze({
    initialStreamWindowSize: INITIAL_STREAM_WINDOW_BYTES,
    maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES,
    maxReadBufferLength: MAX_READ_BUFFER_BYTES
  })
}) satisfies YamuxMuxerInit
