import type { Duplex } from 'node:stream'
import type { ErrorCode } from '../../src/errors.ts'
import { HostFault } from '../sandbox/host-fault.ts'
import type { RunFiles, RunResult, RunUsage } from '../sandbox/run-spec.ts'
import { Demultiplexer, KeptLog, ProgressScanner } from './container-logs.ts'
import { OutputCollector, OutputRefusal } from './container-outputs.ts'
import type { ContainerSpec } from './container-spec.ts'
import { EngineError, type EngineClient, type InspectedImage } from './engine-client.ts'
import { fillInputs, TOOLS_LOST } from './engine-volumes.ts'
import { encodeOrders, FrameFault, FrameParser, MarkFinder, newMark, type Frame } from './init-protocol.ts'
import { DRAIN_DEADLINE_MS, FILL_BYTES_PER_SECOND, MAX_KNOWN_IMAGES, MISSED_PINGS, PING_INTERVAL_MS } from './limits.ts'
import type { Leftovers } from './reaper.ts'
import { RunClock } from './run-clock.ts'
import { commandOf, containerMemoryBytes, containerSettings, labelsOf, MOUNT_POINTS, type ContainerSettings, type EngineTraits, type RunIdentity } from './settings.ts'
import { settingsDiffering } from './settings-check.ts'
import { readUsage, usedUpMemory, type ContainerUsage } from './usage.ts'

/** How a run ended: by what the job did, or by our decision. The first word stands. */
type Ending =
  | { kind: 'exited', exitCode: number }
  | { kind: 'trapped', trap: string, detail: string }
  | { kind: 'abstained', code: ErrorCode, message: string }

export interface ContainerHandlers {
  /** Sees standard output (1) and error (2) live, within `logBytes`. Bytes are the caller's to keep. Must not throw. */
  onLog?: (stream: 1 | 2, bytes: Uint8Array) => void
  /** Lines `HEARTH_PROGRESS 0.42 words` that the job wrote to standard error. Must not throw. */
  onProgress?: (fraction: number, message: string) => void
}

/** What a run needs of its sandbox. */
export interface RunContext {
  engine: EngineClient
  traits: EngineTraits
  identity: Omit<RunIdentity, 'inputVolume' | 'stdinVolume'>
  /** The engine's own processor and memory. */
  architecture: string
  hostMemoryBytes: number
  image: (id: string) => Promise<InspectedImage>
  /** Images of which the mount points were looked at: none is a link. */
  plainImages: Set<string>
  /** Of the container, and the beginning of its volumes' names. */
  name: string
  resultDir: string
  leftovers: Leftovers
  /** For tests that try an attack with a defence removed. */
  alter?: (settings: ContainerSettings) => void
}

const MEMORY_TRAP = 'memory'

/** One run in one container: makes it, checks it, starts it, listens, ends it, and collects. */
export class ContainerRun {
  readonly runId: string
  readonly #spec: ContainerSpec
  readonly #context: RunContext
  readonly #clock: RunClock
  readonly #logs: { 1: KeptLog, 2: KeptLog }
  readonly #progress: ProgressScanner
  readonly #outputs: OutputCollector
  readonly #usage: ContainerUsage = {}
  readonly #ends = new AbortController()
  #ending: Ending | undefined
  #container: string | undefined
  #files: RunFiles | undefined
  #workingDir = '/'
  /** As process 1 saw it, pauses included. */
  #tookMs: number | undefined
  readonly #done = Promise.withResolvers<void>()

  constructor(spec: ContainerSpec, context: RunContext, { onLog, onProgress }: ContainerHandlers, suspended: boolean) {
    this.runId = spec.runId
    this.#spec = spec
    this.#context = context
    this.#logs = { 1: new KeptLog(spec.limits.logBytes, (bytes) => onLog?.(1, bytes)), 2: new KeptLog(spec.limits.logBytes, (bytes) => onLog?.(2, bytes)) }
    this.#progress = new ProgressScanner((fraction, message) => onProgress?.(fraction, message), () => performance.now())
    this.#outputs = new OutputCollector(context.resultDir, spec.limits)
    this.#clock = new RunClock({
      wallMs: spec.limits.wallMs, suspended,
      onTime: () => { this.abstain('E_CONTAINER_TIME', `the run took longer than ${spec.limits.wallMs} ms`) },
      pause: async (paused) => { if (this.#container !== undefined) await (paused ? context.engine.pause(this.#container) : context.engine.unpause(this.#container)) }
    })
  }

