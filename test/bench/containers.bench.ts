/**
 * A small container job against `docker run --rm` of the same image under the same limits, warm, in turns in one run.
 *
 *   node test/bench/containers.bench.ts
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { EngineClient } from '../../node/containers/engine-client.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import { makeImage, dropImage, openContainers, printed, testEngine, type ContainerBench } from '../helpers/engine.ts'
import { dropNodeImages } from '../helpers/images.ts'
import { quantile, row } from './stats.ts'
import type { Measure } from './sandbox.bench.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 20)
const TAG = 'bench'
/** The last container is removed, and its volumes, before the next begins. */
const REST_MS = 300
const OUT_BYTES = 64 * 1024 ** 2

async function timed(act: () => Promise<void> | void): Promise<number> {
  const startedMs = performance.now()
  await act()
  return performance.now() - startedMs
}

/** By the command line: the limits that it has options for. */
function dockerRun(imageId: string): void {
  execFileSync('docker', [
    'run', '--rm', '--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges:true', '--user=1900000000:1900000000', '--pids-limit=65',
    '--memory=128m', '--memory-swap=128m', '--cpus=1', '--cpu-shares=2', '--ipc=private', '--ulimit=core=0', '--tmpfs=/tmp:noexec,nosuid,nodev,size=4m', '--tmpfs=/out:noexec,nosuid,nodev,size=4m,uid=1900000000', imageId, 'sh', '-c', 'echo done > /out/a; echo done'
  ], { stdio: 'pipe' })
}

async function job(bench: ContainerBench, changes = {}): Promise<void> {
  if (printed(await bench.sh('echo done > /out/a; echo done', changes)) !== 'done\n') throw new Error('the job failed')
}

/** A requester and a host that runs containers; each job is submitted, bid for, agreed on, run, voted on and fetched. */
async function company(engine: EngineClient): Promise<{ run: (n: number) => Promise<void>, close: () => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-bench-'))
  execFileSync('docker', ['save', '-o', join(dir, 'image.tar'), `hearth-test:${TAG}`])
  const cluster = await Cluster.open()
  const you = await cluster.start({ name: 'you', flags: ['--share.enabled=false'] })
  const host = await cluster.start({ name: 'ada', bootstrap: [you.address], flags: ['--share.engines=[container]', '--share.anyImage=true', '--share.cores=2', '--share.memory=1 GiB'] })
  return {
    run: async (n) => {
      const spec = { image: 'image.tar', entrypoint: ['sh', '-c'], args: [`echo ${n} > /out/a; echo done`], resources: { cores: 1, memory: '128 MiB', disk: '4 MiB' } }
      const { job: id } = await you.api.submit({ spec, baseDir: dir })
      for await (const _ of you.api.events({ job: id })) { /* to its end */ }
      const { state, error } = await you.api.job(id)
      if (state !== 'done') throw new Error(`${state} ${JSON.stringify(error)}`)
    },
    close: async () => {
      await cluster.close()
      await dropNodeImages(engine, host.peer)
      rmSync(dir, { recursive: true })
    }
  }
}

export async function bench(): Promise<Measure[]> {
  const engine = await testEngine(import.meta.filename)
  if (engine === undefined) return []
  const imageId = await makeImage(engine, TAG)
  const bench = await openContainers(engine, imageId)
  const nodes = await company(engine)
  try {
    const input = { inputs: [{ path: 'a', hostPath: bench.file('a', 'x'.repeat(1000)), sizeBytes: 1000 }] }
    await job(bench)
    dockerRun(imageId)
    await nodes.run(-1)
    const times: Record<'ours' | 'whole' | 'theirs' | 'inputs' | 'node', number[]> = { ours: [], whole: [], theirs: [], inputs: [], node: [] }
    for (let n = 0; n < ROUNDS; n++) {
      times.theirs.push(await timed(() => { dockerRun(imageId) }))
      times.node.push(await timed(() => nodes.run(n)))
      await setTimeout(REST_MS)
      const startedMs = performance.now()
      times.ours.push(await timed(() => job(bench)))
      await bench.sandbox.settled()
      times.whole.push(performance.now() - startedMs)
      times.inputs.push(await timed(() => job(bench, input)))
      await bench.sandbox.settled()
    }
    const outMs = await timed(async () => {
      const { files } = await bench.sh(`head -c ${OUT_BYTES} /dev/zero > /out/a`, { limits: { outBytes: OUT_BYTES } })
      if (files?.kind !== 'folder') throw new Error('the job failed')
    })
    const theirs = quantile(times.theirs, 0.5)
    const against = (ms: number[]): Measure['baseline'] => `of docker run --rm (${theirs.toFixed(0)} ms); ours ${quantile(ms, 0.5).toFixed(0)} ms, p90 ${quantile(ms, 0.9).toFixed(0)}; medians of ${ROUNDS}`
    return [
      { name: 'small job through two nodes, from submit to result', value: quantile(times.node, 0.5) / theirs, unit: 'x', baseline: `target at most 1.25 x ${against(times.node) ?? ''}` },
      { name: 'small job, until its result is there', value: quantile(times.ours, 0.5) / theirs, unit: 'x', baseline: against(times.ours) ?? '' },
      { name: 'small job, until its container is gone', value: quantile(times.whole, 0.5) / theirs, unit: 'x', baseline: against(times.whole) ?? '' },
      { name: 'small job with an input file', value: quantile(times.inputs, 0.5) / theirs, unit: 'x', baseline: against(times.inputs) ?? '' },
      { name: 'collecting 64 MiB of output, the job included', value: outMs, unit: 'ms' }
    ]
  } finally {
    await nodes.close()
    await bench.close()
    await dropImage(engine, TAG)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, value, unit, baseline = '' } of await bench()) row(name, `${value.toFixed(2)} ${unit}`, baseline)
}
