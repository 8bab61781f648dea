/** The supervisor believes nothing of a child: here the child's own code is hostile, as if the engine had been broken. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { RunLimits, RunResult } from '../../node/sandbox/run-spec.ts'
import { descendants } from '../fixtures/wasm/processes.ts'
import { openSandbox, PROBE, readResult, specOf, type Bench } from '../fixtures/wasm/sandbox.ts'

const CHILD = join(import.meta.dirname, '../fixtures/wasm/hostile-child.cjs')
let bench: Bench
let logged = ''
test.before(async () => { bench = await openSandbox({ prestarted: 1, childEntry: CHILD }) })
test.after(async () => { await bench.close() })

function runAs(mode: string, limits: Partial<RunLimits> = {}): Promise<RunResult> {
  logged = ''
  return bench.sandbox.run(specOf(PROBE, { args: [mode], inputs: [bench.input('i', 'secret')], limits }), { onLog: (_stream, bytes) => { logged += Buffer.from(bytes).toString() } })
}

test('the harness itself: a sound child gives a result', async () => {
  const result = await runAs('sound')
  assert.is(result.outcome.kind, 'exited', JSON.stringify(result))
  assert.equal(readResult(result), { 'out/a.txt': 'x', stderr: '', stdout: '' })
})

const BROKEN: [mode: string, code: string, limits?: Partial<RunLimits>][] = [
  ['garbage', 'E_SANDBOX_PROTOCOL'], ['large frame', 'E_SANDBOX_PROTOCOL'], ['endless frame', 'E_SANDBOX_PROTOCOL'], ['unknown type', 'E_SANDBOX_PROTOCOL'], ['second hello', 'E_SANDBOX_PROTOCOL'],
  ['too much log', 'E_SANDBOX_PROTOCOL'], ['report of nonsense', 'E_SANDBOX_PROTOCOL'], ['report without usage', 'E_SANDBOX_PROTOCOL'], ['report that is no JSON', 'E_SANDBOX_PROTOCOL'],
  ['entry above', 'E_SANDBOX_PROTOCOL'], ['absolute entry', 'E_SANDBOX_PROTOCOL'], ['more than allowed', 'E_SANDBOX_PROTOCOL'],
  ['entry in no directory', 'E_SANDBOX_OUTPUT'], ['entry below a file', 'E_SANDBOX_OUTPUT'], ['entry twice', 'E_SANDBOX_OUTPUT'], ['entry without file', 'E_SANDBOX_OUTPUT'], ['file shared by two entries', 'E_SANDBOX_OUTPUT'],
  ['larger than said', 'E_SANDBOX_OUTPUT'], ['larger than allowed', 'E_SANDBOX_OUTPUT'], ['hard link', 'E_SANDBOX_OUTPUT'], ['directory for a file', 'E_SANDBOX_OUTPUT'], ['socket for a file', 'E_SANDBOX_OUTPUT'],
  ['log that is a directory', 'E_SANDBOX_OUTPUT'], ['log larger than its cap', 'E_SANDBOX_OUTPUT'], ['no logs', 'E_SANDBOX_OUTPUT'],
  ['exit', 'E_SANDBOX_CRASH'], ['closed output', 'E_SANDBOX_CRASH'],
  ['silence', 'E_SANDBOX_TIME', { wallMs: 300 }], ['memory', 'E_SANDBOX_MEMORY', { memoryBytes: 65_536 }], ['processor', 'E_SANDBOX_CPU', { cpuMs: 300 }]
]
for (const [mode, code, limits] of BROKEN) {
  test(`abstention: ${mode}`, async () => {
    const result = await runAs(mode, limits)
    assert.ok(result.outcome.kind === 'abstained' && result.outcome.code === code, JSON.stringify(result))
    assert.is(result.files, undefined)
  })
}

test('nothing was written anywhere but into results, and the results of abstentions are gone', async () => {
  const { outcome } = await runAs('sound')
  assert.is(outcome.kind, 'exited')
  const dir = join(bench.dir, 'sandbox')
  assert.equal(readdirSync(dir).sort(), ['code', 'results', 'runs'])
  assert.equal(readdirSync(join(dir, 'results')), [])
  assert.not.ok(existsSync('/tmp/escaped'))
})

test('frames after the report change nothing', async () => {
  const result = await runAs('frames after the report')
  assert.is(result.outcome.kind, 'exited')
  assert.equal(readResult(result), { stderr: '', stdout: '' })
  assert.is(logged, '')
})

test('the words of a dying engine are in the message', async () => {
  const { outcome } = await runAs('heap')
  assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_CRASH' && /heap/i.test(outcome.message), JSON.stringify(outcome))
})

test('the child\'s own code may read its folder and its run, write its work, and nothing else', async () => {
  const { outcome } = await runAs('powers')
  assert.is(outcome.kind, 'exited', JSON.stringify(outcome))
  const lines = logged.trim().split('\n')
  assert.is(lines.length, 9)
  for (const line of lines) assert.match(line, /: ERR_ACCESS_DENIED$/)
})

test('a child that calls another process its own does not start, and that process lives', async () => {
  const other = await openSandbox({ prestarted: 1, childEntry: join(import.meta.dirname, '../fixtures/wasm/impostor-child.cjs') })
  const { outcome } = await other.sandbox.run(specOf(PROBE, { limits: { wallMs: 1 } }))
  assert.ok(outcome.kind === 'abstained' && outcome.code === 'E_SANDBOX_CRASH', JSON.stringify(outcome))
  assert.ok(descendants(process.pid).some(({ command }) => /supervisor/.test(command)))
  await other.close()
})

test.run()
