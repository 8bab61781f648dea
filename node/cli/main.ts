import { HearthError, toErrorShape } from '../../src/errors.ts'
import { RemoteApi } from '../client/remote-api.ts'
import { ask } from './ask.ts'
import { commandsOf } from './commands/index.ts'
import { configCommand } from './commands/config.ts'
import { deployCommand } from './commands/deploy.ts'
import { devnetCommand } from './commands/devnet.ts'
import { keyCommand } from './commands/key.ts'
import { upCommand } from './commands/up.ts'
import { commandHelp, overviewLines } from './help.ts'
import { shortId } from './ids.ts'
import { GLOBAL_OPTIONS } from './options.ts'
import { StreamOut } from './stream-out.ts'
import { didYouMean } from './suggest.ts'
import { clean, plural } from './term/text.ts'
import { errorLines } from './views/error.ts'
import { EXIT_INTERRUPTED, EXIT_OK, exitCodeOf, UsageError } from './usage-error.ts'
import type { Call, Command } from './command.ts'
import type { NodeApi } from '../api/contract.ts'
import type { OptionSpec } from './options.ts'
import type { Shell } from './shell.ts'

/** A node's interface that a command line run opens and closes. */
export type ClosableApi = NodeApi & { close(): Promise<void> }
/** How a socket's path becomes an interface; tests give another. */
export type Connect = (path: string) => ClosableApi

/** Runs one command line. Returns its exit code; throws nothing. */
export async function main(shell: Shell, connect: Connect = (path) => new RemoteApi(path)): Promise<number> {
  const abort = new AbortController()
  const words = commandFirst(shell.argv)
  const isUp = words[0] === 'up'
  const off = shell.onSignal((times) => {
    // the node itself decides what a signal means; any other command ends, at the second one whatever it does
    if (!isUp) abort.abort()
    if (!isUp && times > 1) process.exit(EXIT_INTERRUPTED)
  })
  const out = new StreamOut({
    stdout: shell.stdout, stderr: shell.stderr, env: shell.env, cwd: shell.cwd, signal: abort.signal,
    json: words.includes('--json'), colour: !words.includes('--no-color'), ask: (question, options) => ask(shell, question, options, abort.signal, () => { abort.abort() })
  })
  // `| head` closes our output early: that ends the command, and is no error
  const closed = (err: Error): void => { if ('code' in err && err.code === 'EPIPE') abort.abort() }
  shell.stdout.on('error', closed)
  shell.stderr.on('error', closed)
  try {
    return await dispatch(shell, words, connect, out)
  } catch (err) {
    if (abort.signal.aborted) return EXIT_INTERRUPTED
    const error = toErrorShape(err)
    out.error({ error }, (view) => errorLines(error, view))
    return exitCodeOf(error)
  } finally {
    out.finish()
    off()
  }
}

/** `hearth --json jobs` means `hearth jobs --json`: the command's name comes first. */
function commandFirst(argv: readonly string[]): readonly string[] {
  let at = 0
  while (at < argv.length && argv[at]?.startsWith('-') === true) {
    const name = argv[at]?.replace(/^--?/, '') ?? ''
    const spec = (GLOBAL_OPTIONS as Record<string, OptionSpec>)[name]
    at += spec !== undefined && spec.kind !== 'flag' ? 2 : 1
  }
  const name = argv[at]
  return name === undefined ? argv : [name, ...argv.slice(0, at), ...argv.slice(at + 1)]
}

async function dispatch(shell: Shell, words: readonly string[], connect: Connect, out: StreamOut): Promise<number> {
  const [name, ...rest] = words
  const { host } = shell
  const repl: readonly Command[] = commandsOf('repl', [configCommand(shell)])
  const commands = commandsOf('shell', [upCommand(shell, () => repl), keyCommand(shell), configCommand(shell), devnetCommand(shell), deployCommand(shell)])
  if (name === '--version' || name === '-V' || name === 'version') {
    out.result({ version: host.version }, () => [`hearth ${host.version}`])
    return EXIT_OK
  }
  const command = name === '--help' || name === '-h' ? findCommand(commands, 'help') : name?.startsWith('-') === false ? findCommand(commands, name) : undefined
  if (command === undefined) {
    const odd = words.find((word) => word !== '--json' && word !== '--no-color')
    if (odd !== undefined) throw new UsageError('E_OPTION_UNKNOWN', `hearth has no option ${clean(odd)}`, '`hearth help` lists the commands')
    return overview(shell, connect, out)
  }
  const call = command.parse(rest)
  out.json = call.json
  if (call.help) {
    out.result({ name: command.name, summary: command.summary, options: command.options, positionals: command.positionals, examples: command.examples }, (view) => commandHelp(command, 'shell', view))
    return EXIT_OK
  }
  const api = lazyApi(shell, call, connect)
  try {
    return await call.run(api, out) ?? EXIT_OK
  } finally {
    await api.close()
  }
}

