/** What tickets cost: the house's own latency and processor figures, without and with payment, in the same run on the same machine. */
import { mkdtemp, rm } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { startDevnet } from '../../node/chain/devnet.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { cpuMs, quantile, row } from './stats.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const SAMPLES = Number(process.env['BENCH_SAMPLES'] ?? 40)
const TASKS = Number(process.env['BENCH_TASKS'] ?? 1000)
const WARM_UP = 5
const MAX_GROWTH = 1.15
/** As where latency alone is measured: the last job's sandbox processes are replaced, and its accounts settled, before the next begins. What that costs is in the processor's figure. */
const REST_MS = 300

async function runJob(node: ClusterNode, spec: Record<string, unknown>): Promise<number> {
  const startedMs = performance.now()
  const { job } = await node.api.submit({ spec: { engine: 'wasm', module: './hello/hello.wasm', outputs: ['hello.txt'], ...spec }, baseDir: EXAMPLES })
  for await (const _ of node.api.events({ job })) { /* to its end */ }
  const elapsedMs = performance.now() - startedMs
  const { state, error } = await node.api.job(job)
  if (state !== 'done') throw new Error(`${state} ${JSON.stringify(error)}`)
  return elapsedMs
}

/** Six nodes; the first one asks. */
async function company(flags: string[]): Promise<Cluster> {
  const cluster = await Cluster.open()
  const lend = ['--share.cores=2', '--share.memory=1 GiB', ...flags]
  const you = await cluster.start({ name: 'you', flags: ['--share.enabled=false', ...flags] })
  for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve']) await cluster.start({ name, bootstrap: [you.address], flags: lend })
  return cluster
}

function asker({ nodes }: Cluster): ClusterNode {
  const [you] = nodes
  if (you === undefined) throw new Error('a company of nobody')
  return you
}

/** Medians of both, sample by sample in turn: what else the machine does meets both alike. */
async function medians(clusters: readonly [Cluster, Cluster], replicas: number): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []]
  for (let i = 0; i < WARM_UP + SAMPLES; i++) {
    for (const [which, cluster] of clusters.entries()) {
      const elapsedMs = await runJob(asker(cluster), { args: [`${i} ${replicas} ${performance.now()}`], replicas, quorum: replicas })
      if (i >= WARM_UP) times[which === 0 ? 0 : 1].push(elapsedMs)
      await setTimeout(REST_MS)
    }
  }
  return [quantile(times[0], 0.5), quantile(times[1], 0.5)]
}

/** Of all nodes of a cluster together. */
async function cpuMsATask(cluster: Cluster): Promise<number> {
  const usedMs = (): number => cluster.nodes.reduce((sum, { process: child }) => sum + cpuMs(readFileSync(`/proc/${child.pid}/stat`, 'utf8')), 0)
  const before = usedMs()
  await runJob(asker(cluster), { args: ['{index}'], map: { range: [0, TASKS] } })
  return (usedMs() - before) / TASKS
}

const dir = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
const devnet = await startDevnet({ dir })
const clusters: Cluster[] = []
try {
  const free = await company([])
  clusters.push(free)
  const paid = await company(['--payment.mode=devnet', `--payment.rpcUrl=${devnet.rpcUrl}`, `--payment.chainId=${devnet.chainId}`, `--payment.contract=${devnet.contract}`, '--payment.confirmations=0', '--payment.pollInterval=500 ms'])
  clusters.push(paid)
  const ether = 10n ** 18n
  const statuses = await Promise.all(paid.nodes.map(({ api }) => api.status()))
  await devnet.give(statuses.map(({ address }) => ({ address, coinWei: ether, depositWei: ether, bondWei: ether, jobBondWei: ether })))
  const compare = (name: string, [without, withPay]: readonly [number, number], digits: number): void => {
    row(name, (withPay / without).toFixed(2), `${withPay.toFixed(digits)} ms with payment, ${without.toFixed(digits)} ms without; target under ${MAX_GROWTH}`)
  }
  for (const replicas of [1, 3]) compare(`submit to result, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}, median`, await medians([free, paid], replicas), 0)
  compare(`CPU a task, six nodes together (${TASKS} tasks)`, [await cpuMsATask(free), await cpuMsATask(paid)], 1)
} finally {
  for (const cluster of clusters) await cluster.close()
  await devnet.stop()
  await rm(dir, { recursive: true, force: true })
}
