import type { DirFd, FileFd } from './fd-table.ts'
import { ScratchBody } from './file-body.ts'
import { ERRNO, RIGHT, SIZE, type Errno } from './wasi-abi.ts'
import { filetypeOf, isOffset, putFilestat, setTimes, toOffset, unsigned, type WasiState } from './wasi-state.ts'

/** Size, times and entries of open files and directories. Results go to memory that was checked before anything changes. */
export function fileCalls(state: WasiState) {
  const { memory, fds, clock } = state
  const file = (fd: number): FileFd | undefined => {
    const descriptor = fds.get(unsigned(fd))
    return descriptor?.kind === 'file' ? descriptor : undefined
  }

  return {
    fd_allocate(fd: number, offset: bigint, length: bigint): Errno {
      const target = file(fd)
      if (target === undefined || (target.rights & RIGHT.write) === 0n) return ERRNO.badf
      return resize(target, Math.max(target.node.body.sizeBytes, toOffset(offset) + toOffset(length)))
    },
    fd_filestat_set_size(fd: number, size: bigint): Errno {
      const target = file(fd)
      if (target === undefined || (target.rights & RIGHT.write) === 0n) return ERRNO.badf
      const errno = resize(target, toOffset(size))
      if (errno === ERRNO.success) target.node.modifiedNs = clock.nowNs
      return errno
    },
    fd_advise(fd: number): Errno { return file(fd) === undefined ? ERRNO.badf : ERRNO.success },
    fd_datasync(fd: number): Errno { return fds.get(unsigned(fd)) === undefined ? ERRNO.badf : ERRNO.success },
    fd_sync(fd: number): Errno { return fds.get(unsigned(fd)) === undefined ? ERRNO.badf : ERRNO.success },
    fd_filestat_get(fd: number, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined) return ERRNO.badf
      if (!memory.has(unsigned(result), SIZE.filestat)) return ERRNO.fault
      putFilestat(memory, unsigned(result), target.kind === 'stream' ? undefined : target.node)
      return ERRNO.success
    },
    fd_filestat_set_times(fd: number, accessedNs: bigint, modifiedNs: bigint, flags: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined || target.kind === 'stream') return ERRNO.badf
      if (!target.node.writable) return ERRNO.rofs
      return setTimes(state, target.node, accessedNs, modifiedNs, flags) ? ERRNO.success : ERRNO.inval
    },
    fd_readdir(fd: number, buffer: number, length: number, cookie: bigint, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target?.kind !== 'dir') return ERRNO.badf
      if (!memory.has(unsigned(buffer), unsigned(length)) || !memory.has(unsigned(result), 4)) return ERRNO.fault
      const used = readDirectory(state, target, unsigned(buffer), unsigned(length), toOffset(cookie))
      memory.setU32(unsigned(result), used)
      return ERRNO.success
    }
  }
}

function resize(target: FileFd, size: number): Errno {
  if (!isOffset(size)) return ERRNO.fbig
  return target.node.body instanceof ScratchBody && target.node.body.resize(size) ? ERRNO.success : ERRNO.nospc
}

/** Fills the buffer with entries from `cookie` on, the last one cut off if it does not fit, as preview 1 wants; answers bytes used. */
function readDirectory({ memory, tree }: WasiState, dir: DirFd, buffer: number, length: number, cookie: number): number {
  if (cookie === 0 || dir.listing === undefined) dir.listing = ['.', '..', ...tree.sortedNames(dir.node)]
  let used = 0
  for (let index = cookie; index < dir.listing.length && used < length; index++) {
    const name = dir.listing[index] ?? ''
    const node = name === '.' ? dir.node : name === '..' ? dir.node.parent ?? dir.node : dir.node.entries.get(name)
    if (node === undefined) continue
    const bytes = Buffer.from(name)
    const entry = new Uint8Array(SIZE.dirent + bytes.length)
    const view = new DataView(entry.buffer)
    view.setUint32(0, index + 1, true)
    view.setUint32(8, node.ino, true)
    view.setUint32(16, bytes.length, true)
    view.setUint8(20, filetypeOf(node))
    entry.set(bytes, SIZE.dirent)
    const part = entry.subarray(0, length - used)
    memory.bytes.set(part, buffer + used)
    used += part.length
  }
  return used
}
