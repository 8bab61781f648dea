/** A full disk, on either side: nobody is blamed for it, nothing is claimed, and all goes on when there is room. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from '../../node/demo/cluster.ts'
import { HearthError } from '../../src/errors.ts'
import { ended, exit, happens, LENDS, LENDS_NOTHING, MODULES, restart, startProvider, taskNotice } from '../helpers/cluster.ts'
import { SmallDisk } from '../helpers/small-disk.ts'

interface Context { cluster: Cluster, disk: SmallDisk | undefined }
const test = suite<Context>('full disk')
test.before.each(async (context) => { context.cluster = await Cluster.open() })
test.after.each(async ({ cluster, disk }) => {
  await cluster.close()
  await disk?.close()
})

/** Results of 800 KB, each another. */
const job = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ engine: 'wasm', module: './compute.wasm', args: ['{index}'], map: { range: [1, 5] }, outputs: ['values.bin'], limits: { queue: '60 s', run: '30 s', total: '60 s' }, ...more })

test('a provider without room on its disk gives its tasks back unblamed, and works again when there is some', async (context) => {
  const { cluster } = context
  const disk = context.disk = await SmallDisk.open()
  const you = await cluster.start({ name: 'you', flags: LENDS_NOTHING })
  const ada = await startProvider(cluster, you, 'ada', disk.setup)
  await disk.fill(ada)
  const first = await you.api.submit({ spec: job(), baseDir: MODULES })
  const back = await happens(you, first.job, taskNotice('retry', ada.peer))
  assert.is(back.kind === 'task' && back.code, 'E_HOST_DISK')
  await startProvider(cluster, you, 'ben')
  const detail = await ended(you, first.job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.is(detail.providers.find(({ peer }) => peer === ada.peer)?.done, 0)
  const seen = (await you.api.peers()).find(({ peer }) => peer === ada.peer)
  assert.equal([seen?.failed, seen?.late, seen?.wrong], [0, 0, 0])

  await disk.free(cluster, ada, { flags: LENDS, bootstrap: [you.address] })
  const second = await you.api.submit({ spec: job({ placement: { allow: [ada.peer] } }), baseDir: MODULES })
  const again = await ended(you, second.job)
  assert.is(again.state, 'done', JSON.stringify(again.error))
})

test('results wait at their provider while the requester\'s disk is full, and no task runs twice', async (context) => {
  const { cluster } = context
  const disk = context.disk = await SmallDisk.open()
  const { dataDir, flags } = disk.setup
  const you = await cluster.start({ name: 'you', dataDir, flags: [...LENDS_NOTHING, ...flags] })
  const { job: id } = await you.api.submit({ spec: job(), baseDir: MODULES })
  await disk.fill(you)
  const ada = await startProvider(cluster, you, 'ada')
  const waits = await happens(you, id, taskNotice('retry'))
  assert.match(waits.kind === 'task' ? waits.message : '', /waits for room on this disk/)
  assert.is((await you.api.job(id)).state, 'running')
  const again = await disk.free(cluster, you, { flags: LENDS_NOTHING, bootstrap: [ada.address] })
  const detail = await ended(again, id)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.equal(detail.taskList.map(({ attempts }) => attempts), [1, 1, 1, 1])
})

/** Small records that are written until the disk takes no more; each is confirmed only once it is written. */
const MAX_RECORDS = 20_000

test('a node whose records find no room confirms nothing more, says why, and goes on where it was when there is room', async (context) => {
  const { cluster } = context
  const disk = context.disk = await SmallDisk.open()
  const you = await cluster.start({ name: 'you', flags: LENDS_NOTHING })
  const ada = await startProvider(cluster, you, 'ada', disk.setup)
  const first = await you.api.submit({ spec: job(), baseDir: MODULES })
  assert.is((await ended(you, first.job)).state, 'done')
  if (!await disk.brim()) return
  const confirmed = async (): Promise<number> => {
    for (let i = 0; i < MAX_RECORDS; i++) await ada.api.rate({ peer: you.peer, stars: 1 + i % 5 })
    return MAX_RECORDS
  }
  const refusal = await confirmed().then(() => undefined, (err: unknown) => err)
  assert.is(refusal instanceof HearthError && refusal.code, 'E_STORE')
  assert.is(await exit(ada), 1)
  await disk.free(cluster, ada, { flags: LENDS })
  const again = await restart(cluster, ada, { flags: LENDS, bootstrap: [you.address] })
  assert.is(again.peer, ada.peer)
  const second = await you.api.submit({ spec: job(), baseDir: MODULES })
  const detail = await ended(you, second.job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
})

test.run()
