/** Attack lines W1 to W12 of shared SANDBOX facts, and some more: hostile modules in the real sandbox, which must live on. */
import { readFileSync, truncateSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LOG_CUT_MARK, MAX_OPEN_FILES } from '../../node/sandbox/limits.ts'
import { MAX_TABLE_ENTRIES } from '../../node/sandbox/check-module.ts'
import { ERRNO } from '../../node/sandbox/wasi-abi.ts'
import type { RunOutcome, RunResult } from '../../node/sandbox/run-spec.ts'
import { DROP, END, TYPE, block, body, br, brIf, call, cat, forever, funcType, i32, i64, ifZero, leb, load32, local, loop, program, section, store32, text, vec, type Bytes, type Program } from '../fixtures/wasm/builder.ts'
import { descendants } from '../fixtures/wasm/processes.ts'
import { COMPUTE, openSandbox, PROBE, readResult, specOf, stdoutOf, type Bench, type Changes } from '../fixtures/wasm/sandbox.ts'
import { seededRandom } from '../helpers/seeded.ts'

let bench: Bench
test.before(async () => { bench = await openSandbox({ prestarted: 2 }) })
test.after(async () => { await bench.close() })

/** A program that ran before and after each attack. */
async function assertAlive(): Promise<void> {
  const { outcome } = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'exit', '11'] }))
  assert.ok(outcome.kind === 'exited' && outcome.exitCode === 11, JSON.stringify(outcome))
  assert.is(bench.sandbox.active, 0)
}
const runModule = (bytes: Uint8Array, changes: Changes = {}): Promise<RunResult> => bench.sandbox.run(specOf(bench.file('attack.wasm', bytes), changes))
const runProgram = (parts: Program, changes: Changes = {}): Promise<RunResult> => runModule(program(parts), changes)
const probe = (args: string[], changes: Changes = {}): Promise<RunResult> => bench.sandbox.run(specOf(PROBE, { args: ['probe', ...args], ...changes }))
/** The outcome in a word or two. */
function wordOf(outcome: RunOutcome): string {
  return outcome.kind === 'exited' ? `exit ${outcome.exitCode}` : outcome.kind === 'trapped' ? outcome.trap : outcome.code
}
const SOON = { limits: { wallMs: 300 } }
/** Ends a program with the number on the stack; `proc_exit` must be its first import. */
const exitWith = (value: Bytes): number[] => cat(value, call(0))

test('W1 endless loops end at the time limit: bare, calling the host, indirect, and while compiled code replaces itself', async () => {
  const attacks: Program[] = [
    { start: forever() },
    { imports: ['sched_yield'], start: forever(call(0), DROP) },
    { imports: ['clock_time_get'], start: forever(i32(0), i64(0n), i32(0), call(0), DROP) },
    { start: cat(i32(0), [0x11, 0, 0]), more: [body(forever())], sections: { 4: section(4, vec([[TYPE.funcref, 0, 1]])), 9: section(9, vec([[0, 0x41, 0, END, 1, 1]])) } },
    { start: loop(call(1), br(0)), more: [body(loop(local.get(0), i32(1), [0x6a], local.set(0), local.get(0), i32(100_000), [0x48], brIf(0)), [1, 1, TYPE.i32])] }
  ]
  for (const [n, attack] of attacks.entries()) assert.is(wordOf((await runProgram(attack, SOON)).outcome), 'E_SANDBOX_TIME', String(n))
  await assertAlive()
})

test('W1 an endless loop in a start section never begins', async () => {
  const { outcome } = await runProgram({ more: [body(forever())], sections: { 8: section(8, [1]) } }, SOON)
  assert.is(wordOf(outcome), 'E_MODULE_START')
})

test('W1 processor time has a limit of its own', async () => {
  const { outcome } = await runProgram({ start: forever() }, { limits: { cpuMs: 200 } })
  assert.is(wordOf(outcome), 'E_SANDBOX_CPU')
})

