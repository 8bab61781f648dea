import { closeSync, constants, ftruncateSync, openSync, readSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs'
import { HostFault, onHost } from './host-fault.ts'
import { SPILL_FILE_BYTES, SPILL_TOTAL_BYTES } from './limits.ts'

/** The bytes of one file of the program's tree. `open` and `close` bracket reads and writes, and nest. */
export interface FileBody {
  readonly sizeBytes: number
  open(): void
  close(): void
  /** Reads up to `length` bytes at `position` into `into` at `at`; fewer only at the end of the file. */
  read(position: number, into: Uint8Array, at: number, length: number): number
}

/** Small reads (libc reads 1 KiB at a time) are served from a window of this size. */
const WINDOW_BYTES = 64 * 1024
const IN_HOST_FILE = 'E_SANDBOX_INPUT'
const ON_HOST_DISK = 'E_SANDBOX_DISK'

const EMPTY = new Uint8Array(0)

/** Fills `into[at, at + length)` from `fd`; fewer bytes mean the end of the file. */
function readFully(fd: number, position: number, into: Uint8Array, at: number, length: number): number {
  let done = 0
  while (done < length) {
    const count = readSync(fd, into, at + done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** An input: a file of the host, read as the program asks for it, never loaded whole. */
export class InputBody implements FileBody {
  readonly sizeBytes: number
  readonly #path: string
  #users = 0
  #fd = -1
  #window: Uint8Array | undefined
  #windowAt = 0
  #windowBytes = 0

  constructor(path: string, sizeBytes: number) {
    this.#path = path
    this.sizeBytes = sizeBytes
  }

  open(): void {
    if (this.#users++ === 0) this.#fd = onHost(IN_HOST_FILE, 'an input cannot be opened', () => openSync(this.#path, constants.O_RDONLY))
  }

  close(): void {
    if (--this.#users > 0) return
    closeSync(this.#fd)
    this.#window = undefined
    this.#windowBytes = 0
  }

  read(position: number, into: Uint8Array, at: number, length: number): number {
    const count = Math.max(0, Math.min(length, this.sizeBytes - position))
    if (count === 0) return 0
    if (count >= WINDOW_BYTES / 4) this.#fetch(position, into, at, count)
    else {
      const offset = position - this.#windowAt
      if (offset < 0 || offset + count > this.#windowBytes) this.#fill(position)
      const from = position - this.#windowAt
      into.set((this.#window ?? EMPTY).subarray(from, from + count), at)
    }
    return count
  }

  #fill(position: number): void {
    this.#window ??= new Uint8Array(WINDOW_BYTES)
    const count = Math.min(WINDOW_BYTES, this.sizeBytes - position)
    this.#windowBytes = 0
    this.#fetch(position, this.#window, 0, count)
    this.#windowAt = position
    this.#windowBytes = count
  }

  /** A file that turns out shorter than the job says must not look to the program like a short file. */
  #fetch(position: number, into: Uint8Array, at: number, length: number): void {
    const count = onHost(IN_HOST_FILE, 'an input cannot be read', () => readFully(this.#fd, position, into, at, length))
    if (count < length) throw new HostFault(IN_HOST_FILE, 'an input is shorter than the job says')
  }
}

/** What all files of `/out` and `/tmp` share: the quota of bytes, the memory they may hold, and the directory they spill to. */
export class ScratchStore {
  readonly dir: string
  readonly #limitBytes: number
  #usedBytes = 0
  #memoryBytes = 0
  #spilled = 0

  constructor(dir: string, limitBytes: number) {
    this.dir = dir
    this.#limitBytes = limitBytes
  }

  get usedBytes(): number { return this.#usedBytes }

  /** Charges `bytes`, or gives them back when negative. False: the quota would be exceeded. */
  charge(bytes: number): boolean {
    if (bytes > 0 && bytes > this.#limitBytes - this.#usedBytes) return false
    this.#usedBytes += bytes
    return true
  }

  /** Whether a file's memory may grow by `bytes`; counts them if so. Negative always may. */
  hold(bytes: number): boolean {
    if (bytes > 0 && this.#memoryBytes + bytes > SPILL_TOTAL_BYTES) return false
    this.#memoryBytes += bytes
    return true
  }

  nextPath(): string { return `${this.dir}/s${this.#spilled++}` }
}

/** A file the program writes: in memory while small, then in a file of the host's that the program does not name. */
export class ScratchBody implements FileBody {
  readonly #store: ScratchStore
  #size = 0
  #data: Uint8Array = EMPTY
  /** Set once the bytes are on the host's disk. */
  #path: string | undefined
  #fd = -1
  #users = 0
  /** Bytes not yet on disk, at the end of the file: small writes are joined. */
  #tail: Uint8Array | undefined
  #tailAt = 0
  #tailBytes = 0

  constructor(store: ScratchStore) { this.#store = store }

  get sizeBytes(): number { return this.#size }

  open(): void {
    if (this.#users++ === 0 && this.#path !== undefined) this.#openHost(this.#path)
  }

  close(): void {
    if (--this.#users > 0 || this.#fd < 0) return
    this.#flush()
    closeSync(this.#fd)
    this.#fd = -1
    this.#tail = undefined
  }

  read(position: number, into: Uint8Array, at: number, length: number): number {
    const count = Math.max(0, Math.min(length, this.#size - position))
    if (count === 0) return 0
    if (this.#path === undefined) into.set(this.#data.subarray(position, position + count), at)
    else {
      this.#flush()
      const done = onHost(ON_HOST_DISK, 'a scratch file cannot be read', () => readFully(this.#fd, position, into, at, count))
      if (done < count) throw new HostFault(ON_HOST_DISK, 'a scratch file has lost bytes')
    }
    return count
  }

  /** Writes `from[at, at + length)` at `position`, which may lie behind the end. False: over the quota, nothing is written. */
  write(position: number, from: Uint8Array, at: number, length: number): boolean {
    const end = position + length
    if (end > this.#size) {
      if (!this.#store.charge(end - this.#size)) return false
      if (this.#path === undefined) this.#resizeMemory(end)
      this.#size = end
    }
    if (this.#path === undefined) this.#data.set(from.subarray(at, at + length), position)
    else if (length >= WINDOW_BYTES) { this.#flush(); this.#writeHost(position, from, at, length) }
    else this.#join(position, from.subarray(at, at + length))
    return true
  }

  /** Cuts or extends with zeros. False: over the quota, nothing changes. */
  resize(size: number): boolean {
    if (!this.#store.charge(size - this.#size)) return false
    if (this.#path === undefined) this.#resizeMemory(size)
    else {
      this.#flush()
      onHost(ON_HOST_DISK, 'a scratch file cannot be resized', () => { ftruncateSync(this.#fd, size) })
    }
    this.#size = size
    return true
  }

  /** Gives memory, quota and disk back. The body must be closed. */
  dispose(): void {
    this.#store.charge(-this.#size)
    this.#store.hold(-this.#data.length)
    this.#data = EMPTY
    this.#size = 0
    const path = this.#path
    if (path !== undefined) onHost(ON_HOST_DISK, 'a scratch file cannot be removed', () => { unlinkSync(path) })
  }

  /** Puts the file at `path` on the host, as the run's output. Ends the use of the body. */
  saveAs(path: string): void {
    const from = this.#path
    onHost(ON_HOST_DISK, 'an output cannot be written', () => {
      if (from === undefined) writeFileSync(path, this.#data.subarray(0, this.#size), { flag: 'wx' })
      else { this.#flush(); renameSync(from, path) }
    })
  }

  #openHost(path: string): void {
    this.#fd = onHost(ON_HOST_DISK, 'a scratch file cannot be opened', () => openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600))
  }

  #resizeMemory(size: number): void {
    if (size > this.#data.length) {
      const capacity = Math.min(SPILL_FILE_BYTES, Math.max(size, this.#data.length * 2, 256))
      if (size > SPILL_FILE_BYTES || !this.#store.hold(capacity - this.#data.length)) { this.#spill(size); return }
      const grown = new Uint8Array(capacity)
      grown.set(this.#data.subarray(0, this.#size))
      this.#data = grown
    } else if (size < this.#size) this.#data.fill(0, size, this.#size)
  }

  #spill(size: number): void {
    const path = this.#store.nextPath()
    this.#openHost(path)
    this.#writeHost(0, this.#data, 0, this.#size)
    onHost(ON_HOST_DISK, 'a scratch file cannot be resized', () => { ftruncateSync(this.#fd, size) })
    this.#store.hold(-this.#data.length)
    this.#data = EMPTY
    this.#path = path
    if (this.#users === 0) { closeSync(this.#fd); this.#fd = -1 }
  }

  #join(position: number, bytes: Uint8Array): void {
    if (position !== this.#tailAt + this.#tailBytes || this.#tailBytes + bytes.length > WINDOW_BYTES) {
      this.#flush()
      this.#tailAt = position
    }
    this.#tail ??= new Uint8Array(WINDOW_BYTES)
    this.#tail.set(bytes, this.#tailBytes)
    this.#tailBytes += bytes.length
  }

  #flush(): void {
    if (this.#tail === undefined || this.#tailBytes === 0) return
    const count = this.#tailBytes
    this.#tailBytes = 0
    this.#writeHost(this.#tailAt, this.#tail, 0, count)
  }

  #writeHost(position: number, from: Uint8Array, at: number, length: number): void {
    onHost(ON_HOST_DISK, 'a scratch file cannot be written', () => {
      for (let done = 0; done < length;) done += writeSync(this.#fd, from, at + done, length - done, position + done)
    })
  }
}
