/**
 * The sandbox against plain node:wasi, paired in the same run, and what a trivial run costs beside the program.
 *
 *   node test/bench/sandbox.bench.ts
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RunSpec } from '../../node/sandbox/run-spec.ts'
import { program } from '../fixtures/wasm/builder.ts'
import { COMPUTE, openSandbox, PROBE, specOf, type Bench } from '../fixtures/wasm/sandbox.ts'
import { quantile, row } from './stats.ts'

export interface Measure { name: string, value: number, unit: string, baseline?: string }

const PAIRS = Number(process.env['BENCH_PAIRS'] ?? 5)
const ROUNDS = process.env['BENCH_ROUNDS'] ?? '40'
const WARM_RUNS = 60
const INPUT_BYTES = 256 * 1024 ** 2

interface Times { wallMs: number, cpuMs: number }

/** One run of node:wasi in a process of the same priority, start-up apart. */
function plain(dir: string, module: string, args: string[]): Times {
  const { stderr, status } = spawnSync('nice', ['-n', '19', process.execPath, '--no-warnings', join(import.meta.dirname, '../fixtures/wasm/node-wasi.mjs'), module, join(dir, 'out'), join(dir, 'in'), ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const [wallMs = Number.NaN, cpuMs = Number.NaN] = stderr.split(' ').map(Number)
  return { wallMs, cpuMs }
}

async function sandboxed(bench: Bench, spec: RunSpec): Promise<Times> {
  const { outcome } = await bench.sandbox.run(spec)
  if (outcome.kind !== 'exited' || outcome.exitCode !== 0) throw new Error(JSON.stringify(outcome))
  return outcome.usage
}

/** The middle of the ratios of pairs that ran right after one another. */
async function ratio(bench: Bench, name: string, module: string, args: string[], changes: Parameters<typeof specOf>[1] = {}): Promise<Measure> {
  const pairs: { wall: number, cpu: number, ours: Times }[] = []
  for (let n = 0; n < PAIRS; n++) {
    const theirs = plain(bench.dir, module, args)
    const ours = await sandboxed(bench, specOf(module, { args: ['program', ...args], ...changes }))
    pairs.push({ wall: ours.wallMs / theirs.wallMs, cpu: ours.cpuMs / theirs.cpuMs, ours })
  }
  const middle = (of: (pair: (typeof pairs)[number]) => number): number => quantile(pairs.map(of), 0.5)
  const spread = pairs.map(({ wall }) => wall.toFixed(2)).sort().join(' ')
  return { name, value: middle(({ wall }) => wall), unit: 'x', baseline: `of node:wasi in the same run (${spread}), processor time ${middle(({ cpu }) => cpu).toFixed(2)} x; ours ${(middle(({ ours }) => ours.wallMs) / 1000).toFixed(2)} s` }
}

/** Trivial runs, one at a time, each on a child that waits. */
async function warm(bench: Bench, name: string, module: string): Promise<Measure[]> {
  const wall: number[] = []
  const own: number[] = []
  const child: number[] = []
  for (let n = 0; n < WARM_RUNS; n++) {
    await bench.sandbox.warm()
    const before = process.cpuUsage()
    const startedMs = performance.now()
    const { outcome } = await bench.sandbox.run(specOf(module, { args: ['program', 'exit', '0'] }))
    wall.push(performance.now() - startedMs)
    const { user, system } = process.cpuUsage(before)
    own.push((user + system) / 1000)
    child.push(outcome.usage.wallMs)
  }
  return [
    { name: `${name}: warm run, median`, value: quantile(wall, 0.5), unit: 'ms', baseline: `target under 15 ms, of it ${quantile(child, 0.5).toFixed(1)} in the child; p90 ${quantile(wall, 0.9).toFixed(1)}` },
    { name: `${name}: CPU of the node's own process a run`, value: own.reduce((sum, each) => sum + each, 0) / own.length, unit: 'ms', baseline: 'target under 4 ms' }
  ]
}

export async function bench(): Promise<Measure[]> {
  const bench = await openSandbox({ prestarted: 1 })
  try {
    for (const name of ['out', 'in']) mkdirSync(join(bench.dir, name))
    const hostPath = join(bench.dir, 'in', 'data')
    writeFileSync(hostPath, Buffer.alloc(INPUT_BYTES, 'some text or other, '))
    const inputs = [{ path: 'data', hostPath, sizeBytes: INPUT_BYTES }]
    const limits = { outBytes: 1024 ** 3 }
    return [
      await ratio(bench, 'computing for seconds', COMPUTE, [ROUNDS], { limits }),
      await ratio(bench, 'reading 256 MiB twice, by 100 bytes and by 100 kB', PROBE, ['sum', '/in/data'], { inputs }),
      ...await warm(bench, 'empty module', bench.file('empty.wasm', program({}))),
      ...await warm(bench, 'C program of 52 KB', PROBE)
    ]
  } finally {
    await bench.close()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, value, unit, baseline = '' } of await bench()) row(name, `${value.toFixed(2)} ${unit}`, baseline)
}