test('W2 an atomic wait is refused, with shared memory and without', async () => {
  const wait = cat(i32(0), i32(0), i64(-1n), [0xfe, 1, 2, 0], DROP)
  assert.is(wordOf((await runProgram({ start: wait })).outcome), 'E_MODULE_THREADS')
  assert.is(wordOf((await runProgram({ start: wait, memory: [3, 1, 2] })).outcome), 'E_MODULE_THREADS')
})

test('W3 a program that takes all memory it can gets its limit and no more', async () => {
  // Grows by one page and writes to it until there are no more, then exits with the number of pages.
  const grow = cat(block(loop(i32(1), [0x40, 0], local.set(0), local.get(0), i32(-1), [0x46], brIf(1), local.get(0), i32(16), [0x74], i32(7), [0x36, 2, 0], br(0))), exitWith([0x3f, 0]))
  for (const memory of [[0, 1], [1, 1, ...leb(65_536)]]) {
    const { outcome } = await runProgram({ imports: ['proc_exit'], start: grow, locals: [1, 1, TYPE.i32], memory }, { limits: { memoryBytes: 100 * 65_536 } })
    assert.is(wordOf(outcome), 'exit 100')
    assert.is(outcome.usage.memoryBytes, 100 * 65_536)
  }
  assert.match(stdoutOf(await probe(['grow'], { limits: { memoryBytes: 20 * 1024 ** 2 } })), /^got 1[89] MiB\n$/)
})

test('W3 many memories, and one that starts above the limit, are refused', async () => {
  assert.is(wordOf((await runProgram({ sections: { 5: section(5, vec(Array.from({ length: 1000 }, () => [0, 1]))) } })).outcome), 'E_MODULE_MEMORY')
  assert.is(wordOf((await runProgram({ memory: [0, ...leb(65_536)] })).outcome), 'E_MODULE_MEMORY')
})

test('all of 4 GiB can be addressed, by the host too, and costs what is touched', async () => {
  const top = 0xffff_0000
  const start = cat(store32(0, i32(top)), store32(4, i32(3)), i32(0), i32(0), i32(1), i32(8), call(1), DROP, exitWith(cat(i32(top), [0x2d, 0, 2])))
  const { outcome } = await runProgram({ imports: ['proc_exit', 'fd_read'], start, memory: [1, ...leb(65_536), ...leb(65_536)] }, { limits: { memoryBytes: 2 ** 32 }, stdinPath: bench.file('in', 'xyz') })
  assert.is(wordOf(outcome), `exit ${'z'.charCodeAt(0)}`)
  assert.is(outcome.usage.memoryBytes, 2 ** 32)
  assert.ok(outcome.usage.residentBytes < 200 * 1024 ** 2)
})

test('W4 table.grow stops at the bound, and thousands of tables are refused', async () => {
  const grow = cat(block(loop([0xd0, 0x70], i32(10_000), [0xfc, 15, 0], i32(-1), [0x46], brIf(1), br(0))), exitWith([0xfc, 16, 0]))
  const { outcome } = await runProgram({ imports: ['proc_exit'], start: grow, sections: { 4: section(4, vec([[TYPE.funcref, 0, 0]])) } })
  assert.is(wordOf(outcome), `exit ${Math.floor(MAX_TABLE_ENTRIES / 10_000) * 10_000}`)
  assert.is(wordOf((await runProgram({ sections: { 4: section(4, vec(Array.from({ length: 5000 }, () => [TYPE.funcref, 0, ...leb(100_000)]))) } })).outcome), 'E_MODULE_TABLE')
})

test('W5 garbage-collected arrays are refused, by type and by instruction', async () => {
  assert.is(wordOf((await runProgram({ types: [[0x5e, TYPE.i32, 1]], start: forever(i32(100_000_000), [0xfb, 7, 1], DROP) })).outcome), 'E_MODULE_GC')
  assert.is(wordOf((await runProgram({ start: cat([0xfb, 0x1c], DROP) })).outcome), 'E_MODULE_GC')
})

