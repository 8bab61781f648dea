import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { isContentCid } from '../../protocols/transfer/content-id.ts'
import { fromDisk } from './errors.ts'

/** How long an answer about free disk space is believed. */
const FREE_SPACE_VALID_MS = 1000

/** How long a file that has not changed since its bytes were hashed is taken for what it was: what is imported is sent to several peers soon after. */
const PROOF_VALID_MS = 10 * 60_000

/** Files remembered so: 4 GiB of whole leaves. */
const MAX_PROOFS = 4096

/** Files looked at together while the folder is read at start. */
const STAT_BATCH = 64

/** Larger blocks as files: `blocks/X/CID`, X the last letter but one of the address: 32 folders. A file appears whole or not at all. */
export class BlockFiles {
  /** When each file was changed last as its bytes were known to be right, and until when that counts. */
  readonly #proofs = new Map<string, { changedMs: number, untilMs: number }>()
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
      const changedMs = await writeNew(tmp, bytes)
      if (!this.#made.has(folder)) {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        this.#made.add(folder)
      }
      await rename(tmp, this.#path(cid))
      this.prove(cid, changedMs)
      this.#freeBytes -= bytes.byteLength
    } catch (err) {
      await unlink(tmp).catch(() => {})
      this.#freeReadMs = Number.NEGATIVE_INFINITY
      throw fromDisk(err, this.#blocksDir)
    }
  }

  /**
   * The file's bytes, in `memory` where they fit; undefined when it is not there or cannot be read. `isProven` when they were hashed
   * lately and the file has not changed since; when not, the caller hashes them, and tells `prove`.
   */
  async read(cid: string, sizeBytes: number, memory?: Uint8Array): Promise<{ bytes: Uint8Array, changedMs: number, isProven: boolean } | undefined> {
    const handle = await open(this.#path(cid), 'r').catch(() => undefined)
    try {
      if (handle === undefined) return undefined
      const { size, mtimeMs } = await handle.stat()
      if (size !== sizeBytes) return undefined
      const room = memory !== undefined && memory.byteLength >= sizeBytes ? memory : new Uint8Array(Buffer.allocUnsafeSlow(sizeBytes).buffer)
      const { bytesRead } = await handle.read(room, 0, sizeBytes, 0)
      if (bytesRead !== sizeBytes) return undefined
      const proof = this.#proofs.get(cid)
      return { bytes: room.subarray(0, sizeBytes), changedMs: mtimeMs, isProven: proof !== undefined && proof.changedMs === mtimeMs && Date.now() < proof.untilMs }
    } catch {
      return undefined
    } finally {
      await handle?.close()
    }
  }

  /** The bytes of the file, last changed at `changedMs`, are those of its address. */
  prove(cid: string, changedMs: number): void {
    this.#proofs.delete(cid)
    this.#proofs.set(cid, { changedMs, untilMs: Date.now() + PROOF_VALID_MS })
    for (const oldest of this.#proofs.keys()) {
      if (this.#proofs.size <= MAX_PROOFS) break
      this.#proofs.delete(oldest)
    }
  }

  async remove(cid: string): Promise<void> {
    this.#proofs.delete(cid)
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

/** Writes a file that does not exist yet, and returns when it was changed. In one call where the system takes it: `writeFile` would take two for a leaf. */
async function writeNew(path: string, bytes: Uint8Array): Promise<number> {
  const handle = await open(path, 'wx', 0o600)
  try {
    for (let at = 0; at < bytes.byteLength;) at += (await handle.write(bytes, at)).bytesWritten
    return (await handle.stat()).mtimeMs
  } finally {
    await handle.close()
  }
}
