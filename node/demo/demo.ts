import { join, resolve } from 'node:path'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { HearthError } from '../../src/errors.ts'
import type { JobDetail } from '../api/contract.ts'
import { followJob } from '../cli/follow-job.ts'
import { shortId } from '../cli/ids.ts'
import { StreamOut } from '../cli/stream-out.ts'
import type { OutStream } from '../cli/stream-out.ts'
import { audit } from './audit.ts'
import type { Audit, Evidence } from './audit.ts'
import { Cluster } from './cluster.ts'
import type { ClusterNode } from './cluster.ts'
import type { ChainFacts, DemoChain } from './demo-chain.ts'
import { Meter } from './meter.ts'
import { moneyLines } from './money-lines.ts'
import { joinTiles } from './picture.ts'
import type { DemoPrices } from './prices.ts'
import { reportLines, summarise } from './report.ts'
import { settle } from './settle.ts'

const EXAMPLE = join(import.meta.dirname, '../../config/examples/path-tracer')
/** One requester and four providers, each lending one core, so that a PC with few cores shows it in a minute. */
const REQUESTER = 'you'
const PROVIDERS = ['ada', 'ben', 'cleo', 'dan']
const LIAR = 'cleo'
const MORTAL = 'dan'

/** Of the picture; what is left out is the job file's. */
export interface DemoScene { readonly tiles?: number, readonly width?: number, readonly height?: number, /** Rays a pixel; more is slower and cleaner. */ readonly samples?: number }

export interface DemoOptions {
  /** Work is paid by tickets on a chain of the demo's own, at these prices; without them nothing is paid. */
  prices: DemoPrices | undefined
  png: string
  scene: DemoScene
  stdout: OutStream
  stderr: OutStream
  /** Ends it at any moment; nothing is left behind. */
  signal: AbortSignal
  /** Called when the job is over, while all nodes still run. */
  afterwards: (requester: ClusterNode) => Promise<void>
}

export interface DemoReport { readonly job: JobDetail, readonly png: string, readonly names: Map<string, string>, readonly caught: string[], readonly lost: string[], /** Absent where nothing was paid. */ readonly money?: DemoMoney }
export interface DemoMoney { readonly audit: Audit, readonly evidence: Evidence, /** What the time was too short for. */ readonly waiting: readonly string[] }

interface Purse { readonly chain: DemoChain, readonly before: ChainFacts, readonly addresses: ReadonlyMap<string, string> }

async function jobSpec({ tiles, width, height, samples }: DemoScene): Promise<Record<string, unknown>> {
  const spec = parse(await readFile(join(EXAMPLE, 'job.yaml'), 'utf8')) as Record<string, unknown>
  const args = spec['args']
  for (const [name, value] of Object.entries({ tiles, width, height, samples })) {
    if (value !== undefined && Array.isArray(args)) args[args.indexOf(`--${name}`) + 1] = String(value)
  }
  return tiles === undefined ? spec : { ...spec, map: { range: [0, tiles] } }
}

/** Keys come before the nodes do, and money before either of them looks for it. */
async function fillPurse(cluster: Cluster, prices: DemoPrices): Promise<Purse> {
  // the chain brings ethers along: the free demo needs neither
  const { DemoChain } = await import('./demo-chain.ts')
  const chain = await DemoChain.start(cluster.dir, prices)
  try {
    const addresses = new Map<string, string>()
    for (const name of [REQUESTER, ...PROVIDERS]) addresses.set(name, await chain.fund(join(cluster.dir, name), name === REQUESTER ? 'requester' : 'provider'))
    return { chain, addresses, before: await chain.open() }
  } catch (err) {
    await chain.stop()
    throw err
  }
}

/** The five nodes of a demo. */
class Cast {
  readonly cluster: Cluster
  readonly requester: ClusterNode
  readonly #flags: readonly string[]

  private constructor(cluster: Cluster, requester: ClusterNode, flags: readonly string[]) {
    this.cluster = cluster
    this.requester = requester
    this.#flags = flags
  }

  static async start(cluster: Cluster, flags: readonly string[]): Promise<Cast> {
    const cast = new Cast(cluster, await cluster.start({ name: REQUESTER, flags: ['--share.enabled=false', ...flags] }), flags)
    await Promise.all(PROVIDERS.map((name) => cast.startProvider(name)))
    return cast
  }

