import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { MAX_SOCKET_PATH_BYTES } from './limits.ts'

/**
 * Where the node of a data folder listens: below the folder itself; in a private folder of the system's temporary one
 * where that path would be too long for a socket; a named pipe on Windows.
 */
export function socketPath(dataDir: string): string {
  const dir = realPath(dataDir)
  const hash = createHash('sha256').update(dir).digest('hex').slice(0, 16)
  if (process.platform === 'win32') return `\\\\.\\pipe\\hearth-${userInfo().username.replace(/[^\w-]/g, '_')}-${hash}`
  const near = join(dir, 'run', 'api.sock')
  if (Buffer.byteLength(near) <= MAX_SOCKET_PATH_BYTES) return near
  return join(tmpdir(), `hearth-${userInfo().uid}`, `${hash}.sock`)
}

/** The same folder by another name (a link, a drive letter) is the same node. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}
