import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join, parse as parsePath, resolve } from 'node:path'
import { parse } from 'yaml'
import { HearthError } from '../../src/errors.ts'
import { formatDuration } from '../../src/units.ts'
import type { JobDetail } from '../api/contract.ts'
import { followJob } from '../cli/follow-job.ts'
import { shortId } from '../cli/ids.ts'
import { StreamOut } from '../cli/stream-out.ts'
import type { OutStream } from '../cli/stream-out.ts'
import type { EngineClient } from '../containers/engine-client.ts'
import { engineSockets, findEngine } from '../containers/engine-finder.ts'
import type { FoundEngine } from '../containers/engine-finder.ts'
import { ImageStore } from '../containers/images/image-store.ts'
import { reap } from '../containers/reaper.ts'
import { Cluster } from './cluster.ts'
import { exampleImage } from './render-image.ts'

const EXAMPLE = join(import.meta.dirname, '../../config/examples/render')
const REQUESTER = 'you'
const HOSTS = ['ada', 'ben', 'cleo']

/** Of the film; its camera goes round once, however many frames there are. */
export interface RenderScene { readonly frames: number, readonly width: number, readonly height: number, /** Rays a pixel; more is slower and cleaner. */ readonly samples: number }

export interface RenderDemoOptions {
  scene: RenderScene
  /** Where frames, film and contact sheet go; made when missing. */
  out: string
  stdout: OutStream
  stderr: OutStream
  /** Ends it at any moment; nothing is left behind but the image's archive. */
  signal: AbortSignal
}

export interface RenderReport { readonly job: JobDetail, readonly film: string, readonly sheet: string, readonly frames: readonly string[] }

interface Spec { readonly [key: string]: unknown, readonly args: string[], readonly inputs: Readonly<Record<string, string>> }
/** Image, example and results lie in different folders, so a job's paths begin at the root. */
const ROOT = parsePath(EXAMPLE).root

async function exampleSpec(file: string, image: string): Promise<Spec> {
  const spec = parse(await readFile(join(EXAMPLE, file), 'utf8')) as Spec & { compare?: { with: string } }
  const inputs = Object.fromEntries(Object.entries(spec.inputs).map(([place, path]) => [place, resolve(EXAMPLE, path)]))
  return { ...spec, image, inputs, ...spec.compare === undefined ? {} : { compare: { ...spec.compare, with: resolve(EXAMPLE, spec.compare.with) } } }
}

async function framesSpec(image: string, scene: RenderScene): Promise<Spec> {
  const spec = await exampleSpec('job.yaml', image)
  for (const [name, value] of Object.entries(scene)) spec.args[spec.args.indexOf(`--${name}`) + 1] = String(value)
  return { ...spec, map: { range: [0, scene.frames] } }
}

async function findAnyEngine(): Promise<FoundEngine> {
  const { found, denied } = await findEngine(engineSockets())
  if (found !== undefined) return found
  throw denied.length > 0
    ? new HearthError('E_DEMO_ENGINE', `you may not use the container engine at ${denied.join(', ')}`, 'Add yourself to its group (`sudo usermod -aG docker $USER`, then log in again), or install rootless Docker or Podman')
    : new HearthError('E_DEMO_ENGINE', 'no container engine answers on this machine', 'Install Docker or Podman and start it; `npm run demo` shows Hearth without one')
}

/** Three real nodes on this machine lend containers, and Blender renders a film in them; a further job cuts it. Undefined when it was ended. */
export async function runRenderDemo(options: RenderDemoOptions): Promise<RenderReport | undefined> {
  const { signal } = options
  const out = new StreamOut({ stdout: options.stdout, stderr: options.stderr, json: false, colour: options.stderr.isTTY === true, env: process.env, signal, cwd: process.cwd(), ask: async () => undefined })
  const folder = resolve(options.out)
  const { client, name } = await findAnyEngine()
  await mkdir(folder, { recursive: true })
  try {
    const image = await exampleImage(EXAMPLE, folder, (line) => { out.note(() => [line, '']) }, signal)
    const cluster = await Cluster.open()
    // whatever waits for a node fails then, and the way out is the one of any failure
    const end = (): void => { cluster.kill() }
    signal.addEventListener('abort', end, { once: true })
    try {
      signal.throwIfAborted()
      out.note((view) => [view.paint('bold', `Starting four nodes on this machine: you, and three strangers who lend a core each, in containers of ${name}`), ''])
      return await play(cluster, image, folder, options, out)
    } finally {
      signal.removeEventListener('abort', end)
      const peers = cluster.nodes.map(({ peer }) => peer)
      await cluster.close()
      await tidyEngine(client, peers, folder)
    }
  } catch (err) {
    if (signal.aborted) return undefined
    throw err
  }
}

