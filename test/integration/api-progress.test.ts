/** How far large inputs and results are: from the real store through the service and the socket to a terminal, and how a person ends them. */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ApiServer } from '../../node/api/server.ts'
import { socketPath } from '../../node/api/socket-path.ts'
import { byteLine } from '../../node/cli/byte-progress.ts'
import { viewOf } from '../../node/cli/term/view.ts'
import { RemoteApi } from '../../node/client/remote-api.ts'
import { ContentStore } from '../../node/content/index.ts'
import { prepareJob } from '../../node/service/job-store.ts'
import { NodeService } from '../../node/service/service.ts'
import { HearthError } from '../../src/errors.ts'
import { GIB, MIB } from '../../src/units.ts'
import { FakeApi, JOBS } from '../helpers/fake-api.ts'
import { RawClient } from '../helpers/api-server.ts'
import { runCli } from '../helpers/shell.ts'
import { idlePeer, serviceParts } from '../helpers/service.ts'
import { PLAIN_JOB } from '../helpers/plain-job.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { JOB_PREFIX } from '../../src/job/job.ts'
import type { JobRecord } from '../../src/job/job.ts'
import { freshTask, TASK_PREFIX } from '../../src/job/task.ts'
import type { TaskRecord } from '../../src/job/task.ts'
import type { ByteProgress, NodeApi } from '../../node/api/contract.ts'

const REQUESTER = '12D3KooWQmXf7TzaGkVtxHRtnSRnWLXWBTfnMmuNYgtiZnR2tHzp'
const INPUT_BYTES = 24 * MIB

interface Context { dir: string, store: ContentStore, job: string }
const test = suite<Context>('progress')
test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-progress-'))
  context.store = await ContentStore.open({ dir: join(context.dir, 'store'), quotaBytes: GIB, minFreeDiskBytes: 0 })
  context.job = join(context.dir, 'job')
  await mkdir(join(context.job, 'texts'), { recursive: true })
  await writeFile(join(context.job, 'a.wasm'), Buffer.from('0061736d01000000', 'hex'))
  for (const name of ['a', 'b', 'c']) await writeFile(join(context.job, 'texts', name), randomBytes(INPUT_BYTES / 3))
})
test.after(async ({ dir, store }) => { await store.close(); await rm(dir, { recursive: true, force: true }) })

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'none', (err: unknown) => err instanceof HearthError ? err.code : String(err))
}

/** Each report goes on from the one before, within its total. */
function assertRuns(seen: readonly ByteProgress[], lastBytes: number): void {
  assert.ok(seen.length > 3, `${seen.length} reports`)
  for (const [i, { doneBytes, totalBytes }] of seen.entries()) {
    assert.ok(doneBytes <= totalBytes, JSON.stringify(seen[i]))
    assert.ok(i === 0 || doneBytes >= (seen[i - 1]?.doneBytes ?? 0), 'it went back')
  }
  assert.equal(seen.at(-1), { doneBytes: lastBytes, totalBytes: lastBytes })
}

/** The real service over the real store, of a job whose tasks left these. */
function serviceOf({ store }: Context, contents: readonly string[]): NodeService {
  const peer = idlePeer()
  const job: JobRecord = { v: 1, id: JOBS[0], document: documentOf({ ...PLAIN_JOB, tasks: contents.length }, REQUESTER, 0), createdWallMs: 0, offerRound: 1, begun: true, state: { kind: 'done', endedWallMs: Date.now() } }
  const tasks = contents.map((content, index): TaskRecord => ({ v: 1, job: job.id, task: { ...freshTask(index), state: { kind: 'done', hash: '', content, exitCode: 0, verified: true } } }))
  peer.restore([[JOB_PREFIX + job.id, job], ...tasks.map((record): [string, TaskRecord] => [`${TASK_PREFIX}${job.id}/${record.task.index}`, record])])
  return new NodeService(serviceParts({
    peer, exportContent: async (cid, to, watch) => { const { files, sizeBytes } = await store.export(cid, to, { ...watch, minFreeDiskBytes: 0 }); return { files, bytes: sizeBytes } }
  }))
}

/** A client of the given interface over a real socket. */
async function overSocket<T>(dir: string, api: NodeApi, run: (client: RemoteApi, path: string) => Promise<T>): Promise<T> {
  const server = await ApiServer.listen({ path: socketPath(dir), version: '0.1.0' })
  server.serve(api)
  const client = new RemoteApi(server.path)
  try {
    return await run(client, server.path)
  } finally {
    await client.close()
    await server.close()
  }
}

test('inputs on their way into the store are counted by bytes, within files too', async ({ store, job }) => {
  const seen: ByteProgress[] = []
  await prepareJob({ content: store, requester: REQUESTER, providerSets: {}, secrets: { keep: async () => {} } }, { spec: { engine: 'wasm', module: './a.wasm', inputs: { texts: './texts' } }, baseDir: job }, randomBytes(16), { onProgress: ({ doneBytes, totalBytes }) => { seen.push({ doneBytes, totalBytes }) } })
  assertRuns(seen, INPUT_BYTES + 8)
  assert.ok(seen.length > 10, 'a report a chunk, not a file')
})

