import type { FileFd } from './fd-table.ts'
import { ScratchBody } from './file-body.ts'
import type { Span } from './guest-memory.ts'
import { ERRNO, FD_FLAG, RIGHT, WHENCE, type Errno } from './wasi-abi.ts'
import { isOffset, toOffset, unsigned, type WasiState } from './wasi-state.ts'

function readSpans(file: FileFd, bytes: Uint8Array, spans: Span[], position: number): number {
  let done = 0
  for (const { at, length } of spans) {
    const count = file.node.body.read(position + done, bytes, at, length)
    done += count
    if (count < length) break
  }
  return done
}

/** Answers the bytes written, fewer than asked when the quota ends in the middle; ENOSPC when nothing fits. */
function writeSpans(file: FileFd, bytes: Uint8Array, spans: Span[], position: number): number | undefined {
  const { body } = file.node
  if (!(body instanceof ScratchBody)) return undefined
  let done = 0
  for (const { at, length } of spans) {
    if (!isOffset(position + done + length) || !body.write(position + done, bytes, at, length)) return done === 0 ? undefined : done
    done += length
  }
  return done
}

/** The calls that read, write and move in files. Bytes go straight between the program's memory and the file. */
export function transferCalls({ memory, fds, clock }: WasiState) {
  const file = (fd: number, right: bigint): FileFd | undefined => {
    const target = fds.get(unsigned(fd))
    return target?.kind === 'file' && (target.rights & right) !== 0n ? target : undefined
  }
  return {
    fd_read(fd: number, iovs: number, count: number, result: number): Errno {
      const target = file(fd, RIGHT.read)
      if (target === undefined) return ERRNO.badf
      const spans = memory.spans(unsigned(iovs), unsigned(count))
      if (typeof spans === 'number') return spans
      if (!memory.has(unsigned(result), 4)) return ERRNO.fault
      const done = readSpans(target, memory.bytes, spans, target.position)
      target.position += done
      memory.setU32(unsigned(result), done)
      return ERRNO.success
    },
    fd_pread(fd: number, iovs: number, count: number, offset: bigint, result: number): Errno {
      const target = file(fd, RIGHT.read)
      if (target === undefined) return ERRNO.badf
      const spans = memory.spans(unsigned(iovs), unsigned(count))
      if (typeof spans === 'number') return spans
      if (!memory.has(unsigned(result), 4)) return ERRNO.fault
      if (!isOffset(toOffset(offset))) return ERRNO.inval
      memory.setU32(unsigned(result), readSpans(target, memory.bytes, spans, toOffset(offset)))
      return ERRNO.success
    },
    fd_write(fd: number, iovs: number, count: number, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target === undefined || target.kind === 'dir') return ERRNO.badf
      if (target.kind === 'file' && (target.rights & RIGHT.write) === 0n) return ERRNO.badf
      const spans = memory.spans(unsigned(iovs), unsigned(count))
      if (typeof spans === 'number') return spans
      if (!memory.has(unsigned(result), 4)) return ERRNO.fault
      if (target.kind === 'stream') {
        let done = 0
        for (const { at, length } of spans) { target.log.write(memory.bytes.subarray(at, at + length)); done += length }
        target.log.sendDue()
        memory.setU32(unsigned(result), done)
        return ERRNO.success
      }
      const position = (target.flags & FD_FLAG.append) === 0 ? target.position : target.node.body.sizeBytes
      const done = writeSpans(target, memory.bytes, spans, position)
      if (done === undefined) return ERRNO.nospc
      target.position = position + done
      target.node.modifiedNs = clock.nowNs
      memory.setU32(unsigned(result), done)
      return ERRNO.success
    },
    fd_pwrite(fd: number, iovs: number, count: number, offset: bigint, result: number): Errno {
      const target = file(fd, RIGHT.write)
      if (target === undefined) return ERRNO.badf
      const spans = memory.spans(unsigned(iovs), unsigned(count))
      if (typeof spans === 'number') return spans
      if (!memory.has(unsigned(result), 4)) return ERRNO.fault
      if (!isOffset(toOffset(offset))) return ERRNO.inval
      const done = writeSpans(target, memory.bytes, spans, toOffset(offset))
      if (done === undefined) return ERRNO.nospc
      target.node.modifiedNs = clock.nowNs
      memory.setU32(unsigned(result), done)
      return ERRNO.success
    },
    fd_seek(fd: number, offset: bigint, whence: number, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target?.kind === 'stream') return ERRNO.spipe
      if (target?.kind !== 'file') return ERRNO.badf
      if (!memory.has(unsigned(result), 8)) return ERRNO.fault
      const base = whence === WHENCE.set ? 0 : whence === WHENCE.current ? target.position : whence === WHENCE.end ? target.node.body.sizeBytes : Number.NaN
      const position = Number(BigInt.asIntN(64, offset)) + base
      if (!isOffset(position)) return ERRNO.inval
      target.position = position
      memory.setNumber(unsigned(result), position)
      return ERRNO.success
    },
    fd_tell(fd: number, result: number): Errno {
      const target = fds.get(unsigned(fd))
      if (target?.kind === 'stream') return ERRNO.spipe
      if (target?.kind !== 'file') return ERRNO.badf
      if (!memory.has(unsigned(result), 8)) return ERRNO.fault
      memory.setNumber(unsigned(result), target.position)
      return ERRNO.success
    }
  }
}
