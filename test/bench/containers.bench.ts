/**
 * A small container job against `docker run --rm` of the same image under the same limits, warm, in turns in one run.
 *
 *   node test/bench/containers.bench.ts
 */
import { execFileSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { makeImage, dropImage, openContainers, printed, testEngine, type ContainerBench } from '../helpers/engine.ts'
import { quantile, row } from './stats.ts'
import type { Measure } from './sandbox.bench.ts'

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 20)
const TAG = 'bench'
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

export async function bench(): Promise<Measure[]> {
  const engine = await testEngine(import.meta.filename)
  if (engine === undefined) return []
  const imageId = await makeImage(engine, TAG)
  const bench = await openContainers(engine, imageId)
  try {
    const input = { inputs: [{ path: 'a', hostPath: bench.file('a', 'x'.repeat(1000)), sizeBytes: 1000 }] }
    await job(bench)
    dockerRun(imageId)
    const times: Record<'ours' | 'whole' | 'theirs' | 'inputs', number[]> = { ours: [], whole: [], theirs: [], inputs: [] }
    for (let n = 0; n < ROUNDS; n++) {
      times.theirs.push(await timed(() => { dockerRun(imageId) }))
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
      { name: 'small job, until its result is there', value: quantile(times.ours, 0.5) / theirs, unit: 'x', baseline: `target at most 1.25 x ${against(times.ours) ?? ''}` },
      { name: 'small job, until its container is gone', value: quantile(times.whole, 0.5) / theirs, unit: 'x', baseline: against(times.whole) ?? '' },
      { name: 'small job with an input file', value: quantile(times.inputs, 0.5) / theirs, unit: 'x', baseline: against(times.inputs) ?? '' },
      { name: 'collecting 64 MiB of output, the job included', value: outMs, unit: 'ms' }
    ]
  } finally {
    await bench.close()
    await dropImage(engine, TAG)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, value, unit, baseline = '' } of await bench()) row(name, `${value.toFixed(2)} ${unit}`, baseline)
}
