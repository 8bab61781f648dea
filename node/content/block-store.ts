import { join } from 'node:path'
import { Level } from 'level'
import { cidOfBlock, codecOfCid, isContentCid } from '../../protocols/transfer/content-id.ts'
import { MAX_LEAF_BYTES } from '../../protocols/transfer/dag-node.ts'
import { HearthError } from '../../src/errors.ts'
import { BlockCache } from './block-cache.ts'
import { BlockFiles } from './block-files.ts'
import { BlockIndex } from './block-index.ts'
import { badCid, diskFull, fromDisk, quota } from './errors.ts'
import { BLOCK_CACHE_BYTES, EVICT_TO, INLINE_BLOCK_BYTES, MIN_FREE_DISK_BYTES } from './limits.ts'

export interface BlockStoreOptions {
  dir: string
  /** All blocks together. */
  quotaBytes: number
  /** Left free on the disk; 256 MiB when left out. */
  minFreeDiskBytes?: number
}

/** `b!CID`: the bytes of a small block. `m!CID`: size, last use, whether small. `p!CID!OWNER`: a pin. */
const BLOCK = 'b!'
const META = 'm!'
const PIN = 'p!'
const META_BYTES = 13
/** Records put off at most. */
const MAX_LATER = 256
const CID_CHARS = 59

type Operation = { type: 'put', key: string, value: Uint8Array } | { type: 'del', key: string }

function encodeMeta(sizeBytes: number, lastUseMs: number, inline: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(META_BYTES))
  view.setUint32(0, sizeBytes)
  view.setFloat64(4, lastUseMs)
  view.setUint8(12, inline ? 1 : 0)
  return new Uint8Array(view.buffer)
}

function decodeMeta(raw: Uint8Array): { sizeBytes: number, lastUseMs: number, inline: boolean } | undefined {
  if (raw.byteLength !== META_BYTES) return undefined
  const view = new DataView(raw.buffer, raw.byteOffset)
  return { sizeBytes: view.getUint32(0), lastUseMs: view.getFloat64(4), inline: view.getUint8(12) === 1 }
}

/**
 * Blocks by address, each verified when it comes in and again when it is read, under a quota. Small ones live in a database,
 * larger ones as files; which are here is known in memory. Blocks that nothing needs leave in the order of their last use.
 */
export class BlockStore {
  readonly index = new BlockIndex()
  readonly #options: Required<BlockStoreOptions>
  readonly #db: Level<string, Uint8Array>
  readonly #files: BlockFiles
  readonly #cache = new BlockCache(BLOCK_CACHE_BYTES)
  /** Blocks being written or deleted: whoever wants the same one waits for it. */
  readonly #busy = new Map<string, Promise<void>>()
  /** Database operations of this turn, written as one batch. */
  #batch: Operation[] = []
  /** Records of files, written along with the next batch: a file is found again without its record, so nobody waits for it. */
  #later: Operation[] = []
  #batchWrite: Promise<void> | undefined
  #reservedBytes = 0
  #closed = false

  private constructor(options: BlockStoreOptions, db: Level<string, Uint8Array>, files: BlockFiles) {
    this.#options = { minFreeDiskBytes: MIN_FREE_DISK_BYTES, ...options }
    this.#db = db
    this.#files = files
  }

  static async open(options: BlockStoreOptions): Promise<BlockStore> {
    const files = await BlockFiles.open(options.dir)
    const db = new Level<string, Uint8Array>(join(options.dir, 'index'), { valueEncoding: 'view' })
    try {
      await db.open()
    } catch (err) {
      const isLocked = err instanceof Error && err.cause instanceof Error && 'code' in err.cause && err.cause.code === 'LEVEL_LOCKED'
      if (isLocked) throw new HearthError('E_CONTENT_LOCKED', `Another node uses ${options.dir}`, 'Stop it, or give this one another data folder', { cause: err })
      throw fromDisk(err, options.dir)
    }
    const store = new BlockStore(options, db, files)
    await store.#load()
    return store
  }

