import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import { connect } from '../../node/client/index.ts'
import { ApiServer } from '../../node/api/server.ts'
import { jobFileReference } from '../../src/job/spec-reference.ts'
import { ApiFixture } from '../helpers/api-server.ts'
import { FakeApi, JOBS, PEERS } from '../helpers/fake-api.ts'
import type { JobSpec } from '../../node/client/index.ts'
import type { Timestamped } from '../../node/api/contract.ts'

const test = suite<{ open: ApiFixture }>('javascript client')
test.before.each(async (context) => { context.open = await ApiFixture.open() })
test.after.each(async ({ open }) => open.close())

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => 'none', (err: unknown) => err instanceof HearthError ? err.code : String(err))
}

const root = join(import.meta.dirname, '../..')
const doneNotice: Timestamped = { kind: 'job', job: JOBS[0], state: 'done', code: 'E_NONE', message: '', wallMs: 2 }
const bid: Timestamped = { kind: 'bid', job: JOBS[0], peer: PEERS[0], wallMs: 1 }

test('it finds the node by its data folder', async ({ open }) => {
  await using hearth = await connect({ dataDir: open.dataDir })
  assert.is((await hearth.status()).peer, PEERS[0])
})

test('a node that is down is an error with what to do', async ({ open }) => {
  const err = await connect({ socket: join(open.dataDir, 'nobody.sock') }).catch((caught: unknown) => caught)
  assert.instance(err, HearthError)
  assert.is((err as HearthError).code, 'E_NODE_DOWN')
  assert.match((err as HearthError).hint, 'hearth up')
})

test('an object is submitted as it is, a file with its own folder', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  await hearth.submit({ module: 'a.wasm', args: ['x'] }, { baseDir: '/srv' })
  assert.equal(open.api.given['submit'], { spec: { module: 'a.wasm', args: ['x'] }, baseDir: '/srv' })
  const file = join(open.dataDir, 'job.yaml')
  await writeFile(file, 'module: b.wasm\nargs: [007]\n')
  const job = await hearth.submit(file)
  assert.equal(open.api.given['submit'], { spec: { module: 'b.wasm', args: ['007'] }, baseDir: open.dataDir })
  assert.is(job.id, JOBS[0])
  assert.is(await codeOf(hearth.submit(join(open.dataDir, 'none.yaml'))), 'E_JOB_FILE')
})

test('events come as they happen, and end with the job', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const job = await hearth.job(JOBS[0])
  open.api.history = [bid]
  const kinds: string[] = []
  for await (const event of job.events()) {
    kinds.push(event.kind)
    if (kinds.length === 1) open.api.publish(doneNotice)
  }
  assert.equal(kinds, ['bid', 'job'])
})

test('a stream of ten thousand events arrives whole and in order', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  open.api.logChunks = Array.from({ length: 10_000 }, (_, i) => ({ task: i, peer: PEERS[0], stream: 'stdout', bytes: Buffer.from(String(i)).toString('base64') }))
  const job = await hearth.job(JOBS[0])
  let expected = 0
  for await (const { task, bytes } of job.logs()) {
    assert.is(task, expected)
    assert.is(Buffer.from(bytes).toString(), String(expected++))
  }
  assert.is(expected, 10_000)
})

test('breaking out of a stream tells the node at once', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const events = hearth.events()[Symbol.asyncIterator]()
  const first = events.next()
  while (open.api.readers === 0) await hearth.status()
  open.api.publish(bid)
  assert.is((await first).value?.kind, 'bid')
  await events.return?.()
  while (open.api.readers > 0) await hearth.status()
  assert.equal(open.api.returned, ['all'])
})

test('a signal ends a stream that waits', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const abort = new AbortController()
  const reading = (async () => { for await (const _ of hearth.events(abort.signal)) assert.unreachable('nothing happens') })()
  while (open.api.readers === 0) await hearth.status()
  abort.abort()
  await reading
  while (open.api.readers > 0) await hearth.status()
})

test('what replicas print alike is given once, and a retry goes on where the first ended', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const chunk = (peer: string, text: string, offset?: number): FakeApi['logChunks'][number] => ({ task: 0, peer, stream: 'stdout', bytes: Buffer.from(text).toString('base64'), ...(offset === undefined ? {} : { offset }) })
  open.api.logChunks = [chunk('a', 'hello '), chunk('b', 'hel'), chunk('b', 'lo wor'), chunk('a', 'world'), chunk('a', 'hello world', 0), chunk('a', '!', 11)]
  let text = ''
  for await (const { bytes } of (await hearth.job(JOBS[0])).logs()) text += Buffer.from(bytes).toString()
  assert.is(text, 'hello world!')
})

