/** The sandbox with real processes: programs compiled by clang, what they see and leave, and what becomes of the processes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import type { RunResult } from '../../node/sandbox/run-spec.ts'
import { WasmSandbox } from '../../node/sandbox/sandbox.ts'
import { program } from '../fixtures/wasm/builder.ts'
import { openSandbox, PROBE, readResult, specOf, stdoutOf, type Bench, type Changes } from '../fixtures/wasm/sandbox.ts'
import { descendants, whenGone, type ProcessInfo } from '../fixtures/wasm/processes.ts'

/** Runs a program that says something and then never ends, and acts once it has spoken. */
function runHanging(sandbox: WasmSandbox, act: () => void, changes: Changes = {}, signal?: AbortSignal): Promise<RunResult> {
  let spoken = false
  const onLog = (): void => { if (!spoken) { spoken = true; act() } }
  return sandbox.run(specOf(PROBE, { args: ['probe', 'hang'], ...changes }), signal === undefined ? { onLog } : { onLog, signal })
}

let bench: Bench
test.before(async () => { bench = await openSandbox({ prestarted: 1 }) })
test.after(async () => { await bench.close() })

test('arguments, environment, standard input, both streams and the exit code pass through', async () => {
  const stdinPath = bench.file('stdin', 'from standard input\n')
  const logs = { 1: '', 2: '' }
  const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'echo', 'a b', 'ü'], env: { HELLO: 'world' }, stdinPath }), { onLog: (stream, bytes) => { logs[stream] += Buffer.from(bytes).toString() } })
  const wanted = 'arg probe\narg echo\narg a b\narg ü\nenv world\nfrom standard input\n'
  assert.is(result.outcome.kind, 'exited')
  assert.equal(result.outcome.kind === 'exited' && result.outcome.exitCode, 0)
  assert.is(stdoutOf(result), wanted)
  assert.equal(logs, { 1: wanted, 2: 'to the error stream\n' })
  assert.is(readResult(result)['stderr'], 'to the error stream\n')
  assert.is(result.outcome.usage.stdoutBytes, Buffer.byteLength(wanted))
  assert.ok(result.outcome.usage.cpuMs > 0 && result.outcome.usage.residentBytes > 1e6 && result.outcome.usage.memoryBytes > 65_536)
})

test('an exit code of 32 bits is an exit, not a fault', async () => {
  const { outcome } = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '300'] }))
  assert.ok(outcome.kind === 'exited' && outcome.exitCode === 300)
})

const FILES = `mkdir ok
mkdir again File exists
tell 6
read 10 012345AB89
truncate ok
size 8 mode file
excl File exists
rename ok
rename back ok
rmdir ok
rmdir missing No such file or directory
dir into itself ok Invalid argument
write /in Read-only file system
unlink /in Read-only file system
symlink Not supported
link Not supported
list /in: ./ ../ b/ one.txt
list /in/b: ./ ../ two.txt ä.txt
list /out: ./ ../ b.txt p/ relative.txt
list /tmp: ./ ../
input two
`
test('libc\'s files and directories work; the result holds /out and nothing of /tmp or /in', async () => {
  const inputs = [bench.input('one.txt', 'one\n'), bench.input('b/two.txt', 'two\n'), bench.input('b/ä.txt', '')]
  const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'files'], inputs }))
  assert.is(stdoutOf(result), FILES)
  assert.equal(readResult(result), { 'out/b.txt': '01234end', 'out/relative.txt': 'relative\n', stderr: '', stdout: Buffer.from(FILES).toString('latin1') })
  assert.is(result.outcome.usage.outFiles, 3)
  assert.is(result.outcome.usage.outBytes, 17)
})

test('time and randomness come from the spec alone', async () => {
  const times = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'times'], baseTimeMs: 1_234_567_890_123 }))
  assert.is(stdoutOf(times), 'real 1234567890.123000000\nsleep ok\nlater 3600 s\n')
  const random = (fill: number): Promise<string> => bench.sandbox.run(specOf(PROBE, { args: ['probe', 'random'], seed: new Uint8Array(32).fill(fill) })).then(stdoutOf)
  const [a, again, b] = await Promise.all([random(1), random(1), random(2)])
  assert.is(a, again)
  assert.is.not(a, b)
})

test('a large input is read where it lies: bytes are right, memory stays small', async () => {
  const hostPath = bench.file('big', '')
  const sizeBytes = 3 * 1024 ** 3
  truncateSync(hostPath, sizeBytes)
  const file = await open(hostPath, 'r+')
  await file.write('lastword', sizeBytes - 8)
  await file.write('middling', sizeBytes / 2)
  await file.close()
  const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'bigread', '/in/big'], inputs: [{ path: 'big', hostPath, sizeBytes }] }))
  assert.is(stdoutOf(result), `size ${sizeBytes}\nlast lastword\nmiddle middling\n`)
  assert.ok(result.outcome.usage.residentBytes < 150 * 1024 ** 2)
})

