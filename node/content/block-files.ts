import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isContentCid } from '../../protocols/transfer/content-id.ts'
import { fromDisk } from './errors.ts'

/** How long an answer about free disk space is believed. */
const FREE_SPACE_VALID_MS = 1000

/** Files looked at together while the folder is read at start. */
const STAT_BATCH = 64

/** Larger blocks as files: `blocks/X/CID`, X the last letter but one of the address: 32 folders. A file appears whole or not at all. */
export class BlockFiles {
  readonly #blocksDir: string
  readonly #tmpDir: string
  readonly #made = new Set<string>()
  #freeBytes = 0
  #freeReadMs = Number.NEGATIVE_INFINITY

  private constructor(dir: string) {
    this.#blocksDir = join(dir, 'blocks')
    this.#tmpDir = join(dir, 'tmp')
  }

  /** Creates the folders, and forgets what a killed process had begun to write. */
  static async open(dir: string): Promise<BlockFiles> {
    const files = new BlockFiles(dir)
    try {
      await rm(files.#tmpDir, { recursive: true, force: true })
      await mkdir(files.#tmpDir, { recursive: true, mode: 0o700 })
      await mkdir(files.#blocksDir, { recursive: true, mode: 0o700 })
    } catch (err) {
      throw fromDisk(err, dir)
    }
    return files
  }

  #folder(cid: string): string {
    return join(this.#blocksDir, cid.slice(-2, -1))
  }

  #path(cid: string): string {
    return join(this.#folder(cid), cid)
  }

  async write(cid: string, bytes: Uint8Array): Promise<void> {
    const tmp = join(this.#tmpDir, randomUUID())
    const folder = this.#folder(cid)
    try {
      await writeNew(tmp, bytes)
      if (!this.#made.has(folder)) {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        this.#made.add(folder)
      }
      await rename(tmp, this.#path(cid))
      this.#freeBytes -= bytes.byteLength
    } catch (err) {
      await unlink(tmp).catch(() => {})
      this.#freeReadMs = Number.NEGATIVE_INFINITY
      throw fromDisk(err, this.#blocksDir)
    }
  }

  /** The file's bytes, unverified, in `memory` where they fit; undefined when it is not there or cannot be read. */
  async read(cid: string, sizeBytes: number, memory?: Uint8Array): Promise<Uint8Array | undefined> {
    if (memory === undefined || memory.byteLength < sizeBytes) return readFile(this.#path(cid)).catch(() => undefined)
    const handle = await open(this.#path(cid), 'r').catch(() => undefined)
    try {
      const read = await handle?.read(memory, 0, sizeBytes, 0)
      return read?.bytesRead === sizeBytes ? memory.subarray(0, sizeBytes) : undefined
    } catch {
      return undefined
    } finally {
      await handle?.close()
    }
  }

  async remove(cid: string): Promise<void> {
    await unlink(this.#path(cid)).catch(() => {})
  }

  /** Free bytes of the disk, at most a second old, less what was written since. */
  async freeBytes(nowMs: number): Promise<number> {
    if (nowMs - this.#freeReadMs < FREE_SPACE_VALID_MS) return this.#freeBytes
    try {
      const { bavail, bsize } = await statfs(this.#blocksDir)
      this.#freeBytes = bavail * bsize
    } catch {
      // a filesystem that cannot tell: the write itself will
      this.#freeBytes = Number.POSITIVE_INFINITY
    }
    this.#freeReadMs = nowMs
    return this.#freeBytes
  }

  /** Addresses of all files that are here. */
  async list(): Promise<string[]> {
    const cids: string[] = []
    for (const folder of await readdir(this.#blocksDir)) {
      for (const name of await readdir(join(this.#blocksDir, folder))) if (isContentCid(name)) cids.push(name)
    }
    return cids
  }

  /** Size and time of last change of each file, undefined for those that are gone. */
  async statAll(cids: readonly string[]): Promise<({ sizeBytes: number, changedMs: number } | undefined)[]> {
    const stats: ({ sizeBytes: number, changedMs: number } | undefined)[] = []
    for (let at = 0; at < cids.length; at += STAT_BATCH) {
      stats.push(...await Promise.all(cids.slice(at, at + STAT_BATCH).map(async (cid) => {
        const found = await stat(this.#path(cid)).catch(() => undefined)
        return found === undefined ? undefined : { sizeBytes: found.size, changedMs: found.mtimeMs }
      })))
    }
    return stats
  }
}

/** Writes a file that does not exist yet. In one call where the system takes it: `writeFile` would take two for a leaf. */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    for (let at = 0; at < bytes.byteLength;) at += (await handle.write(bytes, at)).bytesWritten
  } finally {
    await handle.close()
  }
}
