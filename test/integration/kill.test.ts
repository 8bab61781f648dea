/**
 * Kill -9 before and after every durable write and every effect of a job, one at a time, on the requester and on the
 * provider: the driver counts such points and ends its own process at the one it is told. After the restart the job
 * completes exactly once.
 */
import { once } from 'node:events'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { join } from 'node:path'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import type { JobDetail } from '../../node/api/contract.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const SPEC = { engine: 'wasm', module: './hello/hello.wasm', args: ['again'], outputs: ['hello.txt'], limits: { queue: '60 s', run: '20 s', total: '2 m' } }
/** Far beyond what one job reaches: the enumeration ends where a job ends without a kill. */
const MAX_POINTS = 200
const REQUESTER = ['--share.enabled=false']
const PROVIDER = ['--share.cores=2', '--share.memory=1 GiB']

const test = suite<{ cluster: Cluster }>('kill')
test.before.each(async (context) => { context.cluster = await Cluster.open() })
test.after.each(async ({ cluster }) => { await cluster.close() })

function loopback({ address }: ClusterNode): string {
  return address.replace(/\/p2p\/.*/, '')
}

async function ended(node: ClusterNode, job: string): Promise<JobDetail> {
  for await (const _ of node.api.events({ job })) { /* to its end */ }
  return await node.api.job(job)
}

function assertDoneOnce(detail: JobDetail, point: number): void {
  assert.is(detail.state, 'done', `killed at point ${point}: ${JSON.stringify(detail.error)}`)
  assert.is(detail.done, 1, `killed at point ${point}`)
  const ends = detail.timeline.filter((notice) => notice.kind === 'job' && notice.state === 'done')
  assert.ok(ends.length <= 1, `killed at point ${point}: ended ${ends.length} times`)
}

async function died(node: ClusterNode): Promise<'died'> {
  if (node.process.signalCode === null && node.process.exitCode === null) await once(node.process, 'exit')
  return 'died'
}

test('a provider killed at any point', async ({ cluster }) => {
  const you = await cluster.start({ name: 'you', flags: REQUESTER })
  let kills = 0
  for (let point = 1; point <= MAX_POINTS; point++) {
    const name = `provider-${point}`
    const victim = await cluster.start({ name, bootstrap: [you.address], flags: PROVIDER, env: { TEST_HEARTH_KILL_AT: String(point) } })
    const { job } = await you.api.submit({ spec: SPEC, baseDir: EXAMPLES })
    const job1 = ended(you, job)
    const first = await Promise.race([died(victim), job1])
    if (first !== 'died') {
      assertDoneOnce(first, point)
      assert.ok(kills >= 6, `only ${kills} points were reached`)
      return
    }
    kills++
    const again = await cluster.start({ name: `${name}-again`, dataDir: victim.dataDir, listen: loopback(victim), bootstrap: [you.address], flags: PROVIDER })
    assertDoneOnce(await job1, point)
    await again.kill('SIGKILL')
  }
  assert.unreachable('the enumeration did not end')
})

test('a requester killed at any point', async ({ cluster }) => {
  const provider = await cluster.start({ name: 'provider', flags: PROVIDER })
  let kills = 0
  for (let point = 1; point <= MAX_POINTS; point++) {
    const name = `you-${point}`
    const victim = await cluster.start({ name, bootstrap: [provider.address], flags: REQUESTER, env: { TEST_HEARTH_KILL_AT: String(point) } })
    const submitted = await victim.api.submit({ spec: SPEC, baseDir: EXAMPLES }).catch(() => undefined)
    const whole = submitted === undefined ? undefined : ended(victim, submitted.job).catch(() => undefined)
    const first = whole === undefined ? await died(victim) : await Promise.race([died(victim), whole])
    if (first !== 'died' && first !== undefined) {
      assertDoneOnce(first, point)
      assert.ok(kills >= 6, `only ${kills} points were reached`)
      return
    }
    await died(victim)
    kills++
    const again = await cluster.start({ name: `${name}-again`, dataDir: victim.dataDir, listen: loopback(victim), bootstrap: [provider.address], flags: REQUESTER })
    const jobs = await again.api.jobs()
    // killed before its commit the job was never taken, and its person was told so; after it, it must complete
    assert.ok(jobs.length === 1 || (jobs.length === 0 && submitted === undefined), `killed at point ${point}: ${jobs.length} jobs`)
    for (const { id } of jobs) assertDoneOnce(await ended(again, id), point)
    await again.kill('SIGKILL')
  }
  assert.unreachable('the enumeration did not end')
})

test.run()
