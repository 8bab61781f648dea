import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { CHILD_FRAME, FrameReader } from './frames.ts'
import { MAX_CHILD_FRAME_BYTES } from './limits.ts'
import { ProcessWatch } from './process-watch.ts'

/**
 * The shell between us and a child, where there is one. It lowers what the child may use (no core files, few descriptors,
 * idle priority, first to go when the host's memory ends), starts it, and then waits for its life line, descriptor 3.
 * When that ends, because we closed it or because we are dead however that came about, it kills the child and reaps it.
 * The child's pid cannot be another's meanwhile: only this shell can reap it.
 */
const SHELL_SCRIPT = `ulimit -c 0 2>/dev/null; ulimit -n 512 2>/dev/null; ulimit -s 16384 2>/dev/null; exec 4<&0
{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null
command -v nice >/dev/null 2>&1 && set -- nice -n 19 "$@"
"$@" <&4 3<&- 4<&- & exec 4<&- 0<&- 1>&- 2>&-
{ echo 0 >/proc/self/oom_score_adj; } 2>/dev/null
read -r _ <&3; kill -9 $!; wait $!`

/** The child's JavaScript heap holds directory entries and little else; the program's memory is not in it. */
const HEAP_MB = 192
/** The engine's share of the stack, where the system gives a main thread 8 MiB and more: deep recursion is rarely hostile. */
const STACK_KIB = 3900
/** Kept of what the engine says before it dies. */
const MAX_ENGINE_WORDS = 2000
/** An ordinary child is ready after 20 ms; a busy host may need long. */
export const READY_TIMEOUT_MS = 60_000

export interface ChildOptions {
  /** The child's entry; it may read the folder around it. */
  entry: string
  codeDir: string
  runDir: string
  nodePath: string
  /** Flags of the engine beside the usual ones: tests choose compilers with them. */
  flags: readonly string[]
}

/** What a child says: checked only for shape here. */
export interface ChildHandlers {
  onFrame: (type: number, body: Buffer) => void
  /** The stream of frames broke the rules. */
  onViolation: (what: string) => void
  onExit: () => void
}

function childFlags({ codeDir, runDir, flags }: ChildOptions): string[] {
  return [
    '--no-warnings', '--disable-sigusr1', '--disable-proto=delete', '--disallow-code-generation-from-strings',
    '--permission', `--allow-fs-read=${codeDir}/`, `--allow-fs-read=${runDir}/`, `--allow-fs-write=${join(runDir, 'work')}/`,
    // One compiler thread: a run occupies the core it was given, and little of another.
    '--v8-pool-size=1', `--max-old-space-size=${HEAP_MB}`, ...process.platform === 'win32' ? [] : [`--stack-size=${STACK_KIB}`], ...flags
  ]
}

/** One child from its start to its death: the processes, their pipes, and nothing about runs. */
export class RunChild {
  readonly runDir: string
  /** Settles when the child and its shell are gone; after that nothing of it can touch the run directory. */
  readonly gone: Promise<void>
  /** Settles when the child waits for a spec, or is gone. */
  readonly started: Promise<void>
  /** True once the child waits for a spec. */
  ready = false
  watch: ProcessWatch | undefined
  readonly #process: ChildProcess
  readonly #input: Writable | null
  readonly #lifeLine: Writable | undefined
  #pid: number | undefined
  #handlers: ChildHandlers | undefined
  #dead = false
  #engineWords = ''
  readonly #onStarted: () => void

