/** `npm run demo`: five nodes on this machine render a picture together, for money on a chain of their own. See node/demo. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { toErrorShape } from '../src/errors.ts'
import { commandsOf } from '../node/cli/commands/index.ts'
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UsageError } from '../node/cli/usage-error.ts'
import { runDemo } from '../node/demo/demo.ts'
import { DEMO_PRICES } from '../node/demo/prices.ts'
import { runRepl } from '../node/repl/index.ts'

/** Rays a pixel: some 40 s of one core a picture, so that two slow cores are done in two minutes. */
const SAMPLES = 20
const MAX_SAMPLES = 4096
const OPTIONS = 'Options: --free (nothing is paid), --samples N, --out FILE, --no-repl'

interface Wanted { free: boolean, samples: number, out: string, repl: boolean }

/** Says what is wrong with it now, and not when the picture is done. */
async function readArguments(): Promise<Wanted> {
  try {
    const { values: { out, free, repl, samples: text } } = parseArgs({ options: { out: { type: 'string', default: 'hearth-demo.png' }, samples: { type: 'string' }, free: { type: 'boolean', default: false }, repl: { type: 'boolean', default: process.stdin.isTTY && process.stdout.isTTY } }, allowNegative: true })
    const samples = text === undefined ? SAMPLES : Number(text)
    if (!Number.isInteger(samples) || samples < 1 || samples > MAX_SAMPLES) throw new UsageError('E_ARGUMENT_VALUE', `--samples ${text} is no number of rays a pixel`, `Write one from 1 to ${MAX_SAMPLES}`)
    const folder = dirname(resolve(out))
    await access(folder, constants.W_OK).catch((err: unknown) => { throw new UsageError('E_ARGUMENT_VALUE', `nothing can be written to ${folder}`, 'Choose another place for the picture with --out', { cause: err }) })
    return { out, free, repl, samples }
  } catch (err) {
    if (err instanceof UsageError) throw err
    throw new UsageError('E_ARGUMENT_VALUE', err instanceof Error ? err.message : String(err), OPTIONS, { cause: err })
  }
}

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // whoever asks twice wants it now: what was started ends with this process
    if (abort.signal.aborted) process.exit(EXIT_INTERRUPTED)
    abort.abort()
  })
}

try {
  const { free, samples, out, repl } = await readArguments()
  const report = await runDemo({
    prices: free ? undefined : DEMO_PRICES,
    png: out,
    scene: { samples },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: abort.signal,
    afterwards: async (requester) => {
      if (!repl) return
      await runRepl({ api: requester.api, commands: commandsOf('repl', []), input: process.stdin, output: process.stdout, env: process.env, cwd: process.cwd(), historyFile: join(requester.dataDir, 'history'), colour: true, signal: abort.signal })
    }
  })
  if (report === undefined) process.exitCode = EXIT_INTERRUPTED
  else if (report.money !== undefined && (report.money.audit.disagreements.length > 0 || report.money.waiting.length > 0)) process.exitCode = EXIT_FAILED
} catch (err) {
  const { code, message, hint } = toErrorShape(err)
  console.error(`error ${code}: ${message}${hint === '' ? '' : `\nhint: ${hint}`}`)
  process.exitCode = err instanceof UsageError ? EXIT_USAGE : EXIT_FAILED
}
