/**
 * The child process: one run, then death. Everything is synchronous, because the program runs on this thread and nothing
 * else has to. It reads the spec from standard input, sends frames on standard output, and touches the host's files only
 * in its run directory (its working directory): `in/` to read, `work/` to write.
 */
import { readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { CHILD_FRAME, encodeFrame } from './frames.ts'
import { encodeEntry, MAX_DETAIL_CHARS, type ChildDone, type ChildEntry, type ChildSpec, type ChildUsage } from './child-messages.ts'
import { checkModule, MAX_MODULE_BYTES } from './check-module.ts'
import { HostFault, onHost } from './host-fault.ts'
import type { Trap } from './limits.ts'
import { ProgramExit, Wasi } from './wasi.ts'
import { WASI_MODULE } from './wasi-abi.ts'

type Verdict =
  | { kind: 'exited', exitCode: number }
  | { kind: 'trapped', trap: string, detail: string }
  | { kind: 'abstained', code: `E_${string}`, message: string }

function send(type: number, body: Uint8Array): void {
  const frame = encodeFrame(type, 0, body)
  for (let at = 0; at < frame.length;) at += writeSync(1, frame, at)
}

function readExactly(length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length;) {
    const count = readSync(0, bytes, at, length - at, null)
    if (count === 0) return undefined
    at += count
  }
  return bytes
}

/** Waits for the spec; undefined when the supervisor has gone. */
function readSpec(): ChildSpec | undefined {
  const head = readExactly(4)
  const body = head === undefined ? undefined : readExactly(head.readUInt32LE(0))
  return body === undefined ? undefined : JSON.parse(body.toString('utf8')) as ChildSpec
}

/** The engine's wordings of the specification's traps. One that is unknown is no answer, for another host may know it. */
const TRAP_WORDS: readonly [RegExp, Trap][] = [
  [/^unreachable$/, 'unreachable'],
  [/^memory access out of bounds$/, 'memory-out-of-bounds'],
  [/^(?:divide|remainder) by zero$/, 'divide-by-zero'],
  [/^divide result unrepresentable$/, 'divide-overflow'],
  [/^float unrepresentable in integer range$/, 'invalid-conversion'],
  [/^(?:table index is out of bounds|table access out of bounds|table or element .*out of bounds)$/, 'table-out-of-bounds'],
  [/^null function or function signature mismatch$/, 'indirect-call'],
  [/^dereferencing a null pointer$/, 'null-reference'],
  [/data segment.* out of bounds/, 'data-out-of-bounds'],
  [/element segment.* out of bounds/, 'element-out-of-bounds']
]

function verdictOf(err: unknown): Verdict {
  if (err instanceof ProgramExit) return { kind: 'exited', exitCode: err.exitCode }
  if (err instanceof HostFault) return { kind: 'abstained', code: err.code, message: err.message }
  const text = err instanceof Error ? err.message : String(err)
  if (err instanceof WebAssembly.RuntimeError) {
    const trap = TRAP_WORDS.find(([words]) => words.test(text))?.[1]
    if (trap !== undefined) return { kind: 'trapped', trap, detail: stackOf(err) }
  }
  if (err instanceof WebAssembly.CompileError && !/SIMD unsupported|out of memory/i.test(text)) return { kind: 'trapped', trap: 'invalid-module', detail: text }
  if (err instanceof RangeError && /call stack/.test(text)) return { kind: 'abstained', code: 'E_SANDBOX_STACK', message: 'the program calls itself deeper than this host\'s stack' }
  if (err instanceof RangeError) return { kind: 'abstained', code: 'E_SANDBOX_MEMORY', message: `the host could not give the memory: ${text}` }
  return { kind: 'abstained', code: 'E_SANDBOX_CRASH', message: `the engine failed: ${text}` }
}

/** The program's own frames, for its author. */
function stackOf(err: Error): string {
  return (err.stack ?? '').split('\n').filter((line) => line.includes('wasm')).join('\n').slice(0, MAX_DETAIL_CHARS)
}

function isFunction(value: unknown): value is () => unknown { return typeof value === 'function' }

