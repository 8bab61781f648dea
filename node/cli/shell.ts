import type { Readable } from 'node:stream'
import type { LocalHost } from './local-host.ts'
import type { OutStream } from './stream-out.ts'

/** Everything that a command line run touches besides the node: a process in production, pipes in tests. */
export interface Shell {
  /** Without the program's name. */
  argv: readonly string[]
  env: Record<string, string | undefined>
  cwd: string
  stdin: Readable & { isTTY?: boolean }
  stdout: OutStream
  stderr: OutStream
  host: LocalHost
  /** SIGINT, SIGTERM or SIGHUP came for the n-th time. */
  onSignal(listener: (times: number) => void): () => void
}
