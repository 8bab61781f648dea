/** Real node processes on loopback: a job goes from one to the others and back, and survives what happens at home. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import type { JobDetail, Timestamped } from '../../node/api/contract.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const LEND = ['--share.cores=2', '--share.memory=1 GiB']

interface Context { cluster: Cluster, you: ClusterNode, dir: string }
const test = suite<Context>('job')

test.before.each(async (context) => {
  context.cluster = await Cluster.open()
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-test-'))
  context.you = await context.cluster.start({ name: 'you', flags: ['--share.enabled=false'] })
})

test.after.each(async ({ cluster, dir }) => {
  await cluster.close()
  await rm(dir, { recursive: true, force: true })
})

async function provider({ cluster, you }: Context, name: string, options: { flags?: string[], env?: Record<string, string> } = {}): Promise<ClusterNode> {
  return await cluster.start({ name, bootstrap: [you.address], flags: [...LEND, ...options.flags ?? []], ...options.env === undefined ? {} : { env: options.env } })
}

async function ended(node: ClusterNode, job: string, on?: (notice: Timestamped) => void): Promise<JobDetail> {
  for await (const notice of node.api.events({ job })) on?.(notice)
  return await node.api.job(job)
}

const hello = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ engine: 'wasm', module: './hello/hello.wasm', args: ['hearth'], outputs: ['hello.txt'], ...more })

test('a job runs on another node and its result comes back', async (context) => {
  await provider(context, 'ada')
  const { api } = context.you
  const { job } = await api.submit({ spec: hello(), baseDir: EXAMPLES })
  const detail = await ended(context.you, job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  const report = await api.results({ job, to: join(context.dir, 'out') })
  assert.ok(report.verified)
  assert.match(await readFile(join(context.dir, 'out', 'out', 'hello.txt'), 'utf8'), /hearth/)
  let log = ''
  for await (const { bytes } of api.logs({ job, stream: 'stdout', follow: false })) log += Buffer.from(bytes, 'base64').toString()
  assert.match(log, /hearth/)
})

test('a liar is outvoted, caught and shunned', async (context) => {
  await Promise.all([provider(context, 'ada'), provider(context, 'ben'), provider(context, 'cleo', { env: { TEST_HEARTH_MISBEHAVE: 'lie' } })])
  const liar = context.cluster.nodes.find(({ name }) => name === 'cleo')
  const { job } = await context.you.api.submit({ spec: hello({ map: { range: [0, 8] }, args: ['{index}'], replicas: 2 }), baseDir: EXAMPLES })
  const detail = await ended(context.you, job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.ok(detail.taskList.every(({ verified }) => verified))
  const caught = detail.timeline.flatMap((notice) => notice.kind === 'caught' ? [notice.peer] : [])
  assert.ok(caught.length > 0 && caught.every((peer) => peer === liar?.peer), `caught ${caught.join()}`)
  const report = await context.you.api.results({ job, to: join(context.dir, 'out') })
  for (const { index, path } of report.tasks) assert.match(await readFile(join(path, 'out', 'hello.txt'), 'utf8'), new RegExp(`\\b${index}\\b`))
})

test('the tasks of a provider that is killed move to another', async (context) => {
  const [ada] = await Promise.all([provider(context, 'ada'), provider(context, 'ben')])
  const { job } = await context.you.api.submit({ spec: hello({ map: { range: [0, 40] }, args: ['{index}'] }), baseDir: EXAMPLES })
  let done = 0
  const detail = await ended(context.you, job, (notice) => {
    if (notice.kind === 'task' && notice.state === 'done' && ++done === 5) void ada.kill('SIGKILL')
  })
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.is(detail.done, 40)
})

test('a requester that is killed goes on where it was', async (context) => {
  await provider(context, 'ada')
  const { job } = await context.you.api.submit({ spec: hello({ map: { range: [0, 40] }, args: ['{index}'] }), baseDir: EXAMPLES })
  let done = 0
  try {
    for await (const notice of context.you.api.events({ job })) if (notice.kind === 'task' && notice.state === 'done' && ++done === 5) await context.you.kill('SIGKILL')
  } catch {
    // the socket broke with the process
  }
  assert.ok(done >= 5)
  const again = await context.cluster.start({ name: 'again', dataDir: context.you.dataDir, listen: context.you.address.replace(/\/p2p\/.*/, ''), flags: ['--share.enabled=false'] })
  assert.is(again.peer, context.you.peer)
  const detail = await ended(again, job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.is(detail.done, 40)
})

test('a first result can be had before the vote, marked unverified', async (context) => {
  await provider(context, 'ada')
  const { api } = context.you
  const { job } = await api.submit({ spec: hello({ replicas: 2 }), baseDir: EXAMPLES })
  for await (const notice of api.events({ job })) if (notice.kind === 'task' && notice.state === 'committed') break
  const report = await api.results({ job, to: join(context.dir, 'early'), unverified: true })
  assert.is(report.verified, false)
  assert.match(await readFile(join(context.dir, 'early', 'out', 'hello.txt'), 'utf8'), /hearth/)
  assert.is((await api.job(job)).state, 'running')
})

test('why names the requirement that nobody meets', async (context) => {
  await provider(context, 'ada')
  const { job } = await context.you.api.submit({ spec: hello({ resources: { memory: '3 GiB' }, limits: { queue: '60 s' } }), baseDir: EXAMPLES })
  for await (const notice of context.you.api.events({ job })) if (notice.kind === 'decline') break
  const why = await context.you.api.why(job)
  assert.is(why.missing[0]?.code, 'E_FIT_MEMORY')
  assert.is(why.missing[0]?.wouldFitOtherwise, 1)
  await context.you.api.cancel(job)
  assert.is((await context.you.api.job(job)).state, 'cancelled')
})

test('a program that fails everywhere is named as the fault', async (context) => {
  await Promise.all([provider(context, 'ada'), provider(context, 'ben')])
  const module = join(context.dir, 'trap.wasm')
  // (module (memory (export "memory") 1) (func (export "_start") unreachable))
  await writeFile(module, Buffer.from('0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a05010300000b', 'hex'))
  const { job } = await context.you.api.submit({ spec: { engine: 'wasm', module: './trap.wasm' }, baseDir: context.dir })
  const detail = await ended(context.you, job)
  assert.is(detail.state, 'failed')
  assert.is(detail.error?.code, 'E_TRAP_UNREACHABLE')
  for (const peer of await context.you.api.peers()) assert.is(peer.failed, 0)
})

test.run()
