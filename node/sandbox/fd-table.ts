import type { DirNode, FileNode } from './fs-tree.ts'
import type { LogStream } from './log-stream.ts'
import { MAX_OPEN_FILES } from './limits.ts'

export interface StreamFd { readonly kind: 'stream', readonly log: LogStream }

export interface FileFd {
  readonly kind: 'file'
  readonly node: FileNode
  position: number
  /** What the program may still do with it; `fd_fdstat_set_rights` only takes away. */
  rights: bigint
  flags: number
}

export interface DirFd {
  readonly kind: 'dir'
  readonly node: DirNode
  /** The name under which libc finds it, for the directories that are open from the start. */
  readonly preopen: string | undefined
  rights: bigint
  /** The names when listing began: what is created or removed meanwhile does not move the cookies. */
  listing: string[] | undefined
}

export type Descriptor = StreamFd | FileFd | DirFd

/** Descriptors by number; the lowest free number is taken, as in POSIX. */
export class FdTable {
  readonly #slots: (Descriptor | undefined)[] = []
  #open = 0

  get full(): boolean { return this.#open >= MAX_OPEN_FILES }

  get(fd: number): Descriptor | undefined { return this.#slots[fd] }

  /** The caller has checked `full`. */
  add(descriptor: Descriptor): number {
    const free = this.#slots.indexOf(undefined)
    const fd = free < 0 ? this.#slots.length : free
    this.set(fd, descriptor)
    return fd
  }

  set(fd: number, descriptor: Descriptor | undefined): void {
    this.#open += (descriptor === undefined ? 0 : 1) - (this.#slots[fd] === undefined ? 0 : 1)
    this.#slots[fd] = descriptor
  }

  * all(): Generator<[number, Descriptor]> {
    for (const [fd, descriptor] of this.#slots.entries()) if (descriptor !== undefined) yield [fd, descriptor]
  }
}
