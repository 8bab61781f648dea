import { createHash, randomInt } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { HearthError, type ErrorCode } from '../../src/errors.ts'
import { readSeccompProfile } from '../config/index.ts'
import type { RunResult } from '../sandbox/run-spec.ts'
import { ContainerRun, type ContainerHandlers, type RunContext } from './container-run.ts'
import { checkContainerSpec, type ContainerSpec } from './container-spec.ts'
import { EngineError, type EngineClient, type InspectedImage } from './engine-client.ts'
import { engineSockets, findEngine, mapsUsers, type FoundEngine } from './engine-finder.ts'
import { engineFaults, engineWarnings } from './engine-safety.ts'
import { fillTools, makeFillerImage, TOOLS_LOST } from './engine-volumes.ts'
import { MAX_KNOWN_IMAGES } from './limits.ts'
import { Leftovers, reap } from './reaper.ts'
import type { EngineTraits } from './settings.ts'

export interface ContainerSandboxOptions {
  /** A folder of the sandbox's own; its `results` is emptied at open. */
  dir: string
  /** The node's peer id: labels what it makes, and tells it from another node's on the same engine. */
  node: string
  /** Instead of looking for an engine. */
  socketPath?: string
  /** Runs at once; one more is refused. Default 64. */
  maxRuns?: number
  /** For tests that try an attack with a defence removed: changes the settings before the engine gets them. */
  alter?: RunContext['alter']
}

/** What a person is told of this host's engine. */
export type EngineStatus =
  /** Ready for jobs. `warnings` are sentences about known holes. */
  | { kind: 'ready', name: string, version: string, isRootless: boolean, socketPath: string, cores: number, memoryBytes: number, warnings: string[] }
  /** There is one, but it cannot hold a job; `faults` say why. */
  | { kind: 'unfit', name: string, version: string, socketPath: string, faults: string[], hint: string }
  /** None answers. */
  | { kind: 'none', reason: string, hint: string }

export interface ContainerRunOptions extends ContainerHandlers {
  /** Ends the run with `E_CONTAINER_CANCELLED`. */
  signal?: AbortSignal
}

interface Connection {
  engine: EngineClient
  traits: EngineTraits
  architecture: string
  memoryBytes: number
  leftovers: Leftovers
  images: Map<string, InspectedImage>
  plainImages: Set<string>
}

/** Users of runs: no other container's, nobody's on the host. Above what hosts give out to users and services, below 2^31. */
const FIRST_UID = 1_900_000_000
const UIDS = 100_000_000
/** Where the engine maps users only 65,536 exist, and only inside. */
const FIRST_MAPPED_UID = 20_000
const MAPPED_UIDS = 40_000

function abstained(code: ErrorCode, message: string): RunResult {
  return { outcome: { kind: 'abstained', code, message, usage: { wallMs: 0, cpuMs: 0, residentBytes: 0, memoryBytes: 0, outBytes: 0, outFiles: 0, stdoutBytes: 0, stderrBytes: 0 } } }
}

/**
 * Runs container jobs of strangers on this host's engine: each in a container of its own, hardened, watched, and removed.
 *
 * ```ts
 * await using sandbox = await ContainerSandbox.open({ dir, node: peerId })
 * const { outcome, files } = await sandbox.run(spec, { onLog: (stream, bytes) => process.stdout.write(bytes) })
 * ```
 */
export class ContainerSandbox {
  readonly #options: ContainerSandboxOptions
  /** Names on the engine; a peer id is too long for all that is made of it. */
  readonly #key: string
  readonly #seccomp: string
  readonly #runs = new Map<string, ContainerRun>()
  #connection: Connection | undefined
  #connecting: Promise<void> | undefined
  #status: EngineStatus = { kind: 'none', reason: 'nobody looked yet', hint: '' }
  #suspended = false
  #closed = false
  #tries = 0
  #uid = randomInt(UIDS)

  private constructor(options: ContainerSandboxOptions) {
    this.#options = options
    this.#key = createHash('sha256').update(options.node).digest('hex').slice(0, 16)
    this.#seccomp = readSeccompProfile()
  }

  /** Empties the sandbox's folder, finds the engine and removes what an earlier life left there. A host without an engine gets a sandbox too: its status says what is missing. */
  static async open(options: ContainerSandboxOptions): Promise<ContainerSandbox> {
    const results = join(options.dir, 'results')
    await rm(results, { recursive: true, force: true, maxRetries: 3 })
    await mkdir(results, { recursive: true, mode: 0o700 })
    const sandbox = new ContainerSandbox(options)
    await sandbox.connect()
    return sandbox
  }

