import { chmod, mkdir, stat } from 'node:fs/promises'
import { HearthError } from '../../src/errors.ts'

const OWNER_ONLY = 0o700
const OTHERS = 0o077

/**
 * Makes the node's folder, readable by its owner only; an existing one is closed to others. Returns whether it was made.
 * Throws `E_CONFIG_DATA_DIR`.
 */
export async function prepareDataDir(dataDir: string): Promise<boolean> {
  const fail = (message: string, hint: string, cause: unknown): never => { throw new HearthError('E_CONFIG_DATA_DIR', `the data folder ${dataDir} ${message}`, hint, { cause }) }
  try {
    const made = await mkdir(dataDir, { recursive: true, mode: OWNER_ONLY })
    const { mode, uid } = await stat(dataDir)
    if (process.getuid !== undefined && uid !== process.getuid() && process.getuid() !== 0) fail('belongs to another user', 'Choose another: --dataDir=PATH', undefined)
    // mkdir minds the umask, and a folder may be older than we are
    if ((mode & OTHERS) !== 0) await chmod(dataDir, OWNER_ONLY)
    return made !== undefined
  } catch (error) {
    if (error instanceof HearthError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'EEXIST' || code === 'ENOTDIR') return fail('is not a folder', 'Choose another: --dataDir=PATH', error)
    return fail(code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'may not be written' : `can not be made (${code})`, 'Choose another: --dataDir=PATH, or correct its permissions', error)
  }
}
