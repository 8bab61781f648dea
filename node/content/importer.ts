import { constants } from 'node:fs'
import { lstat, open, opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { cidOfBlock } from '../../protocols/transfer/content-id.ts'
import { MAX_FOLDER_DEPTH, MAX_LEAF_BYTES, nameProblem } from '../../protocols/transfer/dag-node.ts'
import { HearthError } from '../../src/errors.ts'
import { aborted, fromDisk } from './errors.ts'
import { IMPORT_CONCURRENCY, MAX_ENTRIES } from './limits.ts'
import { buildFolder, FileBuilder } from './unixfs-builder.ts'
import type { BlockStore } from './block-store.ts'
import type { Hold } from './hold.ts'
import type { Built } from './unixfs-builder.ts'
import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

export interface ImportProgress {
  doneBytes: number
  /** Known before a file is read; for a folder, what has been found so far. */
  totalBytes: number
}

export interface ImportOptions {
  onProgress?: (progress: ImportProgress) => void
  signal?: AbortSignal
}

/** A file of a tree that is put together: its content given, or to be read from `hostPath`. */
export interface TreeFile {
  /** Inside the tree, parts divided by `/`. */
  path: string
  bytes?: Uint8Array
  hostPath?: string
}

/** A folder that is being put together in memory. */
type Branch = Map<string, Branch | TreeFile>

const unsupported = (path: string, what: string): HearthError => new HearthError('E_CONTENT_UNSUPPORTED', `${path} is ${what}: only files and folders can be imported`, 'Take it out of the folder, or put a copy of the content in its place')

function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return 'a symbolic link'
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isBlockDevice() || stats.isCharacterDevice() ? 'a device' : 'neither file nor folder'
}

function assertName(name: string, path: string): void {
  const problem = nameProblem(name)
  if (problem !== undefined) throw new HearthError('E_CONTENT_NAME', `The name of ${JSON.stringify(path)} ${problem}`, 'Rename it: other computers could not, or not safely, write it')
}

/** One import: everything it stores is held, and what it added is dropped again when it fails. */
export class Importer {
  readonly #blocks: BlockStore
  readonly #hold: Hold
  readonly #options: ImportOptions
  readonly #added: string[] = []
  #doneBytes = 0
  #totalBytes = 0
  #entries = 0

  constructor(blocks: BlockStore, hold: Hold, options: ImportOptions) {
    this.#blocks = blocks
    this.#hold = hold
    this.#options = options
  }