test('an input reads the same in small steps and large ones', async () => {
  const content = Buffer.alloc(5_000_000, 'abcdefghijklmnopqrstuvwxyz-')
  const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'sum', '/in/f'], inputs: [bench.input('f', content)] }))
  let hash = 1469598103934665603n
  for (const byte of content) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1099511628211n)
  const wanted = hash.toString(16).padStart(16, '0')
  assert.is(stdoutOf(result), `${wanted} ${wanted}\n`)
})

test('a program\'s fault is an outcome with what it left until then', async () => {
  const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'trap'] }))
  assert.ok(result.outcome.kind === 'trapped' && result.outcome.trap === 'unreachable' && /wasm-function/.test(result.outcome.detail))
  assert.is(stdoutOf(result), 'before\n')
})

test('inputs that are not what the spec says make the host abstain, and links are not followed', async () => {
  const hostPath = bench.file('secret', 'secret')
  const link = join(bench.dir, 'link')
  symlinkSync(hostPath, link)
  for (const input of [{ path: 'x', hostPath: join(bench.dir, 'missing'), sizeBytes: 1 }, { path: 'x', hostPath, sizeBytes: 5 }, { path: 'x', hostPath: link, sizeBytes: 6 }, { path: 'x', hostPath: bench.dir, sizeBytes: 6 }]) {
    const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'escape'], inputs: [input] }))
    assert.ok(result.outcome.kind === 'abstained' && result.outcome.code === 'E_SANDBOX_INPUT', JSON.stringify(result))
    assert.is(result.files, undefined)
  }
  const moduleLink = join(bench.dir, 'module-link')
  symlinkSync(PROBE, moduleLink)
  for (const module of [join(bench.dir, 'missing'), moduleLink, bench.dir, '/dev/zero']) {
    const { outcome } = await bench.sandbox.run(specOf(module))
    assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_INPUT', `${module}: ${JSON.stringify(outcome)}`)
    const stdin = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'echo'], stdinPath: module }))
    assert.ok(stdin.outcome.kind === 'abstained' && stdin.outcome.code === 'E_SANDBOX_INPUT', module)
  }
})

test('many runs at once do not mix', async () => {
  const results = await Promise.all(Array.from({ length: 8 }, async (_, n) => {
    const input = bench.input('one.txt', `${n}\n`)
    return bench.sandbox.run(specOf(PROBE, { args: ['probe', 'echo', String(n)], stdinPath: input.hostPath }))
  }))
  for (const [n, result] of results.entries()) assert.is(stdoutOf(result), `arg probe\narg echo\narg ${n}\nenv -\n${n}\n`)
  assert.is(bench.sandbox.active, 0)
})

test('a cancelled run ends at once, while it runs and before', async () => {
  const running = new AbortController()
  const { outcome } = await runHanging(bench.sandbox, () => { running.abort() }, {}, running.signal)
  assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_CANCELLED')
  assert.ok(outcome.usage.wallMs > 0)
  const early = new AbortController()
  const pending = bench.sandbox.run(specOf(PROBE, { args: ['probe', 'hang'] }), { signal: early.signal })
  early.abort()
  assert.is((await pending).outcome.kind, 'abstained')
  assert.is((await bench.sandbox.run(specOf(PROBE), { signal: early.signal })).outcome.kind, 'abstained')
})

test('a held run stands still, its time limit too, and then goes on', async () => {
  const other = await openSandbox()
  const said = Promise.withResolvers<void>()
  const run = runHanging(bench.sandbox, () => { said.resolve() }, { limits: { wallMs: 400 } })
  await said.promise
  bench.sandbox.suspend(true)
  // A run that comes meanwhile waits as well.
  let ended = 0
  void run.then(() => { ended++ })
  const second = bench.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '5'] })).then((result) => { ended++; return result })
  const stopped = (): boolean => descendants(process.pid).some(({ state, command }) => state === 'T' && /run-child/.test(command))
  while (!stopped()) await new Promise((resolve) => { setTimeout(resolve, 5) })
  // The same limit comes and goes for another sandbox's run, which is not held.
  const free = await other.sandbox.run(specOf(PROBE, { args: ['probe', 'hang'], limits: { wallMs: 800 } }))
  assert.ok(free.outcome.kind === 'abstained' && free.outcome.code === 'E_SANDBOX_TIME')
  assert.ok(stopped() && ended === 0, 'still held after its limit')
  bench.sandbox.suspend(false)
  const [first, { outcome }] = [await run, await second]
  assert.ok(first.outcome.kind === 'abstained' && first.outcome.code === 'E_SANDBOX_TIME')
  assert.ok(outcome.kind === 'exited' && outcome.exitCode === 5)
  await other.close()
})

