import { chmod, lstat, mkdir, rm, rmdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { Server } from 'node:net'
import { HearthError } from '../../src/errors.ts'
import { GREET_WITHIN_MS } from './limits.ts'

const SOCKET_MODE = 0o600
const DIR_MODE = 0o700
/** Bits of group and others. */
const STRANGERS = 0o077
/** Claiming takes milliseconds, or as long as asking a node that hangs: a lock older than this was left by a crash. */
const LOCK_STALE_MS = 3 * GREET_WITHIN_MS
const LOCK_POLL_MS = 20
const IS_PIPE = process.platform === 'win32'

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : ''
}

/**
 * Listens on `path`, readable and writable by the owner alone. A socket that a crashed node left behind is taken over;
 * one that answers belongs to a running node: E_NODE_RUNNING. Throws E_SOCKET for what the system refuses.
 */
export async function claimSocket(server: Server, path: string): Promise<void> {
  if (IS_PIPE) { refuse(path, await listen(server, path)); return }
  await privateDir(dirname(path))
  // between another's bind and its listen, its socket looks dead: so nobody looks while anybody binds
  await withLock(`${path}.lock`, async () => {
    const code = await listen(server, path)
    if (code === 'EADDRINUSE') {
      if (await answers(path)) throw alreadyRunning(path)
      await rm(path, { force: true })
    }
    if (code !== '') refuse(path, code === 'EADDRINUSE' ? await listen(server, path) : code)
    await chmod(path, SOCKET_MODE)
  })
}

function refuse(path: string, code: string): void {
  if (code === '') return
  if (code === 'EADDRINUSE') throw alreadyRunning(path)
  throw new HearthError('E_SOCKET', `Cannot listen on ${path} (${code})`, 'Check that the data folder is on a local disk that you may write to')
}

/** A folder is made by exactly one of those who try. */
async function withLock(lock: string, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await mkdir(lock, { mode: DIR_MODE })
      break
    } catch (err) {
      if (codeOf(err) !== 'EEXIST') throw new HearthError('E_SOCKET', `Cannot write to ${dirname(lock)} (${codeOf(err)})`, 'Check that the data folder is on a local disk that you may write to', { cause: err })
    }
    const made = await stat(lock).catch(() => undefined)
    if (made !== undefined && Date.now() - made.mtimeMs > LOCK_STALE_MS) await rmdir(lock).catch(() => {})
    else await new Promise((resolve) => { setTimeout(resolve, LOCK_POLL_MS) })
  }
  try {
    await work()
  } finally {
    await rmdir(lock).catch(() => {})
  }
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