  constructor(options: ChildOptions) {
    this.runDir = options.runDir
    mkdirSync(join(options.runDir, 'in'), { recursive: true, mode: 0o700 })
    mkdirSync(join(options.runDir, 'work'), { mode: 0o700 })
    const shell = process.platform !== 'win32'
    const command = [options.nodePath, ...childFlags(options), options.entry]
    const spawned = shell
      ? spawn('/bin/sh', ['-c', SHELL_SCRIPT, 'hearth-run', ...command], { cwd: options.runDir, env: {}, stdio: ['pipe', 'pipe', 'pipe', 'pipe'], detached: true })
      : spawn(command[0] ?? '', command.slice(1), { cwd: options.runDir, env: { SystemRoot: process.env['SystemRoot'] }, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true })
    this.#process = spawned
    this.#input = spawned.stdin
    const { promise, resolve: onStarted } = Promise.withResolvers<void>()
    const late = setTimeout(() => { this.kill() }, READY_TIMEOUT_MS)
    this.started = promise
    this.#onStarted = () => { clearTimeout(late); onStarted() }
    this.#lifeLine = shell ? spawned.stdio[3] as Writable : undefined
    this.gone = new Promise((resolve) => {
      const end = (): void => { this.#end(); resolve() }
      spawned.once('exit', end)
      spawned.once('error', end)
    })
    // A dead child's pipes break; its death says all there is to say.
    for (const stream of spawned.stdio) stream?.on('error', () => { this.kill() })
    this.#listen(spawned.stdout, spawned.stderr)
  }

  get dead(): boolean { return this.#dead }

  /** What the engine printed, usually why it died. */
  get engineWords(): string { return this.#engineWords }

  /** Hands over the spec, once. */
  start(spec: Buffer, handlers: ChildHandlers): void {
    this.#handlers = handlers
    const head = Buffer.alloc(4)
    head.writeUInt32LE(spec.length)
    this.#input?.write(Buffer.concat([head, spec]))
  }

  /** Holds the child still, or lets it go on; it can be killed either way. Windows has no such signal: there it runs on. */
  hold(held: boolean): void {
    if (this.#pid === undefined || this.#dead || process.platform === 'win32') return
    try { process.kill(this.#pid, held ? 'SIGSTOP' : 'SIGCONT') } catch { /* gone already */ }
  }

  /** Ends the child with SIGKILL; `gone` tells when. */
  kill(): void {
    if (this.#lifeLine === undefined) this.#process.kill('SIGKILL')
    else this.#lifeLine.destroy()
  }

  #end(): void {
    if (this.#dead) return
    // Should the shell have been killed alone, the child outlives it. The watched file belongs to one process, whatever its pid.
    if (this.#pid !== undefined && process.platform === 'linux' && this.watch?.sample() !== undefined) try { process.kill(this.#pid, 'SIGKILL') } catch { /* gone already */ }
    this.#dead = true
    this.watch?.close()
    this.#lifeLine?.destroy()
    this.#input?.destroy()
    this.#onStarted()
    this.#handlers?.onExit()
  }

  #listen(stdout: Readable | null, stderr: Readable | null): void {
    const reader = new FrameReader(MAX_CHILD_FRAME_BYTES, (type, _run, body) => { this.#onFrame(type, body) })
    stdout?.on('data', (chunk: Buffer) => { if (!this.#dead && !reader.push(chunk)) this.#violation('a frame is too large') })
    stderr?.on('data', (chunk: Buffer) => { if (this.#engineWords.length < MAX_ENGINE_WORDS) this.#engineWords += chunk.toString('latin1').slice(0, MAX_ENGINE_WORDS) })
    // The end of its output is the end of a child; on the shell's side this is how we learn that it died.
    stdout?.once('end', () => { this.kill() })
  }

  #onFrame(type: number, body: Buffer): void {
    if (type === CHILD_FRAME.hello && this.#pid === undefined && body.length === 4) {
      this.#pid = body.readUInt32LE(0)
      this.watch = new ProcessWatch(this.#pid)
      // A child that names another's pid would have that one watched, or killed.
      if (process.platform === 'linux' && this.watch.sample()?.parentPid !== this.#process.pid) {
        this.watch.close()
        this.watch = undefined
        this.#violation('its process is not its own')
        return
      }
      this.ready = true
      try { setPriority(this.#pid, constants.priority.PRIORITY_LOW) } catch { /* as nice as it is */ }
      this.#onStarted()
    } else if (this.#handlers === undefined) this.#violation('a frame comes before its time')
    else this.#handlers.onFrame(type, body)
  }

  #violation(what: string): void {
    this.#handlers?.onViolation(what)
    this.kill()
  }
}
