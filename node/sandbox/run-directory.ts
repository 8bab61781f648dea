import { constants, linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { ChildEntry } from './child-messages.ts'
import { HostFault } from './host-fault.ts'
import { LOG_CUT_MARK } from './limits.ts'
import type { RunFiles, RunSpec } from './run-spec.ts'

/**
 * Files handled in one go. Single calls on names take 10 microseconds, a tenth of what they cost through the thread pool;
 * after each batch the supervisor looks after its other runs.
 */
const BATCH = 64

/** A result up to these sizes is sent to the node instead of left in a folder: most tasks of a map leave a line or two, and a folder costs both sides more than that. */
const SMALL_RESULT_BYTES = 64 * 1024
const SMALL_RESULT_FILES = 16

async function inBatches<T>(items: readonly T[], act: (item: T, index: number) => Promise<void> | void): Promise<void> {
  for (const [n, item] of items.entries()) {
    if (n % BATCH === BATCH - 1) await setImmediate()
    const pending = act(item, n)
    if (pending !== undefined) await pending
  }
}

const codeOf = (err: unknown): string => err instanceof Error && 'code' in err ? String(err.code) : String(err)

function unreadable(err: unknown): never {
  throw err instanceof HostFault ? err : new HostFault('E_SANDBOX_INPUT', `an input cannot be read: ${codeOf(err)}`)
}

/**
 * Puts one host file where the child may read it: a second name for the same bytes, or a copy where the file system
 * cannot. Never a symbolic link, through which a permission would not hold.
 */
function place(from: string, to: string, sizeBytes: number | undefined): Promise<void> | void {
  try {
    const stat = lstatSync(from)
    if (!stat.isFile()) throw new HostFault('E_SANDBOX_INPUT', 'an input is not a regular file')
    if (sizeBytes !== undefined && stat.size !== sizeBytes) throw new HostFault('E_SANDBOX_INPUT', `an input has ${stat.size} bytes, the job says ${sizeBytes}`)
  } catch (err) {
    return unreadable(err)
  }
  try { linkSync(from, to) } catch { return copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE).catch(unreadable) }
}

/** Fills `in/` of a run directory; answers the size of standard input. Throws `HostFault`. */
export async function placeInputs(runDir: string, spec: RunSpec): Promise<{ stdinBytes: number | undefined }> {
  const at = (name: string): string => join(runDir, 'in', name)
  await place(spec.modulePath, at('module'), undefined)
  let stdinBytes: number | undefined
  if (spec.stdinPath !== undefined) {
    await place(spec.stdinPath, at('stdin'), undefined)
    stdinBytes = lstatSync(at('stdin')).size
  }
  await inBatches(spec.inputs, (input, n) => place(input.hostPath, at(String(n)), input.sizeBytes))
  return { stdinBytes }
}

function refuse(message: string): never {
  throw new HostFault('E_SANDBOX_OUTPUT', message)
}

/** A regular file of the run's own, no link of either kind, of the size that was said. */
function checkFile(path: string, isSize: (bytes: number) => boolean): void {
  const stat = lstatSync(path)
  if (!stat.isFile() || stat.nlink !== 1 || !isSize(stat.size)) refuse('an output is not what the child said')
}

/** Checks the list as a whole before a file is touched: no name twice, quota kept. Answers the bytes. */
function checkEntries(entries: readonly ChildEntry[], limits: RunSpec['limits']): number {
  if (entries.length > limits.outFiles) refuse('there are more outputs than the job allows')
  // File systems that fold case would let one output replace another: such a host has no result to give.
  const folds = process.platform === 'darwin' || process.platform === 'win32'
  const fold = (path: string): string => folds ? path.normalize('NFC').toLowerCase() : path
  const seen = new Set<string>()
  let bytes = 0
  for (const { path, file } of entries) {
    if (seen.has(fold(path))) refuse('two outputs would be one on this host')
    seen.add(fold(path))
    bytes += file?.sizeBytes ?? 0
  }
  if (bytes > limits.outBytes) refuse('the outputs are larger than the job allows')
  return bytes
}

/**
 * Moves what a dead child left in `work/` to `resultDir`, which it makes: `stdout`, `stderr`, `out/`. Nothing the child
 * wrote is opened, followed or believed. Answers the outputs' bytes. Throws `HostFault`.
 */
export async function collectResult(runDir: string, resultDir: string, entries: readonly ChildEntry[], limits: RunSpec['limits']): Promise<number> {
  const work = (name: string): string => join(runDir, 'work', name)
  const outBytes = checkEntries(entries, limits)
  try {
    mkdirSync(join(resultDir, 'out'), { recursive: true, mode: 0o700 })
    for (const name of ['stdout', 'stderr']) {
      checkFile(work(name), (bytes) => bytes <= limits.logBytes + LOG_CUT_MARK.length)
      renameSync(work(name), join(resultDir, name))
    }
    await inBatches(entries, ({ path, file }) => {
      if (file === undefined) { mkdirSync(join(resultDir, 'out', path), { mode: 0o700 }); return }
      checkFile(work(String(file.number)), (bytes) => bytes === file.sizeBytes)
      renameSync(work(String(file.number)), join(resultDir, 'out', path))
    })
  } catch (err) {
    if (err instanceof HostFault) throw err
    refuse(`the outputs cannot be kept: ${codeOf(err)}`)
  }
  return outBytes
}

/** A collected result that is small, read into memory and gone from the disk; undefined for any other. */
export function takeSmallResult(resultDir: string, entries: readonly ChildEntry[], outBytes: number): RunFiles | undefined {
  const logs = ['stdout', 'stderr']
  const logBytes = logs.reduce((sum, name) => sum + lstatSync(join(resultDir, name)).size, 0)
  if (outBytes + logBytes > SMALL_RESULT_BYTES || entries.length > SMALL_RESULT_FILES) return undefined
  const paths = [...logs, ...entries.flatMap(({ path, file }) => file === undefined ? [] : [`out/${path}`])]
  const files = paths.map((path) => ({ path, bytes: readFileSync(join(resultDir, path)) }))
  rmSync(resultDir, { recursive: true, force: true, maxRetries: 3 })
  return { kind: 'memory', files }
}
