/** 1,000 tasks of one map job over five providers: CPU a task in all node processes, sandboxes apart. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster } from '../../node/demo/cluster.ts'
import { cpuMs, row } from './stats.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const TASKS = Number(process.env['BENCH_TASKS'] ?? 1000)

const cluster = await Cluster.open()
try {
  const you = await cluster.start({ name: 'you', flags: ['--share.enabled=false'] })
  for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve']) await cluster.start({ name, bootstrap: [you.address], flags: ['--share.cores=2', '--share.memory=1 GiB'] })
  const usedMs = (): number => cluster.nodes.reduce((sum, { process: child }) => sum + cpuMs(readFileSync(`/proc/${child.pid}/stat`, 'utf8')), 0)
  const spec = (tasks: number): Record<string, unknown> => ({ engine: 'wasm', module: './hello/hello.wasm', args: ['{index}'], outputs: ['hello.txt'], map: { range: [0, tasks] } })
  const run = async (tasks: number): Promise<void> => {
    const { job } = await you.api.submit({ spec: spec(tasks), baseDir: EXAMPLES })
    for await (const _ of you.api.events({ job })) { /* to its end */ }
    const detail = await you.api.job(job)
    if (detail.state !== 'done' || detail.done !== tasks) throw new Error(`${detail.state}: ${detail.done} of ${tasks} ${JSON.stringify(detail.error)}`)
  }
  await run(50)
  const before = usedMs()
  const startedMs = performance.now()
  await run(TASKS)
  const elapsedMs = performance.now() - startedMs
  row(`CPU a task, six nodes together (${TASKS} tasks)`, `${((usedMs() - before) / TASKS).toFixed(1)} ms`, 'target under 15 ms, sandboxes apart')
  row('elapsed', `${(elapsedMs / 1000).toFixed(1)} s`, `${(TASKS / elapsedMs * 1000).toFixed(0)} tasks/s on this machine`)
} finally {
  await cluster.close()
}
