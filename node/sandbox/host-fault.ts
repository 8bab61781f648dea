import type { ErrorCode } from '../../src/errors.ts'

/**
 * This host failed the program: its disk, an input, its memory. Thrown through the program, which cannot catch it
 * (exceptions are refused), so the run ends without an answer instead of with a wrong one.
 */
export class HostFault extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Runs one call on the host's file system; a failure of it becomes a `HostFault`. */
export function onHost<T>(code: ErrorCode, what: string, call: () => T): T {
  try {
    return call()
  } catch (err) {
    throw new HostFault(code, `${what}: ${err instanceof Error && 'code' in err ? String(err.code) : String(err)}`)
  }
}