test('exceptions, with which a program could catch its own exit, are refused', async () => {
  assert.is(wordOf((await runProgram({ imports: ['proc_exit'], start: cat([0x06, 0x40], exitWith(i32(0)), [0x19], forever(), [END]) })).outcome), 'E_MODULE_EXCEPTIONS')
})

test('W6 recursion without end is an abstention, for its depth differs between the engine\'s compilers', async () => {
  const attacks: Program[] = [
    { start: call(0) },
    { start: call(1), more: [body(call(2)), body(call(1))] },
    { imports: ['fd_write'], start: cat(i32(1), i32(0), i32(0), i32(0), call(0), DROP, call(1)) }
  ]
  for (const attack of attacks) assert.is(wordOf((await runProgram(attack)).outcome), 'E_SANDBOX_STACK')
  await assertAlive()
})

test('W7 a wait of an hour takes no time', async () => {
  assert.is(stdoutOf(await probe(['times'], { limits: { wallMs: 5000 } })), 'real 1700000000.000000000\nsleep ok\nlater 3600 s\n')
})

test('W7 so does an hour of reading the clock', async () => {
  const start = cat(loop(i32(0), i64(0n), i32(8), call(1), DROP, i32(8), [0x29, 3, 0], i64(1_700_003_600_000_000_000n), [0x54], brIf(0)), exitWith(i32(4)))
  assert.is(wordOf((await runProgram({ imports: ['proc_exit', 'clock_time_get'], start })).outcome), 'exit 4')
})

const QUOTA = `wrote 1040000 then No space left on device
sparse No space left on device
far No space left on device
wrote 1040000 then No space left on device
sparse No space left on device
far No space left on device
files 300 then No space left on device
`
test('W8 bytes and files are bounded, in /out and in /tmp', async () => {
  for (const where of ['/out', '/tmp']) {
    const result = await probe(['quota', where], { limits: { outFiles: 300 } })
    assert.is(stdoutOf(result), QUOTA)
    assert.is(result.outcome.usage.outFiles, where === '/out' ? 300 : 0)
  }
})

test('W8 a quota larger than memory is kept on disk, and the result is right', async () => {
  const mib = 1024 ** 2
  const chunk = 2 * mib
  // Writes 300 MiB in pieces of 2 MiB that start with their number.
  const start = cat(
    i32(3), i32(0), i32(64), i32(1), i32(1), i64(-1n), i64(0n), i32(0), i32(16), call(1), DROP,
    store32(24, i32(1024)), store32(28, i32(chunk)),
    loop(i32(1024), local.get(0), [0x36, 2, 0], load32(16), i32(24), i32(1), i32(20), call(2), DROP, local.get(0), i32(1), [0x6a], local.set(0), local.get(0), i32(150), [0x48], brIf(0)),
    exitWith(i32(0))
  )
  const result = await runProgram({ imports: ['proc_exit', 'path_open', 'fd_write'], start, locals: [1, 1, TYPE.i32], memory: [0, 40], data: [[64, Buffer.from('f')]] }, { limits: { outBytes: 400 * mib } })
  assert.is(wordOf(result.outcome), 'exit 0')
  assert.is(result.outcome.usage.outBytes, 300 * mib)
  assert.ok(result.outcome.usage.residentBytes < 200 * mib, `${result.outcome.usage.residentBytes} bytes resident`)
  assert.ok(result.files?.kind === 'folder')
  const file = readFileSync(`${result.files.dir}/out/f`)
  assert.is(file.length, 300 * mib)
  for (let n = 0; n < 150; n++) assert.is(file.readUInt32LE(n * chunk), n)
})

test('W8 open files are bounded', async () => {
  assert.is(stdoutOf(await probe(['descriptors'])), `open ${MAX_OPEN_FILES - 7} then No file descriptors available\n`)
})

test('W8 huge names, odd names and endless depth are refused', async () => {
  const result = await probe(['names'])
  assert.is(stdoutOf(result).replaceAll(/odd \d+: Invalid argument\n/g, '.'), 'name of 255: ok\nname of 256: Filename too long\nname of 5000: Filename too long\n........odd 8: Illegal byte sequence\nodd 9: ok\n.depth 32 then Filename too long\n')
  const files = Object.keys(readResult(result)).filter((path) => path.startsWith('out/'))
  assert.equal(files.map((path) => path.length).sort((a, b) => a - b), ['out/grüß'.length, 259])
})

