import { join, resolve } from 'node:path'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { HearthError } from '../../src/errors.ts'
import { formatDuration } from '../../src/units.ts'
import type { JobDetail } from '../api/contract.ts'
import { followJob } from '../cli/follow-job.ts'
import { shortId } from '../cli/ids.ts'
import { StreamOut } from '../cli/stream-out.ts'
import { table } from '../cli/term/table.ts'
import type { View } from '../cli/term/view.ts'
import { Cluster } from './cluster.ts'
import type { ClusterNode } from './cluster.ts'
import { joinTiles } from './picture.ts'

const EXAMPLE = join(import.meta.dirname, '../../config/examples/path-tracer')
/** One requester and four providers, each lending one core, so that a PC with few cores shows it in a minute. */
const PROVIDERS = ['ada', 'ben', 'cleo', 'dan']
const LIAR = 'cleo'
const MORTAL = 'dan'

export interface DemoOptions {
  png: string
  /** Rays a pixel; more is slower and cleaner. */
  samples: number | undefined
  signal: AbortSignal
  /** Called when the job is over, while all nodes still run. */
  afterwards: (requester: ClusterNode) => Promise<void>
}

export interface DemoReport { job: JobDetail, png: string, names: Map<string, string>, caught: string[], lost: string[] }

async function jobSpec(samples: number | undefined): Promise<Record<string, unknown>> {
  const spec = parse(await readFile(join(EXAMPLE, 'job.yaml'), 'utf8')) as Record<string, unknown>
  const args = spec['args']
  if (samples !== undefined && Array.isArray(args)) args[args.indexOf('--samples') + 1] = String(samples)
  return spec
}

async function startNodes(cluster: Cluster): Promise<ClusterNode> {
  const requester = await cluster.start({ name: 'you', flags: ['--share.enabled=false'] })
  const lend = ['--share.cores=1', '--share.memory=512 MiB']
  await Promise.all(PROVIDERS.map((name) => cluster.start({ name, flags: lend, bootstrap: [requester.address], env: name === LIAR ? { TEST_HEARTH_MISBEHAVE: 'lie' } : {} })))
  return requester
}

/** Kills one provider when half of the picture is done, as a PC that is switched off would go. */
async function killHalfWay(requester: ClusterNode, victim: ClusterNode | undefined, job: string, tasks: number): Promise<void> {
  let done = 0
  for await (const notice of requester.api.events({ job })) {
    if (notice.kind !== 'task' || notice.state !== 'done') continue
    if (++done >= tasks / 2) { await victim?.kill('SIGKILL'); return }
  }
}

/** Five real node processes on this machine render a picture together; one lies, one dies half-way. */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const out = new StreamOut({ stdout: process.stdout, stderr: process.stderr, json: false, colour: process.stderr.isTTY, env: process.env, signal: options.signal, cwd: process.cwd(), ask: async () => undefined })
  const cluster = await Cluster.open()
  try {
    out.note((view) => [view.paint('bold', 'Starting five nodes on this machine: you, and four strangers who lend a core each'), ''])
    const requester = await startNodes(cluster)
    const names = new Map(cluster.nodes.map(({ peer, name }) => [peer, name]))
    out.note(({ paint }) => cluster.nodes.map(({ name, peer, address }) => `  ${paint('ember', name.padEnd(6))}${shortId(peer)}  ${address.replace(/\/p2p\/.*/, '')}${name === LIAR ? '  will lie about its results' : name === MORTAL ? '  will be killed half-way' : ''}`).concat(''))
    const { job } = await requester.api.submit({ spec: await jobSpec(options.samples), baseDir: EXAMPLE })
    const { tasks } = await requester.api.job(job)
    const killing = killHalfWay(requester, cluster.nodes.find(({ name }) => name === MORTAL), job, tasks)
    const detail = await followJob(requester.api, job, out, false)
    await killing
    if (detail?.state !== 'done') throw new HearthError('E_DEMO', detail?.error?.message ?? 'the demo was ended', detail?.error?.hint ?? '')
    const resultsDir = join(cluster.dir, 'results')
    await requester.api.results({ job, to: resultsDir })
    const png = resolve(options.png)
    const size = await joinTiles(resultsDir, png)
    const report = summarise(detail, png, names)
    out.note((view) => reportLines(report, size, view))
    await options.afterwards(requester)
    return report
  } finally {
    await cluster.close()
  }
}

function summarise(job: JobDetail, png: string, names: Map<string, string>): DemoReport {
  const nameOf = (peer: string): string => names.get(peer) ?? peer
  const caught = new Set(job.timeline.flatMap((notice) => notice.kind === 'caught' ? [nameOf(notice.peer)] : []))
  const lost = new Set(job.timeline.flatMap((notice) => notice.kind === 'agreement' && notice.state === 'closed' && (notice.code === 'E_PEER_LOST' || notice.code === 'E_PEER_SILENT') ? [nameOf(notice.peer)] : []))
  return { job, png, names, caught: [...caught], lost: [...lost] }
}

function reportLines({ job, png, names, caught, lost }: DemoReport, size: { width: number, height: number }, view: View): string[] {
  const nameOf = (peer: string): string => names.get(peer) ?? peer
  const rows = job.providers.map((provider) => {
    const name = nameOf(provider.peer)
    const fate = caught.includes(name) ? 'caught lying, shunned' : lost.includes(name) ? 'killed; its tasks moved' : 'honest'
    return [name, String(provider.tasks), String(provider.done), String(provider.wrong), fate]
  })
  const elapsed = (job.endedWallMs ?? job.createdWallMs) - job.createdWallMs
  return [
    '', view.paint('bold', 'Who did what'),
    ...table([{ title: 'node' }, { title: 'attempts', align: 'right' }, { title: 'accepted', align: 'right' }, { title: 'wrong', align: 'right' }, { title: 'what became of it' }], rows, view),
    '', `${job.tasks} tiles, each computed by ${job.replicas} strangers that had to agree, in ${formatDuration(elapsed)}.`,
    `Caught: ${caught.length === 0 ? 'nobody' : caught.join(', ')}. Died: ${lost.length === 0 ? 'nobody' : lost.join(', ')}. Wrong tiles in the picture: 0.`,
    `The picture (${size.width} x ${size.height}): ${view.paint('bold', png)}`, ''
  ]
}
