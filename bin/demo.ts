/** `npm run demo`: five nodes on this machine render a picture together. See node/demo. */
import { parseArgs } from 'node:util'
import { join } from 'node:path'
import { toErrorShape } from '../src/errors.ts'
import { commandsOf } from '../node/cli/commands/index.ts'
import { runDemo } from '../node/demo/demo.ts'
import { runRepl } from '../node/repl/index.ts'

const { values } = parseArgs({ options: { out: { type: 'string', default: 'hearth-demo.png' }, samples: { type: 'string' }, repl: { type: 'boolean', default: process.stdin.isTTY && process.stdout.isTTY } }, allowNegative: true })
const abort = new AbortController()
process.once('SIGINT', () => { abort.abort() })
process.once('SIGTERM', () => { abort.abort() })

try {
  await runDemo({
    png: values.out,
    samples: values.samples === undefined ? undefined : Number(values.samples),
    signal: abort.signal,
    afterwards: async (requester) => {
      if (!values.repl) return
      await runRepl({ api: requester.api, commands: commandsOf('repl', []), input: process.stdin, output: process.stdout, env: process.env, cwd: process.cwd(), historyFile: join(requester.dataDir, 'history'), colour: true, signal: abort.signal })
    }
  })
} catch (err) {
  const { code, message, hint } = toErrorShape(err)
  console.error(`error ${code}: ${message}${hint === '' ? '' : `\nhint: ${hint}`}`)
  process.exitCode = 1
}
