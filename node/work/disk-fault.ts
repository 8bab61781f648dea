import { toErrorShape } from '../../src/errors.ts'
import type { ErrorShape } from '../../src/errors.ts'

/** What this host's disk has no room for, or cannot do: nothing that a program, or another peer, could help. */
const OF_OUR_DISK: ReadonlySet<string> = new Set(['E_CONTENT_DISK_FULL', 'E_CONTENT_QUOTA', 'E_CONTENT_IO', 'E_CONTENT_ACCESS', 'E_TRANSFER_STORE', 'E_SANDBOX_DISK'])
const OF_ANY_DISK: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'])

/** Whether the code of an outcome says that this host's own disk failed. */
export function isDiskCode(code: string): boolean {
  return OF_OUR_DISK.has(code)
}

/** Whether this host's own disk is what failed. */
export function isDiskFault(err: unknown): boolean {
  return isDiskCode(toErrorShape(err).code) || (err instanceof Error && 'code' in err && typeof err.code === 'string' && OF_ANY_DISK.has(err.code))
}

/** Why a run came to nothing, as its requester hears it: a host without room is not the program's fault, so the task moves on. */
export function runFault({ code, message }: Pick<ErrorShape, 'code' | 'message'>, isDisk: boolean): Pick<ErrorShape, 'code' | 'message'> {
  return isDisk ? { code: 'E_HOST_DISK', message: 'its disk could not take the task' } : { code, message: message.slice(0, 200) }
}