test('W8 removing files while listing them neither repeats nor hangs', async () => {
  assert.is(stdoutOf(await probe(['listing'], { limits: { outFiles: 400 } })), 'removed 300\n')
})

test('W9 a flood on both streams is cut at the cap, and what was seen live is what is kept', async () => {
  const seen: Record<1 | 2, Buffer[]> = { 1: [], 2: [] }
  const result = await bench.sandbox.run(specOf(PROBE, { args: ['probe', 'flood', '100000'], limits: { logBytes: 50_000 } }), { onLog: (stream, bytes) => { seen[stream].push(Buffer.from(bytes)) } })
  assert.is(wordOf(result.outcome), 'exit 0')
  assert.ok(result.outcome.usage.stdoutBytes > 2_000_000)
  for (const [stream, name] of [[1, 'stdout'], [2, 'stderr']] as const) {
    const kept = readResult(result)[name]!
    assert.is(kept.length, 50_000 + LOG_CUT_MARK.length)
    assert.ok(kept.startsWith('line 0 of standard') && kept.endsWith(LOG_CUT_MARK))
    assert.is(Buffer.concat(seen[stream]).toString('latin1'), kept)
  }
})

test('W9 nothing is written beyond a cap of zero', async () => {
  const result = await probe(['echo'], { limits: { logBytes: 0 } })
  assert.is(stdoutOf(result), LOG_CUT_MARK)
})

test('W10 a module of 100 MB is refused without being read', async () => {
  const path = bench.file('huge.wasm', '')
  truncateSync(path, 100e6)
  const { outcome } = await bench.sandbox.run(specOf(path))
  assert.is(wordOf(outcome), 'E_MODULE_SIZE')
  assert.ok(outcome.usage.residentBytes < 100e6)
})

test('W10 a million functions are refused', async () => {
  const count = 1_000_000
  const types = section(3, cat(leb(count), new Uint8Array(count)))
  const bodies = section(10, cat(leb(count), new Uint8Array(Buffer.alloc(count * 3, Uint8Array.of(2, 0, END)))))
  assert.is(wordOf((await runProgram({ sections: { 3: types, 10: bodies } })).outcome), 'E_MODULE_COUNT')
})

test('W10 a module that takes minutes to compile ends at the time limit', async () => {
  // Each function is just within the bounds, and takes the engine seconds when first called.
  const slow = body(cat(...Array.from({ length: 6700 }, () => cat(local.get(0), [0x04, 0x40], local.get(1), local.set(2), [END]))), [1, ...leb(10_000), TYPE.i32])
  const count = 60
  const { outcome } = await runProgram({ start: cat(...Array.from({ length: count }, (_, n) => call(n + 1))), more: Array.from({ length: count }, () => slow) }, { limits: { wallMs: 1000, memoryBytes: 2 ** 32 } })
  assert.is(wordOf(outcome), 'E_SANDBOX_TIME')
  await assertAlive()
})

const ESCAPES = `/etc/passwd: No such file or directory
/in/../../etc/passwd: Operation not permitted
/in/..: Operation not permitted
../escape: Operation not permitted
/out/../in/one.txt: Operation not permitted
/proc/self/environ: No such file or directory
/in/b/../one.txt: ok
/out/./../..: Operation not permitted
work/stdout: No such file or directory
/in/module: No such file or directory
/in/0: No such file or directory
/in/b/two.txt/: Not a directory
/in/one.txt/..: Not a directory
//in//one.txt: ok
/tmp/../../../../../../etc/shadow: Operation not permitted
`
test('W11 no path leads out', async () => {
  assert.is(stdoutOf(await probe(['escape'], { inputs: [bench.input('one.txt', '1'), bench.input('b/two.txt', '2')] })), ESCAPES)
})

