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

interface Figures { latencyMs: number, latency3Ms: number, cpuMs: number }

async function runJob(node: ClusterNode, spec: Record<string, unknown>): Promise<number> {
  const startedMs = performance.now()
  const { job } = await node.api.submit({ spec: { engine: 'wasm', module: './hello/hello.wasm', outputs: ['hello.txt'], ...spec }, baseDir: EXAMPLES })
  for await (const _ of node.api.events({ job })) { /* to its end */ }
  const elapsedMs = performance.now() - startedMs
  const { state, error } = await node.api.job(job)
  if (state !== 'done') throw new Error(`${state} ${JSON.stringify(error)}`)
  return elapsedMs
}

async function median(node: ClusterNode, replicas: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < WARM_UP + SAMPLES; i++) {
    times.push(await runJob(node, { args: [`${i} ${replicas} ${performance.now()}`], replicas, quorum: replicas }))
    await setTimeout(REST_MS)
  }
  return quantile(times.slice(WARM_UP), 0.5)
}

async function measure(flags: string[], fund: (nodes: readonly ClusterNode[]) => Promise<void>): Promise<Figures> {
  const cluster = await Cluster.open()
  try {
    const lend = ['--share.cores=2', '--share.memory=1 GiB', ...flags]
    const you = await cluster.start({ name: 'you', flags: ['--share.enabled=false', ...flags] })
    for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve']) await cluster.start({ name, bootstrap: [you.address], flags: lend })
    await fund(cluster.nodes)
    const latencyMs = await median(you, 1)
    const latency3Ms = await median(you, 3)
    const usedMs = (): number => cluster.nodes.reduce((sum, { process: child }) => sum + cpuMs(readFileSync(`/proc/${child.pid}/stat`, 'utf8')), 0)
    const before = usedMs()
    await runJob(you, { args: ['{index}'], map: { range: [0, TASKS] } })
    return { latencyMs, latency3Ms, cpuMs: (usedMs() - before) / TASKS }
  } finally {
    await cluster.close()
  }
}

const dir = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
const devnet = await startDevnet({ dir })
try {
  const free = await measure([], () => Promise.resolve())
  const paid = await measure([
    '--payment.mode=devnet', `--payment.rpcUrl=${devnet.rpcUrl}`, `--payment.chainId=${devnet.chainId}`, `--payment.contract=${devnet.contract}`, '--payment.confirmations=0', '--payment.pollInterval=500 ms'
  ], async (nodes) => {
    const ether = 10n ** 18n
    const statuses = await Promise.all(nodes.map(({ api }) => api.status()))
    await devnet.give(statuses.map(({ address }) => ({ address, coinWei: ether, depositWei: ether, bondWei: ether, jobBondWei: ether })))
  })
  const compare = (name: string, a: number, b: number, digits: number): void => {
    row(name, (b / a).toFixed(2), `${b.toFixed(digits)} ms with payment, ${a.toFixed(digits)} ms without; target under ${MAX_GROWTH}`)
  }
  compare('submit to result, 1 replica, median', free.latencyMs, paid.latencyMs, 0)
  compare('submit to result, 3 replicas, median', free.latency3Ms, paid.latency3Ms, 0)
  compare(`CPU a task, six nodes together (${TASKS} tasks)`, free.cpuMs, paid.cpuMs, 1)
} finally {
  await devnet.stop()
  await rm(dir, { recursive: true, force: true })
}
