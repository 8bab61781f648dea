import type { DirFd } from './fd-table.ts'
import { ScratchBody } from './file-body.ts'
import type { DirNode, FileNode, Place } from './fs-tree.ts'
import { ERRNO, FD_FLAG, OPEN_FLAG, RIGHT, RIGHTS_ALL, SIZE, type Errno } from './wasi-abi.ts'
import { putFilestat, setTimes, unsigned, type WasiState } from './wasi-state.ts'

/** The `path_*` calls. Paths are relative to an open directory and cannot leave it; there are no links of either kind. */
export function pathCalls(state: WasiState) {
  const { memory, fds, tree } = state
  const resolve = (fd: number, pointer: number, length: number): Place | Errno => {
    const dir = fds.get(unsigned(fd))
    if (dir === undefined) return ERRNO.badf
    if (dir.kind !== 'dir') return ERRNO.notdir
    const path = memory.path(unsigned(pointer), unsigned(length))
    return typeof path === 'number' ? path : tree.resolve(dir.node, path)
  }
  /** Runs `act` on where the path leads; an errno on the way is the answer. */
  const at = (fd: number, pointer: number, length: number, act: (place: Place) => Errno): Errno => {
    const place = resolve(fd, pointer, length)
    return typeof place === 'number' ? place : act(place)
  }

  return {
    path_open(fd: number, _lookup: number, pointer: number, length: number, oflags: number, base: bigint, _inheriting: bigint, flags: number, result: number): Errno {
      if (!memory.has(unsigned(result), 4)) return ERRNO.fault
      if ((flags & ~FD_FLAG.all) !== 0) return ERRNO.inval
      return at(fd, pointer, length, (place) => {
        if (fds.full) return ERRNO.mfile
        const opened = open(state, place, oflags, BigInt.asUintN(64, base), flags)
        if (typeof opened === 'number') return opened
        memory.setU32(unsigned(result), fds.add(opened))
        return ERRNO.success
      })
    },
    path_create_directory(fd: number, pointer: number, length: number): Errno {
      return at(fd, pointer, length, (place) => {
        const made = tree.createDir(place)
        return typeof made === 'number' ? made : ERRNO.success
      })
    },
    path_remove_directory(fd: number, pointer: number, length: number): Errno {
      return at(fd, pointer, length, (place) => tree.removeDir(place))
    },
    path_unlink_file(fd: number, pointer: number, length: number): Errno {
      return at(fd, pointer, length, (place) => tree.unlink(place))
    },
    path_rename(fd: number, pointer: number, length: number, toFd: number, toPointer: number, toLength: number): Errno {
      return at(fd, pointer, length, (from) => at(toFd, toPointer, toLength, (to) => tree.rename(from, to)))
    },
    path_filestat_get(fd: number, _lookup: number, pointer: number, length: number, result: number): Errno {
      if (!memory.has(unsigned(result), SIZE.filestat)) return ERRNO.fault
      return at(fd, pointer, length, ({ node }) => {
        if (node === undefined) return ERRNO.noent
        putFilestat(memory, unsigned(result), node)
        return ERRNO.success
      })
    },
    path_filestat_set_times(fd: number, _lookup: number, pointer: number, length: number, accessedNs: bigint, modifiedNs: bigint, flags: number): Errno {
      return at(fd, pointer, length, ({ node }) => {
        if (node === undefined) return ERRNO.noent
        if (!node.writable) return ERRNO.rofs
        return setTimes(state, node, accessedNs, modifiedNs, flags) ? ERRNO.success : ERRNO.inval
      })
    },
    path_readlink(fd: number, pointer: number, length: number): Errno {
      return at(fd, pointer, length, ({ node }) => node === undefined ? ERRNO.noent : ERRNO.inval)
    },
    path_link(): Errno { return ERRNO.notsup },
    path_symlink(): Errno { return ERRNO.notsup }
  }
}

function open(state: WasiState, place: Place, oflags: number, rights: bigint, flags: number): DirFd | ReturnType<typeof openFile> | Errno {
  const existing = place.node
  if (existing !== undefined && (oflags & OPEN_FLAG.create) !== 0 && (oflags & OPEN_FLAG.exclusive) !== 0) return ERRNO.exist
  if (existing === undefined) {
    if ((oflags & OPEN_FLAG.create) === 0) return ERRNO.noent
    if ((oflags & OPEN_FLAG.directory) !== 0) return ERRNO.inval
    const made = state.tree.createFile(place)
    return typeof made === 'number' ? made : openFile(made, rights, flags)
  }
  if (existing.kind === 'dir') return openDir(existing, oflags, rights)
  if ((oflags & OPEN_FLAG.directory) !== 0) return ERRNO.notdir
  if (!existing.writable && ((rights & RIGHT.write) !== 0n || (oflags & OPEN_FLAG.truncate) !== 0)) return ERRNO.rofs
  const file = openFile(existing, rights, flags)
  if ((oflags & OPEN_FLAG.truncate) !== 0 && existing.body instanceof ScratchBody) {
    existing.body.resize(0)
    existing.modifiedNs = state.clock.nowNs
  }
  return file
}

function openDir(node: DirNode, oflags: number, rights: bigint): DirFd | Errno {
  const asFile = (oflags & OPEN_FLAG.directory) === 0 && ((rights & RIGHT.write) !== 0n || (oflags & OPEN_FLAG.create) !== 0)
  if (asFile || (oflags & OPEN_FLAG.truncate) !== 0) return ERRNO.isdir
  return { kind: 'dir', node, preopen: undefined, rights: RIGHTS_ALL, listing: undefined }
}

function openFile(node: FileNode, rights: bigint, flags: number) {
  node.body.open()
  node.opened++
  return { kind: 'file', node, position: 0, rights: rights & RIGHTS_ALL, flags } as const
}
