import { HearthError } from '../../src/errors.ts'
import { MAX_ARGS_BYTES, MAX_INPUTS, MAX_LOG_BYTES, MAX_NAME_BYTES, MAX_OUT_FILES, MAX_PATH_BYTES, MAX_WALL_MS } from '../sandbox/limits.ts'
import type { RunInput } from '../sandbox/run-spec.ts'
import type { GpuAssignment } from './gpu/assignment.ts'
import { MAX_CORES, MAX_PIDS, MAX_SECRETS, MAX_SECRETS_BYTES, MIN_CORES, MIN_MEMORY_BYTES } from './limits.ts'

/** What one container may have. `/out`, `/tmp`, `/dev/shm` and secrets lie in memory: see `containerMemoryBytes`. */
export interface ContainerLimits {
  /** Of processor time: 0.5 is half a core. */
  cores: number
  memoryBytes: number
  /** Of all files in `/out`; `/tmp` may hold as much. */
  outBytes: number
  /** Files and directories in `/out`. */
  outFiles: number
  /** Kept of standard output, and as much of standard error. */
  logBytes: number
  /** Time that passes while the run is held does not count. */
  wallMs: number
  /** Processes and threads. */
  pids: number
}

/** A file `/run/secrets/<name>` in the job's memory: never in the container's configuration, never on a disk. */
export interface ContainerSecret { name: string, bytes: Uint8Array }

/** A way to the outside, by the node's proxy: see network/. */
export interface ContainerNetwork {
  /** A folder of this host with the proxy's socket; the container sees it read-only at /run/hearth. */
  socketDir: string
  /** Variables that lead programs to the relay; they stand above the job's. */
  env: Readonly<Record<string, string>>
}

/** Everything a container run depends on, and the limits under which this host tries it. */
export interface ContainerSpec {
  /** Names the result's directory and the container: letters, digits, `_` and `-`. */
  runId: string
  /** What the user's number is drawn from: replicas of a task have the same, so that archives they write are equal. */
  userSeed?: string
  /** An image that is here: `sha256:` and 64 hexadecimal digits. */
  imageId: string
  /** Instead of the image's; an empty list clears it. */
  entrypoint?: string[]
  /** Arguments of the entrypoint. Empty: the image's own, unless `entrypoint` is given. */
  command: string[]
  env: Record<string, string>
  /** Absolute; without it the image's. */
  workingDir?: string
  /** A regular file on this host; without it standard input is empty. */
  stdinPath?: string
  inputs: RunInput[]
  secrets: ContainerSecret[]
  gpus: GpuAssignment
  network?: ContainerNetwork
  limits: ContainerLimits
}

function refuse(message: string): never {
  throw new HearthError('E_CONTAINER_SPEC', message, 'Check the job\'s limits, command and inputs')
}

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (!Number.isFinite(value) || value < min || value > max) refuse(`${name} is ${value}, but must be from ${min} to ${max}`)
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  checkNumber(name, value, min, max)
  if (!Number.isSafeInteger(value)) refuse(`${name} is ${value}, but must be an integer`)
}

function checkStrings(name: string, values: readonly string[]): void {
  const bytes = values.reduce((sum, value) => sum + Buffer.byteLength(value) + 1, 0)
  if (bytes > MAX_ARGS_BYTES) refuse(`${name} take ${bytes} bytes, more than ${MAX_ARGS_BYTES}`)
  if (values.some((value) => value.includes('\0') || !value.isWellFormed())) refuse(`${name} hold a NUL character or half a surrogate pair`)
}

/** A relative posix path without empty parts, `.` and `..`. */
function isPlainPath(path: string): boolean {
  return Buffer.byteLength(path) < MAX_PATH_BYTES && path.isWellFormed() && !path.includes('\0') &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= MAX_NAME_BYTES)
}

function checkInputs(inputs: readonly RunInput[]): void {
  if (inputs.length > MAX_INPUTS) refuse(`${inputs.length} inputs are more than ${MAX_INPUTS}`)
  const files = new Set<string>()
  const dirs = new Set<string>()
  for (const { path, sizeBytes } of inputs) {
    checkInteger(`size of input ${path}`, sizeBytes, 0, Number.MAX_SAFE_INTEGER)
    if (!isPlainPath(path)) refuse(`input path "${path}" is not a plain relative path`)
    if (files.has(path)) refuse(`input path "${path}" is there twice`)
    files.add(path)
    const parts = path.split('/')
    for (let n = 1; n < parts.length; n++) dirs.add(parts.slice(0, n).join('/'))
  }
  for (const path of files) if (dirs.has(path)) refuse(`input path "${path}" is a file and a directory`)
}

function checkSecrets(secrets: readonly ContainerSecret[]): void {
  if (secrets.length > MAX_SECRETS) refuse(`${secrets.length} secrets are more than ${MAX_SECRETS}`)
  if (secrets.reduce((sum, { bytes }) => sum + bytes.length, 0) > MAX_SECRETS_BYTES) refuse(`the secrets take more than ${MAX_SECRETS_BYTES} bytes`)
  const names = new Set(secrets.map(({ name }) => name))
  if (names.size !== secrets.length) refuse('two secrets have one name')
  for (const name of names) if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name)) refuse(`secret name "${name}" is not 1 to 128 letters, digits, "_", "-" and "."`)
}

function checkLimits({ cores, memoryBytes, outBytes, outFiles, logBytes, wallMs, pids }: ContainerLimits): void {
  checkNumber('cores', cores, MIN_CORES, MAX_CORES)
  checkInteger('memoryBytes', memoryBytes, MIN_MEMORY_BYTES, Number.MAX_SAFE_INTEGER)
  checkInteger('outBytes', outBytes, 0, Number.MAX_SAFE_INTEGER)
  checkInteger('outFiles', outFiles, 0, MAX_OUT_FILES)
  checkInteger('logBytes', logBytes, 0, MAX_LOG_BYTES)
  checkInteger('wallMs', wallMs, 1, MAX_WALL_MS)
  checkInteger('pids', pids, 1, MAX_PIDS)
}

/** Throws `E_CONTAINER_SPEC` for a spec that no run can have. A job's own mistakes are found earlier, with better words. */
export function checkContainerSpec(spec: ContainerSpec): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/.test(spec.runId)) refuse(`run id "${spec.runId}" is not 1 to 128 letters, digits, "_" or "-"`)
  if (!/^sha256:[0-9a-f]{64}$/.test(spec.imageId)) refuse(`image id "${spec.imageId}" is not sha256: and 64 hexadecimal digits`)
  checkStrings('entrypoint and command', [...spec.entrypoint ?? [], ...spec.command])
  for (const name of Object.keys(spec.env)) {
    if (name === '' || name.includes('=')) refuse(`environment name "${name}" is empty or holds "="`)
  }
  checkStrings('environment variables', Object.entries(spec.env).map(([name, value]) => `${name}=${value}`))
  if (spec.workingDir !== undefined && (!spec.workingDir.startsWith('/') || Buffer.byteLength(spec.workingDir) >= MAX_PATH_BYTES)) refuse(`working directory "${spec.workingDir}" is not absolute`)
  checkStrings('working directory', [spec.workingDir ?? '/'])
  checkInputs(spec.inputs)
  checkSecrets(spec.secrets)
  checkLimits(spec.limits)
}
