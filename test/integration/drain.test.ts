/** SIGTERM: a node leaves politely. What runs is finished and handed over, nothing new is taken; a second signal ends it at once. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { ended, exit, happens, LENDS_NOTHING, MODULES, restart, startProvider, taskNotice } from '../helpers/cluster.ts'

interface Context { cluster: Cluster, you: ClusterNode }
const test = suite<Context>('drain')
test.before.each(async (context) => {
  context.cluster = await Cluster.open()
  context.you = await context.cluster.start({ name: 'you', flags: LENDS_NOTHING })
})
test.after.each(async ({ cluster }) => { await cluster.close() })

/** A task of some seconds, whose result is too large to travel with the word that reveals it. */
const slow = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ engine: 'wasm', module: './compute.wasm', args: ['25'], outputs: ['values.bin'], limits: { queue: '60 s', run: '60 s', total: '90 s' }, ...more })

test('a provider finishes and hands over what it runs, takes nothing new, and exits 0', async ({ cluster, you }) => {
  const ada = await startProvider(cluster, you, 'ada')
  const { job } = await you.api.submit({ spec: slow(), baseDir: MODULES })
  await happens(you, job, taskNotice('running'))
  ada.process.kill('SIGTERM')
  const later = await you.api.submit({ spec: slow(), baseDir: MODULES })
  const refused = await happens(you, later.job, (notice) => notice.kind === 'decline')
  assert.is(refused.kind === 'decline' && refused.code, 'E_HOST_DRAINING')
  const detail = await ended(you, job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.equal(detail.taskList.map(({ attempts, peers }) => [attempts, peers]), [[1, [ada.peer]]])
  assert.is(await exit(ada), 0)
  assert.is((await you.api.job(later.job)).state, 'tendering')
})

test('a second signal ends a provider at once, and its task moves', async ({ cluster, you }) => {
  const ada = await startProvider(cluster, you, 'ada')
  // far longer than anybody waits for in a test: only the signal can end it
  const { job } = await you.api.submit({ spec: slow({ args: ['100000'], limits: { queue: '60 s', run: '1 h', total: '2 h' } }), baseDir: MODULES })
  await happens(you, job, taskNotice('running', ada.peer))
  const ben = await startProvider(cluster, you, 'ben')
  ada.process.kill('SIGTERM')
  const declined = await you.api.submit({ spec: slow(), baseDir: MODULES })
  await happens(you, declined.job, (notice) => notice.kind === 'decline' && notice.peer === ada.peer)
  ada.process.kill('SIGTERM')
  assert.is(await exit(ada), 0)
  await happens(you, job, taskNotice('running', ben.peer))
  await you.api.cancel(job)
})

test('a requester that is told to stop keeps its jobs and goes on after a restart', async ({ cluster, you }) => {
  await startProvider(cluster, you, 'ada')
  const { job } = await you.api.submit({ spec: slow({ args: ['5'], map: { range: [0, 12] } }), baseDir: MODULES })
  await happens(you, job, taskNotice('done'))
  you.process.kill('SIGTERM')
  assert.is(await exit(you), 0)
  const again = await restart(cluster, you, { flags: LENDS_NOTHING })
  const detail = await ended(again, job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  assert.is(detail.done, 12)
})

test.run()