test('specs that cannot be are refused before anything starts', async () => {
  const bad = [
    { runId: '../x' }, { runId: '' }, { args: ['a\0b'] }, { env: { 'A=B': 'c' } }, { seed: new Uint8Array(31) }, { baseTimeMs: -1 }, { baseTimeMs: 0.5 },
    { args: ['x'.repeat(2 ** 20)] }, { limits: { memoryBytes: 2 ** 33 } }, { limits: { wallMs: 0 } }, { limits: { wallMs: 2 ** 40 } }, { limits: { logBytes: 2 ** 40 } }, { limits: { outFiles: 1e9 } }, { limits: { outBytes: Number.NaN } },
    ...['/x', '../x', 'a/../b', 'a//b', '', 'a\0', '.', 'x'.repeat(256)].map((path) => ({ inputs: [{ path, hostPath: PROBE, sizeBytes: 1 }] })),
    { inputs: [{ path: 'a', hostPath: PROBE, sizeBytes: 1 }, { path: 'a/b', hostPath: PROBE, sizeBytes: 1 }] }, { inputs: [{ path: 'a', hostPath: PROBE, sizeBytes: 1 }, { path: 'a', hostPath: PROBE, sizeBytes: 1 }] }
  ]
  for (const changes of bad) {
    await bench.sandbox.run(specOf(PROBE, changes)).then(() => { assert.unreachable(JSON.stringify(changes)) }, (err: unknown) => {
      assert.ok(err instanceof HearthError && err.code === 'E_SANDBOX_SPEC', `${JSON.stringify(changes)}: ${String(err)}`)
    })
  }
})

test('more runs than the bound are refused, and a closed sandbox refuses all', async () => {
  const other = await openSandbox({ prestarted: 0, maxRuns: 1 })
  const run = other.sandbox.run(specOf(PROBE, { args: ['probe', 'hang'] }))
  await other.sandbox.run(specOf(PROBE)).then(() => { assert.unreachable() }, (err: unknown) => { assert.ok(err instanceof HearthError && err.code === 'E_SANDBOX_BUSY') })
  await other.close()
  const { outcome } = await run
  assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_CLOSED')
  await other.sandbox.run(specOf(PROBE)).then(() => { assert.unreachable() }, (err: unknown) => { assert.ok(err instanceof HearthError && err.code === 'E_SANDBOX_CLOSED') })
})

test('nothing of a run is left but its result, and opening again empties the folder', async () => {
  const other = await openSandbox({ prestarted: 0 })
  const small = await other.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '0'] }))
  assert.is(small.files?.kind, 'memory')
  const args = ['probe', 'echo', 'x'.repeat(70_000)]
  const large = await other.sandbox.run(specOf(PROBE, { args, limits: { logBytes: 100_000 } }))
  // Its directory goes after the result was sent.
  while (readdirSync(join(other.dir, 'sandbox/runs/1')).length > 0) await new Promise((resolve) => { setTimeout(resolve, 5) })
  await other.sandbox.close()
  assert.ok(large.files?.kind === 'folder' && existsSync(large.files.dir))
  assert.is(readdirSync(join(other.dir, 'sandbox/results')).length, 1)
  assert.ok(stdoutOf(large).includes('x'.repeat(70_000)))
  const again = await WasmSandbox.open({ dir: join(other.dir, 'sandbox') })
  assert.equal(['runs', 'results', 'code'].flatMap((name) => readdirSync(join(other.dir, 'sandbox', name))), [])
  await again.close()
  await other.close()
})

test('idle processes end, and the next run starts them again', async () => {
  const other = await openSandbox({ prestarted: 1, idleMs: 1 })
  const before = new Set(descendants(process.pid).map(({ pid }) => pid))
  await other.sandbox.warm()
  const started = descendants(process.pid).filter(({ pid }) => !before.has(pid))
  assert.ok(started.length >= 2, 'a supervisor and a child')
  await whenGone(started.map(({ pid }) => pid))
  const { outcome } = await other.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '9'] }))
  assert.ok(outcome.kind === 'exited' && outcome.exitCode === 9)
  await other.close()
})

