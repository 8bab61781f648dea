import { chmod, link, lstat, mkdir, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { Server } from 'node:net'
import { HearthError } from '../../src/errors.ts'
import { GREET_WITHIN_MS } from './limits.ts'

const SOCKET_MODE = 0o600
const DIR_MODE = 0o700
/** Bits of group and others. */
const STRANGERS = 0o077
/** Two nodes that start at once may take each other's stale socket away a few times; more is somebody else's doing. */
const MAX_ATTEMPTS = 8
const IS_PIPE = process.platform === 'win32'

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : ''
}

/**
 * Listens on `path`, readable and writable by the owner alone. A socket that a crashed node left behind is taken over;
 * one that answers belongs to a running node: E_NODE_RUNNING. Throws E_SOCKET for what the system refuses.
 */
export async function claimSocket(server: Server, path: string): Promise<void> {
  if (!IS_PIPE) await privateDir(dirname(path))
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const code = await listen(server, path)
    if (code === '') {
      if (!IS_PIPE) await chmod(path, SOCKET_MODE)
      return
    }
    if (code !== 'EADDRINUSE') throw new HearthError('E_SOCKET', `Cannot listen on ${path} (${code})`, 'Check that the data folder is on a local disk that you may write to')
    if (IS_PIPE || await answers(path)) throw alreadyRunning(path)
    await removeStale(path)
  }
  throw new HearthError('E_SOCKET', `${path} is taken again and again`, 'Check whether something starts nodes on this data folder in a loop')
}

function alreadyRunning(path: string): HearthError {
  return new HearthError('E_NODE_RUNNING', `A node runs on this data folder already (${path})`, 'Use it with `hearth status`, end it with `hearth stop`, or start another with `--data-dir DIR`')
}

/** The folder must be ours alone: in a shared temporary folder anyone may have made it before us. */
async function privateDir(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: DIR_MODE })
  const stat = await lstat(dir)
  const mine = stat.isDirectory() && stat.uid === process.getuid?.()
  if (mine && (stat.mode & STRANGERS) !== 0) await chmod(dir, DIR_MODE)
  if (!mine) throw new HearthError('E_SOCKET', `${dir} is not a folder of yours`, 'Remove it, or choose another data folder with `--data-dir DIR`')
}

/** Empty when it listens, else the system's code. */
function listen(server: Server, path: string): Promise<string> {
  return new Promise((resolve) => {
    const failed = (err: Error): void => { server.off('listening', listening); resolve(codeOf(err) || 'unknown') }
    const listening = (): void => { server.off('error', failed); resolve('') }
    server.once('error', failed).once('listening', listening)
    server.listen({ path, readableAll: false, writableAll: false })
  })
}

/** Whether somebody accepts connections there. One that neither accepts nor refuses hangs, and lives. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (alive: boolean): void => { clearTimeout(timer); socket.destroy(); resolve(alive) }
    const timer = setTimeout(() => done(true), GREET_WITHIN_MS)
    socket.once('connect', () => done(true)).once('error', () => done(false))
  })
}

/**
 * Takes a dead socket away. Another node may do the same at once and listen already, so the file is moved aside first
 * (only one of us gets it), asked again, and put back when it lives after all.
 */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`
  try {
    await rename(path, aside)
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return
    throw new HearthError('E_SOCKET', `Cannot take over the stale socket ${path} (${codeOf(err)})`, 'Remove the file and start again', { cause: err })
  }
  try {
    if (!(await answers(aside))) return
    await link(aside, path).catch(() => {})
    throw alreadyRunning(path)
  } finally {
    await rm(aside, { force: true })
  }
}
