import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { nearest } from '../../src/job/nearest.ts'
import { PARAMS } from '../../src/params.ts'
import { formatSize } from '../../src/units.ts'
import { parseText } from './parse-text.ts'
import type { TextOptions } from './parse-text.ts'

/** Twice a job document's cap, for indentation and remarks: what can not be sent need not be parsed. */
const MAX_JOB_FILE_BYTES = 2 * PARAMS.maxJobBytes
/** Names looked at to find the one that was meant. */
const MAX_NAMES = 1000

const TEXT_KEYS = new Set(['name', 'module', 'image', 'args', 'command', 'entrypoint', 'env', 'inputs', 'stdin', 'outputs', 'compare'])

/** Keys of a job file whose values are texts, however they look. */
export function isJobText(path: readonly (string | number)[]): boolean {
  return TEXT_KEYS.has(String(path[0])) || (path[0] === 'map' && path[1] !== 'range')
}

/** A job file's text as an unchecked value. Throws `E_JOB_SYNTAX` or `E_JOB_DUPLICATE` with line and column. */
export function parseJobText(text: string, format: 'yaml' | 'json', name = `job.${format}`): unknown {
  return parseText(text, { name, format, prefix: 'E_JOB', isText: isJobText })
}

/** Reads a job file as far as its syntax. `baseDir` is where its paths begin. Throws `E_JOB_FILE`, `E_JOB_SYNTAX`, `E_JOB_DUPLICATE`. */
export async function readJobFile(path: string): Promise<{ spec: unknown, baseDir: string }> {
  const absolute = resolve(path)
  return { spec: await readTree(absolute, { name: path, prefix: 'E_JOB', isText: isJobText, maxBytes: MAX_JOB_FILE_BYTES, what: 'job file' }), baseDir: dirname(absolute) }
}

const FORMATS: Record<string, TextOptions['format']> = { '.yaml': 'yaml', '.yml': 'yaml', '.json': 'json' }

export interface TreeOptions extends Omit<TextOptions, 'format'> { maxBytes: number, what: string }

/** Reads a YAML or JSON file, told by its extension, up to `maxBytes`. */
export async function readTree(absolute: string, options: TreeOptions): Promise<unknown> {
  const format = FORMATS[extname(absolute).toLowerCase()]
  const text = await readBounded(absolute, options)
  if (format === undefined) throw new HearthError(`${options.prefix}_FILE`, `${options.name} is neither YAML nor JSON by its name`, `A ${options.what} ends in .yaml, .yml or .json`)
  return parseText(text, { ...options, format })
}

async function readBounded(absolute: string, options: TreeOptions): Promise<string> {
  const code = `${options.prefix}_FILE` as const
  let file: FileHandle
  try {
    // without NONBLOCK a named pipe would wait for its writer
    file = await open(absolute, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw await openError(absolute, options, error)
  }
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new HearthError(code, `${options.name} is ${found.isDirectory() ? 'a folder' : 'no plain file'}`, `Name the ${options.what} itself`)
    if (found.size > options.maxBytes) throw new HearthError(code, `${options.name} has ${formatSize(found.size)}, more than the ${formatSize(options.maxBytes)} of a ${options.what}`, 'Is it the right file? Large data belongs into an input file')
    const raw = Buffer.alloc(options.maxBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < raw.length;) {
      read = (await file.read(raw, length, raw.length - length, length)).bytesRead
      length += read
    }
    if (length > options.maxBytes) throw new HearthError(code, `${options.name} grows while it is read`, 'Try again when it is written')
    return new TextDecoder('utf-8', { fatal: true }).decode(raw.subarray(0, length))
  } catch (error) {
    if (error instanceof HearthError) throw error
    throw new HearthError(code, error instanceof TypeError ? `${options.name} is not UTF-8 text` : `${options.name} can not be read: ${error instanceof Error ? error.message : ''}`, `Is it the right file? A ${options.what} is YAML or JSON in UTF-8`, { cause: error })
  } finally {
    await file.close()
  }
}

async function openError(absolute: string, options: TreeOptions, error: unknown): Promise<HearthError> {
  const code = `${options.prefix}_FILE` as const
  const reason = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (reason === 'EACCES' || reason === 'EPERM') return new HearthError(code, `${options.name} may not be read`, 'Check its permissions', { cause: error })
  if (reason !== 'ENOENT' && reason !== 'ENOTDIR') return new HearthError(code, `${options.name} can not be opened (${reason})`, 'Check the path', { cause: error })
  const meant = await similarName(absolute)
  return new HearthError(code, `there is no ${options.what} ${options.name}`, meant === undefined ? `Paths are relative to ${process.cwd()}` : `Did you mean "${meant}"?`, { cause: error })
}

/** A name in the same folder that is near the one that is not there. */
export async function similarName(absolute: string): Promise<string | undefined> {
  const names = await readdir(dirname(absolute)).catch(() => [])
  return nearest(basename(absolute), names.slice(0, MAX_NAMES))
}
