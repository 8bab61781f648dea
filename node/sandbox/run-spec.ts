import { HearthError, type ErrorCode } from '../../src/errors.ts'
import { MAX_ARGS_BYTES, MAX_INPUTS, MAX_LOG_BYTES, MAX_MEMORY_BYTES, MAX_NAME_BYTES, MAX_OUT_FILES, MAX_PATH_BYTES, MAX_WALL_MS, SEED_BYTES } from './limits.ts'

/** One input file of a run. It appears read-only as `/in/<path>`. */
export interface RunInput {
  /** Below `/in`: posix, relative, no `.` or `..`, such as `scene/sky.exr`. */
  path: string
  /** A regular file on this host that does not change during the run. */
  hostPath: string
  sizeBytes: number
}

export interface RunLimits {
  /** Linear memory of the program; also the base of the limit on the child's resident size. */
  memoryBytes: number
  /** Sum of the sizes of all files the program has in `/out` and `/tmp`. */
  outBytes: number
  /** Files and directories the program has in `/out` and `/tmp`. */
  outFiles: number
  /** Kept of standard output, and as much of standard error. */
  logBytes: number
  wallMs: number
  /** Processor time, compilation included. */
  cpuMs?: number
}

/** Everything a run's result depends on, and the limits under which this host tries it. */
export interface RunSpec {
  /** Names the result's directory: letters, digits, `_` and `-`. */
  runId: string
  /** A regular file on this host; its hash was verified by the caller. */
  modulePath: string
  args: string[]
  env: Record<string, string>
  /** A regular file on this host; without it standard input is empty. */
  stdinPath?: string
  inputs: RunInput[]
  limits: RunLimits
  /** 32 bytes: the source of everything random in the run. */
  seed: Uint8Array
  /** The clock's first value, milliseconds since 1970; each reading advances it by `CLOCK_STEP_NS`. */
  baseTimeMs: number
}

export interface RunUsage {
  wallMs: number
  cpuMs: number
  /** The largest resident size seen, of the child as a whole. */
  residentBytes: number
  /** Linear memory at the end of the run. */
  memoryBytes: number
  /** Of the files in `/out`. */
  outBytes: number
  outFiles: number
  /** Written by the program, before the cap. */
  stdoutBytes: number
  stderrBytes: number
  /** Over a declared network. */
  receivedBytes?: number
  sentBytes?: number
}

/**
 * What became of a run. `exited` and `trapped` follow from the module and the spec alone, so they can be voted on;
 * `abstained` says that this host could not decide, and never counts as an answer.
 */
export type RunOutcome =
  | { kind: 'exited', exitCode: number, usage: RunUsage }
  /**
   * A fault of the program: `trap` is a word of `TRAPS`, or the `E_MODULE_...` code with which the module was refused.
   * `detail` helps a person; it differs between engine versions and is not part of the result.
   */
  | { kind: 'trapped', trap: string, detail: string, usage: RunUsage }
  | { kind: 'abstained', code: ErrorCode, message: string, usage: RunUsage }

/** `stdout`, `stderr` and what lies below `out/`: in a folder that the caller removes, or, where it is little, in memory. */
export type RunFiles = { kind: 'folder', dir: string } | { kind: 'memory', files: { path: string, bytes: Uint8Array }[] }

/** `files` are there unless the host abstained. */
export interface RunResult { outcome: RunOutcome, files?: RunFiles }

function refuse(message: string): never {
  throw new HearthError('E_SANDBOX_SPEC', message, 'Check the job\'s limits, arguments and inputs')
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) refuse(`${name} is ${value}, but must be an integer from ${min} to ${max}`)
}

function checkStrings(name: string, values: string[]): void {
  const bytes = values.reduce((sum, value) => sum + Buffer.byteLength(value) + 1, 0)
  if (bytes > MAX_ARGS_BYTES) refuse(`${name} take ${bytes} bytes, more than ${MAX_ARGS_BYTES}`)
  if (values.some((value) => value.includes('\0') || !value.isWellFormed())) refuse(`${name} hold a NUL character or half a surrogate pair`)
}

function checkInputs(inputs: RunInput[]): void {
  if (inputs.length > MAX_INPUTS) refuse(`${inputs.length} inputs are more than ${MAX_INPUTS}`)
  const files = new Set<string>()
  const dirs = new Set<string>()
  for (const { path, sizeBytes } of inputs) {
    checkInteger(`size of input ${path}`, sizeBytes, 0, Number.MAX_SAFE_INTEGER)
    const parts = path.split('/')
    const fine = Buffer.byteLength(path) < MAX_PATH_BYTES && path.isWellFormed() && !path.includes('\0') &&
      parts.every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= MAX_NAME_BYTES)
    if (!fine) refuse(`input path "${path}" is not a plain relative path`)
    if (files.has(path)) refuse(`input path "${path}" is there twice`)
    files.add(path)
    for (let n = 1; n < parts.length; n++) dirs.add(parts.slice(0, n).join('/'))
  }
  for (const path of files) if (dirs.has(path)) refuse(`input path "${path}" is a file and a directory`)
}

/** Throws `E_SANDBOX_SPEC` for a spec that no run can have. A job's own mistakes are found earlier, with better words. */
export function checkRunSpec(spec: RunSpec): void {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(spec.runId)) refuse(`run id "${spec.runId}" is not 1 to 128 letters, digits, "_" or "-"`)
  checkStrings('arguments', spec.args)
  for (const name of Object.keys(spec.env)) if (name === '' || name.includes('=')) refuse(`environment name "${name}" is empty or holds "="`)
  checkStrings('environment variables', Object.entries(spec.env).map(([name, value]) => `${name}=${value}`))
  checkInputs(spec.inputs)
  checkInteger('memoryBytes', spec.limits.memoryBytes, 0, MAX_MEMORY_BYTES)
  checkInteger('outBytes', spec.limits.outBytes, 0, Number.MAX_SAFE_INTEGER)
  checkInteger('outFiles', spec.limits.outFiles, 0, MAX_OUT_FILES)
  checkInteger('logBytes', spec.limits.logBytes, 0, MAX_LOG_BYTES)
  checkInteger('wallMs', spec.limits.wallMs, 1, MAX_WALL_MS)
  if (spec.limits.cpuMs !== undefined) checkInteger('cpuMs', spec.limits.cpuMs, 1, Number.MAX_SAFE_INTEGER)
  if (spec.seed.length !== SEED_BYTES) refuse(`seed has ${spec.seed.length} bytes, not ${SEED_BYTES}`)
  checkInteger('baseTimeMs', spec.baseTimeMs, 0, 8.64e15)
}