/** A process of its own that starts a sandbox and a program that never ends, and says so. */
async function startedElsewhere(): Promise<{ parent: ReturnType<typeof spawn>, pids: { pid: number, command: string }[], other: Bench }> {
  const other = await openSandbox()
  const script = join(other.dir, 'parent.ts')
  writeFileSync(script, `
    import { WasmSandbox } from ${JSON.stringify(join(import.meta.dirname, '../../node/sandbox/sandbox.ts'))}
    import { specOf, PROBE } from ${JSON.stringify(join(import.meta.dirname, '../fixtures/wasm/sandbox.ts'))}
    const sandbox = await WasmSandbox.open({ dir: ${JSON.stringify(join(other.dir, 'elsewhere'))}, prestarted: 1 })
    await sandbox.warm()
    await sandbox.run(specOf(PROBE, { args: ['probe', 'hang'] }), { onLog: () => { process.stdout.write('hanging') } })
  `)
  const parent = spawn(process.execPath, ['--no-warnings', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(parent.stdout, 'data')
  const pids = descendants(parent.pid!)
  assert.ok(pids.some(({ command }) => /supervisor/.test(command)) && pids.filter(({ command }) => /run-child/.test(command)).length >= 2, JSON.stringify(pids))
  return { parent, pids, other }
}

test('when the node is killed, its supervisor and every child go with it, the one in an endless loop too', async () => {
  const { parent, pids, other } = await startedElsewhere()
  parent.kill('SIGKILL')
  await whenGone(pids.map(({ pid }) => pid))
  await other.close()
})

test('when node and supervisor are killed together, the children still go', async () => {
  const { parent, pids, other } = await startedElsewhere()
  parent.kill('SIGSTOP')
  for (const { pid, command } of pids) if (/supervisor/.test(command)) process.kill(pid, 'SIGKILL')
  parent.kill('SIGKILL')
  await whenGone(pids.map(({ pid }) => pid))
  await other.close()
})

test('warming and running at the same time both come to their end', async () => {
  const other = await openSandbox({ prestarted: 1 })
  const warmed = Promise.all([other.sandbox.warm(), other.sandbox.warm()])
  const { outcome } = await other.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '2'] }))
  await warmed
  await other.sandbox.warm()
  assert.ok(outcome.kind === 'exited' && outcome.exitCode === 2)
  await other.close()
})

test('a host on which no process can start abstains', async () => {
  const other = await openSandbox({ prestarted: 1 })
  writeFileSync(join(other.dir, 'sandbox/runs/1'), 'in the way of the run directories')
  await other.sandbox.warm()
  const { outcome } = await other.sandbox.run(specOf(PROBE))
  assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_START', JSON.stringify(outcome))
  await other.close()
})

test('a supervisor that dies is an abstention, and the next run has a new one', async () => {
  const other = await openSandbox()
  const before = new Set(descendants(process.pid).map(({ pid }) => pid))
  const { outcome } = await runHanging(other.sandbox, () => {
    for (const { pid, command } of descendants(process.pid)) if (!before.has(pid) && /supervisor/.test(command)) process.kill(pid, 'SIGKILL')
  })
  assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_SUPERVISOR')
  const next = await other.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '1'] }))
  assert.is(next.outcome.kind, 'exited')
  await other.close()
})

/** The child under the running program: it has used more processor time than those that wait. */
function busyChild(): ProcessInfo {
  return descendants(process.pid).filter(({ command }) => /^\S*node.*run-child\.cjs/.test(command)).sort((a, b) => b.cpuTicks - a.cpuTicks)[0]!
}

test('a child that is killed from outside is an abstention; so is one whose shell is, and it goes too', async () => {
  for (const which of ['child', 'shell']) {
    let victims: number[] = []
    const { outcome } = await runHanging(bench.sandbox, () => {
      const { pid, parent } = busyChild()
      victims = [pid, parent]
      process.kill(which === 'shell' ? parent : pid, 'SIGKILL')
    })
    assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_CRASH', JSON.stringify(outcome))
    await whenGone(victims)
  }
})

test('a child has the lowest priority, no environment, no core files, no files of others, and is first to go when memory ends', async () => {
  const seen = { nice: 0, environ: '?', oom: '', cwd: '', limits: '', files: [] as string[] }
  const cancel = new AbortController()
  await runHanging(bench.sandbox, () => {
    const { pid, nice } = busyChild()
    const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'latin1')
    Object.assign(seen, { nice, environ: read('environ'), oom: read('oom_score_adj').trim(), cwd: readlinkSync(`/proc/${pid}/cwd`), limits: read('limits') })
    seen.files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)).filter((path) => path.startsWith('/') && path !== '/dev/null')
    cancel.abort()
  }, { inputs: [bench.input('x', 'x')] }, cancel.signal)
  assert.is(seen.nice, 19)
  assert.match(seen.environ, /^(?:PWD=[^\0]*\0|OLDPWD=[^\0]*\0|_=[^\0]*\0)*$/, 'nothing but what the shell itself sets')
  assert.is(seen.oom, '1000')
  assert.match(seen.limits, /Max core file size +0 +0/)
  assert.ok(seen.cwd.startsWith(join(realpathSync(bench.dir), 'sandbox/runs/')), seen.cwd)
  assert.equal(seen.files, [])
})

test('a program without any import runs', async () => {
  const { outcome } = await bench.sandbox.run(specOf(bench.file('empty.wasm', program({}))))
  assert.ok(outcome.kind === 'exited' && outcome.exitCode === 0)
})

test.run()