  startProvider(name: string): Promise<ClusterNode> {
    return this.cluster.start({ name, flags: ['--share.cores=1', '--share.memory=512 MiB', ...this.#flags], bootstrap: [this.requester.address], env: name === LIAR ? { TEST_HEARTH_MISBEHAVE: 'lie' } : {} })
  }

  get names(): Map<string, string> {
    return new Map(this.cluster.nodes.map(({ peer, name }) => [peer, name]))
  }

  /** Kills one provider when half of the picture is done, as a PC that is switched off would go. */
  async killHalfWay(job: string, tasks: number, signal: AbortSignal): Promise<void> {
    let done = 0
    for await (const notice of this.requester.api.events({ job }, signal)) {
      if (notice.kind !== 'task' || notice.state !== 'done') continue
      if (++done >= tasks / 2) return await this.cluster.nodes.find(({ name }) => name === MORTAL)?.kill('SIGKILL')
    }
  }
}

/** Five real node processes on this machine render a picture together; one lies, one dies half-way. Undefined when it was ended. */
export async function runDemo(options: DemoOptions): Promise<DemoReport | undefined> {
  const { signal } = options
  const out = new StreamOut({ stdout: options.stdout, stderr: options.stderr, json: false, colour: options.stderr.isTTY === true, env: process.env, signal, cwd: process.cwd(), ask: async () => undefined })
  const cluster = await Cluster.open()
  // whatever waits for a node fails then, and the way out is the one of any failure
  const end = (): void => { cluster.kill() }
  signal.addEventListener('abort', end, { once: true })
  let purse: Purse | undefined
  try {
    signal.throwIfAborted()
    if (options.prices !== undefined) {
      out.note((view) => [view.paint('bold', 'Starting a chain of our own, with a ticket broker on it, and giving everybody coin'), ''])
      purse = await fillPurse(cluster, options.prices)
    }
    return await play(options, out, cluster, purse)
  } catch (err) {
    if (signal.aborted) return undefined
    throw err
  } finally {
    signal.removeEventListener('abort', end)
    await cluster.close()
    await purse?.chain.stop()
  }
}

async function play(options: DemoOptions, out: StreamOut, cluster: Cluster, purse: Purse | undefined): Promise<DemoReport> {
  const { signal } = options
  signal.throwIfAborted()
  out.note((view) => [view.paint('bold', 'Starting five nodes on this machine: you, and four strangers who lend a core each'), ''])
  const cast = await Cast.start(cluster, purse?.chain.flags ?? [])
  const { requester, names } = cast
  out.note(({ paint }) => cluster.nodes.map(({ name, peer, address }) => `  ${paint('ember', name.padEnd(6))}${shortId(peer)}  ${address.replace(/\/p2p\/.*/, '')}${name === LIAR ? '  will lie about its results' : name === MORTAL ? '  will be killed half-way' : ''}`).concat(''))
  const job = await renderPicture(options, out, cast, purse?.chain)
  const resultsDir = join(cluster.dir, 'results')
  await requester.api.results({ job: job.id, to: resultsDir })
  const png = resolve(options.png)
  const size = await joinTiles(resultsDir, png)
  const report = summarise(job, png, names)
  out.note((view) => reportLines(report, size, view))
  const money = purse === undefined ? undefined : await countMoney(purse, out, cast)
  if (purse !== undefined && money !== undefined) out.note((view) => [...money.waiting.map((words) => view.paint('red', `The time to settle is over: ${words}`)), ...moneyLines(money.audit, purse.chain.coreHourWei, report, view)])
  await options.afterwards(requester)
  return { ...report, ...money === undefined ? {} : { money } }
}

async function renderPicture({ scene, signal }: DemoOptions, out: StreamOut, cast: Cast, chain: DemoChain | undefined): Promise<JobDetail> {
  const { api, dataDir } = cast.requester
  const { job } = await api.submit({ spec: await jobSpec(scene), baseDir: EXAMPLE })
  const { tasks } = await api.job(job)
  const over = new AbortController()
  const meter = chain === undefined ? undefined : new Meter(chain, dataDir)
  const beside = [cast.killHalfWay(job, tasks, signal), ...meter === undefined ? [] : [meter.run(out, AbortSignal.any([signal, over.signal]))]]
  try {
    const detail = await followJob(api, job, meter?.below(out) ?? out, false)
    signal.throwIfAborted()
    if (detail?.state !== 'done') throw new HearthError('E_DEMO', detail?.error?.message ?? 'the demo was ended', detail?.error?.hint ?? '')
    return detail
  } finally {
    over.abort()
    await Promise.allSettled(beside)
  }
}

/** The dead one comes back for its money; then both sides' books and the chain are laid side by side. */
async function countMoney({ chain, before, addresses }: Purse, out: StreamOut, cast: Cast): Promise<DemoMoney> {
  out.note(() => [`${MORTAL} is switched on again, and the last winners go to the chain …`, ''])
  await cast.startProvider(MORTAL)
  const { names } = cast
  const debtor = (name: string): { name: string, address: string, dataDir: string } => ({ name, address: addresses.get(name) ?? '', dataDir: join(cast.cluster.dir, name) })
  const { payer, providers, waiting } = await settle(chain, debtor(REQUESTER), PROVIDERS.map(debtor), out.signal)
  const peers = new Map([...names].map(([peer, name]) => [name, peer]))
  const evidence: Evidence = {
    payer: { ...debtor(REQUESTER), peer: peers.get(REQUESTER) ?? '', books: payer },
    providers: PROVIDERS.map((name, i) => ({ ...debtor(name), peer: peers.get(name) ?? '', books: providers[i] ?? { paid: [], earned: [] } })),
    before, after: await chain.facts()
  }
  return { audit: audit(evidence), evidence, waiting }
}
