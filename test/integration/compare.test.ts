/** Real nodes whose results are not simply equal: a tolerance, a verifier, and segments, each with a liar among them. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import type { JobDetail, Timestamped } from '../../node/api/contract.ts'
import { GIB } from '../../src/units.ts'
import { ended, EXAMPLES, exit, LENDS_NOTHING, startProvider } from '../helpers/cluster.ts'

/** Who is caught once is never asked again, so each job has a liar of its own; `placement.allow` says who takes part. */
const HOSTS = { plain: undefined, one: 'waver:1', two: 'waver:2', liar: 'lie', cheat: 'lie', sloppy: 'lie:segment-5' } as const
type Host = keyof typeof HOSTS
interface Context { cluster: Cluster, you: ClusterNode, hosts: Record<Host, string>, dir: string }
const test = suite<Context>('compare')

test.before(async (context) => {
  context.cluster = await Cluster.open()
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-compare-'))
  context.you = await context.cluster.start({ name: 'you', flags: LENDS_NOTHING })
  const started = await Promise.all(Object.entries(HOSTS).map(async ([name, misbehave]) => [name, (await startProvider(context.cluster, context.you, name, misbehave === undefined ? {} : { env: { TEST_HEARTH_MISBEHAVE: misbehave } })).peer] as const))
  context.hosts = Object.fromEntries(started) as Record<Host, string>
})

test.after(async ({ cluster, dir }) => {
  await cluster.close()
  await rm(dir, { recursive: true, force: true })
})

type TaskNotice = Extract<Timestamped, { kind: 'task' }>
interface Run { job: string, detail: JobDetail, tasks: TaskNotice[], caught: string[] }

async function run({ you, hosts }: Context, allow: Host[], spec: Record<string, unknown>): Promise<Run> {
  const { job } = await you.api.submit({ spec: { ...spec, placement: { allow: allow.map((name) => hosts[name]) } }, baseDir: EXAMPLES })
  const notices: Timestamped[] = []
  const detail = await ended(you, job, (notice) => { notices.push(notice) })
  return { job, detail, tasks: notices.filter((notice) => notice.kind === 'task'), caught: [...new Set(notices.flatMap((notice) => notice.kind === 'caught' ? [notice.peer] : []))] }
}

const ORBITS = { module: './orbits/orbits.wasm', args: ['20000'], resources: { memory: '16 MiB', disk: '1 MiB' } }
const TOLERANCE = { compare: { with: './orbits/tolerance.wasm', args: ['1e-9'] } }
const orbitOf = (dir: string, segment: number): string => join(dir, 'out', `segment-${segment}`, 'orbit.txt')

test('three hosts whose last digits differ agree within a tolerance', async (context) => {
  const { job, detail, caught } = await run(context, ['plain', 'one', 'two'], { ...ORBITS, ...TOLERANCE, replicas: 3, quorum: 3 })
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.ok(detail.taskList[0]?.verified)
  assert.equal(caught, [])
  const to = join(context.dir, 'tolerance')
  assert.ok((await context.you.api.results({ job, to })).verified)
  assert.match(await readFile(orbitOf(to, 0), 'utf8'), /^([\d. -]+\n){16}$/)
})

test('who lies beyond the tolerance is caught', async (context) => {
  const { detail, caught } = await run(context, ['one', 'two', 'liar'], { ...ORBITS, ...TOLERANCE, replicas: 2, map: { list: ['a', 'b', 'c', 'd'] } })
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.equal(caught, [context.hosts.liar])
})

