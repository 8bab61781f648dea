import { width } from './text.ts'

/** Enough to look alive, little to draw. */
const FRAME_MS = 100
const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
const CLEAR_BELOW = '\u001b[J'

/** Where a live region is drawn; `columns` and `rows` change with the window. */
export interface Screen {
  write(text: string): void
  readonly columns: number
  readonly rows: number
}

/**
 * A few lines at the bottom of the terminal that are drawn anew while something goes on. What is printed meanwhile
 * appears above them.
 */
export class Live {
  readonly #screen: Screen
  readonly #render: () => string[]
  readonly #timer: NodeJS.Timeout
  #drawn: string[] = []
  #ended = false
  readonly #restore = (): void => { this.#screen.write(SHOW_CURSOR) }

  constructor(screen: Screen, render: () => string[]) {
    this.#screen = screen
    this.#render = render
    screen.write(HIDE_CURSOR)
    process.once('exit', this.#restore)
    this.#timer = setInterval(() => this.draw(), FRAME_MS)
    this.draw()
  }

  draw(): void {
    if (this.#ended) return
    const lines = this.#render().slice(0, Math.max(1, this.#screen.rows - 1))
    if (lines.length === this.#drawn.length && lines.every((line, i) => line === this.#drawn[i])) return
    this.#screen.write(this.#erase() + lines.map((line) => `${line}\n`).join(''))
    this.#drawn = lines
  }

  /** Something else is written above the region. */
  around(write: () => void): void {
    this.#screen.write(this.#erase())
    this.#drawn = []
    write()
    this.draw()
  }

  /** Takes the region away, and leaves `last` in its place. */
  end(last: readonly string[] = []): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    process.off('exit', this.#restore)
    this.#screen.write(this.#erase() + last.map((line) => `${line}\n`).join('') + SHOW_CURSOR)
  }

  /** A window made narrower wraps what is drawn already, so its rows are counted anew. */
  #erase(): string {
    const rows = this.#drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / this.#screen.columns)), 0)
    return rows === 0 ? '' : `\u001b[${rows}A\r${CLEAR_BELOW}`
  }
}
