import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HearthError } from '../../../src/errors.ts'
import { MAX_SOCKET_PATH_BYTES } from './limits.ts'

/** The folder of one run. */
export interface SocketDir {
  /** For this user alone. */
  rootDir: string
  /** In it, what the container sees, with nothing but the socket. */
  mountedDir: string
  socketPath: string
}

/**
 * Makes the folder of a run in `parentDir`. The outer folder is for this user alone; the inner one and the socket may be used
 * by any user id, since that of the job is another: it gets there by the mount alone. Throws `E_NET_SOCKET` for a path too long.
 */
export async function makeSocketDir(parentDir: string): Promise<SocketDir> {
  const rootDir = await mkdtemp(join(parentDir, 'net-'))
  try {
    const mountedDir = join(rootDir, 'run')
    const socketPath = join(mountedDir, 'proxy.sock')
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
      throw new HearthError('E_NET_SOCKET', `The path ${socketPath} is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's may have`, 'Move the data folder to a shorter path')
    }
    await mkdir(mountedDir)
    await chmod(mountedDir, 0o755)
    return { rootDir, mountedDir, socketPath }
  } catch (err) {
    await rm(rootDir, { recursive: true, force: true })
    throw err
  }
}