test('a verifier catches a liar though nobody runs a task twice, and what is right needs no second opinion', async (context) => {
  const numbers = ['600851475143', '1000036000099', ...Array.from({ length: 14 }, (_, i) => String(9_000_000_001 + i))]
  const { job, detail, caught, tasks } = await run(context, ['cheat', 'plain'], { module: './factors/factors.wasm', args: ['{item}'], map: { list: numbers }, compare: { verify: './factors/check.wasm', args: ['{item}'] }, replicas: 1, resources: { memory: '16 MiB', disk: '1 MiB' } })
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.ok(detail.taskList.every(({ verified }) => verified))
  assert.equal(caught, [context.hosts.cheat])
  assert.is(tasks.filter(({ state, peer }) => state === 'committed' && peer === context.hosts.plain).length, numbers.length, 'each task ran once at the honest one')
  const to = join(context.dir, 'factors')
  const report = await context.you.api.results({ job, to })
  assert.is(await readFile(join(report.tasks[0]!.path, 'out', 'factors.txt'), 'utf8'), '71\n839\n1471\n6857\n')
})

test('where two results differ in one segment, a third host runs that segment alone and decides', async (context) => {
  const { job, detail, caught, tasks } = await run(context, ['plain', 'one', 'sloppy'], { ...ORBITS, ...TOLERANCE, segments: 8, replicas: 2, map: { list: ['a', 'b', 'c', 'd'] }, outputs: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `segment-${i}/orbit.txt`) })
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.equal(caught, [context.hosts.sloppy])
  const leases = tasks.filter(({ state }) => state === 'leased')
  const again = leases.filter(({ message }) => message.includes('segment'))
  assert.ok(again.length > 0 && again.every(({ message }) => message === 'segment 5 alone, where two results differ'), leases.map(({ message }) => message).join('; '))
  assert.ok(again.every(({ peer }) => peer !== context.hosts.sloppy))
  // a liar that is caught elsewhere meanwhile loses its other tasks: those are run again as a whole
  const to = join(context.dir, 'segments')
  const report = await context.you.api.results({ job, to })
  for (const { path } of report.tasks) for (let i = 0; i < 8; i++) assert.match(await readFile(orbitOf(path, i), 'utf8'), /^([\d. -]+\n){16}$/)
})

test('a comparator that does not work is heard in its own words, blames no host, and ends no job at the word of two', async ({ you, hosts }) => {
  const { job } = await you.api.submit({ spec: { ...ORBITS, compare: { with: './orbits/tolerance.wasm', args: ['a little'] }, replicas: 2, placement: { allow: [hosts.one, hosts.two] } }, baseDir: EXAMPLES })
  const doubted = new Map<string, string>()
  const caught: string[] = []
  const detail = await ended(you, job, (notice) => {
    if (notice.kind === 'caught') caught.push(notice.peer)
    if (notice.kind !== 'task' || notice.code !== 'E_RESULT_DOUBTED') return
    doubted.set(notice.peer, notice.message)
    if (doubted.size === 2) void you.api.cancel(job)
  })
  assert.is(detail.state, 'cancelled', JSON.stringify(detail.error))
  assert.equal([...doubted.keys()].sort(), [hosts.one, hosts.two].sort())
  for (const message of doubted.values()) assert.match(message, /comparator could not judge its result: it ended with exit code 2: usage: tolerance SHARE/)
  assert.equal(caught, [])
})

test('a job file whose comparator is no program is refused before anything is sent', async ({ you, dir }) => {
  await writeFile(join(dir, 'check.wasm'), 'int main')
  await writeFile(join(dir, 'a.wasm'), await readFile(join(EXAMPLES, 'hello/hello.wasm')))
  await you.api.submit({ spec: { module: './a.wasm', compare: { verify: './check.wasm' } }, baseDir: dir }).then(() => { throw new Error('accepted') }, (err: Error & { code?: string }) => {
    assert.is(err.code, 'E_JOB_MODULE')
    assert.match(err.message, /compare\.verify: .*check\.wasm is not WebAssembly/)
  })
})

test('nothing that was only compared stays in the store', async ({ you }) => {
  you.process.kill('SIGTERM')
  await exit(you)
  const store = await ContentStore.open({ dir: join(you.dataDir, 'content'), quotaBytes: GIB, minFreeDiskBytes: 0 })
  assert.equal([...new Set([...store.pins()].map(({ owner }) => owner.split(':')[0]))], ['job'])
  await store.close()
})

test.run()
