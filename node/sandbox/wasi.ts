import { FdTable } from './fd-table.ts'
import { InputBody, ScratchBody, ScratchStore } from './file-body.ts'
import { FsTree, type FileNode, type OutEntry } from './fs-tree.ts'
import { GuestMemory } from './guest-memory.ts'
import { CLOCK_STEP_NS } from './limits.ts'
import { LogStream } from './log-stream.ts'
import { SeedRandom } from './seed-random.ts'
import { VirtualClock } from './virtual-clock.ts'
import { CLOCK, ERRNO, RIGHT, RIGHTS_ALL, type Errno } from './wasi-abi.ts'
import { descriptorCalls } from './wasi-descriptors.ts'
import { fileCalls } from './wasi-files.ts'
import { transferCalls } from './wasi-io.ts'
import { pathCalls } from './wasi-paths.ts'
import { pollCalls } from './wasi-poll.ts'
import { unsigned, type WasiState } from './wasi-state.ts'

/** Thrown by `proc_exit` through the program, up to whoever called `_start`. */
export class ProgramExit extends Error {
  readonly exitCode: number
  constructor(exitCode: number) {
    super(`exit ${exitCode}`)
    this.exitCode = exitCode
  }
}

export interface WasiOptions {
  args: string[]
  env: Record<string, string>
  /** Standard input: a host file; undefined is empty. */
  stdin: { hostPath: string, sizeBytes: number } | undefined
  inputs: { path: string, hostPath: string, sizeBytes: number }[]
  /** Where large scratch files go on the host; must exist and be empty. */
  scratchDir: string
  outBytes: number
  outFiles: number
  logBytes: number
  seed: Uint8Array
  baseTimeMs: number
  /** Sees the streams as they are written: 1 is standard output, 2 standard error. */
  onLog: (stream: 1 | 2, bytes: Uint8Array) => void
  /** For the pace of `onLog` only. */
  monoMs: () => number
}

/**
 * The directories a program finds open, in this order. `.` is the output directory, so that a relative path is written
 * where it counts; libc matches absolute paths by the longest name.
 */
const PREOPENS = [['/out', 'out'], ['/in', 'in'], ['/tmp', 'tmp'], ['.', 'out']] as const

const terminated = (values: string[]): Uint8Array[] => values.map((value) => Buffer.from(`${value}\0`))

/** WASI preview 1 over a file system of our own: small, deterministic, and without a way to the host's. */
export class Wasi {
  readonly stdout: LogStream
  readonly stderr: LogStream
  readonly tree: FsTree
  /** The functions to import as `wasi_snapshot_preview1`. */
  readonly calls: Record<string, (...args: never[]) => unknown>
  readonly #state: WasiState

