import { mkdir, open, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { HostFault } from '../sandbox/host-fault.ts'
import { MAX_OUT_DEPTH } from '../sandbox/limits.ts'
import { isOutName } from '../sandbox/out-name.ts'
import type { RunFiles } from '../sandbox/run-spec.ts'
import type { ContainerLimits } from './container-spec.ts'
import { outPath, type Frame } from './init-protocol.ts'
import { SMALL_RESULT_BYTES, SMALL_RESULT_FILES } from './limits.ts'

/** What a job left in /out that no result may hold: the job's own fault, the same on every host. */
export class OutputRefusal extends Error {}

/** What is still in memory; without `parts` a directory. */
interface SmallEntry { path: string, parts?: Buffer[] }

const codeOf = (err: unknown): string => err instanceof Error && 'code' in err ? String(err.code) : String(err)

/**
 * Takes the tree below /out as it is streamed from the container: regular files and directories with plain names, within
 * the job's limits. It is written below a fresh folder of our own, which holds no link to follow, or, as long as it is
 * little, kept in memory. Throws `OutputRefusal` for what the job did, `HostFault` for what this host's disk did.
 */
export class OutputCollector {
  readonly #dir: string
  readonly #limits: Pick<ContainerLimits, 'outBytes' | 'outFiles'>
  /** File systems that fold case would let one output replace another. */
  readonly #folds = process.platform === 'darwin' || process.platform === 'win32'
  readonly #seen = new Set<string>()
  #small: SmallEntry[] = []
  #smallBytes = 0
  #onDisk = false
  #file: { handle: FileHandle, left: number } | undefined
  #bytes = 0
  #files = 0

  /** `dir` does not exist yet. */
  constructor(dir: string, limits: Pick<ContainerLimits, 'outBytes' | 'outFiles'>) {
    this.#dir = dir
    this.#limits = limits
  }

  /** Of the files, by what their names announced. */
  get bytes(): number { return this.#bytes }
  /** Files and directories. */
  get entries(): number { return this.#seen.size }

  async entry({ kind, name, value }: Frame): Promise<void> {
    if (kind === 'X') throw new OutputRefusal(`${JSON.stringify(name.toString('utf8').slice(0, 200))} is neither a file of its own nor a directory`)
    const path = outPath(name)
    const parts = path?.split('/') ?? []
    if (path === undefined || parts.length > MAX_OUT_DEPTH || !parts.every(isOutName)) throw new OutputRefusal(`${JSON.stringify(name.toString('utf8').slice(0, 200))} is no name for an output`)
    const folded = this.#folds ? path.normalize('NFC').toLowerCase() : path
    if (this.#seen.has(folded)) throw this.#folds ? new HostFault('E_CONTAINER_OUTPUT', 'two outputs would be one on this host') : new OutputRefusal(`${JSON.stringify(path)} is there twice`)
    this.#seen.add(folded)
    if (this.#seen.size > this.#limits.outFiles) throw new OutputRefusal(`there are more than ${this.#limits.outFiles} files and directories`)
    if (kind === 'D') {
      if (this.#onDisk) await this.#makeDir(path)
      else this.#small.push({ path })
      return
    }
    if (value > BigInt(this.#limits.outBytes - this.#bytes)) throw new OutputRefusal(`the outputs take more than ${this.#limits.outBytes} bytes`)
    await this.#begin(path, Number(value))
  }

  /** Of the file announced last. */
  async data(part: Buffer): Promise<void> {
    const file = this.#file
    if (!this.#onDisk) {
      this.#small.at(-1)?.parts?.push(Buffer.from(part))
      return
    }
    if (file === undefined) throw new HostFault('E_CONTAINER_OUTPUT', 'bytes came without a file')
    await this.#onHost(() => file.handle.writeFile(part))
    file.left -= part.length
    if (file.left === 0) await this.#closeFile()
  }

  /** All has come: adds the logs and gives the result. */
  async finish(stdout: Uint8Array, stderr: Uint8Array): Promise<RunFiles> {
    const logs = [{ path: 'stdout', bytes: stdout }, { path: 'stderr', bytes: stderr }]
    if (!this.#onDisk && this.#smallBytes + stdout.length + stderr.length <= SMALL_RESULT_BYTES) {
      const files = this.#small.flatMap(({ path, parts }) => parts === undefined ? [] : [{ path: `out/${path}`, bytes: new Uint8Array(Buffer.concat(parts)) }])
      return { kind: 'memory', files: [...logs, ...files.sort((a, b) => a.path < b.path ? -1 : 1)] }
    }
    await this.#spill()
    for (const { path, bytes } of logs) await this.#onHost(() => writeFile(join(this.#dir, path), bytes, { flag: 'wx', mode: 0o600 }))
    return { kind: 'folder', dir: this.#dir }
  }

  /** Leaves nothing. */
  async discard(): Promise<void> {
    await this.#file?.handle.close().catch(() => undefined)
    this.#file = undefined
    this.#small = []
    if (this.#onDisk) await rm(this.#dir, { recursive: true, force: true, maxRetries: 3 })
  }

  async #begin(path: string, size: number): Promise<void> {
    this.#bytes += size
    this.#files++
    if (!this.#onDisk && (this.#smallBytes + size > SMALL_RESULT_BYTES || this.#files > SMALL_RESULT_FILES)) await this.#spill()
    if (!this.#onDisk) {
      this.#smallBytes += size
      this.#small.push({ path, parts: [] })
      return
    }
    // exclusive: what stands there already is never opened, be it a link
    const handle = await this.#onHost(() => open(join(this.#dir, 'out', path), 'wx', 0o600))
    this.#file = { handle, left: size }
    if (size === 0) await this.#closeFile()
  }

  /** From memory to the disk, in the order in which it came: parents before children. */
  async #spill(): Promise<void> {
    if (this.#onDisk) return
    this.#onDisk = true
    await this.#onHost(() => mkdir(join(this.#dir, 'out'), { recursive: true, mode: 0o700 }))
    for (const { path, parts } of this.#small) {
      if (parts === undefined) await this.#makeDir(path)
      else await this.#onHost(() => writeFile(join(this.#dir, 'out', path), Buffer.concat(parts), { flag: 'wx', mode: 0o600 }))
    }
    this.#small = []
  }

  async #makeDir(path: string): Promise<void> {
    await this.#onHost(() => mkdir(join(this.#dir, 'out', path), { mode: 0o700 }))
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) await this.#onHost(() => file.handle.close())
  }

  async #onHost<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (err) {
      throw new HostFault('E_CONTAINER_DISK', `the outputs cannot be kept: ${codeOf(err)}`)
    }
  }
}
