import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { KIB } from '../../src/units.ts'
import { toJson } from '../api/json.ts'
import { Live } from './term/live.ts'
import { TerminalFilter } from './term/filter.ts'
import { paintFor } from './term/paint.ts'
import { viewOf } from './term/view.ts'
import type { AskOptions } from './ask.ts'
import type { Out, Progress } from './out.ts'
import type { View } from './term/view.ts'

/** Where text goes: a terminal says how wide it is and what colours it has. */
export interface OutStream extends Writable {
  isTTY?: boolean
  columns?: number
  rows?: number
  getColorDepth?: () => number
}

export interface StreamOutOptions {
  stdout: OutStream
  stderr: OutStream
  json: boolean
  colour: boolean
  env: Record<string, string | undefined>
  signal: AbortSignal
  cwd: string
  ask: (question: string, options: AskOptions) => Promise<string | undefined>
}

const NEWLINE = 0x0a
/** Lines gathered for a pipe or a file leave when they come to this, else at the end of the tick: a system call a line costs more than the line. */
const MAX_GATHERED_CHARS = 64 * KIB
const DEFAULT_ROWS = 24
const DEFAULT_DEPTH_BITS = 4

/** The two streams of a process, or of the REPL. */
export class StreamOut implements Out {
  readonly #options: StreamOutOptions
  readonly #filters: Record<'stdout' | 'stderr', TerminalFilter> = { stdout: new TerminalFilter(), stderr: new TerminalFilter() }
  /** Until the command's words are read it is a guess from them. */
  json: boolean
  /** Jobs that the command showed. */
  readonly shown = new Set<string>()
  #region: Live | undefined
  /** The last byte of a task's output was no line end. */
  #openLine = false
  /** Text for standard output that waits for the end of this tick. */
  #gathered = ''

  constructor(options: StreamOutOptions) {
    this.#options = options
    this.json = options.json
  }

  get signal(): AbortSignal { return this.#options.signal }
  get cwd(): string { return this.#options.cwd }
  get live(): boolean { return !this.json && this.#options.stderr.isTTY === true && this.#options.env['TERM'] !== 'dumb' }

  result(value: unknown, lines: (view: View) => readonly string[]): void {
    this.#say(value, lines, '  ')
  }

  item(value: unknown, lines: (view: View) => readonly string[]): Promise<void> {
    return this.#drained(this.#options.stdout, this.#say(value, lines))
  }

  raw(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
    const target = this.#options[stream]
    const piece = target.isTTY === true ? this.#filters[stream].push(bytes) : Buffer.from(bytes)
    if (piece.length > 0) this.#openLine = typeof piece === 'string' ? !piece.endsWith('\n') : piece.at(-1) !== NEWLINE
    return this.#drained(target, this.#write(target, piece))
  }

  note(lines: (view: View) => readonly string[]): void {
    if (!this.json) this.#write(this.#options.stderr, asText(lines(this.#view(this.#options.stderr))))
  }

  /** An error, in the one shape: words for a person, a document for a program; always on stderr. */
  error(value: unknown, lines: (view: View) => readonly string[]): void {
    this.#write(this.#options.stderr, this.json ? `${toJson(value)}\n` : asText(lines(this.#view(this.#options.stderr))))
  }

  progress(lines: (view: View) => string[]): Progress {
    if (!this.live || this.#region !== undefined) return { end: () => {} }
    const { stderr } = this.#options
    const render = (): string[] => lines(this.#view(stderr))
    const region = new Live({ write: (text) => { stderr.write(text) }, get columns() { return stderr.columns ?? 80 }, get rows() { return stderr.rows ?? DEFAULT_ROWS } }, render)
    this.#region = region
    return {
      end: (keep = false) => {
        region.end(keep ? render() : [])
        if (this.#region === region) this.#region = undefined
      }
    }
  }

  ask(question: string, options: AskOptions = {}): Promise<string | undefined> {
    return this.json ? Promise.resolve(undefined) : this.#options.ask(question, options)
  }

  shows(job: string): void {
    this.shown.add(job)
  }

  /** Gives back what was held of a task's output, with its colours ended; with `wholeLine`, its last line ended too. */
  finish(wholeLine = false): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#filters[stream].end()
      if (rest !== '') this.#write(this.#options[stream], rest)
    }
    if (wholeLine && this.#openLine) this.#write(this.#options.stdout, '\n')
    this.#flush()
  }

  #say(value: unknown, lines: (view: View) => readonly string[], indent = ''): boolean {
    const { stdout } = this.#options
    return this.#write(stdout, this.json ? `${toJson(value, indent)}\n` : asText(lines(this.#view(stdout))))
  }

  async #drained(stream: OutStream, room: boolean): Promise<void> {
    if (room || this.signal.aborted) return
    // a reader that is gone or stopped must not hold the command when a person ends it
    await once(stream, 'drain', { signal: this.signal }).catch(() => {})
  }

  #write(stream: OutStream, piece: string | Buffer): boolean {
    if (piece.length === 0) return true
    if (stream === this.#options.stdout && stream.isTTY !== true && typeof piece === 'string') return this.#gather(piece)
    // both streams may be one file: what was said first stands first
    this.#flush()
    return this.#send(stream, piece)
  }

  #gather(text: string): boolean {
    if (this.#gathered === '') setImmediate(() => { this.#flush() })
    this.#gathered += text
    const room = this.#gathered.length < MAX_GATHERED_CHARS || this.#flush()
    // what left at an earlier tick may wait for a reader still
    return room && !this.#options.stdout.writableNeedDrain
  }

  #flush(): boolean {
    const text = this.#gathered
    this.#gathered = ''
    return text === '' || this.#send(this.#options.stdout, text)
  }

  #send(stream: OutStream, piece: string | Buffer): boolean {
    if (!stream.writable) return true
    let room = true
    if (this.#region !== undefined && stream.isTTY === true) this.#region.around(() => { room = stream.write(piece) })
    else room = stream.write(piece)
    return room
  }

  #view(stream: OutStream): View {
    return viewOf(stream.columns, paintFor(this.#colourDepth(stream)))
  }

  #colourDepth(stream: OutStream): number {
    const { env, colour } = this.#options
    if (!colour || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb' || stream.isTTY !== true) return 1
    return stream.getColorDepth?.() ?? DEFAULT_DEPTH_BITS
  }
}

function asText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