function runModule(module: Uint8Array, wasi: Wasi): Verdict {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { [WASI_MODULE]: wasi.calls })
    const { memory, _start: start } = exports
    if (!(memory instanceof WebAssembly.Memory) || !isFunction(start)) throw new HostFault('E_SANDBOX_CRASH', 'the module check and the engine differ')
    wasi.attach(memory)
    start()
    return { kind: 'exited', exitCode: 0 }
  } catch (err) {
    return verdictOf(err)
  }
}

function readModule(): Uint8Array | undefined {
  return onHost('E_SANDBOX_INPUT', 'the module cannot be read', () => statSync('in/module').size > MAX_MODULE_BYTES ? undefined : readFileSync('in/module'))
}

/** Checks and runs; answers also the outputs' places when there is a result to keep. */
function run(spec: ChildSpec, wasi: Wasi): { verdict: Verdict, entries: ChildEntry[] } {
  const bytes = readModule()
  const check = bytes === undefined ? { ok: false, code: 'E_MODULE_SIZE', message: `the module is larger than ${MAX_MODULE_BYTES} bytes` } as const : checkModule(bytes, spec.memoryBytes)
  const verdict: Verdict = check.ok ? runModule(check.bytes, wasi) : { kind: 'trapped', trap: check.code, detail: check.message }
  const entries: ChildEntry[] = []
  if (verdict.kind === 'abstained') return { verdict, entries }
  let number = 0
  for (const { path, file } of wasi.finish()) {
    if (file !== undefined && 'saveAs' in file.body) {
      file.body.saveAs(`work/${number}`)
      entries.push({ path, file: { number: number++, sizeBytes: file.body.sizeBytes } })
    } else entries.push({ path, file: undefined })
  }
  for (const [name, log] of [['stdout', wasi.stdout], ['stderr', wasi.stderr]] as const) {
    const kept = log.end()
    onHost('E_SANDBOX_DISK', 'a log cannot be written', () => { writeFileSync(`work/${name}`, kept, { flag: 'wx' }) })
  }
  return { verdict, entries }
}

function usageOf(wasi: Wasi, cpuBefore: NodeJS.CpuUsage): ChildUsage {
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    cpuMs: (user + system) / 1000, residentBytes: process.memoryUsage.rss(), memoryBytes: wasi.memoryBytes,
    stdoutBytes: wasi.stdout.writtenBytes, stderrBytes: wasi.stderr.writtenBytes
  }
}

function main(): void {
  const pid = Buffer.alloc(4)
  pid.writeUInt32LE(process.pid)
  send(CHILD_FRAME.hello, pid)
  const spec = readSpec()
  if (spec === undefined) return
  const cpuBefore = process.cpuUsage()
  const wasi = new Wasi({
    args: spec.args, env: spec.env, scratchDir: 'work', outBytes: spec.outBytes, outFiles: spec.outFiles, logBytes: spec.logBytes,
    stdin: spec.stdinBytes === undefined ? undefined : { hostPath: 'in/stdin', sizeBytes: spec.stdinBytes },
    inputs: spec.inputs.map(([path, sizeBytes], index) => ({ path, hostPath: `in/${index}`, sizeBytes })),
    seed: Buffer.from(spec.seedHex, 'hex'), baseTimeMs: spec.baseTimeMs,
    onLog: (stream, bytes) => { send(stream === 1 ? CHILD_FRAME.stdout : CHILD_FRAME.stderr, bytes) },
    monoMs: () => performance.now()
  })
  let verdict: Verdict
  let entries: ChildEntry[] = []
  try { ({ verdict, entries } = run(spec, wasi)) } catch (err) { verdict = verdictOf(err) }
  for (const entry of entries) send(CHILD_FRAME.entry, encodeEntry(entry))
  const done: ChildDone = { ...verdict, usage: usageOf(wasi, cpuBefore) }
  send(CHILD_FRAME.done, Buffer.from(JSON.stringify(done)))
  // The supervisor ends this process; until then nothing more happens here.
  readExactly(1)
}

main()