  /** Its user on the host. */
  get uid(): number { return this.#context.identity.uid }

  /** Holds the run where it is, its time limit too: with all others, or alone. It goes on when neither holds it. */
  suspend(suspended: boolean): void { this.#clock.suspend(suspended) }
  hold(held: boolean): void { this.#clock.hold(held) }

  /** Ends the run now, without an answer, unless it has one. */
  abstain(code: ErrorCode, message: string): void {
    this.#end({ kind: 'abstained', code, message })
  }

  /** Resolves when `execute` has its result. */
  get done(): Promise<void> { return this.#done.promise }

  /** Never rejects: what fails on this host is an abstention. */
  async execute(): Promise<RunResult> {
    const result = await this.#execute()
    this.#done.resolve()
    return result
  }

  async #execute(): Promise<RunResult> {
    const volumes: string[] = []
    try {
      await this.#converse(await this.#prepare(volumes))
    } catch (err) {
      this.#abstainFor(err)
    }
    await this.#clock.stop()
    const { kind } = this.#ending ?? {}
    if (kind === 'abstained' && this.#clock.ranMs > 0) await this.#sample()
    this.#context.leftovers.remove(this.#container ?? this.#context.name, volumes)
    return await this.#result()
  }

  #end(ending: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = ending
    this.#ends.abort()
  }

  #abstainFor(err: unknown): void {
    if (err instanceof HostFault) this.abstain(err.code, err.message)
    else if (err instanceof OutputRefusal) this.#end({ kind: 'trapped', trap: 'E_CONTAINER_OUTPUT', detail: err.message })
    else if (err instanceof FrameFault) this.abstain('E_CONTAINER_PROTOCOL', `the container broke the rules: ${err.message}`)
    else if (err instanceof EngineError) this.abstain(err.kind === 'gone' ? 'E_CONTAINER_ENGINE' : 'E_CONTAINER_REFUSED', err.kind === 'gone' ? `the container engine did not answer: ${err.message}` : `the container engine refused: ${err.message}`)
    else this.abstain('E_CONTAINER_CRASH', `the run failed on this host: ${err instanceof Error ? err.message : String(err)}`)
  }

  /** Makes the container and reads back what the engine made of the settings. Puts the names of volumes into `volumes`. */
  async #prepare(volumes: string[]): Promise<{ id: string, stream: Duplex }> {
    const { engine, name, identity, hostMemoryBytes } = this.#context
    const { inputs, stdinPath, limits } = this.#spec
    if (containerMemoryBytes(limits) > hostMemoryBytes) throw new HostFault('E_CONTAINER_MEMORY', `memory and outputs take ${containerMemoryBytes(limits)} bytes, more than this host has`)
    const image = await this.#context.image(this.#spec.imageId)
    const argv = this.#checkImage(image)
    const labels = labelsOf(identity.node, this.runId)
    const own = { ...identity, ...inputs.length === 0 ? {} : { inputVolume: `${name}-in` }, ...stdinPath === undefined ? {} : { stdinVolume: `${name}-stdin` } }
    for (const volume of [own.inputVolume, own.stdinVolume]) {
      if (volume === undefined) continue
      volumes.push(volume)
      await engine.createVolume(volume, labels)
    }
    const settings = containerSettings(this.#spec, argv, image, this.#context.traits, own)
    this.#context.alter?.(settings)
    this.#checkEnded()
    const { id, warnings } = await this.#create(settings, async (signal) => {
      if (volumes.length > 0) await fillInputs(engine, { name: `${name}-fill`, labels, inputs, ...stdinPath === undefined ? {} : { stdinPath }, ...own, signal })
    })
    this.#container = id
    const [stream, inspected, links] = await Promise.all([engine.attach(id), engine.inspect(id), this.#linksOf(id)])
    const differing = [...settingsDiffering(settings, inspected), ...warnings]
    if (links.length > 0 || differing.length > 0) {
      stream.destroy()
      throw links.length > 0
        ? new HostFault('E_CONTAINER_IMAGE', `the image has a link where something is mounted: ${links.join(', ')}`)
        : new HostFault('E_CONTAINER_SETTINGS', `the engine did not take the settings as asked: ${differing.join(', ').slice(0, 500)}`)
    }
    return { id, stream }
  }

  /** Makes the container while its inputs are brought. Settles when both are over: what is made later would stay; but inputs nobody needs are brought no further. */
  async #create(settings: ContainerSettings, bring: (signal: AbortSignal) => Promise<void>): Promise<{ id: string, warnings: string[] }> {
    const needless = new AbortController()
    const reasons: unknown[] = []
    const note = (err: unknown): never => {
      reasons.push(err)
      needless.abort()
      throw err
    }
    const [created] = await Promise.allSettled([
      this.#context.engine.createContainer(this.#context.name, settings).catch(note),
      bring(AbortSignal.any([this.#ends.signal, needless.signal])).catch(note)
    ])
    if (reasons.length > 0 || created.status === 'rejected') throw reasons[0]
    return created.value
  }

  /** Throws `HostFault`; answers what to run. */
  #checkImage(image: InspectedImage): string[] {
    const refuse = (message: string): never => { throw new HostFault('E_CONTAINER_IMAGE', `the image ${message}`) }
    if (image.Id !== this.#spec.imageId) refuse('is not the one that was asked for')
    if (image.Os !== 'linux' || image.Architecture !== this.#context.architecture) refuse(`is made for ${image.Os} on ${image.Architecture}, this host is linux on ${this.#context.architecture}`)
    if (Object.keys(image.Config?.Volumes ?? {}).length > 0) refuse('declares a VOLUME, which no limit would hold')
    const argv = commandOf(this.#spec, image)
    if ((argv[0] ?? '') === '') refuse('has no command, nor has the job')
    this.#workingDir = this.#spec.workingDir ?? ((image.Config?.WorkingDir ?? '') === '' ? '/' : image.Config?.WorkingDir ?? '/')
    return argv
  }

  /** Looked at once for an image: it does not change. */
  async #linksOf(id: string): Promise<string[]> {
    const { engine, plainImages } = this.#context
    if (plainImages.has(this.#spec.imageId)) return []
    const found = await Promise.all(MOUNT_POINTS.map(async (path) => await engine.isLink(id, path) ? [path] : []))
    const links = found.flat()
    if (plainImages.size >= MAX_KNOWN_IMAGES) plainImages.clear()
    if (links.length === 0) plainImages.add(this.#spec.imageId)
    return links
  }

  #checkEnded(): void {
    if (this.#ending !== undefined) throw new HostFault('E_CONTAINER_CANCELLED', 'the run was ended before it began')
  }

  /** From the start to the ending. */
  async #converse({ id, stream }: { id: string, stream: Duplex }): Promise<void> {
    const { engine } = this.#context
    const { signal } = this.#ends
    const hangUp = (): void => { stream.destroy() }
    // what breaks the stream shows when it is read
    stream.on('error', () => undefined)
    signal.addEventListener('abort', hangUp)
    try {
      await this.#clock.released(signal)
      this.#checkEnded()
      const mark = newMark()
      stream.write(encodeOrders({ mark, workingDir: this.#workingDir, secrets: this.#spec.secrets }))
      const exited = engine.nextExit(id, signal)
      exited.catch(() => undefined)
      const listened = this.#listen(stream, mark)
      listened.catch(() => undefined)
      const started = this.#start(id)
      this.#clock.start(started)
      await started
      const watch = this.#watchEngine()
      let drain: NodeJS.Timeout | undefined
      try {
        // a container that has ended has little left to say; should its streams hang, the engine is at fault
        exited.then(() => { drain = setTimeout(() => { this.#abstainFor(new EngineError('gone', 0, 'it holds the streams of a container that has ended')) }, DRAIN_DEADLINE_MS).unref() }, () => undefined)
        await listened
      } finally {
        clearInterval(watch)
        clearTimeout(drain)
      }
      if (this.#ending === undefined) await this.#explain(id, exited)
    } finally {
      signal.removeEventListener('abort', hangUp)
      stream.destroy()
      this.#ends.abort()
    }
  }

  /** A dead engine breaks the streams; a stuck one only stops answering. One late answer may be a busy disk. */
  #watchEngine(): NodeJS.Timeout {
    let missed = 0
    return setInterval(() => {
      this.#context.engine.ping().then(() => { missed = 0 }, (err: unknown) => { if (++missed >= MISSED_PINGS) this.#abstainFor(err) })
    }, PING_INTERVAL_MS)
  }

  #aborted(): Promise<void> {
    const { signal } = this.#ends
    return new Promise((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => { resolve() }, { once: true })
    })
  }

  async #start(id: string): Promise<void> {
    try {
      await this.#context.engine.start(id)
    } catch (err) {
      if (err instanceof EngineError && err.kind === 'refused' && /\/\.hearth\/(?:init|run)/.test(err.message)) throw new HostFault(TOOLS_LOST, 'the node\'s volume has vanished from the engine')
      if (err instanceof EngineError && err.kind === 'refused') throw new HostFault('E_CONTAINER_START', `the engine could not start the container: ${err.message}`)
      throw err
    }
  }

  /** Reads both streams to their marks, and the answer behind; decides the ending if the answer is whole. */
  async #listen(stream: Duplex, mark: Buffer): Promise<void> {
    const demultiplexer = new Demultiplexer()
    const finders = { 1: new MarkFinder(mark), 2: new MarkFinder(mark) }
    let reported = ''
    let usageText: Buffer[] = []
    let end: bigint | undefined
    let collecting: NodeJS.Timeout | undefined
    const settleUsage = (): void => {
      if (reported !== '') readUsage(this.#usage, reported, Buffer.concat(usageText).toString('latin1'))
      reported = ''
      usageText = []
    }
    const parser = new FrameParser({
      onFrame: (frame: Frame) => {
        settleUsage()
        if (frame.kind === 'U') reported = frame.name.toString('latin1')
        else if (frame.kind === 'E') end = frame.value
        else return this.#outputs.entry(frame)
        return undefined
      },
      onBytes: (bytes) => {
        if (reported === '') return this.#outputs.data(bytes)
        usageText.push(bytes)
        return undefined
      }
    })
    try {
      for await (const chunk of untilBroken(stream)) {
        const fresh: { 1: Buffer[], 2: Buffer[] } = { 1: [], 2: [] }
        const answer: Buffer[] = []
        for (const piece of demultiplexer.push(chunk)) {
          const { before, after } = finders[piece.stream].push(piece.bytes)
          if (before.length > 0) fresh[piece.stream].push(before)
          if (after.length > 0 && piece.stream === 1) answer.push(after)
        }
        this.#keep(fresh)
        if (finders[1].found && collecting === undefined) {
          this.#clock.finish()
          collecting = setTimeout(() => { this.abstain('E_CONTAINER_TIME', 'the outputs could not be collected in time') }, DRAIN_DEADLINE_MS + this.#spec.limits.outBytes / FILL_BYTES_PER_SECOND * 1000)
        }
        for (const part of answer) await parser.push(part)
        if (parser.ended && finders[2].found) break
      }
    } finally {
      clearTimeout(collecting)
      // without a mark what was held back is the job's
      this.#keep({ 1: [finders[1].rest()], 2: [finders[2].rest()] })
    }
    if (end !== undefined && finders[2].found) await this.#decide(end)
  }

  #keep(fresh: { 1: Buffer[], 2: Buffer[] }): void {
    for (const stream of [1, 2] as const) {
      const bytes = Buffer.concat(fresh[stream])
      if (bytes.length === 0) continue
      this.#logs[stream].write(bytes)
      if (stream === 2) this.#progress.write(bytes)
    }
  }

  async #decide(value: bigint): Promise<void> {
    this.#tookMs = Number(value >> 32n)
    if (this.#usage.oomKills === undefined && (await this.#context.engine.inspect(this.#container ?? '')).State.OOMKilled) this.#usage.oomKills = 1
    const full = usedUpMemory(this.#usage, containerMemoryBytes(this.#spec.limits))
    if (full === 'own') this.#end({ kind: 'trapped', trap: MEMORY_TRAP, detail: `the job used up its memory of ${this.#spec.limits.memoryBytes} bytes` })
    else if (full === 'host') this.abstain('E_CONTAINER_MEMORY', 'this host ran out of memory')
    else this.#end({ kind: 'exited', exitCode: exitCodeOf(Number(value & 0xffffffffn)) })
  }

  /** The streams ended without an answer: asks why. */
  async #explain(id: string, exited: Promise<number>): Promise<void> {
    const { engine } = this.#context
    // a dead engine never answers the wait
    await engine.ping()
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, DRAIN_DEADLINE_MS)
    await Promise.race([exited.catch(() => undefined), late.promise, this.#aborted()])
    clearTimeout(timer)
    if (this.#ending !== undefined) return
    const { State } = await engine.inspect(id)
    if (State.Running) this.abstain('E_CONTAINER_ENGINE', 'the container engine lost the streams of the run')
    // whose memory ran out, the job's or the host's, process 1 can no longer tell
    else if (State.OOMKilled) this.abstain('E_CONTAINER_MEMORY', 'memory ran out, and the container\'s first process with it')
    else this.abstain('E_CONTAINER_TRUNCATED', `the container ended (${State.ExitCode}) without its end mark`)
  }

  /** Best effort, for a run that is ended from outside. */
  async #sample(): Promise<void> {
    const stats = await this.#context.engine.stats(this.#container ?? '').catch(() => undefined)
    const ns = stats?.cpu_stats?.cpu_usage?.total_usage
    if (ns !== undefined && ns > 0) this.#usage.cpuMs = ns / 1e6
    const peak = stats?.memory_stats?.max_usage ?? stats?.memory_stats?.usage
    if (peak !== undefined) this.#usage.peakBytes = peak
  }

  async #result(): Promise<RunResult> {
    let ending = this.#ending ?? { kind: 'abstained', code: 'E_CONTAINER_CRASH', message: 'the run ended without a word' }
    if (ending.kind !== 'abstained') {
      try {
        // what a refused or broken tree had so far is no result
        if (ending.kind === 'trapped') await this.#outputs.discard()
        const outputs = ending.kind === 'trapped' ? new OutputCollector(`${this.#context.resultDir}.logs`, this.#spec.limits) : this.#outputs
        this.#files = await outputs.finish(this.#logs[1].end(), this.#logs[2].end())
      } catch (err) {
        ending = err instanceof HostFault ? { kind: 'abstained', code: err.code, message: err.message } : { kind: 'abstained', code: 'E_CONTAINER_CRASH', message: String(err) }
      }
    }
    if (ending.kind === 'abstained') await this.#outputs.discard()
    const outcome = { ...ending, usage: this.#usageFigures() }
    return ending.kind === 'abstained' || this.#files === undefined ? { outcome } : { outcome, files: this.#files }
  }

  #usageFigures(): RunUsage {
    const peakBytes = this.#usage.peakBytes ?? 0
    return {
      wallMs: Math.min(this.#clock.ranMs, this.#tookMs ?? Number.POSITIVE_INFINITY), cpuMs: this.#usage.cpuMs ?? 0, residentBytes: peakBytes, memoryBytes: peakBytes,
      outBytes: this.#outputs.bytes, outFiles: this.#outputs.entries, stdoutBytes: this.#logs[1].writtenBytes, stderrBytes: this.#logs[2].writtenBytes
    }
  }
}

/** A stream that breaks has ended: whether the answer was whole is seen by its end mark. */
async function* untilBroken(stream: Duplex): AsyncGenerator<Buffer> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  for (;;) {
    const next = await chunks.next().catch(() => undefined)
    if (next === undefined || next.done === true) return
    yield next.value
  }
}

/** A wait status as a shell would give it: 128 and the signal for a program that was killed. */
function exitCodeOf(status: number): number {
  const signal = status & 0x7f
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal
}
