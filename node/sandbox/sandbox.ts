import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, realpath, rm } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { extname, join } from 'node:path'
import { HearthError, type ErrorCode } from '../../src/errors.ts'
import { encodeFrame, FRAME, FrameReader } from './frames.ts'
import { MAX_SPEC_FRAME_BYTES } from './limits.ts'
import { checkRunSpec, type RunResult, type RunSpec } from './run-spec.ts'
import type { SentResult, SentSpec, SupervisorOptions } from './supervisor.ts'

export interface WasmSandboxOptions {
  /** A folder of the sandbox's own. Its `code`, `runs` and `results` are emptied at `open`. */
  dir: string
  /** Children kept started and waiting (about 45 MB each). Default 1. */
  prestarted?: number
  /** Runs at once; one more is refused. The node decides how many it wants; this only bounds memory. Default 64. */
  maxRuns?: number
  /** After this time without a run all processes are ended; the next run starts them again. Default 60 s. */
  idleMs?: number
  /** More flags for the children's engine, such as the choice of a compiler. */
  engineFlags?: readonly string[]
  /** Another child's entry, for tests of a child that misbehaves. */
  childEntry?: string
}

export interface RunHandlers {
  /** Sees standard output (1) and error (2) live, within `logBytes`. Bytes are the caller's to keep. Must not throw. */
  onLog?: (stream: 1 | 2, bytes: Uint8Array) => void
  /** Ends the run with `E_SANDBOX_CANCELLED`. */
  signal?: AbortSignal
}

interface ActiveRun {
  runId: string
  onLog: RunHandlers['onLog']
  settle: (result: RunResult) => void
}

/** The supervisor process as this one sees it. */
interface Supervisor {
  process: ChildProcess
  line: Duplex
  gone: Promise<void>
  /** A `warm` that has not been answered yet. */
  warming: PromiseWithResolvers<void> | undefined
}

const EMPTY = new Uint8Array(0)
/** A supervisor that has lost its line ends within milliseconds. */
const STUCK_MS = 10_000

function abstained(code: ErrorCode, message: string): RunResult {
  return { outcome: { kind: 'abstained', code, message, usage: { wallMs: 0, cpuMs: 0, residentBytes: 0, memoryBytes: 0, outBytes: 0, outFiles: 0, stdoutBytes: 0, stderrBytes: 0 } } }
}

function received({ outcome, dir, memory }: SentResult): RunResult {
  if (memory !== undefined) return { outcome, files: { kind: 'memory', files: memory.map(([path, base64]) => ({ path, bytes: Buffer.from(base64, 'base64') })) } }
  return dir === undefined ? { outcome } : { outcome, files: { kind: 'folder', dir } }
}

/**
 * Runs WebAssembly programs of strangers: each in a process of its own, under a supervisor that ends it at its limits.
 *
 * ```ts
 * await using sandbox = await WasmSandbox.open({ dir })
 * const { outcome, files } = await sandbox.run(spec, { onLog: (stream, bytes) => process.stdout.write(bytes) })
 * ```
 */
export class WasmSandbox {
  readonly #dir: string
  readonly #options: Required<Omit<WasmSandboxOptions, 'dir' | 'childEntry'>> & Pick<WasmSandboxOptions, 'childEntry'>
  readonly #runs = new Map<number, ActiveRun>()
  #supervisor: Supervisor | undefined
  #nextRun = 1
  #supervisors = 0
  #idle: NodeJS.Timeout | undefined
  #suspended = false
  #closed = false

  private constructor(dir: string, options: WasmSandboxOptions) {
    this.#dir = dir
    const { prestarted = 1, maxRuns = 64, idleMs = 60_000, engineFlags = [], childEntry } = options
    this.#options = { prestarted, maxRuns, idleMs, engineFlags, ...(childEntry === undefined ? {} : { childEntry }) }
  }

