import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, link, mkdir, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { SEED_BYTES } from './node-keys.ts'
import { boxSeed, isSealed, unboxSeed } from './seed-box.ts'

/** The seed lies in `dataDir/seed`, readable by its owner alone, and is never overwritten by another. */

const FILE_NAME = 'seed'
const FILE_MODE = 0o600
const DIR_MODE = 0o700
/** A sealed box has about 300 bytes. */
const MAX_FILE_BYTES = 4096
/** Bits of group and others. */
const STRANGERS = 0o077
/** Windows has no such bits: there the profile folder's access list protects the file. */
const HAS_MODES = process.platform !== 'win32'

export interface SeedOptions {
  /** The node's own folder, created with owner-only permissions. */
  dataDir: string
  passphrase?: string | undefined
}

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : ''
}

function seedPath(dataDir: string): string {
  return join(dataDir, FILE_NAME)
}

/** The stored seed, or undefined when there is none. Throws E_KEY_PERMISSIONS, E_KEY_FILE, E_KEY_PASSPHRASE. */
export async function readSeed({ dataDir, passphrase }: SeedOptions): Promise<Uint8Array | undefined> {
  const text = await readBox(dataDir)
  return text === undefined ? undefined : unboxSeed(text, passphrase)
}

/** The stored seed, or a new one stored first. The second value says whether it is new. Throws as `readSeed`. */
export async function openSeed(options: SeedOptions): Promise<{ seed: Uint8Array, created: boolean }> {
  const stored = await readSeed(options)
  if (stored !== undefined) return { seed: stored, created: false }
  const seed = new Uint8Array(randomBytes(SEED_BYTES))
  try {
    await storeSeed(seed, options)
  } catch (err) {
    if (!(err instanceof HearthError && err.code === 'E_KEY_EXISTS')) throw err
    // two processes started at once: the first one's seed is the node's
    const theirs = await readSeed(options)
    if (theirs === undefined) throw err
    return { seed: theirs, created: false }
  }
  return { seed, created: true }
}

/** Stores a seed where none is. Throws E_KEY_EXISTS, and touches nothing then. */
export async function storeSeed(seed: Uint8Array, { dataDir, passphrase }: SeedOptions): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: DIR_MODE })
  // the folder may be older than the node
  if (HAS_MODES) await chmod(dataDir, DIR_MODE)
  const temporary = await writeTemporary(dataDir, await boxSeed(seed, passphrase))
  try {
    await place(temporary, seedPath(dataDir))
  } catch (err) {
    if (codeOf(err) === 'EEXIST') throw new HearthError('E_KEY_EXISTS', `${seedPath(dataDir)} holds a seed already`, 'Export it first, then move the file away: overwriting it would lose the node\'s identity and money')
    throw err
  } finally {
    await rm(temporary, { force: true })
  }
  await syncDir(dataDir)
}

/** Unlike a rename, both ways fail where something lies already. */
async function place(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (err) {
    // memory sticks and some network disks know no hard links
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(err))) throw err
    await copyFile(from, to, constants.COPYFILE_EXCL)
  }
}

/** Changes, sets or (with no `next`) removes the passphrase. The file is replaced in one step. Throws as `readSeed`, and E_KEY_MISSING. */
export async function protectSeed({ dataDir, passphrase, next }: SeedOptions & { next?: string | undefined }): Promise<void> {
  const seed = await readSeed({ dataDir, passphrase })
  if (seed === undefined) throw new HearthError('E_KEY_MISSING', `There is no seed in ${dataDir}`, 'Start the node once, or import an exported key')
  await rename(await writeTemporary(dataDir, await boxSeed(seed, next)), seedPath(dataDir))
  await syncDir(dataDir)
}

/** Whether the stored seed needs a passphrase; undefined when there is none. */
export async function isSeedProtected(dataDir: string): Promise<boolean | undefined> {
  const text = await readBox(dataDir)
  return text === undefined ? undefined : isSealed(text)
}

async function readBox(dataDir: string): Promise<string | undefined> {
  const path = seedPath(dataDir)
  let file: FileHandle
  try {
    // a link could point at a file that others write, and a pipe would never open
    file = await open(path, constants.O_RDONLY | (HAS_MODES ? constants.O_NOFOLLOW | constants.O_NONBLOCK : 0))
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return undefined
    throw new HearthError('E_KEY_FILE', `${path} cannot be read (${codeOf(err)})`, 'It must be a plain file that the node\'s user owns', { cause: err })
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile() || stat.size > MAX_FILE_BYTES) throw new HearthError('E_KEY_FILE', `${path} is not a seed file`, 'Restore it from a backup, or move it away and import the exported key')
    if (HAS_MODES && (stat.mode & STRANGERS) !== 0) {
      throw new HearthError('E_KEY_PERMISSIONS', `${path} can be read or written by others (mode ${(stat.mode & 0o777).toString(8)})`, `Run: chmod 600 ${path} (and make a new seed if strangers may have read it)`)
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

async function writeTemporary(dataDir: string, text: string): Promise<string> {
  const path = join(dataDir, `${FILE_NAME}.${randomBytes(8).toString('hex')}.tmp`)
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  return path
}

async function syncDir(dataDir: string): Promise<void> {
  if (!HAS_MODES) return
  const dir = await open(dataDir, 'r')
  try {
    await dir.sync()
  } finally {
    await dir.close()
  }
}
