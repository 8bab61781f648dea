import { codecOfCid, isContentCid } from '../../protocols/transfer/content-id.ts'
import { rootRef } from '../../protocols/transfer/dag-walk.ts'
import { HearthError } from '../../src/errors.ts'
import { formatSize } from '../../src/units.ts'
import { BlockStore } from './block-store.ts'
import { DagReader } from './dag-reader.ts'
import { badCid, missing } from './errors.ts'
import { exportTo } from './exporter.ts'
import { Hold } from './hold.ts'
import { Importer } from './importer.ts'
import { Pins } from './pins.ts'
import type { BlockStoreOptions } from './block-store.ts'
import type { ExportOptions } from './exporter.ts'
import type { ImportOptions, TreeFile } from './importer.ts'
import type { Built } from './unixfs-builder.ts'
import type { TransferHold, TransferStore } from '../../protocols/transfer/transfer-store.ts'

export interface ContentRef {
  /** CIDv1 in base32, the one other tools compute: `ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576`. */
  cid: string
  kind: 'file' | 'folder'
  /** Of the files in it. */
  sizeBytes: number
}

export interface ListedFile {
  path: string
  cid: string
  sizeBytes: number
}

export interface StoreOptions extends ImportOptions {
  /** Pins the content for this owner before anything could evict it. */
  pinFor?: string
}

export interface ContentUsage {
  blocks: number
  bytes: number
  quotaBytes: number
  /** Bytes that pins and running operations keep. */
  neededBytes: number
  pinnedRoots: number
}

/** At most this many addresses in one answer of `missing`: what the next fetch begins with. */
const MAX_MISSING = 4096

/**
 * Files and folders by content address. What comes in is cut into blocks, each verified on every read; what goes out is checked as if
 * a stranger had made it, because one may have. Errors are HearthErrors with codes `E_CONTENT_…`.
 */
export class ContentStore implements TransferStore {
  readonly #blocks: BlockStore
  readonly #reader: DagReader
  readonly #pins: Pins

  private constructor(blocks: BlockStore) {
    this.#blocks = blocks
    this.#reader = new DagReader(blocks)
    this.#pins = new Pins(blocks, this.#reader)
  }

  /** Opens or creates the store in `dir`. Throws E_CONTENT_LOCKED when another process has it open. */
  static async open(options: BlockStoreOptions): Promise<ContentStore> {
    const store = new ContentStore(await BlockStore.open(options))
    await store.#pins.load(() => new Hold(store.#blocks.index))
    return store
  }

  /** Imports a file. Throws E_CONTENT_NOT_FOUND, E_CONTENT_UNSUPPORTED, E_CONTENT_CHANGED, E_CONTENT_QUOTA, E_CONTENT_DISK_FULL, …; nothing of it stays then. */
  async importFile(path: string, options: StoreOptions = {}): Promise<ContentRef> {
    return this.#import((importer) => importer.file(path, true), 'file', options)
  }

  /** Imports all that is in a folder. Links, pipes, sockets and devices in it are refused by name: E_CONTENT_UNSUPPORTED. */
  async importFolder(path: string, options: StoreOptions = {}): Promise<ContentRef> {
    return this.#import((importer) => importer.folder(path), 'folder', options)
  }

  /** Imports a file or a folder, whichever stands at `path`. */
  async importPath(path: string, options: StoreOptions = {}): Promise<ContentRef> {
    return this.#import((importer) => importer.path(path), 'either', options)
  }

  async importBytes(bytes: Uint8Array, options: StoreOptions = {}): Promise<ContentRef> {
    return this.#import((importer) => importer.bytes(bytes), 'file', options)
  }

  /** Builds a folder of the given files. Quick for a few small ones. */
  async importTree(files: readonly TreeFile[], options: StoreOptions = {}): Promise<ContentRef> {
    return this.#import((importer) => importer.tree(files), 'folder', options)
  }

  async #import(run: (importer: Importer) => Promise<Built>, expected: ContentRef['kind'] | 'either', options: StoreOptions): Promise<ContentRef> {
    const hold = new Hold(this.#blocks.index)
    const importer = new Importer(this.#blocks, hold, options)
    try {
      const { cid, sizeBytes } = await run(importer)
      if (options.pinFor !== undefined) await this.#pins.pin(cid, options.pinFor)
      const kind = expected === 'either' ? await this.#kindOf(cid) : expected
      hold.release()
      return { cid, kind, sizeBytes }
    } catch (err) {
      await importer.undo()
      throw err
    }
  }

  async #kindOf(cid: string): Promise<ContentRef['kind']> {
    if (codecOfCid(cid) === 'raw') return 'file'
    const root = await this.#reader.step(rootRef(cid))
    if (root === undefined) throw missing(cid)
    return root.step.kind === 'folder' ? 'folder' : 'file'
  }

