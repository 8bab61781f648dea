import { homedir } from 'node:os'
import type { Readable } from 'node:stream'
import { HearthError, toErrorShape } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { NodeApi, Timestamped } from '../api/contract.ts'
import { untilAborted } from '../api/until-aborted.ts'
import { StreamOut } from '../cli/stream-out.ts'
import { didYouMean } from '../cli/suggest.ts'
import { clean, plural } from '../cli/term/text.ts'
import { paintFor } from '../cli/term/paint.ts'
import { viewOf } from '../cli/term/view.ts'
import { errorLines } from '../cli/views/error.ts'
import { isNews, noticeLine } from '../cli/views/notice.ts'
import { UsageError } from '../cli/usage-error.ts'
import { bannerLines } from './banner.ts'
import { completeLine } from './complete.ts'
import { isKept, loadHistory, saveHistory } from './history.ts'
import { Prompt } from './prompt.ts'
import { splitWords } from './words.ts'
import type { Call, Command } from '../cli/command.ts'
import type { OutStream } from '../cli/stream-out.ts'
import type { View } from '../cli/term/view.ts'

/** Running tasks of others are given this long when the owner leaves. */
const DRAIN_MS = 60 * SECOND_MS
/** News held back while a command runs; the oldest give way. */
const MAX_HELD_NEWS = 100

export interface ReplOptions {
  api: NodeApi
  /** Those of `commandsOf('repl', …)`. */
  commands: readonly Command[]
  input: Readable
  output: OutStream
  env: Record<string, string | undefined>
  cwd: string
  historyFile: string
  colour: boolean
  /** Ends the session from outside: the node stops, or the terminal went away. */
  signal: AbortSignal
}

/** How a session ended: the node is to stop within this time, or nothing is left to do. */
export type ReplEnd = { stopWithinMs: number } | undefined

/** Runs until its person leaves. The node runs on until the caller stops it. */
export async function runRepl(options: ReplOptions): Promise<ReplEnd> {
  const session = new Session(options)
  return session.run()
}

class Session {
  readonly #options: ReplOptions
  readonly #prompt: Prompt
  readonly #stop = new AbortController()
  #running: AbortController | undefined
  #held: Timestamped[] = []
  #end: ReplEnd

