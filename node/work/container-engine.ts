import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LeaseId } from '../../src/core/event.ts'
import { DEFAULT_IMAGE } from '../../src/documents/image.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { GpuCard } from '../../src/documents/resources.ts'
import type { Secret } from '../../src/documents/secrets.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { HearthError } from '../../src/errors.ts'
import { MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { ContainerSandbox } from '../containers/container-sandbox.ts'
import type { EngineStatus } from '../containers/container-sandbox.ts'
import type { ContainerSpec } from '../containers/container-spec.ts'
import { gpuEngine } from '../containers/gpu/engine-gpus.ts'
import { HostGpus } from '../containers/gpu/host-gpus.ts'
import type { CardStatus } from '../containers/gpu/host-gpus.ts'
import { ownPids } from '../containers/gpu/own-pids.ts'
import { sandboxProbe } from '../containers/gpu/sandbox-probe.ts'
import type { GpuProblem } from '../containers/gpu/found.ts'
import { ImageStore } from '../containers/images/image-store.ts'
import type { CachedImage, ReadyImage } from '../containers/images/image-store.ts'
import type { RegistryAccess } from '../containers/images/registry-http.ts'
import { ContainerProxy } from '../containers/network/proxy.ts'
import type { RunInput, RunResult } from '../sandbox/run-spec.ts'
import { MAX_OUT_FILES } from './engine.ts'
import type { Engine, RunWatch, TaskRun } from './engine.ts'

/** Processes and threads of one container: what a build or a renderer uses, far below what a host feels. */
const MAX_PIDS = 512
/** An engine that was not there is looked for again this often, and cards that could be plugged in. */
const LOOK_AGAIN_MS = MINUTE_MS
/** How often the owner's use of leased cards is looked at. */
const CARDS_LOOK_MS = 5 * SECOND_MS
/** A run that waits so long for its card's owner goes back to its requester: it keeps the card's memory while it waits. */
const CARD_WAIT_MS = MINUTE_MS

/** How the owner configured containers. */
export interface ContainerSettings {
  /** The engine's socket; without it the usual places are looked at. */
  socketPath?: string
  /** Of all images that jobs brought, unpacked. */
  quotaBytes: number
  /** As in `RegistryAccess`. */
  localRegistries: RegistryAccess['localRegistries']
}

export interface ContainerEngineOptions {
  dir: string
  /** The PeerId. */
  node: string
  settings: ContainerSettings
  policy: () => SharePolicy
  /** The secrets of a lease, from its requester. */
  askSecrets: (requester: string, lease: LeaseId, signal: AbortSignal) => Promise<readonly Secret[]>
  /** The cards that an agreement holds in the core, by description. */
  cardsOf: (agreement: string) => GpuCard[]
  /** Of this host as others see it, such as the router's public side: no job reaches them. */
  ownAddresses: () => readonly string[]
  /** What this host can run has changed: an engine came or went, cards were found or taken. */
  onChange: (what: Pick<ContainerEngine, 'isReady' | 'cards'>) => void
}

/** Gives something back when a run has ended. */
type Undo = () => Promise<void> | void

/** A run from its first step to its last. */
interface Running { stop: (error: HearthError) => void, onHeld: (held: boolean) => void, holders: Set<'owner' | 'money'> }

/** What people are told of the containers of this host. */
export interface ContainersReport { /** Undefined where none are lent. */ engine: EngineStatus | undefined, cards: CardStatus[], problems: readonly GpuProblem[], images: CachedImage[] }

/** Containers as an engine: image, secrets, cards, network and inputs of a task are made ready, then it runs. */
export class ContainerEngine implements Engine {
  readonly #options: ContainerEngineOptions
  readonly #gpus: HostGpus
  readonly #timers: NodeJS.Timeout[] = []
  /** Runs whose cards their owner uses, since when. */
  readonly #aside = new Map<string, number>()
  readonly #running = new Map<string, Running>()
  /** Undefined until this host lends containers. */
  #sandbox: ContainerSandbox | undefined
  #images: ImageStore | undefined
  /** The socket of the engine that they are on. */
  #imagesOf = ''
  #suspended = false
  #offered = ''
  #looking: Promise<void> | undefined

  private constructor(options: ContainerEngineOptions) {
    this.#options = options
    this.#gpus = new HostGpus({
      runner: { run: async (request) => await this.#probe(request) },
      engine: async () => {
        const engine = this.#sandbox?.engine
        return engine === undefined ? undefined : gpuEngine(await engine.info(), /podman/i.test(this.#name))
      },
      pids: async () => {
        const engine = this.#sandbox?.engine
        if (engine === undefined) throw new Error('no container engine')
        return await ownPids(engine)
      },
      suspended: () => this.#suspended
    })
  }

  static async open(options: ContainerEngineOptions): Promise<ContainerEngine> {
    const engine = new ContainerEngine(options)
    // sockets of an earlier life
    await rm(engine.#netDir, { recursive: true, force: true })
    await mkdir(engine.#netDir, { recursive: true, mode: 0o700 })
    await engine.look()
    engine.#timers.push(setInterval(() => { engine.look().catch(() => undefined) }, LOOK_AGAIN_MS).unref())
    engine.#timers.push(setInterval(() => { engine.#lookAtCards().catch(() => undefined) }, CARDS_LOOK_MS).unref())
    return engine
  }

  /** Whether container jobs can run here now. */
  get isReady(): boolean {
    return this.#sandbox?.status().kind === 'ready'
  }

  /** Proven cards that are not their owner's at the moment; none where the owner lends none. */
  get cards(): GpuCard[] {
    return this.isReady && this.#options.policy().gpus ? this.#gpus.offered() : []
  }

  report(): ContainersReport {
    return { engine: this.#sandbox?.status(), cards: this.#gpus.status(), problems: this.#gpus.problems, images: this.#images?.list() ?? [] }
  }

  get images(): ImageStore | undefined {
    return this.#images
  }

  /** Looks for the engine and for cards, where they are lent. Calls at one time are one. */
  async look(): Promise<void> {
    await (this.#looking ??= this.#look().finally(() => { this.#looking = undefined }))
  }

  async run(task: TaskRun, watch: RunWatch): Promise<RunResult> {
    const stop = new AbortController()
    const signal = AbortSignal.any([watch.signal, stop.signal])
    this.#running.set(task.runId, { stop: (error) => { stop.abort(error) }, onHeld: watch.onHeld, holders: new Set() })
    const undo: Undo[] = [() => { this.#running.delete(task.runId) }]
    try {
      const { spec, proxy } = await this.#prepare(task, { ...watch, signal }, undo)
      watch.onStart()
      const sandbox = this.#here()
      const running = sandbox.run(spec, {
        signal,
        onLog: (stream, bytes) => { watch.onLog(stream === 1 ? 'stdout' : 'stderr', bytes) },
        onProgress: (fraction) => { watch.onProgress(fraction) }
      })
      // who held it while it was made ready holds it still
      if ((this.#running.get(task.runId)?.holders.size ?? 0) > 0) sandbox.hold(task.runId, true)
      const result = await running
      stop.signal.throwIfAborted()
      const traffic = proxy?.usage()
      if (traffic !== undefined) Object.assign(result.outcome.usage, { receivedBytes: traffic.receivedBytes, sentBytes: traffic.sentBytes })
      return result
    } finally {
      // one that fails keeps none of the others
      for (const step of undo.reverse()) await Promise.resolve().then(step).catch(() => undefined)
    }
  }

  async prefetch({ engine }: JobDocument, files: TaskRun['files']): Promise<void> {
    if (engine.kind === 'container' && engine.image.from === 'content') await files.path(engine.image.cid, engine.image.sizeBytes)
  }

  suspend(suspended: boolean): void {
    this.#suspended = suspended
    this.#sandbox?.suspend(suspended)
  }

  hold(runId: string, held: boolean): void {
    this.#hold(runId, 'money', held)
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#looking?.catch(() => undefined)
    await this.#sandbox?.close()
    await this.#images?.close()
  }

  async #look(): Promise<void> {
    const { dir, node, settings: { socketPath, quotaBytes, localRegistries }, policy } = this.#options
    const { enabled, engines, gpus } = policy()
    if (enabled && engines.includes('container')) {
      this.#sandbox ??= await ContainerSandbox.open({ dir: join(dir, 'sandbox'), node, ...socketPath === undefined ? {} : { socketPath } })
      this.#sandbox.suspend(this.#suspended)
      await this.#sandbox.connect()
      const { engine } = this.#sandbox
      if (engine !== undefined && this.#imagesOf !== engine.socketPath) {
        await this.#images?.close()
        this.#imagesOf = engine.socketPath
        this.#images = await ImageStore.open({ engine, dir: join(dir, 'images'), node, quotaBytes, registries: { localRegistries, ownAddresses: this.#options.ownAddresses } })
      }
      // a full disk asks for room though no job does
      await this.#images?.tidy().catch(() => 0)
      if (gpus) await this.#gpus.refresh()
    }
    this.#tell()
  }

  get #netDir(): string {
    return join(this.#options.dir, 'net')
  }

  get #name(): string {
    const status = this.#sandbox?.status()
    return status === undefined || status.kind === 'none' ? '' : status.name
  }

  #here(): ContainerSandbox {
    if (this.#sandbox === undefined) throw new HearthError('E_CONTAINER_NO_ENGINE', 'no container engine answers on this host')
    return this.#sandbox
  }

  /** `undo` gets what must be given back when the run has ended, however. */
  async #prepare(task: TaskRun, watch: RunWatch, undo: Undo[]): Promise<{ spec: ContainerSpec, proxy: ContainerProxy | undefined }> {
    const { runId, effect, document, plan, files } = task
    const { engine, resources, limits } = document
    if (engine.kind !== 'container') throw new HearthError('E_FIT_ENGINE', 'this engine runs containers only')
    const cards = this.#gpus.assign(runId, resources.gpu, this.#options.cardsOf(effect.lease.agreement))
    if (cards.kind === 'refused') throw new HearthError(cards.code, cards.message)
    if (resources.gpu !== undefined) {
      undo.push(async () => {
        // the card is free when its container is gone, not before
        await this.#sandbox?.settled()
        this.#gpus.release(runId)
        this.#aside.delete(runId)
      })
    }
    const secrets = engine.secrets === undefined ? [] : await this.#options.askSecrets(effect.requester, effect.lease, watch.signal)
    const parts = [
      this.#image(task, secrets, watch, undo),
      document.stdin === undefined ? Promise.resolve(undefined) : files.path(document.stdin, effect.offer.inputBytes, watch.signal),
      Promise.all(plan.inputs.map((input): Promise<RunInput[]> => files.inputs(input, watch.signal, watch.onFetch)))
    ] as const
    // what one of them took is given back though another failed
    await Promise.allSettled(parts)
    const [image, stdinPath, inputs] = await Promise.all(parts)
    const proxy = engine.network === undefined ? undefined : await this.#network(engine.network, watch, undo)
    const spec: ContainerSpec = {
      runId, userSeed: `${effect.job}/${effect.lease.task}`, imageId: image.imageId, ...engine.entrypoint === undefined ? {} : { entrypoint: engine.entrypoint }, command: plan.args, env: plan.env,
      ...stdinPath === undefined ? {} : { stdinPath },
      inputs: inputs.flat(), secrets: secrets.filter(({ name }) => name !== engine.registrySecret), gpus: cards.gpus,
      ...proxy === undefined ? {} : { network: proxy.attachment() },
      limits: { cores: resources.cores, memoryBytes: resources.memoryBytes, outBytes: resources.diskBytes, outFiles: MAX_OUT_FILES, logBytes: limits.logBytes, wallMs: limits.runMs, pids: MAX_PIDS }
    }
    return { spec, proxy }
  }

  async #image({ document, files }: TaskRun, secrets: readonly Secret[], { signal, onFetch }: RunWatch, undo: Undo[]): Promise<ReadyImage> {
    const { engine } = document
    const images = this.#images
    if (engine.kind !== 'container' || images === undefined) throw new HearthError('E_CONTAINER_NO_ENGINE', 'no container engine answers on this host')
    const { image, registrySecret } = engine
    const archivePath = image.from === 'content' ? await files.path(image.cid, image.sizeBytes, signal, onFetch) : undefined
    const login = registrySecret === undefined ? undefined : loginOf(secrets, registrySecret)
    const outcome = await images.ensure({
      image, maxBytes: this.#options.policy().maxImageBytes, signal,
      ...archivePath === undefined ? {} : { archivePath },
      ...login === undefined ? {} : { login },
      onProgress: ({ doneBytes, totalBytes }) => { onFetch(Math.min(1, doneBytes / Math.max(1, totalBytes))) }
    })
    if (!outcome.ok) throw new HearthError(outcome.fault === 'host' ? 'E_IMAGE_HOST' : outcome.code, outcome.message)
    const { release } = outcome.value
    undo.push(() => { release() })
    return outcome.value
  }

  async #network(allowed: { allow: string[], maxBytes: number }, watch: RunWatch, undo: Undo[]): Promise<ContainerProxy> {
    const proxy = await ContainerProxy.open({
      ...allowed, parentDir: this.#netDir, ownAddresses: this.#options.ownAddresses,
      // whoever watches the job learns why it reaches nothing
      onRefused: ({ code, message }) => { watch.onLog('stderr', Buffer.from(`[hearth] ${code}: ${message}\n`)) }
    })
    undo.push(async () => { await proxy.close() })
    return proxy
  }

  async #probe(request: Parameters<ReturnType<typeof sandboxProbe>['run']>[0]): Promise<{ exitCode: number, output: string }> {
    const images = this.#images
    if (images === undefined) throw new Error('no container engine answers')
    const ready = await images.ensure({ image: DEFAULT_IMAGE, maxBytes: this.#options.policy().maxImageBytes, signal: AbortSignal.timeout(MINUTE_MS) })
    if (!ready.ok) throw new Error(`the image that would prove it cannot be had: ${ready.message}`)
    try {
      return await sandboxProbe(this.#here(), ready.value.imageId).run(request)
    } finally {
      ready.value.release()
    }
  }

  /** A run steps aside while its card's owner plays; one that waits long goes back. */
  async #lookAtCards(): Promise<void> {
    if (!this.#gpus.watches) return
    const nowMonoMs = performance.now()
    const { hold, go } = await this.#gpus.look(nowMonoMs)
    for (const run of hold) {
      this.#aside.set(run, nowMonoMs)
      this.#hold(run, 'owner', true)
    }
    for (const run of go) {
      this.#aside.delete(run)
      this.#hold(run, 'owner', false)
    }
    for (const [run, since] of this.#aside) {
      if (nowMonoMs - since > CARD_WAIT_MS) this.#running.get(run)?.stop(new HearthError('E_HOST_LEFT', 'its owner uses the graphics card'))
    }
    this.#tell()
  }

  /** A run goes on when nobody holds it any more. */
  #hold(runId: string, by: 'owner' | 'money', held: boolean): void {
    const running = this.#running.get(runId)
    if (running === undefined) return
    if (held) running.holders.add(by)
    else running.holders.delete(by)
    this.#sandbox?.hold(runId, running.holders.size > 0)
    if (by === 'owner') running.onHeld(held)
  }

  #tell(): void {
    const offered = JSON.stringify([this.isReady, this.cards])
    if (offered === this.#offered) return
    this.#offered = offered
    this.#options.onChange(this)
  }
}

/** `name:password`, as registries' own tools take them. */
function loginOf(secrets: readonly Secret[], name: string): { username: string, password: string } {
  const text = Buffer.from(secrets.find((secret) => secret.name === name)?.bytes ?? []).toString('utf8').trim()
  const colon = text.indexOf(':')
  if (colon < 1) throw new HearthError('E_IMAGE_LOGIN', `the secret ${name} is not name:password`, 'Write both into the file, with a colon between')
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}
