import { rm } from 'node:fs/promises'
import type { ErrorCode } from '../../src/errors.ts'
import type { RunChild } from './child-process.ts'
import { decodeDone, decodeEntry, type ChildEntry, type ChildSpec } from './child-messages.ts'
import { CHILD_FRAME } from './frames.ts'
import { HostFault } from './host-fault.ts'
import { LOG_CUT_MARK } from './limits.ts'
import { collectResult, placeInputs, takeSmallResult } from './run-directory.ts'
import type { RunLimits, RunResult, RunSpec, RunUsage } from './run-spec.ts'

/** How often a running child's memory and processor time are looked at. A core fills about 200 MB meanwhile. */
export const WATCH_INTERVAL_MS = 50
/** Resident size allowed beside the program's memory: the engine, compiled code, small scratch files, the compiler at work. */
export const ENGINE_BYTES = 384 * 1024 ** 2

/** How a run's child ended: by a report, or by our decision. */
type Ending = { kind: 'decided', verdict: Verdict } | { kind: 'abstained', code: ErrorCode, message: string }
/** What the child found out, without its usage. */
type Verdict = { kind: 'exited', exitCode: number } | { kind: 'trapped', trap: string, detail: string }

export const NO_USAGE: RunUsage = { wallMs: 0, cpuMs: 0, residentBytes: 0, memoryBytes: 0, outBytes: 0, outFiles: 0, stdoutBytes: 0, stderrBytes: 0 }

export interface SupervisedRunOptions {
  spec: RunSpec
  child: RunChild
  resultDir: string
  /** Begin held: the program starts with `suspend(false)`. */
  suspended: boolean
  onLog: (stream: 1 | 2, bytes: Buffer) => void
}

/** One run on one child: hands over, listens, watches, ends it, and collects. */
export class SupervisedRun {
  readonly #spec: RunSpec
  readonly #limits: RunLimits
  readonly #child: RunChild
  readonly #resultDir: string
  readonly #onLog: SupervisedRunOptions['onLog']
  readonly #entries: ChildEntry[] = []
  #logBytes = { 1: 0, 2: 0 }
  #usage: RunUsage = NO_USAGE
  /** Processor time of the child before it got the spec: its own start is not the job's. */
  #cpuBaseMs = 0
  #ending: Ending | undefined
  #onEnding: (() => void) | undefined
  #suspended: boolean
  #heldAll: boolean
  #heldAlone = false
  #onResume: (() => void) | undefined
  /** The child is stopped under way. */
  #held = false
  /** Time the run has had, up to `#sinceMs`; from there it runs if that is defined. */
  #ranMs = 0
  #sinceMs: number | undefined
  #wall: NodeJS.Timeout | undefined

  constructor({ spec, child, resultDir, suspended, onLog }: SupervisedRunOptions) {
    this.#spec = spec
    this.#limits = spec.limits
    this.#child = child
    this.#resultDir = resultDir
    this.#onLog = onLog
    this.#suspended = suspended
    this.#heldAll = suspended
  }

