/** Blocks that one transfer works with: what it has seen or stored stays until it lets go. */
export interface TransferHold {
  /** Whether the block is here; it is kept then. */
  has(cid: string): boolean
  /** Stores a block and keeps it. The caller has verified that the bytes are the block's; they are its own again when this resolves. */
  put(cid: string, bytes: Uint8Array): Promise<void>
  /** Throws when the store cannot take this much more. */
  assertRoomFor(bytes: number): Promise<void>
  release(): void
}

/** What the transfer protocol needs of the content store. */
export interface TransferStore {
  /**
   * A block's bytes, verified, or undefined when it is not here. They are not changed by whoever gets them. A large block may be read
   * into `memory`, which has room for the largest; the bytes then are a part of it.
   */
  getBlock(cid: string, memory?: Uint8Array): Promise<Uint8Array | undefined>
  hold(): TransferHold
  /** Keeps a complete DAG for an owner. */
  pin(cid: string, owner: string): Promise<void>
}
