import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, lstat, mkdir, open, rename, rm, statfs, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { aborted, diskFull, fromDisk } from './errors.ts'
import { MIN_FREE_DISK_BYTES } from './limits.ts'
import type { DagReader, TreeEntry } from './dag-reader.ts'
import type { ImportProgress } from './importer.ts'

export interface ExportOptions {
  onProgress?: (progress: ImportProgress) => void
  signal?: AbortSignal
  /** Left free on the disk written to; 256 MiB when left out. */
  minFreeDiskBytes?: number
}

/** Leaves read while one is written. */
const READ_AHEAD = 3

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** What Windows cannot store, or stores as something else. */
const WINDOWS_PROBLEM = /[<>:"\\|?*\u0000-\u001f]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i

/**
 * Writes a file or folder of the store to `destPath`, which must not exist, whole or not at all: it is put together beside it, in a
 * place only just made, and then renamed. Throws HearthErrors E_CONTENT_EXISTS, E_CONTENT_MISSING, E_CONTENT_FORMAT, E_CONTENT_NAME,
 * E_CONTENT_DISK_FULL, E_CONTENT_ABORTED, E_CONTENT_IO.
 */
export async function exportTo(reader: DagReader, root: string, destPath: string, options: ExportOptions = {}): Promise<{ sizeBytes: number, files: number }> {
  const entries: TreeEntry[] = []
  let totalBytes = 0
  for await (const entry of reader.tree(root)) {
    const name = basename(entry.path)
    if (process.platform === 'win32' && WINDOWS_PROBLEM.test(name)) throw new HearthError('E_CONTENT_NAME', `The name ${JSON.stringify(name)} cannot be written on this system`, 'Export it on another computer')
    if (entry.kind === 'file') totalBytes += entry.sizeBytes
    entries.push(entry)
  }
  const partial = join(dirname(destPath), `.${basename(destPath)}.${randomUUID()}.partial`)
  try {
    await assertFree(destPath)
    const { bavail, bsize } = await statfs(dirname(destPath))
    if (bavail * bsize < totalBytes + (options.minFreeDiskBytes ?? MIN_FREE_DISK_BYTES)) throw diskFull(destPath)
    let doneBytes = 0
    for (const entry of entries) {
      const path = entry.path === '' ? partial : join(partial, entry.path)
      if (entry.kind === 'folder') await mkdir(path)
      else {
        await writeNew(reader, path, entry, options.signal, (bytes) => {
          doneBytes += bytes
          options.onProgress?.({ doneBytes, totalBytes })
        })
      }
    }
    await publish(partial, destPath, entries[0]?.kind === 'folder')
  } catch (err) {
    await rm(partial, { recursive: true, force: true }).catch(() => {})
    throw fromDisk(err, destPath)
  }
  return { sizeBytes: totalBytes, files: entries.filter((entry) => entry.kind === 'file').length }
}

async function assertFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found !== undefined) throw new HearthError('E_CONTENT_EXISTS', `${path} exists already`, 'Choose another place, or move it away first')
}

async function writeNew(reader: DagReader, path: string, entry: TreeEntry & { kind: 'file' }, signal: AbortSignal | undefined, onBytes: (bytes: number) => void): Promise<void> {
  const handle = await open(path, NEW_FILE, 0o644)
  try {
    for await (const bytes of reader.content(entry.ref, READ_AHEAD)) {
      if (signal?.aborted === true) throw aborted()
      await handle.writeFile(bytes)
      onBytes(bytes.byteLength)
    }
  } finally {
    await handle.close()
  }
}

/** Gives the finished file or folder its name, without replacing what may have come there meanwhile. */
async function publish(partial: string, destPath: string, isFolder: boolean): Promise<void> {
  if (!isFolder) {
    try {
      await link(partial, destPath)
      await unlink(partial)
      return
    } catch (err) {
      const code = err instanceof Error && 'code' in err ? err.code : undefined
      if (code === 'EEXIST') throw err
      // a filesystem without hard links
    }
  }
  // renaming a folder replaces nothing but an empty folder
  await assertFree(destPath)
  await rename(partial, destPath)
}
