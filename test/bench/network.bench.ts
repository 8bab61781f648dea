/** What the network layer costs: a node's start, an idle node among 20 peers, and one message there and back between two processes. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster } from '../../node/demo/cluster.ts'
import { createTestNetwork, first, firstAddress } from '../helpers/network.ts'
import { cpuMs, quantile, row } from './stats.ts'

const PEERS = 20
/** Long enough for libp2p's and our own timers of up to 30 s to come round. */
const SETTLE_MS = 35_000
const WATCH_MS = Number(process.env['BENCH_WATCH_MS'] ?? 60_000)
const ROUND_TRIPS = 2000

async function peers(count: number, address: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'network-peers.ts'), String(count), address], { stdio: ['pipe', 'pipe', 'inherit'] })
  if (child.stdout === null) throw new Error('no output')
  await once(child.stdout, 'data')
  return child
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms) })

async function roundTrips(): Promise<void> {
  const startedMs = performance.now()
  const { network } = await createTestNetwork()
  row('start of the network layer, loaded', `${(performance.now() - startedMs).toFixed(0)} ms`)
  const child = await peers(1, firstAddress({ network, keys: undefined as never, agreements: new Map() }))
  const peer = network.peers()[0]?.peer ?? ''
  const times: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const sentMs = performance.now()
    const back = first((handler) => { network.onMessage((_from, message) => { handler(message) }) })
    await network.send(peer, { kind: 'probe', agreement: `0x${'00'.repeat(32)}` })
    await back
    if (i >= ROUND_TRIPS / 10) times.push(performance.now() - sentMs)
  }
  row('one message there and back, median', `${quantile(times, 0.5).toFixed(2)} ms`, `p99 ${quantile(times, 0.99).toFixed(2)} ms`)
  child.stdin?.end()
  await network.stop()
}

async function idle(): Promise<void> {
  const cluster = await Cluster.open()
  try {
    const startedMs = performance.now()
    const node = await cluster.start({ name: 'idle' })
    const stat = (): number => cpuMs(readFileSync(`/proc/${node.process.pid}/stat`, 'utf8'))
    row('start of a whole node, process to ready', `${(performance.now() - startedMs).toFixed(0)} ms`, `${stat()} ms of processor; target of import and start: under 700 ms`)
    const child = await peers(PEERS, node.address)
    await pause(SETTLE_MS)
    const before = stat()
    await pause(WATCH_MS)
    const share = (stat() - before) / WATCH_MS * 100
    const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.process.pid}/status`, 'utf8'))?.[1]) * 1024 / 1e6
    const connected = (await node.api.peers()).length
    row(`resident, idle with ${connected} peers`, `${resident.toFixed(0)} MB`, 'target under 150 MB')
    row(`processor, idle with ${connected} peers`, `${share.toFixed(2)} %`, 'of one core, target under 1 %')
    child.stdin?.end()
  } finally {
    await cluster.close()
  }
}

await roundTrips()
await idle()