  /** What the database knows and the folder holds; what only one of them has is dropped or taken in. */
  async #load(): Promise<void> {
    const known: [string, { sizeBytes: number, lastUseMs: number, inline: boolean }][] = []
    for await (const [key, raw] of this.#db.iterator({ gte: META, lt: `${META}~` })) {
      const meta = decodeMeta(raw)
      if (meta !== undefined) known.push([key.slice(META.length), meta])
    }
    const unknownFiles = new Set(await this.#files.list())
    const kept = known.filter(([cid, meta]) => meta.inline || unknownFiles.delete(cid))
    const found = [...unknownFiles]
    for (const [i, stat] of (await this.#files.statAll(found)).entries()) {
      const cid = found[i]
      if (cid !== undefined && stat !== undefined) kept.push([cid, { sizeBytes: stat.sizeBytes, lastUseMs: stat.changedMs, inline: false }])
    }
    kept.sort((a, b) => a[1].lastUseMs - b[1].lastUseMs)
    for (const [cid, meta] of kept) this.index.add(cid, { ...meta, touched: false })
  }

  has(cid: string): boolean {
    return this.index.get(cid) !== undefined
  }

  get quotaBytes(): number {
    return this.#options.quotaBytes
  }

  /** The block's bytes, verified, in `memory` if it lies in a file; undefined when it is not here. One that is damaged on disk is dropped, and is not here. */
  async read(cid: string, memory?: Uint8Array): Promise<Uint8Array | undefined> {
    this.#assertOpen()
    await this.#busy.get(cid)
    const entry = this.index.get(cid)
    if (entry === undefined) return undefined
    this.index.touch(cid, Date.now())
    const cached = this.#cache.get(cid)
    if (cached !== undefined) return cached
    const bytes = entry.inline ? await this.#readInline(cid) : await this.#readFile(cid, entry.sizeBytes, memory)
    if (bytes !== undefined) {
      // the caller's memory will hold another block soon
      if (entry.inline || codecOfCid(cid) === 'dag-pb') this.#cache.add(cid, bytes.buffer === memory?.buffer ? new Uint8Array(bytes) : bytes)
      return bytes
    }
    // only if it is still the block that was read: it may have been evicted and written again meanwhile
    if (this.index.get(cid) === entry) await this.#delete(cid)
    return undefined
  }

  async #readInline(cid: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#db.get(BLOCK + cid)
    return bytes !== undefined && cidOfBlock(codecOfCid(cid), bytes) === cid ? bytes : undefined
  }