async function play(cluster: Cluster, image: string, folder: string, { scene }: RenderDemoOptions, out: StreamOut): Promise<RenderReport> {
  const you = await cluster.start({ name: REQUESTER, flags: ['--share.enabled=false'] })
  await Promise.all(HOSTS.map((name) => cluster.start({ name, bootstrap: [you.address], flags: ['--share.cores=1', '--share.memory=1 GiB', '--share.engines=[container]', '--share.anyImage=true'] })))
  out.note(({ paint }) => cluster.nodes.map(({ name, peer, address }) => `  ${paint('ember', name.padEnd(6))}${shortId(peer)}  ${address.replace(/\/p2p\/.*/, '')}`).concat('', `Each host fetches the image from you once (${image}), and checks it before its engine gets it.`, ''))
  const run = async (spec: Spec, to: string): Promise<JobDetail> => {
    const { job } = await you.api.submit({ spec, baseDir: ROOT })
    const detail = await followJob(you.api, job, out, false)
    out.signal.throwIfAborted()
    if (detail?.state !== 'done') throw new HearthError('E_DEMO', detail?.error?.message ?? 'the demo was ended', detail?.error?.hint ?? '')
    await you.api.results({ job, to })
    return detail
  }
  const results = join(cluster.dir, 'results')
  const job = await run(await framesSpec(image, scene), results)
  const film = await exampleSpec('film.yaml', image)
  const cut = join(cluster.dir, 'film')
  out.note((view) => ['', view.paint('bold', 'A further job makes a film and a contact sheet of the frames'), ''])
  await run({ ...film, inputs: { ...film.inputs, frames: results } }, cut)
  const report = { job, film: join(folder, 'film.mp4'), sheet: join(folder, 'sheet.png'), frames: Array.from({ length: scene.frames }, (_, i) => join(folder, `frame-${String(i).padStart(4, '0')}.png`)) }
  for (const [i, path] of report.frames.entries()) await copyFile(join(results, taskFolder(i, scene.frames), 'out', 'frame.png'), path)
  for (const path of [report.film, report.sheet]) await copyFile(join(cut, 'out', path.slice(folder.length + 1)), path)
  out.note(({ paint }) => ['', ...reportLines(report, new Map(cluster.nodes.map(({ peer, name }) => [peer, name]))), `The film: ${paint('bold', report.film)}`, `The contact sheet: ${paint('bold', report.sheet)}`, ''])
  return report
}

/** Where the results of a task lie; those of a single one lie in the folder itself. */
function taskFolder(index: number, tasks: number): string {
  return tasks === 1 ? '.' : `task-${String(index).padStart(String(tasks - 1).length, '0')}`
}

function reportLines({ job }: RenderReport, names: Map<string, string>): string[] {
  const elapsed = (job.endedWallMs ?? job.createdWallMs) - job.createdWallMs
  return [
    `${job.tasks} frames, each rendered by ${job.replicas} strangers whose pictures had to be alike, in ${formatDuration(elapsed)}.`,
    job.providers.map(({ peer, done }) => `${names.get(peer) ?? shortId(peer)} rendered ${done}`).join(', ')
  ]
}

/** The nodes are gone for good, so nobody would clean up after them: containers of runs that were cut short, and images. */
async function tidyEngine(engine: EngineClient, peers: readonly string[], folder: string): Promise<void> {
  for (const node of peers) {
    const dir = await mkdtemp(join(folder, '.tidy-'))
    try {
      await reap(engine, node)
      // a store without room keeps nothing of what bears its node's name
      await (await ImageStore.open({ engine, dir, node, quotaBytes: 0, registries: { localRegistries: {} } })).close()
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }
}
