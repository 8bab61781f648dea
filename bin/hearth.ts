/** The executable: the command line over this process. `bin/hearth.js` finds the right Node.js and comes here. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { main } from '../node/cli/main.ts'
import { nodeHost } from '../node/cli/node-host.ts'
import type { RunningNode } from '../node/cli/local-host.ts'
import type { Config } from '../node/config/index.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** package.json lies above bin/, or above dist/bin/ once compiled. */
function readVersion(): string {
  for (const folder of ['..', '../..']) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(import.meta.dirname, folder, 'package.json'), 'utf8')) as { name?: string, version?: string }
      if (name === 'hearth' && version !== undefined) return version
    } catch {
      // not there: one folder further up
    }
  }
  return '0.0.0'
}

/** The composition root, loaded only when a node is started: it is most of the program. */
async function start(config: Config, passphrase: string | undefined): Promise<RunningNode> {
  const { createNode } = await import('../node/create-node.ts')
  const fatal = Promise.withResolvers<never>()
  fatal.promise.catch(() => { isBroken = true })
  const node = await createNode(config, { version, env: process.env, onFatal: fatal.reject, ...passphrase === undefined ? {} : { passphrase } }).catch((err: unknown) => {
    // what was opened by then would keep the process
    isBroken = true
    throw err
  })
  return { api: node.api, stopped: Promise.race([fatal.promise, node.stopped]) }
}

const version = readVersion()
let isBroken = false
const listeners = new Set<(times: number) => void>()
let times = 0
for (const signal of SIGNALS) {
  process.on(signal, () => {
    times++
    // before anybody listens there is nothing to end in order
    if (listeners.size === 0) process.exit(130)
    for (const listener of listeners) listener(times)
  })
}

process.exitCode = await main({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  host: nodeHost({ version, createNode: ({ config }, passphrase) => start(config, passphrase) }),
  onSignal: (listener) => {
    listeners.add(listener)
    return () => { listeners.delete(listener) }
  }
})
// a node that did not start, or whose store failed, can promise nothing: it leaves as by a power cut, which costs nobody more than its absence
if (isBroken) process.exit()
