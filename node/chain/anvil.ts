import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'

/** Accounts that anvil funds, derived from its well-known mnemonic: everybody knows their keys. */
export const DEV_MNEMONIC = 'test test test test test test test test test test test junk'
export const DEV_CHAIN_ID = 31_337
const START_MS = 20 * SECOND_MS
/** What anvil says is kept to tell why it did not start. */
const MAX_WORDS = 4096
/** A computer that fails loses no more of the chain than this. */
const DUMP_EVERY_S = 15

const PLATFORM: Record<string, string> = { linux: 'linux', darwin: 'darwin', win32: 'win32' }
const ARCH: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

export interface AnvilOptions {
  /** 0, the default, lets the system choose. */
  port?: number
  chainId?: number
  /** Seconds between blocks, besides the one that each transaction gets; only those when left out. */
  blockTimeS?: number
  /** Blocks come only when asked for by evm_mine or anvil_mine. */
  mineByHand?: boolean
  /** A file that the state is loaded from, and dumped to every few seconds and when it ends. */
  statePath?: string
  accounts?: number
  /** Further arguments of anvil's own. */
  args?: readonly string[]
}

export interface Anvil {
  readonly url: string
  readonly process: ChildProcess
  /** Resolves when it has ended, by whatever cause. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

/**
 * The binary of the npm package of this platform, where it is installed (Linux on x64 gets it with Hearth), else `anvil` of the
 * path. Itself and not npm's shim of it, so that killing the child kills the chain.
 */
export function anvilPath(): string {
  const name = `@foundry-rs/anvil-${PLATFORM[process.platform] ?? process.platform}-${ARCH[process.arch] ?? process.arch}`
  const file = process.platform === 'win32' ? 'anvil.exe' : 'anvil'
  const places = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, file))
  try {
    places.unshift(join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'bin', file))
  } catch {
    // not a package of this platform: whoever wants a local chain installs it
  }
  const found = places.find((path) => existsSync(path))
  if (found === undefined) throw new HearthError('E_DEVNET_BINARY', 'the local chain (anvil) is not installed', `Install it with \`npm install ${name}\` or from https://getfoundry.sh, or use a chain by its RPC URL`)
  return found
}

/** Starts a local EVM chain on loopback. Throws E_DEVNET_BINARY, E_DEVNET_START. */
export async function startAnvil({ port = 0, chainId = DEV_CHAIN_ID, blockTimeS, mineByHand = false, statePath, accounts = 10, args = [] }: AnvilOptions = {}): Promise<Anvil> {
  const child = spawn(anvilPath(), [
    '--host', '127.0.0.1', '--port', String(port), '--chain-id', String(chainId), '--accounts', String(accounts), '--mnemonic', DEV_MNEMONIC,
    ...blockTimeS === undefined ? [] : ['--block-time', String(blockTimeS), '--mixed-mining'], ...mineByHand ? ['--no-mining'] : [],
    // a client reads the state at a confirmed block, which may be one of before a restart
    ...statePath === undefined ? [] : ['--state', statePath, '--state-interval', String(DUMP_EVERY_S), '--preserve-historical-states'],
    ...args
  ], { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true })
  // it would outlive us, and hold its port
  const onExit = (): void => { child.kill('SIGKILL') }
  process.once('exit', onExit)
  let words = ''
  const listening = new Promise<number>((resolve) => {
    const hear = (chunk: Buffer): void => {
      words = (words + chunk.toString()).slice(-MAX_WORDS)
      const found = /Listening on [\d.]+:(\d+)/.exec(words)?.[1]
      if (found !== undefined) resolve(Number(found))
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
  })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => { resolve() })
    child.once('error', () => { resolve() })
  })
  void ended.then(() => { process.removeListener('exit', onExit) })
  const timeout = AbortSignal.timeout(START_MS)
  const found = await Promise.race([listening, ended.then(() => undefined), once(timeout, 'abort').then(() => undefined)])
  if (found === undefined) {
    child.kill('SIGKILL')
    throw new HearthError('E_DEVNET_START', `the local chain did not start: ${words.trim().split('\n').at(-1) ?? ''}`, 'Is the port taken, or the state file damaged?')
  }
  return {
    url: `http://127.0.0.1:${found}`,
    process: child,
    ended,
    stop: async () => {
      child.kill('SIGINT')
      const stuck = setTimeout(() => { child.kill('SIGKILL') }, 5 * SECOND_MS)
      await ended
      clearTimeout(stuck)
    }
  }
}
