/**
 * Transfer between two processes on loopback, against named baselines of the same run.
 *
 *   node test/bench/transfer.bench.ts                       1 GiB
 *   HEARTH_BENCH_MIB=64 node test/bench/transfer.bench.ts   quick
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command, Reply } from './transfer-peer.ts'
import type { ChildProcess } from 'node:child_process'

const MIB = 1024 * 1024
const SIZE_MIB = Number(process.env['HEARTH_BENCH_MIB'] ?? 1024)
const TINY_SAMPLES = 200

class Peer {
  readonly #child: ChildProcess
  address = ''

  constructor(dir: string) {
    this.#child = fork(join(import.meta.dirname, 'transfer-peer.ts'), [dir], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('exit', (code) => { if (code !== 0 && code !== null) process.exit(1) })
  }

  async #reply(): Promise<Reply> {
    const [reply]: Reply[] = await once(this.#child, 'message')
    return reply ?? {}
  }

  async ready(): Promise<this> {
    this.address = (await this.#reply()).address ?? ''
    return this
  }

  async do(command: Command): Promise<Reply> {
    const reply = this.#reply()
    this.#child.send(command)
    return reply
  }
}

const quantile = (values: number[], q: number): number => values.toSorted((x, y) => x - y)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN
const rate = (ms: number): number => SIZE_MIB * MIB / 1e3 / ms

const dir = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
const failures: string[] = []
let runs = 0

/** A fresh pair of processes for each measurement, so that memory is that of one measurement. */
async function withPair<T>(measure: (source: Peer, reader: Peer) => Promise<T>): Promise<T> {
  const place = join(dir, String(runs++))
  const [source, reader] = await Promise.all([new Peer(join(place, 'source')).ready(), new Peer(join(place, 'reader')).ready()])
  await reader.do({ kind: 'dial', address: source.address })
  try {
    return await measure(source, reader)
  } finally {
    await source.do({ kind: 'stop' })
    await reader.do({ kind: 'stop' })
    await rm(place, { recursive: true, force: true })
  }
}

interface Measured { rawMBs: number, fetchMBs: number, rss: string, maxRssMib: number, pingsMs: number[], idlePingsMs: number[], fetchCpuMs: number, rawCpuMs: number }

/** The baseline runs before and after, because a shared machine changes its mind. */
async function fetching(paced: boolean): Promise<Measured> {
  return withPair(async (source, reader) => {
    const usage = async (): Promise<Reply[]> => [await source.do({ kind: 'usage' }), await reader.do({ kind: 'usage' })]
    const cpuMs = (replies: Reply[]): number => replies.reduce((sum, reply) => sum + (reply.cpuMs ?? 0), 0)
    const { cid } = await source.do({ kind: 'import', mib: SIZE_MIB })
    const raw = { kind: 'raw', bytes: SIZE_MIB * MIB / 2 } as const
    const idle = await reader.do({ kind: 'ping', count: paced ? 200 : 0 })
    const start = await usage()
    const rawBefore = await reader.do(raw)
    const before = await usage()
    const { ms, pingsMs } = await reader.do({ kind: 'fetch', cid: cid ?? '', paced, ping: paced })
    const after = await usage()
    const rawAfter = await reader.do(raw)
    const end = await usage()
    return {
      rawMBs: rate((rawBefore.ms ?? 0) + (rawAfter.ms ?? 0)),
      fetchMBs: rate(ms ?? 0),
      rss: after.map((reply) => `${(reply.maxRssMib ?? 0).toFixed(0)} MiB`).join(' and '),
      maxRssMib: Math.max(...after.map((reply) => reply.maxRssMib ?? 0)),
      pingsMs: pingsMs ?? [],
      idlePingsMs: idle.pingsMs ?? [],
      fetchCpuMs: (cpuMs(after) - cpuMs(before)) / SIZE_MIB,
      rawCpuMs: (cpuMs(before) - cpuMs(start) + cpuMs(end) - cpuMs(after)) / SIZE_MIB
    }
  })
}

const plain = await fetching(false)
console.log(`transfer of ${SIZE_MIB} MiB            ${plain.fetchMBs.toFixed(0)} MB/s, libp2p raw single stream ${plain.rawMBs.toFixed(0)} MB/s: ratio ${(plain.fetchMBs / plain.rawMBs).toFixed(2)} (target >= 0.50)`)
console.log(`  resident, source and reader    ${plain.rss} (target < 256 MB); ${plain.fetchCpuMs.toFixed(1)} ms CPU a MiB in both, the raw stream ${plain.rawCpuMs.toFixed(1)}`)
if (plain.fetchMBs < plain.rawMBs / 2) failures.push('transfer is slower than half the raw stream')
if (plain.maxRssMib > 256e6 / MIB) failures.push('a process was above 256 MB')

const paced = await fetching(true)
const p99 = quantile(paced.pingsMs, 0.99)
console.log(`paced transfer of ${SIZE_MIB} MiB      ${paced.fetchMBs.toFixed(0)} MB/s, raw ${paced.rawMBs.toFixed(0)} MB/s: ratio ${(paced.fetchMBs / paced.rawMBs).toFixed(2)}; ping on the same connection p50 ${quantile(paced.pingsMs, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms of ${paced.pingsMs.length} (target < 25 ms), idle p99 ${quantile(paced.idlePingsMs, 0.99).toFixed(1)} ms`)
console.log(`  resident, source and reader    ${paced.rss}; ${paced.fetchCpuMs.toFixed(1)} ms CPU a MiB in both, the raw stream ${paced.rawCpuMs.toFixed(1)}`)
if (p99 >= 25) failures.push('ping under a paced transfer was above 25 ms')

const tiny = await withPair(async (source, reader) => {
  const samplesMs: number[] = []
  for (let i = 0; i < TINY_SAMPLES; i++) {
    const { cid } = await source.do({ kind: 'tiny' })
    samplesMs.push((await reader.do({ kind: 'fetch', cid: cid ?? '', paced: false, ping: false })).ms ?? 0)
  }
  return samplesMs
})
console.log(`a result of two small files      p50 ${quantile(tiny, 0.5).toFixed(2)} ms, p99 ${quantile(tiny, 0.99).toFixed(2)} ms of ${tiny.length}`)

await rm(dir, { recursive: true, force: true })
for (const failure of failures) console.error(`missed: ${failure}`)
process.exitCode = failures.length > 0 ? 1 : 0
