/** What can go wrong on a stream of frames. Peers cause most of these, so callers branch on the code, never on the text. */
export type WireErrorCode =
  /** A frame announced more bytes than the limit, or an empty list of parts was too large to send. The stream was aborted before the body was read. */
  | 'E_FRAME_SIZE'
  /** The remote sent nothing, half a frame, or read nothing, for longer than the limit. The stream was aborted. */
  | 'E_FRAME_TIMEOUT'
  /** The remote ended its side inside a frame. */
  | 'E_FRAME_TRUNCATED'
  /** The length prefix is not the shortest form, or longer than any allowed length. The stream was aborted. */
  | 'E_FRAME_MALFORMED'
  /** The stream, its connection or this end of it is closed. */
  | 'E_STREAM_CLOSED'
  /** The remote reset the stream: it refused, failed or crashed. */
  | 'E_STREAM_RESET'
  /** The peer could not be reached, or does not speak the protocol. */
  | 'E_STREAM_OPEN'
  /** The caller's signal fired. */
  | 'E_WIRE_ABORTED'
  /** More is queued to this peer than the limit. */
  | 'E_QUEUE_FULL'

/** A failure of one stream. It never concerns other streams of the same connection. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly code: WireErrorCode

  constructor(code: WireErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Wraps what libp2p threw, unless it is a WireError already. */
export function toWireError(err: unknown, code: WireErrorCode): WireError {
  if (err instanceof WireError) return err
  return new WireError(code, err instanceof Error ? err.message : String(err), { cause: err })
}
