import { createInterface } from 'node:readline'
import type { Interface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Readable } from 'node:stream'
import type { OutStream } from '../cli/stream-out.ts'
import { MAX_HISTORY_LINES } from './history.ts'

/** Lines pasted or typed ahead while a command runs. */
const MAX_AHEAD = 1_000
const CLEAR_BELOW = '\u001b[J'

export interface PromptOptions {
  input: Readable
  output: OutStream
  /** Newest first. */
  history: string[]
  onHistory: (history: string[]) => void
  complete: (line: string) => Promise<[string[], string]>
  /** Ctrl-C. */
  onInterrupt: () => void
}

/**
 * The line at the bottom of the terminal. While a command runs it is hidden (what is typed is kept for later); what
 * happens meanwhile is printed above it, and what is being typed stays.
 */
export class Prompt {
  readonly #options: PromptOptions
  readonly #screen: Screen
  #editor: Interface
  #ahead: string[] = []
  #waiting: PromiseWithResolvers<string | undefined> | undefined
  #asking = false
  /** Tab was pressed, and what it brings is not known yet. */
  #completing = false
  #closed = false

  constructor(options: PromptOptions) {
    this.#options = options
    this.#screen = new Screen(options.output)
    this.#editor = this.#open(options.history)
  }

  /** What is typed and not entered yet. */
  get typed(): string {
    return this.#editor.line
  }

  /** The next line; undefined for Ctrl-D, or once closed. */
  async line(prompt: string): Promise<string | undefined> {
    if (this.#closed) return undefined
    const ahead = this.#ahead.shift()
    this.#editor.setPrompt(prompt)
    if (ahead !== undefined) {
      this.#options.output.write(`${prompt}${ahead}\n`)
      return ahead
    }
    this.#screen.show()
    this.#editor.prompt(true)
    this.#waiting = Promise.withResolvers<string | undefined>()
    return this.#waiting.promise
  }

  /** A question within a command: its answer is no part of the history. */
  async ask(question: string): Promise<string | undefined> {
    this.#asking = true
    const ahead = this.#ahead
    this.#ahead = []
    try {
      return await this.line(question)
    } finally {
      this.#asking = false
      this.#ahead = ahead
    }
  }

  /** Prints above the line; what is typed stays as it is. */
  above(text: string): void {
    if (this.#waiting === undefined) { this.#options.output.write(text); return }
    const { rows } = this.#editor.getCursorPos()
    this.#options.output.write(`${rows > 0 ? `\u001b[${rows}A` : ''}\r${CLEAR_BELOW}${text}`)
    // the editor believes that its cursor is still some rows below the start of its line
    Reflect.set(this.#editor, 'prevRows', 0)
    this.#editor.prompt(true)
  }

  /** Takes back what is typed, as a shell does on Ctrl-C. */
  discard(): void {
    this.#editor.write(null, { ctrl: true, name: 'e' })
    this.#options.output.write('^C\n')
    this.#screen.hide()
    this.#editor.write(null, { ctrl: true, name: 'u' })
    this.#screen.show()
    Reflect.set(this.#editor, 'prevRows', 0)
    this.#editor.prompt()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#screen.show()
    this.#editor.close()
    this.#settle(undefined)
  }

  #open(history: string[]): Interface {
    const { input, complete, onInterrupt } = this.#options
    const editor = createInterface({
      input,
      output: this.#screen,
      terminal: true,
      history,
      historySize: MAX_HISTORY_LINES,
      removeHistoryDuplicates: true,
      escapeCodeTimeout: 50,
      completer: (line: string, done: (err: Error | null, result: [string[], string]) => void) => {
        const nothing: [string[], string] = [[], line]
        // keys that come faster than the answer: it would be put where it does not belong, or twice
        if (this.#completing) { done(null, nothing); return }
        this.#completing = true
        // a completion that fails completes nothing
        void complete(line).catch(() => nothing).then((found) => {
          this.#completing = false
          done(null, editor.line.slice(0, editor.cursor) === line ? found : nothing)
        })
      }
    })
    editor.on('history', (lines: string[]) => {
      if (this.#asking) lines.shift()
      else this.#options.onHistory(lines)
    })
    editor.on('line', (line) => this.#entered(line))
    editor.on('SIGINT', onInterrupt)
    editor.on('SIGTSTP', () => {})
    editor.on('close', () => this.#ended())
    return editor
  }

  #entered(line: string): void {
    if (this.#waiting !== undefined) { this.#settle(line); return }
    if (this.#ahead.length < MAX_AHEAD) this.#ahead.push(line)
  }

  /** Ctrl-D closes readline's interface for good: the next line needs a new one. */
  #ended(): void {
    if (this.#closed) return
    const { input } = this.#options
    if (input.readableEnded || input.destroyed) {
      this.#closed = true
      this.#settle(undefined)
      return
    }
    const history: unknown = Reflect.get(this.#editor, 'history')
    this.#editor = this.#open(Array.isArray(history) ? history.filter((line) => typeof line === 'string') : [])
    if (this.#waiting === undefined) return
    this.#options.output.write('\n')
    this.#settle(undefined)
  }

  #settle(line: string | undefined): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#screen.hide()
    waiting?.resolve(line)
  }
}

/** The terminal as the line editor sees it: what it writes while hidden is lost. */
class Screen extends Writable {
  readonly isTTY = true
  readonly #output: OutStream
  #visible = false

  constructor(output: OutStream) {
    super({ decodeStrings: false })
    this.#output = output
    output.on('resize', () => this.emit('resize'))
  }

  get columns(): number {
    return this.#output.columns ?? 80
  }

  get rows(): number {
    return this.#output.rows ?? 24
  }

  show(): void {
    this.#visible = true
  }

  hide(): void {
    this.#visible = false
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    if (this.#visible) this.#output.write(chunk)
    done()
  }
}
