import type { Descriptor } from './fd-table.ts'
import { ERRNO, FD_FLAG, FILETYPE, RIGHT, RIGHTS_ALL, SIZE, type Errno } from './wasi-abi.ts'
import { filetypeOf, unsigned, type WasiState } from './wasi-state.ts'

/** Rights of the two log streams: without seek and tell, libc takes them for a terminal and sends each line at once. */
const STREAM_RIGHTS = RIGHTS_ALL & ~(RIGHT.read | RIGHT.seek | RIGHT.tell)

/** The calls on descriptors as such: what they are, what they may, closing and moving them. */
export function descriptorCalls({ memory, fds, tree }: WasiState) {
  const close = (descriptor: Descriptor): void => { if (descriptor.kind === 'file') tree.closed(descriptor.node) }
  return {
    fd_close(fd: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined) return ERRNO.badf
      fds.set(unsigned(fd), undefined)
      close(target)
      return ERRNO.success
    },
    fd_renumber(from: number, to: number): Errno {
      const source = fds.get(unsigned(from))
      const replaced = fds.get(unsigned(to))
      if (source === undefined || replaced === undefined) return ERRNO.badf
      if (source === replaced) return ERRNO.success
      fds.set(unsigned(to), source)
      fds.set(unsigned(from), undefined)
      close(replaced)
      return ERRNO.success
    },
    fd_fdstat_get(fd: number, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined) return ERRNO.badf
      const at = unsigned(result)
      if (!memory.has(at, SIZE.fdstat)) return ERRNO.fault
      memory.bytes.fill(0, at, at + SIZE.fdstat)
      memory.setU8(at, target.kind === 'stream' ? FILETYPE.characterDevice : filetypeOf(target.node))
      memory.setU16(at + 2, target.kind === 'file' ? target.flags : 0)
      memory.setU64(at + 8, target.kind === 'stream' ? STREAM_RIGHTS : target.rights)
      memory.setU64(at + 16, target.kind === 'dir' ? RIGHTS_ALL : 0n)
      return ERRNO.success
    },
    fd_fdstat_set_flags(fd: number, flags: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined) return ERRNO.badf
      if ((flags & ~FD_FLAG.all) !== 0) return ERRNO.inval
      if (target.kind === 'file') target.flags = flags
      return ERRNO.success
    },
    fd_fdstat_set_rights(fd: number, base: bigint): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined) return ERRNO.badf
      if (target.kind !== 'stream') target.rights &= BigInt.asUintN(64, base)
      return ERRNO.success
    },
    fd_prestat_get(fd: number, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target?.kind !== 'dir' || target.preopen === undefined) return ERRNO.badf
      if (!memory.has(unsigned(result), SIZE.prestat)) return ERRNO.fault
      memory.setU32(unsigned(result), 0)
      memory.setU32(unsigned(result) + 4, target.preopen.length)
      return ERRNO.success
    },
    fd_prestat_dir_name(fd: number, buffer: number, length: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target?.kind !== 'dir' || target.preopen === undefined) return ERRNO.badf
      if (unsigned(length) < target.preopen.length) return ERRNO.nametoolong
      if (!memory.has(unsigned(buffer), target.preopen.length)) return ERRNO.fault
      memory.bytes.set(Buffer.from(target.preopen), unsigned(buffer))
      return ERRNO.success
    }
  }
}
