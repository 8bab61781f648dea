/** Runs command lines in this process, over pipes, against any interface of a node. */
import { PassThrough } from 'node:stream'
import { main } from '../../node/cli/main.ts'
import type { NodeApi } from '../../node/api/contract.ts'
import type { LocalHost } from '../../node/cli/local-host.ts'
import type { OutStream } from '../../node/cli/stream-out.ts'
import type { Shell } from '../../node/cli/shell.ts'

export interface Ran { code: number, stdout: string, stderr: string }

export interface RunOptions {
  api: NodeApi
  cwd?: string
  env?: Record<string, string>
  host?: Partial<LocalHost>
  /** A terminal of this many columns; none without it. */
  columns?: number
  stdin?: string
  /** A person at the terminal: what is typed at each question, in order; Ctrl-C is `\u0003`. Needs `columns`. */
  typed?: readonly string[]
  /** Called with a function that sends a signal. */
  signals?: (send: () => void) => void
}

class Sink extends PassThrough implements OutStream {
  readonly #chunks: Buffer[] = []
  isTTY?: boolean
  columns?: number
  rows?: number

  constructor(columns: number | undefined) {
    super()
    if (columns !== undefined) { this.isTTY = true; this.columns = columns; this.rows = 50 }
    this.on('data', (chunk: Buffer) => { this.#chunks.push(chunk) })
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  getColorDepth(): number {
    return 8
  }
}

/** A host where nothing is: commands that start or read something must be given it. */
export function noHost(given: Partial<LocalHost> = {}): LocalHost {
  const refuse = async (): Promise<never> => { throw new Error('the test gave no host') }
  return { version: '0.1.0', locate: async () => ({ dataDir: '/nowhere', socketPath: '/nowhere/api.sock' }), settings: refuse, start: refuse, ...given }
}

export async function runCli(argv: readonly string[], options: RunOptions): Promise<Ran> {
  const stdout = new Sink(options.columns)
  const stderr = new Sink(options.columns)
  const stdin: PassThrough & { isTTY?: boolean } = new PassThrough()
  if (options.typed === undefined) stdin.end(options.stdin ?? '')
  else answer(stdin, stderr, [...options.typed])
  let listeners: ((times: number) => void)[] = []
  let times = 0
  options.signals?.(() => { times++; for (const listener of listeners) listener(times) })
  const shell: Shell = {
    argv, stdin, stdout, stderr, env: options.env ?? {}, cwd: options.cwd ?? process.cwd(), host: noHost(options.host),
    onSignal: (listener) => { listeners.push(listener); return () => { listeners = listeners.filter((one) => one !== listener) } }
  }
  const { api } = options
  const code = await main(shell, () => closable(api))
  return { code, stdout: stdout.text, stderr: stderr.text }
}

/** Types the next answer when a question stands at the end of what is shown. */
function answer(stdin: PassThrough & { isTTY?: boolean }, stderr: Sink, answers: string[]): void {
  stdin.isTTY = true
  stderr.on('data', (chunk: Buffer) => {
    if (!chunk.toString().endsWith(': ')) return
    // when the question's reader is there
    setImmediate(() => { stdin.write(`${answers.shift() ?? '\u0004'}\r`) })
  })
}

function closable(api: NodeApi): NodeApi & { close(): Promise<void> } {
  return new Proxy(api, {
    get(target, name) {
      if (name === 'close') return async () => {}
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  }) as NodeApi & { close(): Promise<void> }
}
