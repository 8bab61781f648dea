import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'
import { socketPath } from '../api/socket-path.ts'
import { RemoteApi } from '../client/remote-api.ts'

/** A node starts in about a second; a loaded machine may need more. */
const START_MS = 60 * SECOND_MS
/** A sandbox sees that its node is gone as soon as it runs; it may be starting. */
const GONE_MS = 20 * SECOND_MS
const RM_TRIES = 5
const PROGRAM = join(import.meta.dirname, '../../bin/hearth.js')

export interface ClusterNode {
  name: string
  peer: string
  address: string
  dataDir: string
  api: RemoteApi
  process: ChildProcess
  /** Resolves when the process has ended. */
  kill(signal: NodeJS.Signals): Promise<void>
}

export interface NodeSetup {
  name: string
  flags?: string[]
  env?: Record<string, string>
  dataDir?: string
  bootstrap?: string[]
  /** A multiaddr to listen on; any free port of loopback by default. */
  listen?: string
}

/** Real nodes as processes of their own on loopback: for the demo, the tests and the benchmarks. */
export class Cluster {
  readonly nodes: ClusterNode[] = []
  readonly dir: string
  /** Those that are starting too: none may be left behind. */
  readonly #children = new Set<ChildProcess>()
  readonly #onExit: () => void
  #isClosed = false

  private constructor(dir: string) {
    this.dir = dir
    this.#onExit = () => {
      this.kill()
      rmSync(dir, { recursive: true, force: true })
    }
    // a second Ctrl-C, or an error that nobody caught, ends this process at once
    process.once('exit', this.#onExit)
  }

  static async open(): Promise<Cluster> {
    return new Cluster(await mkdtemp(join(tmpdir(), 'hearth-')))
  }

  async start(setup: NodeSetup): Promise<ClusterNode> {
    if (this.#isClosed) throw new HearthError('E_DEMO_ENDED', 'the nodes were ended', '')
    const dataDir = setup.dataDir ?? join(this.dir, setup.name)
    const child = spawn(process.execPath, [PROGRAM, 'up', '--headless', '--json', `--dataDir=${dataDir}`, '--network.local=true', `--network.listen=${JSON.stringify([setup.listen ?? '/ip4/127.0.0.1/tcp/0'])}`, '--network.mdns=false', '--network.upnp=false',
      // a container engine is the whole machine's: who wants it says so
      ...setup.flags?.some((flag) => flag.startsWith('--share.engines=')) === true ? [] : ['--share.engines=[wasm]'],
      ...setup.bootstrap === undefined ? [] : [`--network.bootstrap=${JSON.stringify(setup.bootstrap)}`], ...setup.flags ?? []],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...setup.env } })
    this.#children.add(child)
    // not its exit: its sandbox, a process of its own that writes below the folder, shares its stderr and outlives it a little
    child.once('close', () => { this.#children.delete(child) })
    let output = ''
    const keep = (chunk: Buffer): void => { output = (output + chunk.toString()).slice(-8192) }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const api = new RemoteApi(socketPath(dataDir))
    const died = once(child, 'exit').then(() => { throw new HearthError('E_DEMO_NODE', `node ${setup.name} did not start: ${output.trim()}`, 'Start it by hand with `hearth up` to see more') })
    const status = await Promise.race([this.#status(api, child), died])
    died.catch(() => undefined)
    const node: ClusterNode = { name: setup.name, peer: status.peer, address: status.addresses[0] ?? '', dataDir, api, process: child, kill: async (signal) => { if (child.kill(signal)) await once(child, 'exit') } }
    this.nodes.push(node)
    return node
  }

  /** Waits for the first line that a headless node prints: it is up. */
  async #status(api: RemoteApi, child: ChildProcess): Promise<{ peer: string, addresses: string[] }> {
    const timer = AbortSignal.timeout(START_MS)
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => { resolve() })
      timer.addEventListener('abort', () => { reject(new HearthError('E_DEMO_NODE', 'a node did not start within a minute', 'Is the machine very busy?')) }, { once: true })
    })
    return await api.status()
  }

  /** Ends every process at once: what waits for one of them fails, and no other starts. */
  kill(): void {
    this.#isClosed = true
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** Ends every process and removes their folders. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map(({ api }) => api.close()))
    this.kill()
    const timeout = AbortSignal.timeout(GONE_MS)
    await Promise.all([...this.#children].map(async (child) => { await once(child, 'close', { signal: timeout }).catch(() => undefined) }))
    // what a run that is being killed still writes
    await rm(this.dir, { recursive: true, force: true, maxRetries: RM_TRIES })
    process.removeListener('exit', this.#onExit)
  }
}
