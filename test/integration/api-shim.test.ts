/** `bin/hearth.js` on a Node that is too old: it goes on with its own, or says what to do. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ApiFixture } from '../helpers/api-server.ts'
import type { ChildProcess } from 'node:child_process'

const shim = join(import.meta.dirname, '../../bin/hearth.js')
const test = suite<{ dir: string, open: ApiFixture }>('executable')
test.before(async (context) => {
  context.dir = await realpath(await mkdtemp(join(tmpdir(), 'hearth-shim-')))
  context.open = await ApiFixture.open()
  // makes this Node call itself an old one; the next one it starts is itself again, unless asked to stay old
  await writeFile(join(context.dir, 'old.mjs'), 'Object.defineProperty(process.versions, "node", { value: "20.11.0" })\nif (!process.env.STAY_OLD) delete process.env.NODE_OPTIONS\n')
})
test.after(async ({ dir, open }) => { await open.close(); await rm(dir, { recursive: true }) })

interface Started { child: ChildProcess, stdout: () => string, stderr: () => string }

function startOld(dir: string, program: string, words: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: `--import=${pathToFileURL(join(dir, 'old.mjs')).href}`, ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString() })
  return { child, stdout: () => stdout, stderr: () => stderr }
}

test('an old Node goes on with the one that comes along, words and exit code included', async ({ dir, open }) => {
  const right = startOld(dir, shim, ['jobs', '--json', '--socket', open.path])
  assert.equal(await once(right.child, 'close'), [0, null], right.stderr())
  assert.is((JSON.parse(right.stdout()) as unknown[]).length, 3)
  const wrong = startOld(dir, shim, ['jbos'])
  assert.equal(await once(wrong.child, 'close'), [2, null])
  assert.match(wrong.stderr(), 'E_COMMAND_UNKNOWN')
})

test('a signal reaches the Node behind it', async ({ dir, open }) => {
  const watching = startOld(dir, shim, ['watch', '--socket', open.path])
  const client = open.client()
  while (open.api.readers === 0) await client.status()
  watching.child.kill('SIGTERM')
  await once(watching.child, 'close')
  while (open.api.readers > 0) await client.status()
})

test('without one it says what to do, once', async ({ dir }) => {
  await mkdir(join(dir, 'alone', 'bin'), { recursive: true })
  const alone = join(dir, 'alone', 'bin', 'hearth.js')
  await copyFile(shim, alone)
  await writeFile(join(dir, 'alone', 'package.json'), '{"type":"module"}')
  const started = startOld(dir, alone, ['jobs'])
  assert.equal(await once(started.child, 'close'), [1, null])
  assert.match(started.stderr(), /^error E_NODE_VERSION: .*v?\d+.*\nhint: .*npm install/)
})

test('one that comes along and is too old as well does not start itself for ever', async ({ dir }) => {
  const started = startOld(dir, shim, ['jobs'], { STAY_OLD: '1' })
  assert.equal(await once(started.child, 'close'), [1, null])
  assert.match(started.stderr(), 'E_NODE_VERSION')
})

test.run()