  /** Empties the sandbox's folder; processes start with the first run, or with `warm`. */
  static async open(options: WasmSandboxOptions): Promise<WasmSandbox> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 })
    // The child's permissions name real paths.
    const dir = await realpath(options.dir)
    for (const name of ['code', 'runs', 'results']) {
      await rm(join(dir, name), { recursive: true, force: true, maxRetries: 3 })
      await mkdir(join(dir, name), { mode: 0o700 })
    }
    return new WasmSandbox(dir, options)
  }

  /** Runs that have not ended. */
  get active(): number { return this.#runs.size }

  /** Starts the waiting children, so that the next run begins at once: for a provider that has just made a bid. */
  async warm(): Promise<void> {
    this.#checkOpen()
    const supervisor = this.#supervisor ??= this.#start()
    clearTimeout(this.#idle)
    if (supervisor.warming === undefined) {
      supervisor.warming = Promise.withResolvers()
      supervisor.line.write(encodeFrame(FRAME.warm, 0, EMPTY))
    }
    await Promise.race([supervisor.warming.promise, supervisor.gone])
    this.#touch()
  }

  /**
   * Runs a program to its end. Rejects only for a spec that cannot be (`E_SANDBOX_SPEC`), a closed sandbox, or too many
   * runs (`E_SANDBOX_BUSY`); whatever else happens is an outcome.
   */
  run(spec: RunSpec, { onLog, signal }: RunHandlers = {}): Promise<RunResult> {
    try {
      this.#checkOpen()
      checkRunSpec(spec)
      if (this.#runs.size >= this.#options.maxRuns) throw new HearthError('E_SANDBOX_BUSY', `${this.#runs.size} runs are under way`, 'Wait for one to end, or raise maxRuns')
    } catch (err) {
      return Promise.reject(err instanceof Error ? err : new Error(String(err)))
    }
    if (signal?.aborted === true) return Promise.resolve(abstained('E_SANDBOX_CANCELLED', 'the run was cancelled'))
    const { line } = this.#supervisor ??= this.#start()
    const run = this.#nextRun++
    const { seed, ...rest } = spec
    const sent: SentSpec = { ...rest, seedHex: Buffer.from(seed).toString('hex') }
    return new Promise((resolve) => {
      const cancel = (): void => { line.write(encodeFrame(FRAME.cancel, run, EMPTY)) }
      this.#runs.set(run, {
        runId: spec.runId,
        onLog,
        settle: (result) => {
          this.#runs.delete(run)
          signal?.removeEventListener('abort', cancel)
          this.#touch()
          resolve(result)
        }
      })
      signal?.addEventListener('abort', cancel)
      this.#touch()
      line.write(encodeFrame(FRAME.run, run, Buffer.from(JSON.stringify(sent))))
    })
  }

  /**
   * Holds every run, those to come included, or lets them go on. Held runs use no processor and their time limit waits;
   * they keep their memory. Windows cannot hold a process: there runs under way go on, and only new ones wait.
   */
  suspend(suspended: boolean): void {
    this.#suspended = suspended
    this.#supervisor?.line.write(encodeFrame(suspended ? FRAME.suspend : FRAME.resume, 0, EMPTY))
  }

  /** The same for one run; an unknown one has ended. */
  hold(runId: string, held: boolean): void {
    for (const [run, active] of this.#runs) if (active.runId === runId) this.#supervisor?.line.write(encodeFrame(held ? FRAME.suspend : FRAME.resume, run, EMPTY))
  }

  /** Ends every run with `E_SANDBOX_CLOSED` and every process. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#idle)
    const supervisor = this.#supervisor
    this.#abandon('E_SANDBOX_CLOSED', 'the sandbox was closed')
    await supervisor?.gone
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.close() }

  #checkOpen(): void {
    if (this.#closed) throw new HearthError('E_SANDBOX_CLOSED', 'the sandbox is closed', 'Open another')
  }

  /** Lets the supervisor go; it and its children end with the line. */
  #abandon(code: ErrorCode, message: string): void {
    const supervisor = this.#supervisor
    this.#supervisor = undefined
    if (supervisor !== undefined) {
      supervisor.line.destroy()
      // It ends with its line. Should it not, because the machine or our own code is stuck, it is ended.
      const stuck = setTimeout(() => { supervisor.process.kill('SIGKILL') }, STUCK_MS)
      void supervisor.gone.then(() => { clearTimeout(stuck) })
    }
    for (const { settle } of [...this.#runs.values()]) settle(abstained(code, message))
  }

  #touch(): void {
    clearTimeout(this.#idle)
    if (this.#runs.size > 0 || this.#closed) return
    this.#idle = setTimeout(() => { this.#abandon('E_SANDBOX_CLOSED', 'the sandbox was idle') }, this.#options.idleMs)
    this.#idle.unref()
  }

  #start(): Supervisor {
    const { prestarted, engineFlags, childEntry } = this.#options
    const options: SupervisorOptions = { dir: this.#dir, generation: ++this.#supervisors, prestarted, flags: [...engineFlags], ...(childEntry === undefined ? {} : { entry: childEntry }) }
    const script = join(import.meta.dirname, `supervisor${extname(import.meta.filename)}`)
    // A group of its own: an interrupt at the terminal is the node's to handle.
    const child = spawn(process.execPath, ['--no-warnings', '--max-old-space-size=512', script, JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'], env: process.platform === 'win32' ? { SystemRoot: process.env['SystemRoot'] } : {}, detached: process.platform !== 'win32', windowsHide: true
    })
    const line = child.stdio[3] as Duplex
    const supervisor: Supervisor = {
      process: child, line, warming: undefined,
      gone: new Promise((resolve) => {
        child.once('exit', () => { resolve() })
        child.once('error', () => { resolve() })
      })
    }
    const lost = (): void => { if (this.#supervisor === supervisor) this.#abandon('E_SANDBOX_SUPERVISOR', 'the sandbox\'s supervisor died') }
    void supervisor.gone.then(lost)
    line.on('close', lost)
    line.on('error', lost)
    const reader = new FrameReader(MAX_SPEC_FRAME_BYTES, (type, run, body) => { this.#onFrame(supervisor, type, run, body) })
    line.on('data', (chunk: Buffer) => { reader.push(chunk) })
    if (this.#suspended) line.write(encodeFrame(FRAME.suspend, 0, EMPTY))
    return supervisor
  }

  #onFrame(supervisor: Supervisor, type: number, run: number, body: Buffer): void {
    if (type === FRAME.ready) {
      supervisor.warming?.resolve()
      supervisor.warming = undefined
      return
    }
    const active = this.#runs.get(run)
    if (active === undefined) return
    if (type === FRAME.result) active.settle(received(JSON.parse(body.toString('utf8')) as SentResult))
    else active.onLog?.(type === FRAME.log1 ? 1 : 2, new Uint8Array(body))
  }
}