test('ended half-way, an import leaves nothing pinned and no job', async ({ store, job }) => {
  await writeFile(join(job, 'texts', 'd'), randomBytes(4 * MIB))
  const before = [...store.pins()].length
  const abort = new AbortController()
  const ended = prepareJob({ content: store, requester: REQUESTER, providerSets: {}, secrets: { keep: async () => {} } }, { spec: { engine: 'wasm', module: './a.wasm', inputs: { texts: './texts' } }, baseDir: job }, randomBytes(16), { signal: abort.signal, onProgress: ({ doneBytes }) => { if (doneBytes > MIB) abort.abort() } })
  assert.is(await codeOf(ended), 'E_CONTENT_ABORTED')
  assert.is([...store.pins()].length, before)
  await rm(join(job, 'texts', 'd'))
})

test('results tell how far they are over the socket, and count several tasks as one', async (context) => {
  const { store, dir } = context
  const contents: string[] = []
  for (let i = 0; i < 3; i++) contents.push((await store.importTree([{ path: 'out', bytes: randomBytes(8 * MIB) }], { pinFor: 'job' })).cid)
  const service = serviceOf(context, contents)
  const local: ByteProgress[] = []
  await service.results({ job: JOBS[0], to: join(dir, 'local') }, { onProgress: (progress) => { local.push(progress) } })
  assertRuns(local, 24 * MIB)
  assert.ok(local.every(({ totalBytes }) => totalBytes === 24 * MIB), 'equal tasks make a right guess from the first')
  await overSocket(join(dir, 'node'), service, async (client) => {
    const seen: ByteProgress[] = []
    const report = await client.results({ job: JOBS[0], to: join(dir, 'remote') }, { onProgress: (progress) => { seen.push(progress) } })
    assert.is(report.bytes, 24 * MIB)
    assert.ok(seen.length >= 1 && seen.every(({ doneBytes, totalBytes }) => doneBytes <= totalBytes))
    assert.is((await stat(join(dir, 'remote', 'task-2', 'out'))).size, 8 * MIB)
  })
})

test('Ctrl-C ends the writing of results at the node, with nothing half-done', async (context) => {
  const { store, dir } = context
  const { cid } = await store.importTree([{ path: 'out', bytes: randomBytes(64 * MIB) }], { pinFor: 'job' })
  const service = serviceOf(context, [cid])
  await overSocket(join(dir, 'node'), service, async (client) => {
    const abort = new AbortController()
    const ended = client.results({ job: JOBS[0], to: join(dir, 'ended') }, { signal: abort.signal, onProgress: () => { abort.abort() } })
    assert.is(await codeOf(ended), 'E_CONTENT_ABORTED')
  })
  assert.equal((await readdir(dir)).filter((name) => name.includes('ended')), [])
})

test('who asks for no progress gets none, and a client that closed its half still gets its answer', async ({ dir }) => {
  const api = new FakeApi()
  const go = Promise.withResolvers<void>()
  let signal: AbortSignal | undefined
  api.results = async ({ to }, watch) => {
    signal = watch?.signal
    watch?.onProgress?.({ doneBytes: 1, totalBytes: 2 })
    await go.promise
    return { ...api.resultsReport, to }
  }
  await overSocket(join(dir, 'node'), api, async (_client, path) => {
    const raw = await RawClient.open(path, true)
    raw.send({ id: 1, method: 'results', params: { job: JOBS[0], to: '/x' } })
    raw.socket.end()
    while (signal === undefined) await new Promise(setImmediate)
    // turns in which the node hears of the closed half
    for (let i = 0; i < 100; i++) await new Promise(setImmediate)
    assert.is(signal.aborted, false, 'the answer may still be read')
    go.resolve()
    await raw.untilClosed()
    assert.is((raw.lines[1] as { result: { to: string } }).result.to, '/x')
    assert.is(raw.lines.length, 2)
  })
})

test('on a terminal a bar appears for what takes long, and not for what is quick', async ({ dir }) => {
  const api = new FakeApi()
  const wait = (ms: number): Promise<void> => new Promise((resolve) => { const from = performance.now(); const look = (): void => { if (performance.now() - from >= ms) resolve(); else setImmediate(look) }; look() })
  const run = async (ms: number): Promise<string> => {
    api.results = async ({ to }, watch) => { watch?.onProgress?.({ doneBytes: 3 * MIB, totalBytes: 4 * MIB }); await wait(ms); return { ...api.resultsReport, to } }
    return (await runCli(['results', 'last'], { api, cwd: dir, columns: 80, env: { NO_COLOR: '1' } })).stderr
  }
  assert.match(await run(600), /75 %  writing results: 3(\.0)? MiB of 4(\.0)? MiB/)
  assert.not.match(await run(0), 'writing')
})

test('the line fits any window and never says more than there is', () => {
  for (const columns of [20, 40, 80, 200]) {
    const line = byteLine('reading inputs', { doneBytes: 1.5 * GIB, totalBytes: 2 * GIB }, 10_000, viewOf(columns))
    assert.ok(line.length <= columns, `${line.length} of ${columns}`)
  }
  assert.match(byteLine('reading inputs', { doneBytes: 1.5 * GIB, totalBytes: 2 * GIB }, 10_000, viewOf(100)), /75 %  reading inputs: 1\.5 GiB of 2(\.0)? GiB, 1288 Mbps/)
  assert.match(byteLine('x', { doneBytes: 0, totalBytes: 0 }, 10, viewOf(100)), / 0 %/)
})

test.run()
