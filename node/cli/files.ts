import { access, constants, readdir, readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { clean } from './term/text.ts'
import { UsageError } from './usage-error.ts'

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : ''
}

/** The absolute path of something that is there. Throws E_FILE_MISSING, E_FILE_KIND, E_FILE_DENIED. */
export async function existing(path: string, cwd: string, kind: 'file' | 'file or folder'): Promise<string> {
  const absolute = resolve(cwd, path)
  let isFile: boolean
  try {
    const found = await stat(absolute)
    isFile = found.isFile()
    if (kind === 'file' && found.isDirectory()) throw new UsageError('E_FILE_KIND', `${clean(path)} is a folder`, 'Name a file in it')
    await access(absolute, constants.R_OK)
  } catch (err) {
    if (err instanceof UsageError) throw err
    throw unreadable(path, cwd, err)
  }
  if (kind === 'file' && !isFile) throw new UsageError('E_FILE_KIND', `${clean(path)} is not a plain file`, 'Name a file')
  return absolute
}

function unreadable(path: string, cwd: string, err: unknown): UsageError {
  const code = codeOf(err)
  if (code === 'ENOENT' || code === 'ENOTDIR') return new UsageError('E_FILE_MISSING', `There is no ${clean(path)}`, `Paths are relative to ${clean(cwd)}`)
  if (code === 'EACCES' || code === 'EPERM') return new UsageError('E_FILE_DENIED', `You may not read ${clean(path)}`, 'Check its permissions')
  return new UsageError('E_FILE_READ', `Cannot read ${clean(path)} (${code === '' ? 'unknown' : code})`, 'Check the path and the disk', { cause: err })
}

/** Where results may be written: a folder that is there, or does not exist yet. Throws E_FILE_KIND. */
export async function targetFolder(path: string, cwd: string): Promise<string> {
  const absolute = resolve(cwd, path)
  const found = await stat(absolute).catch(() => undefined)
  if (found !== undefined && !found.isDirectory()) throw new UsageError('E_FILE_KIND', `${clean(path)} is not a folder`, 'Name a folder, or one that does not exist yet')
  return absolute
}

/** Where results of a job that is still to be sent will be written: not there yet, or empty, so that it cannot fail for that afterwards. Throws E_FILE_KIND, E_FILE_EXISTS. */
export async function freshFolder(path: string, cwd: string): Promise<string> {
  const absolute = await targetFolder(path, cwd)
  const entries = await readdir(absolute).catch(() => [])
  if (entries.length > 0) throw new UsageError('E_FILE_EXISTS', `${clean(path)} is a folder that is not empty: nothing is overwritten`, 'Name one that does not exist yet')
  return absolute
}

/** Text of a small file. Throws as `existing`, and E_FILE_SIZE. */
export async function readSmall(path: string, cwd: string, maxBytes: number): Promise<string> {
  const absolute = await existing(path, cwd, 'file')
  const { size } = await stat(absolute)
  if (size > maxBytes) throw new UsageError('E_FILE_SIZE', `${clean(path)} has ${size} bytes, more than ${maxBytes}`, 'Is it the right file?')
  return readFile(absolute, 'utf8')
}