  constructor(options: WasiOptions) {
    const clock = new VirtualClock(options.baseTimeMs)
    const store = new ScratchStore(options.scratchDir, options.outBytes)
    const log = (stream: 1 | 2): LogStream =>
      new LogStream({ capBytes: options.logBytes, send: (bytes) => { options.onLog(stream, bytes) }, monoMs: options.monoMs })
    this.stdout = log(1)
    this.stderr = log(2)
    this.tree = new FsTree({ store, maxFiles: options.outFiles, inputs: options.inputs, timeNs: () => clock.nowNs })
    // Sorted, because an object's order is the caller's.
    const env = Object.entries(options.env).map(([name, value]) => `${name}=${value}`).sort()
    this.#state = {
      memory: new GuestMemory(), tree: this.tree, fds: new FdTable(), clock, random: new SeedRandom(options.seed),
      args: terminated(options.args), env: terminated(env)
    }
    this.#openFirst(options.stdin === undefined ? new ScratchBody(store) : new InputBody(options.stdin.hostPath, options.stdin.sizeBytes))
    this.calls = { ...transferCalls(this.#state), ...descriptorCalls(this.#state), ...fileCalls(this.#state), ...pathCalls(this.#state), ...pollCalls(this.#state), ...processCalls(this.#state), ...socketCalls() }
  }

  get memoryBytes(): number { return this.#state.memory.sizeBytes }

  attach(memory: WebAssembly.Memory): void { this.#state.memory.attach(memory) }

  /** Ends the program's use of its files and answers its outputs. */
  finish(): OutEntry[] {
    for (const [fd, descriptor] of this.#state.fds.all()) {
      this.#state.fds.set(fd, undefined)
      if (descriptor.kind === 'file') this.tree.closed(descriptor.node)
    }
    return this.tree.outputs()
  }

  #openFirst(stdin: InputBody | ScratchBody): void {
    const { fds, clock } = this.#state
    const node: FileNode = { kind: 'file', ino: 0, writable: false, parent: undefined, accessedNs: clock.nowNs, modifiedNs: clock.nowNs, body: stdin, opened: 1, removed: false }
    stdin.open()
    fds.add({ kind: 'file', node, position: 0, rights: RIGHTS_ALL & ~RIGHT.write, flags: 0 })
    fds.add({ kind: 'stream', log: this.stdout })
    fds.add({ kind: 'stream', log: this.stderr })
    for (const [preopen, root] of PREOPENS) fds.add({ kind: 'dir', node: this.tree[root], preopen, rights: RIGHTS_ALL, listing: undefined })
  }
}

/** Arguments, environment, clock, random source, exit. */
function processCalls({ memory, clock, random, args, env }: WasiState) {
  function sizes(values: Uint8Array[], count: number, bytes: number): Errno {
    if (!memory.has(unsigned(count), 4) || !memory.has(unsigned(bytes), 4)) return ERRNO.fault
    memory.setU32(unsigned(count), values.length)
    memory.setU32(unsigned(bytes), values.reduce((sum, value) => sum + value.length, 0))
    return ERRNO.success
  }
  function strings(values: Uint8Array[], pointers: number, buffer: number): Errno {
    let at = unsigned(buffer)
    if (!memory.has(unsigned(pointers), values.length * 4) || !memory.has(at, values.reduce((sum, value) => sum + value.length, 0))) return ERRNO.fault
    for (const [n, value] of values.entries()) {
      memory.setU32(unsigned(pointers) + n * 4, at)
      memory.bytes.set(value, at)
      at += value.length
    }
    return ERRNO.success
  }
  return {
    args_sizes_get: (count: number, bytes: number): Errno => sizes(args, count, bytes),
    args_get: (pointers: number, buffer: number): Errno => strings(args, pointers, buffer),
    environ_sizes_get: (count: number, bytes: number): Errno => sizes(env, count, bytes),
    environ_get: (pointers: number, buffer: number): Errno => strings(env, pointers, buffer),
    clock_res_get(id: number, result: number): Errno {
      if (unsigned(id) > CLOCK.threadCpu) return ERRNO.inval
      if (!memory.has(unsigned(result), 8)) return ERRNO.fault
      memory.setU64(unsigned(result), CLOCK_STEP_NS)
      return ERRNO.success
    },
    clock_time_get(id: number, _precision: bigint, result: number): Errno {
      if (unsigned(id) > CLOCK.threadCpu) return ERRNO.inval
      if (!memory.has(unsigned(result), 8)) return ERRNO.fault
      memory.setU64(unsigned(result), clock.read(unsigned(id) === CLOCK.realtime))
      return ERRNO.success
    },
    random_get(buffer: number, length: number): Errno {
      if (!memory.has(unsigned(buffer), unsigned(length))) return ERRNO.fault
      random.fill(memory.bytes.subarray(unsigned(buffer), unsigned(buffer) + unsigned(length)))
      return ERRNO.success
    },
    proc_exit(code: number): never { throw new ProgramExit(unsigned(code)) },
    proc_raise: (): Errno => ERRNO.notsup,
    sched_yield: (): Errno => ERRNO.success
  }
}

/** A program has no network. */
function socketCalls() {
  const refuse = (): Errno => ERRNO.notsup
  return { sock_accept: refuse, sock_recv: refuse, sock_send: refuse, sock_shutdown: refuse }
}
