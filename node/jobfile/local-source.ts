import { constants } from 'node:fs'
import { access, readdir, realpath, stat } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { similarName } from './read.ts'

/** A folder with more than this is better sent as an archive; also what keeps a wrong path (`/`) from being walked for minutes. */
const MAX_ENTRIES = 50_000
const MAX_DEPTH = 32
/** Looks at files are short waits for the disk. */
const LOOKS_AT_ONCE = 64

/** A file or folder below the job file's folder, looked at but not read. */
export interface Local {
  /** As written in the job file. */
  written: string
  /** Real absolute path. */
  path: string
  kind: 'file' | 'folder'
  /** Of the file, or of all files in the folder. */
  sizeBytes: number
  /** Of a folder, sorted by path; paths are relative to it, with `/`. */
  files: LocalFile[]
}

export interface LocalFile { path: string, hostPath: string, sizeBytes: number }

/** What a key of the job file takes. */
export interface Wanted {
  /** The key, named in errors: `module`, `inputs.scene`. */
  key: string
  kind: 'file' | 'folder' | 'any'
}

function isInside(base: string, path: string): boolean {
  return path === base || path.startsWith(base.endsWith(sep) ? base : base + sep)
}

/**
 * Finds what `written` names and everything below it. Throws `E_JOB_FILE` (not there, not readable, no plain file),
 * `E_JOB_KIND` (a folder for a file or the reverse), `E_JOB_ESCAPE` (outside `baseDir`, also over a link), `E_JOB_EMPTY`, `E_JOB_SIZE`.
 *
 * A job file may come from anywhere, so it may only name what lies beside it: else one from a stranger could send your keys away.
 */
export async function locate(written: string, baseDir: string, wanted: Wanted): Promise<Local> {
  const base = await realpath(resolve(baseDir)).catch((error: unknown) => {
    throw new HearthError('E_JOB_FILE', `there is no folder ${baseDir} for the job's paths to begin at`, 'Name the folder that holds the job\'s files', { cause: error })
  })
  const absolute = resolve(base, written)
  if (!isInside(base, absolute)) throw escape(wanted.key, written, base)
  const path = await realOf(absolute, written, base, wanted)
  if (!isInside(base, path)) throw escape(wanted.key, `${written} (a link to ${path})`, base)
  const found = await stat(path)
  if (!found.isFile() && !found.isDirectory()) throw new HearthError('E_JOB_FILE', `${wanted.key}: ${written} is neither a file nor a folder`, 'Name a plain file or a folder')
  const kind = found.isFile() ? 'file' : 'folder'
  if (wanted.kind !== 'any' && wanted.kind !== kind) {
    throw new HearthError('E_JOB_KIND', `${wanted.key}: ${written} is a ${kind}, and a ${wanted.kind} is needed`, wanted.kind === 'file' ? 'Name a file in it' : 'Name the folder that holds it')
  }
  await mayRead(path, written, wanted.key, kind)
  if (kind === 'file') return { written, path, kind, sizeBytes: found.size, files: [] }
  const files = await walk({ root: path, base, written, key: wanted.key })
  if (files.length === 0) throw new HearthError('E_JOB_EMPTY', `${wanted.key}: the folder ${written} holds no file`, 'Put files into it, or name another')
  return { written, path, kind, sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), files }
}

function escape(key: string, written: string, base: string): HearthError {
  return new HearthError('E_JOB_ESCAPE', `${key}: ${written} lies outside the job's folder ${base}`, 'A job file may only name what lies beside or below it: copy it there')
}

async function realOf(absolute: string, written: string, base: string, wanted: Wanted): Promise<string> {
  try {
    return await realpath(absolute)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (reason === 'EACCES' || reason === 'EPERM') throw new HearthError('E_JOB_FILE', `${wanted.key}: ${written} may not be read`, 'Check its permissions', { cause: error })
    if (reason === 'ELOOP') throw new HearthError('E_JOB_FILE', `${wanted.key}: ${written} is a link that leads in a circle`, 'Correct the link', { cause: error })
    const meant = await similarName(absolute)
    throw new HearthError('E_JOB_FILE', `${wanted.key}: there is no ${written}`, meant === undefined ? `Paths are relative to the job file, here ${base}` : `Did you mean "${meant}"?`, { cause: error })
  }
}

async function mayRead(path: string, written: string, key: string, kind: 'file' | 'folder'): Promise<void> {
  try {
    await access(path, kind === 'file' ? constants.R_OK : constants.R_OK | constants.X_OK)
  } catch (error) {
    throw new HearthError('E_JOB_FILE', `${key}: ${written} may not be read`, 'Check its permissions', { cause: error })
  }
}

interface Walk { root: string, base: string, written: string, key: string }

async function walk({ root, base, written, key }: Walk): Promise<LocalFile[]> {
  const files: LocalFile[] = []
  let entries = 0
  const visit = async (folder: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) throw new HearthError('E_JOB_SIZE', `${key}: ${written} nests more than ${MAX_DEPTH} folders`, 'Send it as an archive')
    const children = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      throw new HearthError('E_JOB_FILE', `${key}: ${relative(base, folder)} may not be read`, 'Check its permissions', { cause: error })
    })
    entries += children.length
    if (entries > MAX_ENTRIES) throw new HearthError('E_JOB_SIZE', `${key}: ${written} holds more than ${MAX_ENTRIES} files and folders`, 'Name a smaller folder, or send it as an archive')
    const plain: string[] = []
    for (const child of children) {
      const path = join(folder, child.name)
      if (child.isDirectory()) { await visit(path, depth + 1); continue }
      // what a link shows may change between this look and the reading, so none is followed
      if (child.isSymbolicLink()) throw new HearthError('E_JOB_ESCAPE', `${key}: ${join(written, relative(root, path))} is a link`, 'Folders are sent without links: replace it by what it points to')
      if (!child.isFile()) throw new HearthError('E_JOB_FILE', `${key}: ${join(written, relative(root, path))} is neither a file nor a folder`, 'Remove it from the folder')
      plain.push(path)
    }
    for (let i = 0; i < plain.length; i += LOOKS_AT_ONCE) {
      files.push(...await Promise.all(plain.slice(i, i + LOOKS_AT_ONCE).map(async (hostPath) => {
        const name = relative(root, hostPath)
        await mayRead(hostPath, join(written, name), key, 'file')
        return { path: name.split(sep).join('/'), hostPath, sizeBytes: (await stat(hostPath)).size }
      })))
    }
  }
  await visit(root, 0)
  return files.sort((a, b) => a.path < b.path ? -1 : 1)
}