  /** What stands at an address, or undefined when not all of it is here. Throws E_CONTENT_CID, E_CONTENT_FORMAT. */
  async stat(cid: string): Promise<ContentRef | undefined> {
    if (!isContentCid(cid)) throw badCid(cid)
    if (!await this.has(cid, { deep: true })) return undefined
    let sizeBytes = 0
    for await (const entry of this.#reader.tree(cid)) if (entry.kind === 'file') sizeBytes += entry.sizeBytes
    return { cid, kind: await this.#kindOf(cid), sizeBytes }
  }

  /** The files of a folder, or the one file with the path `''`. At most 100,000. Throws E_CONTENT_MISSING, E_CONTENT_FORMAT. */
  async list(cid: string): Promise<ListedFile[]> {
    const files: ListedFile[] = []
    for await (const entry of this.#reader.tree(cid)) {
      if (entry.kind === 'file') files.push({ path: entry.path, cid: entry.cid, sizeBytes: entry.sizeBytes })
    }
    return files
  }

  /** A file's content in memory. Throws E_CONTENT_TOO_LARGE above `maxBytes`, E_CONTENT_IS_FOLDER, E_CONTENT_MISSING. */
  async readFile(cid: string, { maxBytes }: { maxBytes: number }): Promise<Uint8Array> {
    if (!isContentCid(cid)) throw badCid(cid)
    const root = await this.#reader.step(rootRef(cid))
    if (root === undefined) throw missing(cid)
    const { step, bytes } = root
    if (step.kind === 'folder') throw new HearthError('E_CONTENT_IS_FOLDER', `${cid} is a folder`, 'Name a file in it, or export all of it')
    if (step.sizeBytes > maxBytes) throw new HearthError('E_CONTENT_TOO_LARGE', `${cid} has ${formatSize(step.sizeBytes)}, above ${formatSize(maxBytes)}`, 'Export it to a file')
    // a copy: blocks are shared with the cache
    if (step.kind === 'leaf') return new Uint8Array(bytes)
    const content = new Uint8Array(step.sizeBytes)
    let at = 0
    for await (const leaf of this.#reader.content(rootRef(cid), 2)) {
      content.set(leaf, at)
      at += leaf.byteLength
    }
    return content
  }

  /** Writes a file or folder to a path that does not exist yet, whole or not at all. Follows and replaces nothing. */
  async export(cid: string, destPath: string, options: ExportOptions = {}): Promise<{ sizeBytes: number, files: number }> {
    const hold = await this.#reader.holdAll(cid)
    try {
      return await exportTo(this.#reader, cid, destPath, options)
    } finally {
      hold.release()
    }
  }

  /** Whether a block is here; with `deep`, whether all that it links to is too. */
  async has(cid: string, { deep = false } = {}): Promise<boolean> {
    if (!this.#blocks.has(cid)) return false
    return !deep || (await this.#reader.missing(cid, 1)).length === 0
  }

  /** Blocks of a DAG that are known to be missing, at most 4,096 of them; none when it is complete. */
  async missing(cid: string): Promise<string[]> {
    return this.#reader.missing(cid, MAX_MISSING)
  }

  /** A block's bytes, verified; undefined when it is not here. The bytes are shared: do not change them. A large block may be read into `memory`. */
  async getBlock(cid: string, memory?: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#blocks.read(cid, memory)
  }

  /** Stores a block that somebody sent. Throws E_CONTENT_HASH when the bytes are others, E_CONTENT_QUOTA, E_CONTENT_DISK_FULL. */
  async putBlock(cid: string, bytes: Uint8Array): Promise<void> {
    await this.#blocks.put(cid, bytes)
  }

  /** Blocks for a transfer that stay until it lets go of them. */
  hold(): TransferHold {
    const hold = new Hold(this.#blocks.index)
    return {
      has: (cid) => {
        if (!this.#blocks.has(cid)) return false
        hold.add(cid)
        return true
      },
      put: async (cid, bytes) => {
        hold.add(cid)
        await this.#blocks.putVerified(cid, bytes)
      },
      assertRoomFor: (bytes) => this.#blocks.assertRoomFor(bytes),
      release: () => { hold.release() }
    }
  }

  /** Keeps a root and all below it for `owner`, over restarts. Throws E_CONTENT_MISSING unless all of it is here. */
  async pin(cid: string, owner: string): Promise<void> {
    await this.#pins.pin(cid, owner)
  }

  async unpin(cid: string, owner: string): Promise<void> {
    await this.#pins.unpin(cid, owner)
  }

  /** Every root that is kept, once for each owner. Do not pin or unpin while you read it. */
  pins(): Iterable<{ cid: string, owner: string }> {
    return this.#pins.all()
  }

  /** Who keeps this root. */
  pinnedFor(cid: string): string[] {
    return this.#pins.ownersOf(cid)
  }

  usage(): ContentUsage {
    const { index, quotaBytes } = this.#blocks
    return { blocks: index.blocks, bytes: index.bytes, neededBytes: index.neededBytes, quotaBytes, pinnedRoots: this.#pins.roots }
  }

  /** Drops everything that no pin and no running operation needs. */
  async gc(): Promise<{ freedBytes: number }> {
    return { freedBytes: await this.#blocks.evictAll() }
  }

  async close(): Promise<void> {
    await this.#blocks.close()
  }
}