function findCommand(commands: readonly Command[], name: string): Command {
  const command = commands.find((one) => one.name === name)
  if (command !== undefined) return command
  throw new UsageError('E_COMMAND_UNKNOWN', `There is no command "${clean(name)}"`, didYouMean(name, commands.map((one) => one.name), '`hearth help` lists all'))
}

/** Nothing is looked up or opened before a command's first call, so that wrong words are told without a node. */
function lazyApi(shell: Shell, call: Pick<Call, 'dataDir' | 'socket'>, connect: Connect): ClosableApi {
  let opened: Promise<ClosableApi> | undefined
  const open = async (): Promise<ClosableApi> => {
    if (call.socket !== undefined) return connect(call.socket)
    const { socketPath } = await shell.host.locate({ file: undefined, overrides: [], dataDir: call.dataDir, env: shell.env, cwd: shell.cwd })
    return connect(socketPath)
  }
  const api = (): Promise<ClosableApi> => opened ??= open()
  async function * later<T>(stream: (api: ClosableApi) => AsyncIterable<T>): AsyncGenerator<T> {
    yield * stream(await api())
  }
  return {
    status: async () => (await api()).status(),
    submit: async (request, watch) => (await api()).submit(request, watch),
    estimate: async (request) => (await api()).estimate(request),
    jobs: async () => (await api()).jobs(),
    job: async (id) => (await api()).job(id),
    why: async (id) => (await api()).why(id),
    logs: (request, signal) => later((open) => open.logs(request, signal)),
    results: async (request, watch) => (await api()).results(request, watch),
    cancel: async (id) => (await api()).cancel(id),
    rate: async (request) => (await api()).rate(request),
    peers: async () => (await api()).peers(),
    ads: async () => (await api()).ads(),
    share: async () => (await api()).share(),
    setShare: async (change) => (await api()).setShare(change),
    pause: async () => (await api()).pause(),
    resume: async () => (await api()).resume(),
    doctor: async () => (await api()).doctor(),
    events: (request, signal) => later((open) => open.events(request, signal)),
    images: async () => (await api()).images(),
    removeImages: async (request) => (await api()).removeImages(request),
    signImage: async (request) => (await api()).signImage(request),
    wallet: async () => (await api()).wallet(),
    fund: async (request, watch) => (await api()).fund(request, watch),
    withdraw: async (request, watch) => (await api()).withdraw(request, watch),
    claimRefunds: async () => (await api()).claimRefunds(),
    tickets: async () => (await api()).tickets(),
    earnings: async () => (await api()).earnings(),
    price: async () => (await api()).price(),
    setPrice: async (change) => (await api()).setPrice(change),
    caps: async () => (await api()).caps(),
    setCaps: async (change) => (await api()).setCaps(change),
    bill: async (job) => (await api()).bill(job),
    dial: async (address) => (await api()).dial(address),
    shutdown: async (request) => (await api()).shutdown(request),
    close: async () => { await (await opened?.catch(() => undefined))?.close() }
  }
}

/** `hearth` alone: what there is, and whether the node runs. */
async function overview(shell: Shell, connect: Connect, out: StreamOut): Promise<number> {
  const api = lazyApi(shell, { dataDir: undefined, socket: undefined }, connect)
  try {
    const status = await api.status().catch((err: unknown) => {
      if (err instanceof HearthError) return undefined
      throw err
    })
    out.result({ version: shell.host.version, node: status ?? null }, (view) => overviewLines(shell.host.version, status === undefined ? undefined : `your node ${view.paint('cyan', shortId(status.peer))} is up: ${plural(status.peers, 'peer')}, ${plural(status.jobs.active, 'active job')}, ${status.running} of ${plural(status.slots, 'slot')} at work for others`, view))
    return EXIT_OK
  } finally {
    await api.close()
  }
}
