/** Many tasks over five providers of which two are killed and one comes back: nothing is lost, nothing is done twice. */
import { join } from 'node:path'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const TASKS = Number(process.env['TEST_CHURN_TASKS'] ?? 150)

test(`${TASKS} tasks survive two providers killed and one restarted`, async () => {
  const cluster = await Cluster.open()
  const dir = await mkdtemp(join(tmpdir(), 'hearth-test-'))
  try {
    const you = await cluster.start({ name: 'you', flags: ['--share.enabled=false'] })
    const flags = ['--share.cores=2', '--share.memory=1 GiB']
    const providers: ClusterNode[] = []
    for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve']) providers.push(await cluster.start({ name, bootstrap: [you.address], flags }))
    const [ada, ben] = providers
    const { job } = await you.api.submit({ spec: { engine: 'wasm', module: './hello/hello.wasm', args: ['{index}'], outputs: ['hello.txt'], map: { range: [0, TASKS] } }, baseDir: EXAMPLES })
    const done: number[] = []
    const chaos: Promise<unknown>[] = []
    for await (const notice of you.api.events({ job })) {
      if (notice.kind !== 'task' || notice.state !== 'done') continue
      done.push(notice.task)
      if (done.length === 20 && ada !== undefined) {
        chaos.push(ada.kill('SIGKILL').then(async () => await cluster.start({ name: 'ada-again', dataDir: ada.dataDir, listen: ada.address.replace(/\/p2p\/.*/, ''), bootstrap: [you.address], flags })))
      }
      if (done.length === 40 && ben !== undefined) chaos.push(ben.kill('SIGKILL'))
    }
    await Promise.all(chaos)
    const detail = await you.api.job(job)
    assert.is(detail.state, 'done', JSON.stringify(detail.error))
    assert.is(detail.done, TASKS)
    assert.is(new Set(done).size, done.length, 'a task was done twice')
    const report = await you.api.results({ job, to: join(dir, 'out') })
    assert.is(report.tasks.length, TASKS)
    for (const { index, path } of report.tasks) assert.match(await readFile(join(path, 'out', 'hello.txt'), 'utf8'), new RegExp(`\\b${index}\\b`))
  } finally {
    await cluster.close()
    await rm(dir, { recursive: true, force: true })
  }
})

test.run()
