import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EngineClient } from '../../node/containers/engine-client.ts'

const START_MS = 30_000

/** Why no engine of the tests' own can be started here; undefined where it can. */
export function lacksOwnEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can start an engine of its own'
  if (spawnSync('dockerd', ['--version']).error !== undefined) return 'dockerd is not installed'
  return undefined
}

/** An engine that a test may kill: a dockerd of its own, its data on a small disk of its own, without any network. */
export class OwnEngine {
  readonly dir: string
  readonly client: EngineClient
  #process: ChildProcess | undefined

  private constructor(dir: string) {
    this.dir = dir
    this.client = new EngineClient(join(dir, 'docker.sock'))
  }

  static async start(diskMib: number): Promise<OwnEngine> {
    const dir = mkdtempSync(join(tmpdir(), 'hearth-engine-'))
    mkdirSync(join(dir, 'data'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'hearth-test', join(dir, 'data')])
    const engine = new OwnEngine(dir)
    await engine.start()
    return engine
  }

  /** Starts it, or starts it again. */
  async start(): Promise<void> {
    const { dir } = this
    // what a killed one left; its containerd would take the old process for alive
    for (const left of ['docker.pid', 'docker.sock', 'exec/containerd/containerd.pid']) rmSync(join(dir, left), { force: true })
    const child = spawn('dockerd', [
      '--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'docker.pid'), '-H', `unix://${this.client.socketPath}`,
      '--bridge=none', '--iptables=false', '--storage-driver=vfs'
    ], { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.pipe(createWriteStream(join(dir, 'log')))
    this.#process = child
    const deadlineMs = performance.now() + START_MS
    while (!await this.client.ping(1000).then(() => true, () => false)) {
      if (child.exitCode !== null || performance.now() > deadlineMs) throw new Error(`the engine did not start: ${this.log}`)
      await new Promise((resolve) => { setTimeout(resolve, 50) })
    }
  }

  get log(): string { return existsSync(join(this.dir, 'log')) ? readFileSync(join(this.dir, 'log'), 'utf8').slice(-2000) : '' }

  get residentBytes(): number { return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#process?.pid}/status`, 'utf8'))?.[1]) * 1024 }

  /** Resolves when every thread stands still. */
  async stop(): Promise<void> {
    this.#process?.kill('SIGSTOP')
    const tasks = `/proc/${this.#process?.pid}/task`
    while (readdirSync(tasks).some((task) => !/\) [Tt] /.test(readFileSync(join(tasks, task, 'stat'), 'utf8')))) await new Promise(setImmediate)
  }

  goOn(): void { this.#process?.kill('SIGCONT') }

  /** As a crash would: its containers go on. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async close(): Promise<void> {
    const child = this.#process
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const containers = await this.client.call<{ Id: string }[]>({ method: 'GET', path: '/containers/json', query: { all: true } }).catch(() => [])
      await Promise.all(containers.map(({ Id }) => this.client.remove(Id).catch(() => undefined)))
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
    // lazily: a shim may need a moment to end; the engine leaves mounts of its own, too
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((at) => at.startsWith(`${this.dir}/`))
    for (const at of mounts.reverse()) execFileSync('umount', ['-l', at])
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}