  constructor(options: ReplOptions) {
    this.#options = options
    this.#prompt = new Prompt({
      input: options.input,
      output: options.output,
      history: loadHistory(options.historyFile),
      onHistory: (lines) => {
        if (lines[0] !== undefined && !isKept(lines[0])) lines.shift()
        saveHistory(options.historyFile, lines)
      },
      complete: (line) => completeLine(line, options),
      onInterrupt: () => this.#interrupt()
    })
  }

  async run(): Promise<ReplEnd> {
    const { api, signal, output } = this.#options
    const leave = (): void => { this.#running?.abort(); this.#prompt.close() }
    signal.addEventListener('abort', leave, { once: true })
    const [status, share] = await Promise.all([api.status(), api.share()])
    output.write(bannerLines(status, share, this.#view()).map((line) => `${line}\n`).join(''))
    const news = this.#followNews()
    try {
      while (!signal.aborted) {
        const line = await this.#prompt.line(this.#promptText())
        if (signal.aborted) break
        if (line === undefined ? await this.#leave() : await this.#execute(line)) break
      }
    } finally {
      this.#stop.abort()
      this.#prompt.close()
      signal.removeEventListener('abort', leave)
      await news
    }
    return this.#end
  }

  #view(): View {
    const { output, env, colour } = this.#options
    const painted = colour && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
    return viewOf(output.columns, paintFor(painted ? output.getColorDepth?.() ?? 4 : 1))
  }

  #promptText(): string {
    const { paint } = this.#view()
    return `${paint('ember', 'hearth')} ${paint('dim', '❯')} `
  }

  /** True ends the session. */
  async #execute(line: string): Promise<boolean> {
    const { words, open } = splitWords(line, homedir())
    if (words[0] === 'hearth') words.shift()
    const [name, ...rest] = words
    if (name === undefined || name.startsWith('#')) return false
    if (name === 'exit' || name === 'quit' || name === 'stop') return this.#leave()
    if (name === 'clear') { this.#options.output.write('\u001b[2J\u001b[3J\u001b[H'); return false }
    this.#running = new AbortController()
    const out = this.#outFor(this.#running.signal, rest.includes('--json'))
    try {
      if (open !== undefined) throw new UsageError('E_ARGUMENT_QUOTE', `A quote (${open}) is not closed`, 'Close it, or put a backslash before it')
      const call = this.#find(name).parse(rest)
      out.json = call.json
      if (call.help) await this.#find('help').parse([name]).run(this.#options.api, out)
      else await this.#call(call, out)
    } catch (err) {
      if (!this.#running.signal.aborted) this.#showError(err, out)
    } finally {
      // the prompt would be drawn over an unfinished line
      out.finish(true)
      this.#running = undefined
      this.#tellHeld(out.shown)
    }
    return false
  }

  async #call(call: Call, out: StreamOut): Promise<void> {
    if (call.dataDir !== undefined || call.socket !== undefined) throw new UsageError('E_OPTION_CLASH', 'This prompt belongs to its node: --data-dir and --socket are for the shell', 'Leave them out')
    await call.run(this.#options.api, out)
  }

  #find(name: string): Command {
    const { commands } = this.#options
    const command = commands.find((one) => one.name === name)
    if (command !== undefined) return command
    if (name === 'up') throw new UsageError('E_COMMAND_PLACE', 'The node is up: this is its prompt', 'Another one is started from a shell, with `hearth up --data-dir DIR`')
    if (name === 'devnet' || name === 'deploy') throw new UsageError('E_COMMAND_PLACE', `${name} is run from a shell, not at this prompt`, `Type \`hearth ${name} --help\` there`)
    if (name === 'key') throw new UsageError('E_COMMAND_PLACE', 'The key is shown and changed from a shell, not at this prompt', 'Type `hearth key --help` there')
    throw new UsageError('E_COMMAND_UNKNOWN', `There is no command "${clean(name)}"`, didYouMean(name, [...commands.map((one) => one.name), 'exit', 'clear'], '`help` lists all'))
  }

  #outFor(signal: AbortSignal, json: boolean): StreamOut {
    const { output, env, cwd, colour } = this.#options
    return new StreamOut({ stdout: output, stderr: output, json, colour, env, cwd, signal, ask: (question) => this.#prompt.ask(question) })
  }

  #showError(err: unknown, out: StreamOut): void {
    const error = toErrorShape(err)
    out.error({ error }, (view) => errorLines(error, view))
  }

  #interrupt(): void {
    if (this.#running !== undefined) { this.#running.abort(); return }
    const nothingTyped = this.#prompt.typed === ''
    this.#prompt.discard()
    if (nothingTyped) this.#prompt.above(`${this.#view().paint('dim', 'nothing runs; Ctrl-D leaves')}\n`)
  }

  /** Tasks of others that run here are not dropped without a word. */
  async #leave(): Promise<boolean> {
    const status = await this.#options.api.status().catch(() => undefined)
    if (status === undefined || status.running === 0) { this.#end = { stopWithinMs: 0 }; return true }
    const answer = await this.#prompt.ask(`${plural(status.running, 'task')} of others ${status.running === 1 ? 'runs' : 'run'} here. Finish first? [Y]es, [n]o, [s]tay: `)
    const letter = (answer ?? 'n').trim().toLowerCase()[0] ?? 'y'
    if (letter === 's') return false
    this.#end = { stopWithinMs: letter === 'n' ? 0 : DRAIN_MS }
    return true
  }

  async #followNews(): Promise<void> {
    const { api } = this.#options
    try {
      for await (const notice of untilAborted(api.events({}, this.#stop.signal), this.#stop.signal)) {
        if (!isNews(notice)) continue
        this.#held.push(notice)
        if (this.#held.length > MAX_HELD_NEWS) this.#held.shift()
        if (this.#running === undefined) this.#tellHeld(new Set())
      }
    } catch (err) {
      const { message } = err instanceof HearthError ? err : toErrorShape(err)
      this.#prompt.above(`${this.#view().paint('dim', `no more news here: ${message}`)}\n`)
    }
  }

  #tellHeld(shown: ReadonlySet<string>): void {
    const view = this.#view()
    const text = this.#held.filter(({ job }) => !shown.has(job)).map((notice) => `${noticeLine(notice, view, true)}\n`).join('')
    this.#held = []
    if (text !== '') this.#prompt.above(text)
  }
}
