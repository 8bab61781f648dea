import { join } from 'node:path'
import { HOUR_MS } from '../../src/units.ts'
import { ApiServer } from '../api/server.ts'
import { untilAborted } from '../api/until-aborted.ts'
import { belongsInLog } from '../driver/story.ts'
import { runRepl } from '../repl/index.ts'
import { shortId } from './ids.ts'
import { unlock } from './passphrase.ts'
import { plural } from './term/text.ts'
import { EXIT_INTERRUPTED } from './usage-error.ts'
import { noticeLine } from './views/notice.ts'
import type { Command } from './command.ts'
import type { RunningNode, SettingsRequest } from './local-host.ts'
import type { Out } from './out.ts'
import type { Shell } from './shell.ts'

/** Running tasks of others are waited for when the node is told to stop; a second signal ends the waiting. */
const DRAIN_MS = HOUR_MS
const HISTORY_FILE = 'repl-history'

export interface UpRequest {
  shell: Shell
  request: SettingsRequest
  headless: boolean
  /** Those of the prompt. */
  commands: readonly Command[]
}

/** Starts a node, with its prompt on a terminal, and returns when it has stopped. */
export async function runNode({ shell, request, headless, commands }: UpRequest, out: Out): Promise<void> {
  const settings = await shell.host.settings(request)
  for (const warning of settings.warnings) out.note((view) => [view.paint('yellow', `note: ${warning}`)])
  const signals = new StopSignals(shell)
  // the socket first: a second node on this folder is refused before it touches anything
  const server = await ApiServer.listen({ path: settings.socketPath, version: shell.host.version })
  try {
    const passphrase = await unlock(settings, out, signals.came).catch((err: unknown) => { server.fail(err); throw err })
    const node = await start(shell, request, passphrase, server)
    const interactive = !headless && !out.json && shell.stdin.isTTY === true && shell.stdout.isTTY === true
    signals.stop(node)
    if (interactive) await attend({ shell, node, signals, commands, historyFile: join(settings.dataDir, HISTORY_FILE) }, out)
    else await report(node, settings.dataDir, out)
  } finally {
    signals.close()
    await server.close()
  }
}

/** A signal stops the node in order, the second one at once; one that came while it started counts too. */
class StopSignals {
  readonly #off: () => void
  readonly #came = new AbortController()
  #times = 0
  #node: RunningNode | undefined

  constructor(shell: Shell) {
    this.#off = shell.onSignal((times) => {
      this.#times = times
      this.#came.abort()
      if (this.#node === undefined && times > 1) process.exit(EXIT_INTERRUPTED)
      this.#act()
    })
  }

  /** Aborted by the first. */
  get came(): AbortSignal {
    return this.#came.signal
  }

  stop(node: RunningNode): void {
    this.#node = node
    this.#act()
  }

  close(): void {
    this.#off()
  }

  #act(): void {
    if (this.#times > 0) this.#node?.api.shutdown({ withinMs: this.#times === 1 ? DRAIN_MS : 0 }).catch(() => {})
  }
}

async function start(shell: Shell, request: SettingsRequest, passphrase: string | undefined, server: ApiServer): Promise<RunningNode> {
  try {
    const node = await shell.host.start(request, passphrase)
    server.serve(node.api)
    return node
  } catch (err) {
    server.fail(err)
    throw err
  }
}

interface Attended {
  shell: Shell
  node: RunningNode
  signals: StopSignals
  commands: readonly Command[]
  historyFile: string
}

/** With its prompt. Leaving the prompt stops the node; stopping the node ends the prompt. */
async function attend({ shell, node, signals, commands, historyFile }: Attended, out: Out): Promise<void> {
  const ended = new AbortController()
  const stopped = node.stopped.finally(() => ended.abort())
  // awaited below, after the prompt is gone
  stopped.catch(() => {})
  let withinMs = 0
  try {
    const end = await runRepl({ api: node.api, commands, input: shell.stdin, output: shell.stdout, env: shell.env, cwd: shell.cwd, historyFile, colour: true, signal: AbortSignal.any([ended.signal, signals.came]) })
    withinMs = end?.stopWithinMs ?? DRAIN_MS
  } finally {
    const progress = out.progress((view) => [view.paint('dim', withinMs > 0 ? 'finishing tasks of others … Ctrl-C stops at once' : 'stopping …')])
    // a node that stops already answers as well: it does not stop twice
    await node.api.shutdown({ withinMs }).catch(() => {})
    await stopped.finally(() => progress.end())
    out.note(() => ['the node has stopped'])
  }
}

/** Without a prompt: what belongs in a log, as lines, until the node stops. */
async function report(node: RunningNode, dataDir: string, out: Out): Promise<void> {
  const status = await node.api.status()
  await out.item({ kind: 'up', peer: status.peer, version: status.version, addresses: status.addresses, dataDir }, (view) => [
    `hearth ${status.version} is up as ${view.paint('cyan', shortId(status.peer))} (${status.peer})`,
    `${plural(status.addresses.length, 'address', 'addresses')}: ${status.addresses.join(' ')}`,
    `data folder: ${dataDir}`
  ])
  const ended = new AbortController()
  const events = async (): Promise<void> => {
    for await (const notice of untilAborted(node.api.events({}, ended.signal), ended.signal)) {
      if (belongsInLog(notice)) await out.item(notice, (view) => [noticeLine(notice, { ...view, width: Number.MAX_SAFE_INTEGER }, true)])
    }
  }
  const reading = events()
  try {
    await node.stopped
  } finally {
    ended.abort()
    await reading
  }
  await out.item({ kind: 'down' }, () => ['the node has stopped'])
}
