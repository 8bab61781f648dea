/** `npm run demo`: five nodes on this machine render a picture together, for money on a chain of their own. See node/demo. */
import { parseArgs } from 'node:util'
import { join } from 'node:path'
import { toErrorShape } from '../src/errors.ts'
import { commandsOf } from '../node/cli/commands/index.ts'
import { runDemo } from '../node/demo/demo.ts'
import { DEMO_PRICES } from '../node/demo/prices.ts'
import { runRepl } from '../node/repl/index.ts'

/** Rays a pixel: 45 s of one core a picture. */
const SAMPLES = 24
/** What a shell shows of a program that Ctrl-C ended. */
const INTERRUPTED = 130

const { values } = parseArgs({ options: { out: { type: 'string', default: 'hearth-demo.png' }, samples: { type: 'string' }, free: { type: 'boolean', default: false }, repl: { type: 'boolean', default: process.stdin.isTTY && process.stdout.isTTY } }, allowNegative: true })
const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // whoever asks twice wants it now: what was started ends with this process
    if (abort.signal.aborted) process.exit(INTERRUPTED)
    abort.abort()
  })
}

try {
  const report = await runDemo({
    prices: values.free ? undefined : DEMO_PRICES,
    png: values.out,
    scene: { samples: values.samples === undefined ? SAMPLES : Number(values.samples) },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: abort.signal,
    afterwards: async (requester) => {
      if (!values.repl) return
      await runRepl({ api: requester.api, commands: commandsOf('repl', []), input: process.stdin, output: process.stdout, env: process.env, cwd: process.cwd(), historyFile: join(requester.dataDir, 'history'), colour: true, signal: abort.signal })
    }
  })
  if (report === undefined) process.exitCode = INTERRUPTED
  else if (report.money !== undefined && (report.money.audit.disagreements.length > 0 || report.money.waiting.length > 0)) process.exitCode = 1
} catch (err) {
  const { code, message, hint } = toErrorShape(err)
  console.error(`error ${code}: ${message}${hint === '' ? '' : `\nhint: ${hint}`}`)
  process.exitCode = 1
}