  /** Runs that have not ended. */
  get active(): number { return this.#runs.size }

  status(): EngineStatus { return this.#status }

  /** The engine, while it answers. */
  get engine(): EngineClient | undefined { return this.#connection?.engine }

  /** Looks for the engine again, unless it is known and answers; says how it stands. */
  async connect(): Promise<EngineStatus> {
    const known = this.#connection
    if (known !== undefined && !await known.engine.ping().then(() => true, () => false) && this.#connection === known) this.#lost()
    if (this.#connection === undefined && !this.#closed) await (this.#connecting ??= this.#connect().finally(() => { this.#connecting = undefined }))
    return this.#status
  }

  /**
   * Runs a container to its end. Rejects only for a spec that cannot be (`E_CONTAINER_SPEC`), a closed sandbox, or too many
   * runs (`E_CONTAINER_BUSY`); whatever else happens is an outcome.
   */
  async run(spec: ContainerSpec, { onLog, onProgress, signal }: ContainerRunOptions = {}): Promise<RunResult> {
    if (this.#closed) throw new HearthError('E_CONTAINER_CLOSED', 'the container sandbox is closed', 'Open another')
    checkContainerSpec(spec)
    if (this.#runs.size >= (this.#options.maxRuns ?? 64)) throw new HearthError('E_CONTAINER_BUSY', `${this.#runs.size} container runs are under way`, 'Wait for one to end, or raise maxRuns')
    if (this.#runs.has(spec.runId)) throw new HearthError('E_CONTAINER_BUSY', `a run ${spec.runId} is under way`, 'Give each run its own id')
    const handlers = { ...onLog === undefined ? {} : { onLog }, ...onProgress === undefined ? {} : { onProgress } }
    const first = await this.#try(spec, handlers, signal)
    if (first.outcome.kind !== 'abstained' || first.outcome.code !== TOOLS_LOST) return first
    // somebody tidied the engine up: what is ours is made again
    this.#connection = undefined
    return await this.#try(spec, handlers, signal)
  }

  /** Holds every run, those to come included, or lets them go on. Held runs use no processor and their time limit waits; they keep their memory. */
  suspend(suspended: boolean): void {
    this.#suspended = suspended
    for (const run of this.#runs.values()) run.suspend(suspended)
  }

  /** The same for one run; an unknown one has ended. */
  hold(runId: string, held: boolean): void {
    this.#runs.get(runId)?.hold(held)
  }

  /** Resolves when nothing of ended runs is left on the engine. */
  async settled(): Promise<void> {
    await this.#connection?.leftovers.settle()
  }

  /** Ends every run with `E_CONTAINER_CLOSED` and removes what is the node's own from the engine. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const running = [...this.#runs.values()].map((run) => {
      run.abstain('E_CONTAINER_CLOSED', 'the container sandbox was closed')
      return run.done
    })
    await Promise.all(running)
    await this.#connecting
    const connection = this.#connection
    if (connection === undefined) return
    await connection.leftovers.close()
    await reap(connection.engine, this.#options.node).catch(() => 0)
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.close() }

  async #try(spec: ContainerSpec, handlers: ContainerHandlers, signal: AbortSignal | undefined): Promise<RunResult> {
    if (signal?.aborted === true) return abstained('E_CONTAINER_CANCELLED', 'the run was cancelled')
    if (this.#connection === undefined) await this.connect()
    const connection = this.#connection
    if (connection === undefined) return abstained('E_CONTAINER_NO_ENGINE', this.#status.kind === 'none' ? this.#status.reason : 'the container engine of this host cannot hold a job')
    const run = new ContainerRun(spec, this.#context(spec, connection), handlers, this.#suspended)
    const cancel = (): void => { run.abstain('E_CONTAINER_CANCELLED', 'the run was cancelled') }
    this.#runs.set(spec.runId, run)
    signal?.addEventListener('abort', cancel)
    if (this.#closed) run.abstain('E_CONTAINER_CLOSED', 'the container sandbox was closed')
    try {
      const result = await run.execute()
      // Looked for anew by the next run, and what this life left there is removed then.
      if (result.outcome.kind === 'abstained' && result.outcome.code === 'E_CONTAINER_ENGINE' && this.#connection === connection) this.#lost()
      return result
    } finally {
      this.#runs.delete(spec.runId)
      signal?.removeEventListener('abort', cancel)
    }
  }

  #context(spec: ContainerSpec, { engine, traits, architecture, memoryBytes, leftovers, images, plainImages }: Connection): RunContext {
    // a run that is tried again finds the names of its first try taken
    const name = `hearth-${this.#key}-${spec.runId}-${++this.#tries}`
    const uid = this.#userOf(spec, traits)
    return {
      engine, traits, architecture, hostMemoryBytes: memoryBytes, leftovers, plainImages, name,
      identity: { node: this.#options.node, uid, toolsVolume: this.#toolsVolume, seccomp: this.#seccomp },
      image: async (id) => {
        const known = images.get(id)
        if (known !== undefined) return known
        const image = await engine.image(id)
        if (images.size >= MAX_KNOWN_IMAGES) images.clear()
        images.set(id, image)
        return image
      },
      resultDir: join(this.#options.dir, 'results', `${spec.runId}-${this.#tries}`),
      ...this.#options.alter === undefined ? {} : { alter: this.#options.alter }
    }
  }

  /** No two runs at one time are one user. */
  #userOf({ userSeed }: ContainerSpec, { mapsUsers }: EngineTraits): number {
    const [first, count] = mapsUsers ? [FIRST_MAPPED_UID, MAPPED_UIDS] : [FIRST_UID, UIDS]
    const taken = new Set([...this.#runs.values()].map((run) => run.uid))
    let at = userSeed === undefined ? this.#uid++ : createHash('sha256').update(userSeed).digest().readUInt32BE()
    while (taken.has(first + at % count)) at++
    return first + at % count
  }

  get #toolsVolume(): string { return `hearth-${this.#key}-tools` }

  #lost(): void {
    this.#connection = undefined
    this.#status = { kind: 'none', reason: 'the container engine stopped answering', hint: 'Start it again: jobs in containers are taken as soon as it answers' }
  }

  async #connect(): Promise<void> {
    const { socketPath } = this.#options
    const { found, denied } = await findEngine(socketPath === undefined ? engineSockets() : [{ socketPath, of: 'the configuration' }])
    if (found === undefined) {
      this.#status = denied.length > 0
        ? { kind: 'none', reason: `this user may not use the container engine at ${denied[0] ?? ''}`, hint: 'Add the user to the group of that socket, or use a rootless engine' }
        : { kind: 'none', reason: 'no container engine answers on this host', hint: 'Install Docker (rootless is safest) and start it; until then this host runs WebAssembly jobs only' }
      return
    }
    const { name, version, info, client } = found
    const faults = engineFaults(info, version)
    if (faults.length > 0) {
      this.#status = { kind: 'unfit', name, version: version.Version ?? '', socketPath: client.socketPath, faults, hint: 'A current Docker Engine on a kernel with control groups version 2 has all of it' }
      return
    }
    try {
      await this.#settle(found)
    } catch (err) {
      if (!(err instanceof EngineError)) throw err
      this.#status = { kind: 'none', reason: `${name} failed: ${err.message}`, hint: 'Look at the engine\'s own log' }
    }
  }

  /** Makes the node at home on the engine: nothing of an earlier life, and its own programs in place. */
  async #settle({ client: engine, name, version, info, isRootless }: FoundEngine): Promise<void> {
    const { node } = this.#options
    await reap(engine, node, (runId) => this.#runs.has(runId))
    await makeFillerImage(engine)
    const architecture = version.Arch ?? info.Architecture ?? ''
    await fillTools(engine, { name: `hearth-${this.#key}-fill`, labels: { 'hearth.node': node }, volume: this.#toolsVolume, architecture })
    this.#connection = {
      engine, architecture, memoryBytes: info.MemTotal ?? 0, leftovers: new Leftovers(engine), images: new Map(), plainImages: new Set(),
      traits: { cgroupVersion: info.CgroupVersion === '1' ? 1 : 2, mapsUsers: mapsUsers(info) }
    }
    this.#status = { kind: 'ready', name, version: version.Version ?? '', isRootless, socketPath: engine.socketPath, cores: info.NCPU ?? 0, memoryBytes: info.MemTotal ?? 0, warnings: engineWarnings(version) }
  }
}
