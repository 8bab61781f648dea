/** Warm submit-to-result of a trivial job between real processes: each sample a new job with new input, journal on. */
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { quantile, row } from './stats.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const SAMPLES = Number(process.env['BENCH_SAMPLES'] ?? 40)
const WARM_UP = 5
/** Each sample begins on warm nodes: those that ran the last one have a process waiting again. */
const REST_MS = 300

async function once(node: ClusterNode, sample: number, replicas: number): Promise<number> {
  const startedMs = performance.now()
  const { job } = await node.api.submit({ spec: { engine: 'wasm', module: './hello/hello.wasm', args: [`sample ${sample} ${replicas}`], outputs: ['hello.txt'], replicas, quorum: replicas }, baseDir: EXAMPLES })
  for await (const _ of node.api.events({ job })) { /* to its end */ }
  const elapsedMs = performance.now() - startedMs
  const { state, error } = await node.api.job(job)
  if (state !== 'done') throw new Error(`sample ${sample}: ${state} ${JSON.stringify(error)}`)
  return elapsedMs
}

const cluster = await Cluster.open()
try {
  const you = await cluster.start({ name: 'you', flags: ['--share.enabled=false'] })
  const flags = ['--share.cores=2', '--share.memory=1 GiB']
  const measure = async (replicas: number): Promise<void> => {
    const times: number[] = []
    for (let i = 0; i < WARM_UP + SAMPLES; i++) {
      const elapsedMs = await once(you, i, replicas)
      if (i >= WARM_UP) times.push(elapsedMs)
      await setTimeout(REST_MS)
    }
    row(`submit to result, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}, median`, `${quantile(times, 0.5).toFixed(0)} ms`, `p90 ${quantile(times, 0.9).toFixed(0)} ms, target under ${replicas === 1 ? 150 : 250} ms`)
  }
  await cluster.start({ name: 'ada', bootstrap: [you.address], flags })
  await measure(1)
  await Promise.all(['ben', 'cleo'].map((name) => cluster.start({ name, bootstrap: [you.address], flags })))
  await measure(3)
  for (const { name, process: child } of cluster.nodes) {
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
    row(`resident, ${name}`, `${(Number(resident) / 1024).toFixed(0)} MiB`)
  }
} finally {
  await cluster.close()
}