test('W12 the same run gives the same bytes with either compiler of the engine, and with both', async () => {
  const engines = [['--liftoff', '--no-wasm-tier-up'], ['--no-liftoff'], []]
  const inputs = [bench.input('one.txt', 'one'), bench.input('b/two.txt', 'two\n')]
  const stdinPath = bench.file('stdin', 'input')
  const specs: [string, string[]][] = [
    [COMPUTE, ['2']], [PROBE, ['echo', 'x']], [PROBE, ['files']], [PROBE, ['times']], [PROBE, ['random']], [PROBE, ['names']], [PROBE, ['quota', '/out']], [PROBE, ['flood', '3000']], [PROBE, ['trap']]
  ]
  const results: unknown[] = []
  for (const engineFlags of engines) {
    const other = await openSandbox({ prestarted: 1, engineFlags })
    const all = []
    for (const [module, args] of specs) {
      const result = await other.sandbox.run(specOf(module, { args: ['program', ...args], inputs, stdinPath, env: { HELLO: 'x' } }))
      all.push([args, wordOf(result.outcome), readResult(result)])
    }
    results.push(all)
    await other.close()
  }
  assert.equal(results[1], results[0])
  assert.equal(results[2], results[0])
})

test('W12 a recursion that one compiler\'s stack holds and the other\'s does not is never two answers', async () => {
  // Counts down with a call each; between the depths that the compilers reach.
  const down = body(cat([0x23, 0], [0x04, 0x40], [0x23, 0], i32(1), [0x6b], [0x24, 0], call(1), [END]))
  const bytes = (depth: number): Uint8Array => program({ start: call(1), more: [down], sections: { 6: section(6, vec([cat([TYPE.i32, 1], i32(depth), [END])])) } })
  for (const engineFlags of [['--liftoff', '--no-wasm-tier-up'], ['--no-liftoff']]) {
    const other = await openSandbox({ prestarted: 0, engineFlags })
    for (const depth of [1000, 10_000, 20_000, 40_000, 80_000, 1_000_000]) {
      const word = wordOf((await other.sandbox.run(specOf(other.file('deep.wasm', bytes(depth))))).outcome)
      assert.ok(word === 'E_SANDBOX_STACK' || word === 'exit 0', `${depth}: ${word}`)
      if (depth === 1000) assert.is(word, 'exit 0')
      if (depth === 1_000_000) assert.is(word, 'E_SANDBOX_STACK')
    }
    await other.close()
  }
})

const TRAPS: [trap: string, parts: Program][] = [
  ['unreachable', { start: [0x00] }],
  ['memory-out-of-bounds', { start: cat(i32(-1), [0x28, 2, 0], DROP) }],
  ['memory-out-of-bounds', { start: cat(i32(0), i32(0), i32(100_000), [0xfc, 11, 0]) }],
  ['divide-by-zero', { start: cat(i32(1), i32(0), [0x6d], DROP) }],
  ['divide-by-zero', { start: cat(i32(1), i32(0), [0x6f], DROP) }],
  ['divide-overflow', { start: cat(i32(-0x80000000), i32(-1), [0x6d], DROP) }],
  ['invalid-conversion', { start: cat([0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f], [0xaa], DROP) }],
  ['indirect-call', { start: cat(i32(0), [0x11, 0, 0]), sections: { 4: section(4, vec([[TYPE.funcref, 0, 1]])) } }],
  ['table-out-of-bounds', { start: cat(i32(7), [0x11, 0, 0]), sections: { 4: section(4, vec([[TYPE.funcref, 0, 1]])) } }],
  ['data-out-of-bounds', { data: [[65_535, Buffer.from('ab')]] }],
  ['invalid-module', { start: i32(0) }],
  ['invalid-module', { start: call(99) }]
]
test('each fault has its name, whichever compiler runs', async () => {
  for (const engineFlags of [['--liftoff', '--no-wasm-tier-up'], ['--no-liftoff']]) {
    const other = await openSandbox({ prestarted: 1, engineFlags })
    for (const [trap, parts] of TRAPS) {
      const result = await other.sandbox.run(specOf(other.file('trap.wasm', program(parts))))
      assert.is(wordOf(result.outcome), trap, JSON.stringify(result.outcome))
      assert.equal(readResult(result), { stderr: '', stdout: '' })
    }
    await other.close()
  }
})

