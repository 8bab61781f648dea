import { InputBody, ScratchBody, type ScratchStore } from './file-body.ts'
import { MAX_NAME_BYTES, MAX_OUT_DEPTH, MAX_OUT_PATH_BYTES } from './limits.ts'
import { isOutName } from './out-name.ts'
import { ERRNO, type Errno } from './wasi-abi.ts'

interface NodeBase {
  /** Numbered in the order of creation: equal on every host. */
  readonly ino: number
  readonly writable: boolean
  parent: DirNode | undefined
  /** Virtual nanoseconds since 1970. */
  accessedNs: bigint
  modifiedNs: bigint
}

export interface FileNode extends NodeBase {
  readonly kind: 'file'
  readonly body: InputBody | ScratchBody
  /** Descriptors on it: the bytes of a removed file stay until the last is closed. */
  opened: number
  removed: boolean
}

export interface DirNode extends NodeBase {
  readonly kind: 'dir'
  /** Its name in its parent; empty for a root. */
  name: string
  readonly entries: Map<string, TreeNode>
  removed: boolean
}

export type TreeNode = FileNode | DirNode

/** Where a path leads: the node if there is one, and the directory entry that is or would be it. */
export interface Place {
  node: TreeNode | undefined
  /** The directory and name of the entry; undefined when the path ends in `.` or `..`, which name no entry. */
  parent: DirNode | undefined
  name: string
  /** The path ended in a slash: only a directory will do. */
  asDir: boolean
}

/** An output of the run, parents before children, each directory's entries in the order of their bytes. */
export interface OutEntry { path: string, file: FileNode | undefined }

