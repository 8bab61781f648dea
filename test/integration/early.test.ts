/** What is kept in the store for a moment only, by real nodes over the real store: a look before the vote, and what crashes leave. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import { takeEarly } from '../../node/service/early.ts'
import { dropLeftovers } from '../../node/service/leftovers.ts'
import { prepareJob } from '../../node/service/job-store.ts'
import { GIB, MIB } from '../../src/units.ts'
import { EXAMPLES, exit, happens, LENDS_NOTHING, startProvider, taskNotice } from '../helpers/cluster.ts'
import { addReplica, freshTask } from '../../src/job/task.ts'

const test = suite<{ dir: string }>('early')
test.before(async (context) => { context.dir = await mkdtemp(join(tmpdir(), 'hearth-early-')) })
test.after(async ({ dir }) => { await rm(dir, { recursive: true, force: true }) })

const open = async (dir: string): Promise<ContentStore> => await ContentStore.open({ dir, quotaBytes: GIB, minFreeDiskBytes: 0 })
const owners = (store: ContentStore): string[] => [...store.pins()].map(({ owner }) => owner.replace(/(:).*/, '$1')).sort()

test('a start lets go of drafts, first looks and jobs that were never stored, and keeps the rest', async ({ dir }) => {
  const at = join(dir, 'leftovers')
  const store = await open(at)
  const shared = await store.importBytes(randomBytes(2 * MIB), { pinFor: 'draft:aa' })
  await store.pin(shared.cid, 'job:known')
  const loose = await store.importBytes(randomBytes(1000), { pinFor: 'draft:bb' })
  for (const owner of ['early:known/1', 'job:unknown', 'compare:known/0/1', 'hosted:other', 'result:lease']) await store.importBytes(randomBytes(100), { pinFor: owner })
  await store.close()
  const again = await open(at)
  await dropLeftovers(again, (job) => job === 'known')
  assert.equal(owners(again), ['job:', 'result:'])
  await again.gc()
  assert.ok(await again.has(shared.cid, { deep: true }), 'what a job needs stays')
  assert.not.ok(await again.has(loose.cid))
  await again.close()
})

test('a look at a first result keeps its content until it is over, and two looks do not disturb each other', async ({ dir }) => {
  const store = await open(join(dir, 'looks'))
  const bytes = randomBytes(1000)
  const { cid } = await store.importBytes(bytes, { pinFor: 'elsewhere' })
  const task = freshTask(0)
  addReplica(task, { agreement: 'a', provider: 'ada', payee: 'ada', attempt: 0, sinceMonoMs: 0, check: false, state: { kind: 'committed', commit: '' } })
  const job = { id: 'job1', tasks: new Map([[0, task]]) }
  const parts: Parameters<typeof takeEarly>[0] = {
    send: async () => {},
    notices: { follow: async function * () { yield { kind: 'early', job: 'job1', task: 0, peer: 'ada', agreement: 'a', content: cid, contentBytes: 1000, exitCode: 0, wallMs: 0 } } },
    fetch: async ({ pinFor }) => { await store.pin(cid, pinFor) },
    unpin: async (root, owner) => { await store.unpin(root, owner) }
  }
  const looks = [await takeEarly(parts, job, 0), await takeEarly(parts, job, 0)]
  await store.unpin(cid, 'elsewhere')
  assert.is(store.pinnedFor(cid).length, 2)
  await looks[0]?.release()
  await store.gc()
  assert.ok(await store.has(cid), 'the other look goes on')
  await looks[1]?.release()
  assert.equal([...store.pins()], [])
  await store.gc()
  assert.not.ok(await store.has(cid))
  await store.close()
})

test('a job whose making fails half-way leaves nothing pinned', async ({ dir }) => {
  const store = await open(join(dir, 'failing'))
  const broken = new Proxy(store, {
    get(target, name) {
      if (name === 'putBlock') return async () => { throw new Error('the disk is full') }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
  const request = { spec: { engine: 'wasm', module: './hello/hello.wasm' }, baseDir: EXAMPLES }
  const requester = '12D3KooWQmXf7TzaGkVtxHRtnSRnWLXWBTfnMmuNYgtiZnR2tHzp'
  let failed = false
  await prepareJob({ content: broken, requester, providerSets: {}, secrets: { keep: async () => {} } }, request, randomBytes(16)).catch(() => { failed = true })
  assert.ok(failed)
  assert.equal([...store.pins()], [])
  const { id } = await prepareJob({ content: store, requester, providerSets: {}, secrets: { keep: async () => {} } }, request, randomBytes(16))
  assert.ok([...store.pins()].length > 0 && [...store.pins()].every(({ owner }) => owner === `job:${id}`))
  await store.close()
})

test('real nodes keep nothing of a look before the vote, nor of a draft that a crash left', async ({ dir }) => {
  const cluster = await Cluster.open()
  try {
    const dataDir = join(cluster.dir, 'you')
    const before = await open(join(dataDir, 'content'))
    await before.importBytes(randomBytes(100), { pinFor: 'draft:dead' })
    await before.close()
    const you = await cluster.start({ name: 'you', dataDir, flags: LENDS_NOTHING })
    await startProvider(cluster, you, 'ada')
    const { job } = await you.api.submit({ spec: { engine: 'wasm', module: './hello/hello.wasm', args: ['early'], outputs: ['hello.txt'], replicas: 2 }, baseDir: EXAMPLES })
    await happens(you, job, taskNotice('committed'))
    const report = await you.api.results({ job, to: join(dir, 'look'), unverified: true })
    assert.is(report.verified, false)
    assert.match(await readFile(join(dir, 'look', 'out', 'hello.txt'), 'utf8'), /early/)
    you.process.kill('SIGTERM')
    await exit(you)
    const after = await open(join(dataDir, 'content'))
    assert.equal([...new Set(owners(after))], ['job:'])
    await after.close()
  } finally {
    await cluster.close()
  }
})

test.run()