  /** Ends the run now, without an answer. */
  cancel(): void { this.#abstain('E_SANDBOX_CANCELLED', 'the run was cancelled') }

  /** Holds the run where it is, its time limit too, or lets it go on. */
  suspend(suspended: boolean): void {
    this.#heldAll = suspended
    this.#suspend(this.#heldAll || this.#heldAlone)
  }

  /** The same for this run alone; it goes on when neither holds it. */
  hold(held: boolean): void {
    this.#heldAlone = held
    this.#suspend(this.#heldAll || this.#heldAlone)
  }

  #suspend(suspended: boolean): void {
    if (suspended === this.#suspended || this.#ending !== undefined) return
    this.#suspended = suspended
    // Before it has its spec a child only waits: held while it starts, it would seem to hang.
    if (this.#sinceMs !== undefined || this.#held) {
      this.#child.hold(suspended)
      this.#held = suspended
      if (suspended) this.#stopTime()
      else this.#startTime()
    }
    this.#onResume?.()
  }

  /** Never rejects: what fails on this host is an abstention. */
  async execute(): Promise<RunResult> {
    try {
      const { stdinBytes } = await placeInputs(this.#child.runDir, this.#spec)
      await this.#child.started
      while (this.#suspended && this.#ending === undefined) await new Promise<void>((resolve) => { this.#onResume = resolve })
      if (this.#ending === undefined) await this.#converse(stdinBytes)
    } catch (err) {
      this.#abstainFor(err)
    }
    this.#child.kill()
    await this.#child.gone
    return this.#collect()
  }

  async #collect(): Promise<RunResult> {
    const ending = this.#ending ?? { kind: 'abstained', code: 'E_SANDBOX_CRASH', message: 'the run ended without a word' } as const
    if (ending.kind === 'abstained') return { outcome: { ...ending, usage: this.#usage } }
    try {
      const outBytes = await collectResult(this.#child.runDir, this.#resultDir, this.#entries, this.#limits)
      const files = takeSmallResult(this.#resultDir, this.#entries, outBytes)
      return { outcome: { ...ending.verdict, usage: { ...this.#usage, outBytes, outFiles: this.#entries.length } }, files: files ?? { kind: 'folder', dir: this.#resultDir } }
    } catch (err) {
      await rm(this.#resultDir, { recursive: true, force: true })
      const { code, message } = err instanceof HostFault ? err : new HostFault('E_SANDBOX_OUTPUT', String(err))
      return { outcome: { kind: 'abstained', code, message, usage: this.#usage } }
    }
  }

  /** From the spec to the ending. */
  async #converse(stdinBytes: number | undefined): Promise<void> {
    this.#cpuBaseMs = this.#child.watch?.sample()?.cpuMs ?? 0
    const ended = new Promise<void>((resolve) => { this.#onEnding = resolve })
    this.#startTime()
    const watch = setInterval(() => { this.#look() }, WATCH_INTERVAL_MS)
    try {
      this.#child.start(this.#encodeSpec(stdinBytes), {
        onFrame: (type, body) => { this.#onFrame(type, body) },
        onViolation: (what) => { this.#violation(what) },
        onExit: () => { this.#abstain('E_SANDBOX_CRASH', this.#deathWords()) }
      })
      if (this.#child.dead) this.#abstain('E_SANDBOX_CRASH', this.#deathWords())
      if (this.#ending === undefined) await ended
    } finally {
      this.#stopTime()
      clearInterval(watch)
      this.#measure()
      this.#usage = { ...this.#usage, wallMs: this.#ranMs }
    }
  }

  #startTime(): void {
    this.#sinceMs = performance.now()
    this.#wall = setTimeout(() => { this.#abstain('E_SANDBOX_TIME', `the run took longer than ${this.#limits.wallMs} ms`) }, Math.max(0, this.#limits.wallMs - this.#ranMs))
  }

  #stopTime(): void {
    clearTimeout(this.#wall)
    if (this.#sinceMs !== undefined) this.#ranMs += performance.now() - this.#sinceMs
    this.#sinceMs = undefined
  }

  #encodeSpec(stdinBytes: number | undefined): Buffer {
    const { args, env, inputs, seed, baseTimeMs, limits } = this.#spec
    const spec: ChildSpec = {
      args, env, stdinBytes, inputs: inputs.map(({ path, sizeBytes }) => [path, sizeBytes]), seedHex: Buffer.from(seed).toString('hex'), baseTimeMs,
      memoryBytes: limits.memoryBytes, outBytes: limits.outBytes, outFiles: limits.outFiles, logBytes: limits.logBytes
    }
    return Buffer.from(JSON.stringify(spec))
  }

  #onFrame(type: number, body: Buffer): void {
    if (this.#ending !== undefined) return
    switch (type) {
      case CHILD_FRAME.stdout: this.#log(1, body); break
      case CHILD_FRAME.stderr: this.#log(2, body); break
      case CHILD_FRAME.entry: {
        const entry = decodeEntry(body)
        if (entry === undefined || this.#entries.length >= this.#limits.outFiles) { this.#violation('it names an output that cannot be'); return }
        this.#entries.push(entry)
        break
      }
      case CHILD_FRAME.done: {
        const done = decodeDone(body)
        if (done === undefined) { this.#violation('its report makes no sense'); return }
        const { cpuMs, residentBytes, memoryBytes, stdoutBytes, stderrBytes } = done.usage
        this.#usage = {
          ...this.#usage, memoryBytes: Math.min(memoryBytes, this.#limits.memoryBytes), stdoutBytes, stderrBytes,
          cpuMs: Math.max(cpuMs, this.#usage.cpuMs), residentBytes: Math.max(residentBytes, this.#usage.residentBytes)
        }
        if (done.kind === 'abstained') this.#abstain(done.code, done.message)
        else this.#settle({ kind: 'decided', verdict: done.kind === 'exited' ? { kind: 'exited', exitCode: done.exitCode } : { kind: 'trapped', trap: done.trap, detail: done.detail } })
        break
      }
      default: this.#violation(`it sends a frame of type ${type}`)
    }
  }

  #log(stream: 1 | 2, bytes: Buffer): void {
    this.#logBytes[stream] += bytes.length
    if (this.#logBytes[stream] > this.#limits.logBytes + LOG_CUT_MARK.length) { this.#violation('it sends more log than it may'); return }
    this.#onLog(stream, bytes)
  }

  #measure(): void {
    const sample = this.#child.watch?.sample()
    if (sample === undefined) return
    this.#usage = {
      ...this.#usage, residentBytes: Math.max(this.#usage.residentBytes, sample.residentBytes),
      cpuMs: Math.max(this.#usage.cpuMs, sample.cpuMs - this.#cpuBaseMs)
    }
  }

  #look(): void {
    this.#measure()
    const { residentBytes, cpuMs } = this.#usage
    const limitBytes = this.#limits.memoryBytes + ENGINE_BYTES
    if (residentBytes > limitBytes) this.#abstain('E_SANDBOX_MEMORY', `the run held ${residentBytes} bytes of memory, more than ${limitBytes}`)
    if (this.#limits.cpuMs !== undefined && cpuMs > this.#limits.cpuMs) this.#abstain('E_SANDBOX_CPU', `the run used ${Math.round(cpuMs)} ms of processor time, more than ${this.#limits.cpuMs}`)
  }

  #deathWords(): string {
    const words = this.#child.engineWords.split('\n').map((line) => line.trim()).find((line) => /FATAL|Error:|Error \[|Check failed/.test(line))
    return `the run's process died${words === undefined ? '' : `: ${words.replaceAll(/[^\u0020-\u007e]/g, '?').slice(0, 200)}`}`
  }

  #violation(what: string): void { this.#abstain('E_SANDBOX_PROTOCOL', `the run's process broke the rules: ${what}`) }

  #abstainFor(err: unknown): void {
    const fault = err instanceof HostFault ? err : new HostFault('E_SANDBOX_CRASH', String(err))
    this.#abstain(fault.code, fault.message)
  }

  #abstain(code: ErrorCode, message: string): void { this.#settle({ kind: 'abstained', code, message }) }

  /** The first word counts. */
  #settle(ending: Ending): void {
    if (this.#ending !== undefined) return
    this.#ending = ending
    this.#child.kill()
    this.#onEnding?.()
    this.#onResume?.()
  }
}
