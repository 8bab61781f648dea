/** What belongs to a job is read by its two sides alone, whatever else somebody knows: over the real protocols, between real processes. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { jobBlockCid } from '../../node/work/job-files.ts'
import type { Timestamped } from '../../node/api/contract.ts'
import { GIB } from '../../src/units.ts'
import { EXAMPLES, happens, LENDS_NOTHING, startProvider, taskNotice } from '../helpers/cluster.ts'
import { Stranger } from '../helpers/stranger.ts'

interface Context { cluster: Cluster, you: ClusterNode, ada: ClusterNode, stranger: Stranger, dir: string, job: string, input: string, module: string, early: Early }
type Early = Extract<Timestamped, { kind: 'early' }>
const REFUSED = 'E_SOURCE_REFUSED'
const UNKNOWN = `0x${'f'.repeat(64)}`
const test = suite<Context>('access')

/** The addresses that a file and a module have in every store. */
async function cidsOf(dir: string, paths: readonly string[]): Promise<string[]> {
  const store = await ContentStore.open({ dir, quotaBytes: GIB, minFreeDiskBytes: 0 })
  const cids: string[] = []
  for (const path of paths) cids.push((await store.importFile(path)).cid)
  await store.close()
  return cids
}

// One job of two replicas with one provider: it has run there, and its result waits for a second voice.
async function setUp(context: Context): Promise<void> {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-test-'))
  context.cluster = await Cluster.open()
  context.you = await context.cluster.start({ name: 'you', flags: LENDS_NOTHING })
  context.ada = await startProvider(context.cluster, context.you, 'ada')
  context.stranger = await Stranger.arrive([context.you.address, context.ada.address])
  const { you, dir } = context
  await writeFile(join(dir, 'secret.txt'), 'for the providers of this job alone')
  const module = join(dir, 'hello.wasm')
  await copyFile(join(EXAMPLES, 'hello/hello.wasm'), module)
  const [input = '', moduleCid = ''] = await cidsOf(join(dir, 'store'), [join(dir, 'secret.txt'), module])
  const { job } = await you.api.submit({ spec: { engine: 'wasm', module: './hello.wasm', args: ['secret'], inputs: { 'secret.txt': './secret.txt' }, outputs: ['hello.txt'], replicas: 2 }, baseDir: dir })
  await happens(you, job, taskNotice('committed'))
  const told = happens(you, job, (notice): notice is Early => notice.kind === 'early')
  await you.api.results({ job, to: join(dir, 'early'), unverified: true })
  Object.assign(context, { job, input, module: moduleCid, early: await told })
}

// uvu says nothing of what a hook throws
test.before(async (context) => { await setUp(context).catch((err: unknown) => { console.error(err); throw err }) })

test.after(async ({ cluster, stranger, dir }) => {
  await stranger.leave()
  await cluster.close()
  await rm(dir, { recursive: true, force: true })
})

test('a result is given to its requester, and refused to a stranger who knows its address and its agreement', async ({ ada, stranger, early: { content, agreement, peer } }) => {
  assert.is(peer, ada.peer)
  assert.is(await stranger.refusal(ada.peer, content, agreement), REFUSED)
  assert.is(await stranger.refusal(ada.peer, content, ''), REFUSED)
  assert.is(await stranger.refusal(ada.peer, content, UNKNOWN), REFUSED)
})

test('the requester hands results on to nobody', async ({ you, stranger, early: { content, agreement } }) => {
  assert.is(await stranger.refusal(you.peer, content, agreement), REFUSED)
})

test('document, module and inputs are refused to a stranger who knows their addresses and an agreement', async ({ you, ada, stranger, job, input, module, early: { agreement } }) => {
  for (const cid of [jobBlockCid(job), module, input]) {
    assert.is(await stranger.refusal(you.peer, cid, agreement), REFUSED)
    assert.is(await stranger.refusal(you.peer, cid, ''), REFUSED)
    assert.is(await stranger.refusal(ada.peer, cid, agreement), REFUSED)
  }
})

test('a log is shown to its requester and refused to a stranger who knows the lease', async ({ you, ada, stranger, job, early: { agreement, task } }) => {
  let log = ''
  for await (const { bytes } of you.api.logs({ job, stream: 'stdout', follow: false })) log += Buffer.from(bytes, 'base64').toString()
  assert.match(log, /secret/)
  assert.is(await stranger.logRefusal(ada.peer, { agreement, task, attempt: 0 }), 'E_LOG_NONE')
})

test('a stranger who asks what was committed hears nothing of it', async ({ ada, stranger, early: { agreement, task } }) => {
  const heard: string[] = []
  const answered = Promise.withResolvers<void>()
  stranger.network.onMessage((from, message) => {
    if (from !== ada.peer) return
    heard.push(message.kind)
    if (message.kind === 'settled') answered.resolve()
  })
  await stranger.network.send(ada.peer, { kind: 'peek', agreement, task, attempt: 0 })
  // this one is always answered, after whatever is said to the one before: both take the same stream, there and back
  await stranger.network.send(ada.peer, { kind: 'verdict', agreement: UNKNOWN, task, attempt: 0, verdict: 'cancelled', code: 'E_NONE' })
  await answered.promise
  assert.equal(heard, ['settled'])
})

test.run()