test('pointers and counts that lie get an errno from the running host too', async () => {
  const attempts: [number, Bytes][] = [
    [ERRNO.fault, cat(i32(1), i32(-16), i32(1), i32(0), call(1))], [ERRNO.inval, cat(i32(1), i32(0), i32(-0x80000000), i32(0), call(1))],
    [ERRNO.fault, cat(i32(1), i32(0), i32(0), i32(65_533), call(1))], [ERRNO.badf, cat(i32(-1), i32(0), i32(0), i32(0), call(1))], [ERRNO.fault, cat(i32(-1), i32(-1), call(2))],
    [ERRNO.success, cat(i32(65_535), i32(1), call(2))], [ERRNO.fault, cat(i32(65_535), i32(2), call(2))]
  ]
  for (const [errno, attempt] of attempts) assert.is(wordOf((await runProgram({ imports: ['proc_exit', 'fd_write', 'random_get'], start: exitWith(attempt) })).outcome), `exit ${errno}`)
})

test('modules that are something else are refused', async () => {
  assert.is(wordOf((await runModule(Buffer.from('#!/bin/sh\nrm -rf /\n'))).outcome), 'E_MODULE_FORMAT')
  assert.is(wordOf((await runModule(new Uint8Array(0))).outcome), 'E_MODULE_FORMAT')
  assert.is(wordOf((await runProgram({ sections: { 7: section(7, vec([cat(text('_start'), [0, 0]), cat(text('memory'), [0, 0])])) } })).outcome), 'E_MODULE_EXPORT')
  assert.is(wordOf((await runProgram({ imports: ['proc_exit'], sections: { 2: section(2, vec([cat(text('node:fs'), text('readFileSync'), [0, 1])])) } })).outcome), 'E_MODULE_IMPORT')
  assert.is(wordOf((await runProgram({ types: [funcType([TYPE.externref], [])], imports: ['fd_close'], sections: { 2: section(2, vec([cat(text('wasi_snapshot_preview1'), text('fd_close'), [0, 2])])) } })).outcome), 'E_MODULE_IMPORT')
  assert.is(wordOf((await runProgram({ start: ifZero(forever()) })).outcome), 'invalid-module')
})

test('mutants of a real program: each has an outcome, and the sandbox lives on', async () => {
  const seed = 31_337
  const random = seededRandom(seed)
  const original = readFileSync(PROBE)
  const words = new Map<string, number>()
  await Promise.all(Array.from({ length: 2 }, async () => {
    for (let n = 0; n < 50; n++) {
      const mutant = Uint8Array.from(original)
      // Most of the file is code; a change of one byte often still validates.
      for (let changes = 1 + random.below(3); changes > 0; changes--) mutant[700 + random.below(original.length - 15_000)] = random.below(256)
      const { outcome } = await runModule(mutant, { args: ['probe', ['files', 'names', 'quota', 'echo'][n % 4]!, '/out'], limits: { wallMs: 400 } })
      const word = wordOf(outcome)
      assert.ok(!/PROTOCOL|OUTPUT|SUPERVISOR|CRASH/.test(word), `seed ${seed}, run ${n}: ${JSON.stringify(outcome)}`)
      words.set(word.replace(/\d+/, 'N'), (words.get(word.replace(/\d+/, 'N')) ?? 0) + 1)
    }
  }))
  assert.ok(words.size >= 3, JSON.stringify([...words]))
  await assertAlive()
})

test('after all this there is one supervisor, and no child but those that wait', async () => {
  await bench.sandbox.warm()
  const left = descendants(process.pid)
  assert.is(left.filter(({ command }) => /supervisor/.test(command)).length, 1)
  assert.is(left.filter(({ command }) => /^\S*node.*run-child/.test(command)).length, 2)
})

test.run()
