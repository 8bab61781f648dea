import type { ErrorCode } from '../../src/errors.ts'
import type { SourceCode } from './source-session.ts'
import type { PeerId } from '@libp2p/interface'

export interface FetchProgress {
  /** Bytes of blocks that came over the network. */
  receivedBytes: number
  /** Bytes of the content had so far, those found in the store included where their size is known. */
  doneBytes: number
  /** Known once the root of a file has been read. */
  totalBytes: number | undefined
}

export interface FetchRequest {
  cid: string
  /** Tried in this order; large content is read from up to three at once. */
  from: readonly PeerId[]
  /** Under which the sources allow it; `''` where none is needed. */
  agreementId?: string
  /** Of the content's files. Their nodes may take a sixteenth and 1 MiB more. */
  maxBytes: number
  /** Pins the content for this owner before anything could evict it. */
  pinFor?: string
  /** Asks the sources to send in small parts, so that little else on the connection is delayed. They may do so unasked. */
  paced?: boolean
  /** Whether a block that is in the store may be used though no source of this fetch gave it; all may when left out. */
  mayUse?: (cid: string) => boolean
  /** A block has come from a source, verified. Called before it is stored. */
  onBlock?: (cid: string) => void
  onProgress?: (progress: FetchProgress) => void
  signal?: AbortSignal
}

/** What became of one source. */
export interface SourceReport {
  peer: PeerId
  receivedBytes: number
  /** Why it was given up, if it was. */
  code?: SourceCode
  /** Whether that was its own doing beyond doubt: it lied, or broke the protocol. */
  misbehaved: boolean
}

export type FetchCode =
  /** No source had all of it, or all failed. `sources` says why, one by one. */
  | 'E_TRANSFER_NO_SOURCE'
  | 'E_TRANSFER_TOO_LARGE'
  /** The content itself is not a file or folder that Hearth reads: no other source will help. */
  | 'E_TRANSFER_FORMAT'
  /** The store could not take it: the code of its own error stands in the message. */
  | 'E_TRANSFER_STORE'
  | 'E_TRANSFER_ABORTED'
  | 'E_TRANSFER_CID'

export type FetchOutcome =
  | { ok: true, cid: string, receivedBytes: number, receivedBlocks: number, sources: SourceReport[] }
  | { ok: false, cid: string, code: FetchCode, message: string, hint: string, receivedBytes: number, sources: SourceReport[] }

/** Ends a fetch as a whole: no other source would change it. */
export class FetchFailure extends Error {
  override readonly name = 'FetchFailure'
  readonly code: FetchCode
  readonly hint: string

  constructor(code: FetchCode, message: string, hint: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.hint = hint
  }
}

/** The code of an error of the store, or undefined. */
export function codeOf(err: unknown): ErrorCode | undefined {
  const code = err instanceof Error && 'code' in err ? err.code : undefined
  return typeof code === 'string' && code.startsWith('E_') ? `E_${code.slice(2)}` : undefined
}
