import { toErrorShape } from '../../src/errors.ts'
import type { ErrorCode, ErrorShape } from '../../src/errors.ts'

/** What this host's disk has no room for, or cannot do: nothing that a program, or another peer, could help. */
const OF_OUR_DISK: ReadonlySet<string> = new Set(['E_CONTENT_DISK_FULL', 'E_CONTENT_QUOTA', 'E_CONTENT_IO', 'E_CONTENT_ACCESS', 'E_TRANSFER_STORE', 'E_SANDBOX_DISK', 'E_CONTAINER_DISK'])
const OF_ANY_DISK: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'])

/** What else is this host's trouble, and how its requester hears it. All of them begin with E_HOST_, so the task moves on. */
const OF_OUR_OWN: Readonly<Record<string, { code: ErrorCode, message: string }>> = {
  E_SANDBOX_BUSY: { code: 'E_HOST_BUSY', message: 'has no room for the run' },
  E_SANDBOX_CLOSED: { code: 'E_HOST_DRAINING', message: 'is shutting down' },
  E_SANDBOX_SUPERVISOR: { code: 'E_HOST_SANDBOX', message: 'its sandbox failed' },
  E_SANDBOX_START: { code: 'E_HOST_SANDBOX', message: 'its sandbox failed' },
  E_TRANSFER_NO_SOURCE: { code: 'E_HOST_FETCH', message: 'could not fetch what the task needs' },
  E_TRANSFER_ABORTED: { code: 'E_HOST_FETCH', message: 'could not fetch what the task needs' },
  E_CONTAINER_BUSY: { code: 'E_HOST_BUSY', message: 'has no room for the run' },
  E_CONTAINER_CLOSED: { code: 'E_HOST_DRAINING', message: 'is shutting down' },
  E_CONTAINER_ENGINE: { code: 'E_HOST_ENGINE', message: 'its container engine failed' },
  E_CONTAINER_ENGINE_UNFIT: { code: 'E_HOST_ENGINE', message: 'its container engine cannot hold the job' },
  E_CONTAINER_NO_ENGINE: { code: 'E_HOST_ENGINE', message: 'its container engine is gone' },
  E_CONTAINER_TOOLS: { code: 'E_HOST_ENGINE', message: 'its container engine was tidied up' },
  E_CONTAINER_TRUNCATED: { code: 'E_HOST_ENGINE', message: 'its container engine lost the end of the run' },
  E_CONTAINER_SETTINGS: { code: 'E_HOST_ENGINE', message: 'its container engine did not take the settings' },
  E_CONTAINER_MEMORY: { code: 'E_HOST_MEMORY', message: 'has less memory than the task takes' },
  E_CONTAINER_REFUSED: { code: 'E_HOST_ENGINE', message: 'its container engine refused the run' },
  E_CONTAINER_CRASH: { code: 'E_HOST_ENGINE', message: 'the run failed on that host' },
  E_CONTAINER_INPUT: { code: 'E_HOST_INPUT', message: 'lost an input' },
  E_CONTAINER_OUTPUT: { code: 'E_HOST_OUTPUT', message: 'cannot keep these outputs' },
  E_NET_SOCKET: { code: 'E_HOST_NETWORK', message: 'cannot give containers a network' },
  E_FIT_GPU: { code: 'E_HOST_GPU', message: 'its graphics card went away' },
  E_SECRET_REFUSED: { code: 'E_HOST_SECRETS', message: 'was not given the secrets of the job' },
  E_OFFER_MISMATCH: { code: 'E_HOST_OFFER', message: 'was offered less than the job asks for' },
  E_IMAGE_HOST: { code: 'E_HOST_IMAGE', message: 'could not make the image ready' }
}

/** Whether the code of an outcome says that this host's own disk failed. */
export function isDiskCode(code: string): boolean {
  return OF_OUR_DISK.has(code)
}

/** Whether this host's own disk is what failed. */
export function isDiskFault(err: unknown): boolean {
  return isDiskCode(toErrorShape(err).code) || (err instanceof Error && 'code' in err && typeof err.code === 'string' && OF_ANY_DISK.has(err.code))
}

/** Why a run came to nothing, as its requester hears it: what is this host's own trouble does not speak against the program, so the task moves on. */
export function runFault({ code, message }: Pick<ErrorShape, 'code' | 'message'>, isDisk: boolean): Pick<ErrorShape, 'code' | 'message'> {
  if (isDisk) return { code: 'E_HOST_DISK', message: 'its disk could not take the task' }
  return OF_OUR_OWN[code] ?? { code, message: message.slice(0, 200) }
}
