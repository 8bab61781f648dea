/** Ended jobs do not stay for ever. */
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import { MIB } from '../../src/units.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')

/** Owners of pins in a stopped node's store. */
async function owners(dataDir: string): Promise<string[]> {
  const content = await ContentStore.open({ dir: join(dataDir, 'content'), quotaBytes: 1024 * MIB })
  const found = [...content.pins()].map(({ owner }) => owner)
  await content.close()
  return found
}

test('a job that ended long ago is forgotten with all that was kept for it, and one of today is not', async () => {
  const cluster = await Cluster.open()
  try {
    const flags = ['--share.enabled=false']
    const you = await cluster.start({ name: 'you', flags })
    await cluster.start({ name: 'ada', bootstrap: [you.address], flags: ['--share.cores=1', '--share.memory=1 GiB'] })
    const { job } = await you.api.submit({ spec: { engine: 'wasm', module: './hello/hello.wasm', args: ['forget'], outputs: ['hello.txt'] }, baseDir: EXAMPLES })
    for await (const _ of you.api.events({ job })) { /* to its end */ }
    await you.kill('SIGTERM')
    assert.ok((await owners(you.dataDir)).includes(`job:${job}`))

    const still = await cluster.start({ name: 'still', dataDir: you.dataDir, flags })
    assert.equal((await still.api.jobs()).map(({ id }) => id), [job])
    await still.kill('SIGTERM')

    const later = await cluster.start({ name: 'later', dataDir: you.dataDir, flags: [...flags, '--requester.keepJobs=1 ms'] })
    assert.equal(await later.api.jobs(), [])
    await later.kill('SIGTERM')
    assert.equal(await owners(you.dataDir), [])
  } finally {
    await cluster.close()
  }
})

test.run()