test('done settles with the detail of a job that is done', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const job = await hearth.submit({ module: 'a.wasm' })
  assert.is((await job.done).taskList[0]?.exitCode, 0)
  assert.is(job.done, job.done)
})

test('done is rejected with the job\'s own error, or as cancelled', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  assert.is(await codeOf((await hearth.job(JOBS[2])).done), 'E_EXIT')
  open.api.jobList[1]!.state = 'cancelled'
  assert.is(await codeOf((await hearth.job(JOBS[1])).done), 'E_JOB_CANCELLED')
})

test('calls under way when the node goes are rejected, and the next ones find the new node', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const entered = Promise.withResolvers<void>()
  open.api.doctor = () => { entered.resolve(); return new Promise(() => {}) }
  const lost = codeOf(hearth.doctor())
  const stream = hearth.events()[Symbol.asyncIterator]()
  const next = stream.next()
  await entered.promise
  await open.server.close()
  assert.is(await lost, 'E_NODE_GONE')
  assert.is((await next).done, true)
  assert.is(await codeOf(hearth.status()), 'E_NODE_DOWN')
  open.server = await ApiServer.listen({ path: open.path, version: '0.1.0' })
  const second = new FakeApi()
  open.server.serve(second)
  assert.equal((await Promise.all([hearth.status(), hearth.jobs(), hearth.peers()])).length, 3)
  assert.is(open.server.clients, 1)
})

test('done waits through a restart of the node', async ({ open }) => {
  await using hearth = await connect({ socket: open.path })
  const job = await hearth.job(JOBS[0])
  const done = job.done
  while (open.api.readers === 0) await hearth.status()
  await open.server.close()
  const second = new FakeApi()
  second.jobList[0]!.state = 'done'
  open.server = await ApiServer.listen({ path: open.path, version: '0.1.0' })
  open.server.serve(second)
  assert.is((await done).state, 'done')
})

test('a closed client says so', async ({ open }) => {
  const hearth = await connect({ socket: open.path })
  await hearth.close()
  assert.is(await codeOf(hearth.status()), 'E_CLIENT_CLOSED')
  await hearth.close()
})

test('a script that uses the package by its name ends by itself', async ({ open }) => {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-script-'))
  const script = join(dir, 'script.mjs')
  await writeFile(script, `const { connect } = await import(${JSON.stringify(join(root, 'node/client/index.ts'))})\nconst hearth = await connect({ socket: ${JSON.stringify(open.path)} })\nconst job = await hearth.submit({ module: 'a.wasm' })\nawait job.done\nconsole.log((await job.results('./out')).to)\n`)
  const { stdout } = await promisify(execFile)(process.execPath, [script], { cwd: dir, timeout: 30_000 })
  assert.is(stdout.trim(), join(dir, 'out'))
  await rm(dir, { recursive: true })
})

test('the type of a job names every key of a job file, and no other', () => {
  const all: Required<JobSpec> = {
    name: '', engine: 'wasm', module: '', image: '', imageSignatures: [], registryLogin: '', secrets: {}, entrypoint: [], command: [], network: { allow: [], max: '' }, args: [], env: {}, inputs: {}, stdin: '', outputs: [], map: { files: '' },
    resources: { cores: 1, memory: '', disk: '', gpu: { vendor: 'amd', model: '', vram: '', count: 1 } }, limits: { queue: '', run: '', total: '', log: '' }, replicas: 1, quorum: 1, adaptive: true, compare: { with: '', args: [] }, segments: 2, spotCheck: 0, retries: 0, priceCap: '', select: 'fastest',
    placement: { regions: [], maxLatency: '', allow: [], deny: [], providers: [], hardware: { gpuVendors: [] } }
  }
  const keysOf = (value: object, path = ''): string[] => Object.entries(value).flatMap(([key, inner]: [string, unknown]) => [path + key, ...(typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? keysOf(inner, `${path}${key}.`) : [])])
  const schema = jobFileReference().map(({ key }) => key).filter((key) => !['map.range', 'map.list', 'compare.verify'].includes(key))
  assert.equal(keysOf(all).sort(), schema.sort())
})

test.run()