  /** Drops what this import added and nothing else needs. */
  async undo(): Promise<void> {
    this.#hold.release()
    for (const cid of this.#added) await this.#blocks.drop(cid)
  }

  readonly #put = async (cid: string, bytes: Uint8Array): Promise<void> => {
    this.#hold.add(cid)
    if (await this.#blocks.putVerified(cid, bytes)) this.#added.push(cid)
  }

  #checkSignal(): void {
    if (this.#options.signal?.aborted === true) throw aborted()
  }

  /** A file or a folder, as it is. A link given by its own name is followed, links inside a folder are refused. */
  async path(path: string): Promise<Built> {
    let stats: Stats
    try {
      stats = await stat(path)
    } catch (err) {
      throw fromDisk(err, path)
    }
    if (stats.isFile()) return this.file(path, true)
    if (stats.isDirectory()) return this.folder(path)
    throw unsupported(path, kindOf(stats))
  }

  async bytes(content: Uint8Array): Promise<Built> {
    this.#doneBytes += content.byteLength
    if (content.byteLength <= MAX_LEAF_BYTES) return this.#leaf(content)
    await this.#blocks.assertRoomFor(content.byteLength)
    const builder = new FileBuilder(this.#put)
    for (let at = 0; at < content.byteLength; at += MAX_LEAF_BYTES) {
      this.#checkSignal()
      await builder.add(await this.#leaf(content.subarray(at, at + MAX_LEAF_BYTES)))
    }
    return builder.finish()
  }

  async #leaf(bytes: Uint8Array): Promise<Built> {
    const cid = cidOfBlock('raw', bytes)
    await this.#put(cid, bytes)
    return { cid, sizeBytes: bytes.byteLength, dagBytes: bytes.byteLength }
  }

  async file(path: string, mayBeLink = false): Promise<Built> {
    let handle: FileHandle | undefined
    try {
      // without NONBLOCK, opening a pipe that took the file's place would wait for ever
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | (mayBeLink ? 0 : constants.O_NOFOLLOW))
      const stats = await handle.stat()
      if (!stats.isFile()) throw unsupported(path, kindOf(stats))
      this.#totalBytes += stats.size
      await this.#blocks.assertRoomFor(stats.size)
      return await this.#read(handle, path, stats)
    } catch (err) {
      throw fromDisk(err, path)
    } finally {
      await handle?.close()
    }
  }

  /** Reads, hashes and stores a few chunks at a time; their order in the file is kept. */
  async #read(handle: FileHandle, path: string, stats: Stats): Promise<Built> {
    const builder = new FileBuilder(this.#put)
    const leaves: Promise<Built | HearthError>[] = []
    // chunks are as large as the file has them: all but the last fit any other's memory
    const spares: Uint8Array[] = []
    let readBytes = 0
    const addOldest = async (): Promise<void> => {
      const leaf = await leaves.shift()
      if (leaf instanceof HearthError) throw leaf
      if (leaf !== undefined) await builder.add(leaf)
    }
    try {
      do {
        this.#checkSignal()
        const leafBytes = Math.min(MAX_LEAF_BYTES, stats.size - readBytes)
        const memory = spares.pop() ?? new Uint8Array(Buffer.allocUnsafeSlow(leafBytes).buffer)
        const buffer = memory.subarray(0, leafBytes)
        const { bytesRead } = await handle.read(buffer, 0, leafBytes, readBytes)
        if (bytesRead < leafBytes) throw new HearthError('E_CONTENT_CHANGED', `${path} became shorter while it was read`, 'Import it again when nothing writes to it')
        readBytes += bytesRead
        this.#doneBytes += bytesRead
        const stored = this.#leaf(buffer).then((leaf) => {
          spares.push(memory)
          return leaf
        }, (err: unknown) => fromDisk(err, path))
        leaves.push(stored)
        if (leaves.length === IMPORT_CONCURRENCY) await addOldest()
        this.#options.onProgress?.({ doneBytes: this.#doneBytes, totalBytes: this.#totalBytes })
      } while (readBytes < stats.size)
      while (leaves.length > 0) await addOldest()
    } finally {
      await Promise.all(leaves)
    }
    const after = await handle.stat()
    if (after.size !== stats.size || after.mtimeMs !== stats.mtimeMs) throw new HearthError('E_CONTENT_CHANGED', `${path} was changed while it was read`, 'Import it again when nothing writes to it')
    return builder.finish()
  }

  #countEntry(path: string): void {
    this.#checkSignal()
    if (++this.#entries > MAX_ENTRIES) throw new HearthError('E_CONTENT_TOO_MANY', `${path} is the ${this.#entries}th file or folder, above ${MAX_ENTRIES}`, 'Pack the files into an archive')
  }

  async folder(path: string, depth = 1): Promise<Built> {
    if (depth > MAX_FOLDER_DEPTH) throw new HearthError('E_CONTENT_TOO_DEEP', `${path} lies more than ${MAX_FOLDER_DEPTH} folders deep`, 'Pack the folder into an archive')
    const files: { name: string, path: string }[] = []
    const folders: { name: string, path: string }[] = []
    try {
      for await (const entry of await opendir(path)) {
        const child = join(path, entry.name)
        assertName(entry.name, child)
        this.#countEntry(child)
        if (entry.isFile()) files.push({ name: entry.name, path: child })
        else if (entry.isDirectory()) folders.push({ name: entry.name, path: child })
        else throw unsupported(child, kindOf(await lstat(child)))
      }
    } catch (err) {
      throw fromDisk(err, path)
    }
    const built = new Map<string, Built>()
    for (let at = 0; at < files.length; at += IMPORT_CONCURRENCY) {
      const batch = files.slice(at, at + IMPORT_CONCURRENCY)
      const roots = await settleAll(batch.map((file) => this.file(file.path)))
      for (const [i, root] of roots.entries()) built.set(batch[i]?.name ?? '', root)
    }
    for (const folder of folders) built.set(folder.name, await this.folder(folder.path, depth + 1))
    return buildFolder(built, this.#put)
  }

  /** A folder of the given files. Throws E_CONTENT_NAME for paths that cannot be, or stand twice. */
  async tree(files: readonly TreeFile[]): Promise<Built> {
    const root: Branch = new Map()
    for (const file of files) {
      const parts = file.path.split('/')
      const name = parts.pop() ?? ''
      let branch = root
      if (parts.length >= MAX_FOLDER_DEPTH) throw new HearthError('E_CONTENT_TOO_DEEP', `${file.path} lies more than ${MAX_FOLDER_DEPTH} folders deep`, 'Use fewer folders')
      for (const part of parts) {
        assertName(part, file.path)
        const next: Branch | TreeFile = branch.get(part) ?? new Map<string, Branch | TreeFile>()
        if (!(next instanceof Map)) throw new HearthError('E_CONTENT_NAME', `${file.path} needs a folder where a file stands`, 'Give them different names')
        branch.set(part, next)
        branch = next
      }
      assertName(name, file.path)
      this.#countEntry(file.path)
      if (branch.has(name)) throw new HearthError('E_CONTENT_NAME', `${file.path} stands twice`, 'Give them different names')
      branch.set(name, file)
    }
    return this.#branch(root)
  }

  async #branch(branch: Branch): Promise<Built> {
    const entries = [...branch]
    const built = new Map<string, Built>()
    for (let at = 0; at < entries.length; at += IMPORT_CONCURRENCY) {
      const batch = entries.slice(at, at + IMPORT_CONCURRENCY)
      const roots = await settleAll(batch.map(([, entry]) => this.#treeEntry(entry)))
      for (const [i, root] of roots.entries()) built.set(batch[i]?.[0] ?? '', root)
    }
    return buildFolder(built, this.#put)
  }

  async #treeEntry(entry: Branch | TreeFile): Promise<Built> {
    if (entry instanceof Map) return this.#branch(entry)
    if (entry.hostPath !== undefined) return this.file(entry.hostPath)
    return this.bytes(entry.bytes ?? new Uint8Array())
  }
}

/** Waits for all, also when one fails: nothing of a failed import may still be at work when it is undone. */
async function settleAll<T>(work: Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(work)
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