  async #readFile(cid: string, sizeBytes: number, memory: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    const file = await this.#files.read(cid, sizeBytes, memory)
    if (file === undefined || file.isProven) return file?.bytes
    if (cidOfBlock(codecOfCid(cid), file.bytes) !== cid) return undefined
    this.#files.prove(cid, file.changedMs)
    return file.bytes
  }

  /**
   * Stores a block. Resolves to false when it was here already. Throws E_CONTENT_CID, E_CONTENT_HASH (the bytes are others),
   * E_CONTENT_QUOTA, E_CONTENT_DISK_FULL, E_CONTENT_IO; after a throw nothing of it is left.
   */
  async put(cid: string, bytes: Uint8Array): Promise<boolean> {
    if (!isContentCid(cid)) throw badCid(cid)
    if (bytes.byteLength > MAX_LEAF_BYTES || cidOfBlock(codecOfCid(cid), bytes) !== cid) {
      throw new HearthError('E_CONTENT_HASH', `${bytes.byteLength} bytes are not the block ${cid}`, 'Whoever sent them is wrong or lies: fetch it from another peer')
    }
    return this.putVerified(cid, bytes)
  }

  /** `put` for bytes whose address was computed just now. */
  async putVerified(cid: string, bytes: Uint8Array): Promise<boolean> {
    this.#assertOpen()
    for (let busy = this.#busy.get(cid); busy !== undefined; busy = this.#busy.get(cid)) await busy
    if (this.index.get(cid) !== undefined) {
      this.index.touch(cid, Date.now())
      return false
    }
    const writing = this.#write(cid, bytes)
    this.#setBusy(cid, writing)
    await writing
    return true
  }

  async #write(cid: string, bytes: Uint8Array): Promise<void> {
    this.#reservedBytes += bytes.byteLength
    try {
      await this.#makeRoom(0)
      const inline = bytes.byteLength <= INLINE_BLOCK_BYTES
      const lastUseMs = Date.now()
      const meta: Operation = { type: 'put', key: META + cid, value: encodeMeta(bytes.byteLength, lastUseMs, inline) }
      if (inline) await this.#commit([meta, { type: 'put', key: BLOCK + cid, value: bytes }])
      else await this.#files.write(cid, bytes)
      this.index.add(cid, { sizeBytes: bytes.byteLength, inline, lastUseMs, touched: false })
      if (inline || codecOfCid(cid) === 'dag-pb') this.#cache.add(cid, bytes)
      if (!inline) this.#commitLater(meta)
    } finally {
      this.#reservedBytes -= bytes.byteLength
    }
  }

  /** Throws unless `bytes` more could be stored after evicting what nothing needs. */
  async assertRoomFor(bytes: number): Promise<void> {
    if (this.index.neededBytes + this.#reservedBytes + bytes > this.#options.quotaBytes) throw quota(this.#options.quotaBytes, this.index.neededBytes)
    await this.#makeRoom(bytes)
  }

  /** Evicts for what is reserved and `extraBytes` more, for the quota's sake or the disk's. */
  async #makeRoom(extraBytes: number): Promise<void> {
    const { quotaBytes, minFreeDiskBytes } = this.#options
    const wanted = this.index.bytes + this.#reservedBytes + extraBytes
    if (wanted > quotaBytes) {
      await this.#evict(wanted - Math.floor(quotaBytes * EVICT_TO))
      if (this.index.bytes + this.#reservedBytes + extraBytes > quotaBytes) throw quota(quotaBytes, this.index.neededBytes)
    }
    const lackingBytes = minFreeDiskBytes + this.#reservedBytes + extraBytes - await this.#files.freeBytes(Date.now())
    if (lackingBytes <= 0) return
    if (await this.#evict(lackingBytes) < lackingBytes) throw diskFull(this.#options.dir)
  }

  /** Drops blocks nobody needs, oldest use first, until `bytes` are free; all of them by default. Returns the bytes freed. */
  async #evict(bytes: number): Promise<number> {
    const victims = this.index.evictable(bytes)
    let freedBytes = 0
    await Promise.all(victims.map(async (cid) => {
      freedBytes += this.index.get(cid)?.sizeBytes ?? 0
      await this.#delete(cid)
    }))
    return freedBytes
  }

  /** Drops everything nobody needs. Returns the bytes freed. */
  async evictAll(): Promise<number> {
    this.#assertOpen()
    return this.#evict(Number.POSITIVE_INFINITY)
  }

  /** Drops one block unless something needs it. */
  async drop(cid: string): Promise<void> {
    if (!this.index.isNeeded(cid) && this.has(cid)) await this.#delete(cid)
  }

  async #delete(cid: string): Promise<void> {
    const entry = this.index.get(cid)
    if (entry === undefined) return
    this.index.remove(cid)
    this.#cache.remove(cid)
    const deleting = (async () => {
      if (!entry.inline) await this.#files.remove(cid)
      await this.#commit([{ type: 'del', key: META + cid }, ...entry.inline ? [{ type: 'del', key: BLOCK + cid } as const] : []])
    })()
    this.#setBusy(cid, deleting)
    await deleting
  }

  #setBusy(cid: string, work: Promise<void>): void {
    const settled = work.then(() => {}, () => {}).then(() => {
      if (this.#busy.get(cid) === settled) this.#busy.delete(cid)
    })
    this.#busy.set(cid, settled)
  }

  #commitLater(operation: Operation): void {
    this.#later.push(operation)
    if (this.#later.length >= MAX_LATER) this.#commit([]).catch(() => {})
  }

  /** One database batch for all that is asked in one turn of the event loop. */
  #commit(operations: Operation[]): Promise<void> {
    this.#batch.push(...operations)
    this.#batchWrite ??= (async () => {
      await Promise.resolve()
      // what was put off comes first: it may have been overtaken by a deletion
      const batch = [...this.#later, ...this.#batch]
      this.#later = []
      this.#batch = []
      this.#batchWrite = undefined
      try {
        await this.#db.batch(batch)
      } catch (err) {
        throw fromDisk(err, this.#options.dir)
      }
    })()
    return this.#batchWrite
  }

  /** All pins, as [address, owner]. */
  async loadPins(): Promise<[string, string][]> {
    const pins: [string, string][] = []
    for await (const key of this.#db.keys({ gte: PIN, lt: `${PIN}~` })) {
      pins.push([key.slice(PIN.length, PIN.length + CID_CHARS), key.slice(PIN.length + CID_CHARS + 1)])
    }
    return pins
  }

  async storePin(cid: string, owner: string): Promise<void> {
    this.#assertOpen()
    await this.#commit([{ type: 'put', key: `${PIN}${cid}!${owner}`, value: new Uint8Array() }])
  }

  async removePin(cid: string, owner: string): Promise<void> {
    this.#assertOpen()
    await this.#commit([{ type: 'del', key: `${PIN}${cid}!${owner}` }])
  }

  /** Waits for what is being written, notes when blocks were last used, and closes. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    while (this.#busy.size > 0) await Promise.all(this.#busy.values())
    const touched: Operation[] = []
    for (const [cid, entry] of this.index.entries()) {
      if (entry.touched) touched.push({ type: 'put', key: META + cid, value: encodeMeta(entry.sizeBytes, entry.lastUseMs, entry.inline) })
    }
    if (touched.length + this.#later.length > 0) await this.#commit(touched).catch(() => {})
    await this.#batchWrite?.catch(() => {})
    await this.#db.close()
  }

  #assertOpen(): void {
    if (this.#closed) throw new HearthError('E_CONTENT_CLOSED', 'The content store is closed', 'Start the node again')
  }
}