/** Order of UTF-8 bytes, which is that of code points: the plain comparison of strings is not. */
export function compareNames(a: string, b: string): number {
  const ascii = /^[\u0000-\u007f]*$/
  if (ascii.test(a) && ascii.test(b)) return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

export interface FsTreeOptions {
  store: ScratchStore
  maxFiles: number
  /** Path below `/in`, and the host file with its size. */
  inputs: { path: string, hostPath: string, sizeBytes: number }[]
  timeNs: () => bigint
}

/** The program's whole file system: `/in`, `/out` and `/tmp`. Nothing in it names anything of the host, and it has no links. */
export class FsTree {
  readonly in: DirNode
  readonly out: DirNode
  readonly tmp: DirNode
  readonly #store: ScratchStore
  readonly #maxFiles: number
  readonly #timeNs: () => bigint
  #inodes = 0
  #files = 0

  constructor({ store, maxFiles, inputs, timeNs }: FsTreeOptions) {
    this.#store = store
    this.#maxFiles = maxFiles
    this.#timeNs = timeNs
    this.in = this.#dir(undefined, '', false)
    this.out = this.#dir(undefined, '', true)
    this.tmp = this.#dir(undefined, '', true)
    for (const input of [...inputs].sort((a, b) => compareNames(a.path, b.path))) this.#addInput(input.path, new InputBody(input.hostPath, input.sizeBytes))
  }

  /** Files and directories in `/out` and `/tmp`. */
  get files(): number { return this.#files }

  /**
   * Follows `path` from `start`, which it cannot leave: `..` above it, and absolute paths, are EPERM.
   * Every component but the last must be a directory that exists.
   */
  resolve(start: DirNode, path: string): Place | Errno {
    if (path === '') return ERRNO.noent
    if (path.startsWith('/')) return ERRNO.perm
    const stack = [start]
    let place: Place = { node: start, parent: undefined, name: '', asDir: true }
    for (const part of path.split('/')) {
      if (place.node === undefined && part !== '') return ERRNO.noent
      if (part === '') { place.asDir = true; continue }
      if (place.node?.kind !== 'dir') return ERRNO.notdir
      const dir = place.node
      if (part === '.') { place.asDir = true; continue }
      if (part === '..') {
        stack.pop()
        const above = stack.at(-1)
        if (above === undefined) return ERRNO.perm
        place = { node: above, parent: undefined, name: '', asDir: true }
        continue
      }
      if (part.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(part) > MAX_NAME_BYTES) return ERRNO.nametoolong
      const node = dir.entries.get(part)
      place = { node, parent: dir, name: part, asDir: false }
      if (node?.kind === 'dir') stack.push(node)
    }
    if (place.asDir && place.node !== undefined && place.node.kind !== 'dir') return ERRNO.notdir
    return place
  }

  createFile(place: Place): FileNode | Errno {
    const parent = this.#checkCreate(place)
    if (typeof parent === 'number') return parent
    if (place.asDir) return ERRNO.isdir
    const file = this.#file(parent, new ScratchBody(this.#store), true)
    this.#link(parent, place.name, file)
    return file
  }

  createDir(place: Place): DirNode | Errno {
    if (place.node !== undefined) return ERRNO.exist
    const parent = this.#checkCreate(place)
    if (typeof parent === 'number') return parent
    const dir = this.#dir(parent, place.name, true)
    this.#link(parent, place.name, dir)
    return dir
  }

  unlink({ node, parent, name }: Place): Errno {
    if (node === undefined) return ERRNO.noent
    if (!node.writable) return ERRNO.rofs
    if (node.kind === 'dir' || parent === undefined) return ERRNO.isdir
    this.#remove(parent, name, node)
    return ERRNO.success
  }

  removeDir({ node, parent, name }: Place): Errno {
    if (node === undefined) return ERRNO.noent
    if (node.kind !== 'dir') return ERRNO.notdir
    if (!node.writable) return ERRNO.rofs
    if (parent === undefined) return ERRNO.busy
    if (node.entries.size > 0) return ERRNO.notempty
    this.#remove(parent, name, node)
    return ERRNO.success
  }

  rename(from: Place, to: Place): Errno {
    const node = from.node
    if (node === undefined) return ERRNO.noent
    if (from.parent === undefined || to.parent === undefined) return ERRNO.busy
    if (!node.writable || !to.parent.writable) return ERRNO.rofs
    if (to.parent.removed) return ERRNO.noent
    if (to.node === node) return ERRNO.success
    if (node.kind === 'file' && to.asDir) return ERRNO.notdir
    const refused = this.#checkReplace(node, to) ?? this.#checkFits(node, to.parent, to.name)
    if (refused !== undefined) return refused
    if (to.node !== undefined) this.#remove(to.parent, to.name, to.node)
    from.parent.entries.delete(from.name)
    to.parent.entries.set(to.name, node)
    node.parent = to.parent
    if (node.kind === 'dir') node.name = to.name
    to.parent.modifiedNs = from.parent.modifiedNs = this.#timeNs()
    return ERRNO.success
  }

  /** Called when a descriptor on the file is closed: the last one frees a removed file. */
  closed(file: FileNode): void {
    file.body.close()
    if (--file.opened === 0 && file.removed && file.body instanceof ScratchBody) file.body.dispose()
  }

  /** Names in the order of their bytes: directories list the same on every host. */
  sortedNames(dir: DirNode): string[] {
    return [...dir.entries.keys()].sort(compareNames)
  }

  /** Everything in `/out`. */
  outputs(): OutEntry[] {
    const found: OutEntry[] = []
    const todo: { dir: DirNode, prefix: string }[] = [{ dir: this.out, prefix: '' }]
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      for (const name of this.sortedNames(next.dir)) {
        const node = next.dir.entries.get(name)
        found.push({ path: next.prefix + name, file: node?.kind === 'file' ? node : undefined })
        if (node?.kind === 'dir') todo.push({ dir: node, prefix: `${next.prefix}${name}/` })
      }
    }
    return found
  }

  #checkCreate({ parent, name }: Place): DirNode | Errno {
    if (parent === undefined) return ERRNO.exist
    if (!parent.writable) return ERRNO.rofs
    if (parent.removed) return ERRNO.noent
    if (!isOutName(name)) return ERRNO.inval
    if (this.#files >= this.#maxFiles) return ERRNO.nospc
    const { depth, bytes } = where(parent)
    if (depth + 1 > MAX_OUT_DEPTH || bytes + 1 + Buffer.byteLength(name) > MAX_OUT_PATH_BYTES) return ERRNO.nametoolong
    return parent
  }

  #checkReplace(node: TreeNode, to: Place): Errno | undefined {
    if (to.node !== undefined) {
      if (to.node.kind === 'dir' && node.kind === 'file') return ERRNO.isdir
      if (to.node.kind === 'file' && node.kind === 'dir') return ERRNO.notdir
      if (to.node.kind === 'dir' && to.node.entries.size > 0) return ERRNO.notempty
    }
    if (!isOutName(to.name)) return ERRNO.inval
    for (let above = to.parent; above !== undefined; above = above.parent) if (above === node) return ERRNO.inval
    return undefined
  }

  /** A renamed directory takes its tree along: each path in it must still fit. */
  #checkFits(node: TreeNode, parent: DirNode, name: string): Errno | undefined {
    const base = where(parent)
    const todo = [{ node, depth: base.depth + 1, bytes: base.bytes + 1 + Buffer.byteLength(name) }]
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (next.depth > MAX_OUT_DEPTH || next.bytes > MAX_OUT_PATH_BYTES) return ERRNO.nametoolong
      if (next.node.kind === 'file') continue
      for (const [name, child] of next.node.entries) todo.push({ node: child, depth: next.depth + 1, bytes: next.bytes + 1 + Buffer.byteLength(name) })
    }
    return undefined
  }

  #link(parent: DirNode, name: string, node: TreeNode): void {
    parent.entries.set(name, node)
    parent.modifiedNs = this.#timeNs()
    this.#files++
  }

  #remove(parent: DirNode, name: string, node: TreeNode): void {
    parent.entries.delete(name)
    parent.modifiedNs = this.#timeNs()
    node.removed = true
    this.#files--
    if (node.kind === 'file' && node.opened === 0 && node.body instanceof ScratchBody) node.body.dispose()
  }

  #addInput(path: string, body: InputBody): void {
    const parts = path.split('/')
    const name = parts.pop() ?? ''
    let dir = this.in
    for (const part of parts) {
      const next = dir.entries.get(part) ?? this.#dir(dir, part, false)
      dir.entries.set(part, next)
      if (next.kind === 'dir') dir = next
    }
    dir.entries.set(name, this.#file(dir, body, false))
  }

  #dir(parent: DirNode | undefined, name: string, writable: boolean): DirNode {
    return { kind: 'dir', name, ...this.#base(parent, writable), entries: new Map(), removed: false }
  }

  #file(parent: DirNode, body: InputBody | ScratchBody, writable: boolean): FileNode {
    return { kind: 'file', ...this.#base(parent, writable), body, opened: 0, removed: false }
  }

  #base(parent: DirNode | undefined, writable: boolean): NodeBase {
    const timeNs = this.#timeNs()
    return { ino: ++this.#inodes, writable, parent, accessedNs: timeNs, modifiedNs: timeNs }
  }
}

/** How deep a directory lies below its root, and the bytes of its path. */
function where(dir: DirNode): { depth: number, bytes: number } {
  let depth = 0
  let bytes = 0
  for (let node = dir; node.parent !== undefined; node = node.parent) {
    depth++
    bytes += 1 + Buffer.byteLength(node.name)
  }
  return { depth, bytes }
}
