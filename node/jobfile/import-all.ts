import { HearthError } from '../../src/errors.ts'
import type { Local } from './local-source.ts'

/** What making a job needs of the content store. */
export interface JobStore {
  /**
   * Puts a file or folder into the store and keeps it there until `release`. The size is that of the file, or of all files.
   * One release takes back all imports of the same content.
   */
  importPath(path: string, options?: { signal?: AbortSignal, onProgress?: (progress: { doneBytes: number }) => void }): Promise<{ cid: string, kind: 'file' | 'folder', sizeBytes: number }>
  /** Undefined when the store does not have all of it. */
  stat(cid: string): Promise<{ kind: 'file' | 'folder', sizeBytes: number } | undefined>
  /** Takes back what `importPath` keeps. */
  release(cid: string): Promise<void>
}

export interface ImportProgress { path: string, doneFiles: number, totalFiles: number, doneBytes: number, totalBytes: number }
export type Imported = { cid: string, kind: 'file' | 'folder', sizeBytes: number }

/** Small files are bound by the disk's latency, large ones by hashing: a few at once serve both. */
const AT_ONCE = 4

interface ImportOptions { store: JobStore, onProgress?: (progress: ImportProgress) => void, signal?: AbortSignal }

/**
 * Imports each distinct path once; resolves to what they became, by real path. All or nothing: at the first failure the
 * others are awaited and everything imported is released, then it throws `E_JOB_IMPORT`, or `E_JOB_CHANGED` for a file
 * that is no longer what was looked at.
 */
export async function importAll(locals: readonly Local[], options: ImportOptions): Promise<Map<string, Imported>> {
  const queue = [...new Map(locals.map((local) => [local.path, local])).values()]
  const totalFiles = queue.length
  const totalBytes = queue.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const done = new Map<string, Imported>()
  const failures: unknown[] = []
  let doneBytes = 0
  /** Bytes of those under way. */
  const parts = new Map<Local, number>()
  const report = (local: Local): void => {
    options.onProgress?.({ path: local.written, doneFiles: done.size, totalFiles, doneBytes: [...parts.values()].reduce((sum, part) => sum + part, doneBytes), totalBytes })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let local = queue.shift(); local !== undefined && failures.length === 0; local = queue.shift()) {
      try {
        await importOne(local, options, done, (bytes) => {
          parts.set(local, Math.min(bytes, local.sizeBytes))
          report(local)
        })
        parts.delete(local)
        doneBytes += local.sizeBytes
        report(local)
      } catch (error) {
        failures.push(error)
        return
      }
    }
  }))
  const [failure] = failures
  if (failure === undefined) return done
  for (const { cid } of done.values()) await options.store.release(cid)
  throw failure
}

async function importOne(local: Local, { store, signal }: ImportOptions, done: Map<string, Imported>, onBytes: (bytes: number) => void): Promise<void> {
  signal?.throwIfAborted()
  let imported: Imported
  try {
    imported = await store.importPath(local.path, { ...signal === undefined ? {} : { signal }, onProgress: ({ doneBytes }) => { onBytes(doneBytes) } })
  } catch (error) {
    if (error instanceof HearthError || signal?.aborted === true) throw error
    throw new HearthError('E_JOB_IMPORT', `${local.written} can not be read: ${error instanceof Error ? error.message : String(error)}`, 'Check the file and the free space on the disk, and submit again', { cause: error })
  }
  done.set(local.path, imported)
  if (imported.kind !== local.kind || imported.sizeBytes !== local.sizeBytes) throw new HearthError('E_JOB_CHANGED', `${local.written} changed while it was read`, 'Submit again when nothing writes to it')
}
