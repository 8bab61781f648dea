/** What the work of a node needs of the content store and of transfer; the real ones are given by create-node. */
export interface ContentPort {
  stat(cid: string): Promise<{ kind: 'file' | 'folder', sizeBytes: number } | undefined>
  list(cid: string): Promise<{ path: string, cid: string, sizeBytes: number }[]>
  readFile(cid: string, options: { maxBytes: number }): Promise<Uint8Array>
  export(cid: string, destPath: string, options?: { signal?: AbortSignal }): Promise<unknown>
  importTree(entries: readonly ({ path: string, hostPath: string } | { path: string, bytes: Uint8Array })[], options: { pinFor: string }): Promise<{ cid: string, sizeBytes: number }>
  unpin(cid: string, owner: string): Promise<void> | void
}

export interface FetchRequest {
  cid: string
  from: string[]
  agreementId: string
  maxBytes: number
  /** Keeps the content for this owner from the first block on. */
  pinFor: string
  /** Whether a block that is in the store may be used though nobody of `from` gave it; all may when left out. */
  mayUse?: (cid: string) => boolean
  /** A block has come from one of them, verified. */
  onBlock?: (cid: string) => void
  onProgress?: (done: { bytes: number, totalBytes?: number | undefined }) => void
  signal?: AbortSignal
}

/** Brings a whole DAG into the store, every block checked. */
export type FetchContent = (request: FetchRequest) => Promise<void>
