import type { AskOptions } from './ask.ts'
import type { View } from './term/view.ts'

/**
 * Where a command says things. A command gives each answer once, as a value and as lines; which of the two a person or
 * a program sees is decided here, so that JSON can never be mixed with words.
 */
export interface Out {
  readonly json: boolean
  /** A person looks at it live: progress is worth drawing. */
  readonly live: boolean
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Relative paths are relative to this. */
  readonly cwd: string
  /** The command's answer. */
  result(value: unknown, lines: (view: View) => readonly string[]): void
  /** One element of what goes on: JSON by line. Settles when there is room for more, so that a stalled reader fills no memory. */
  item(value: unknown, lines: (view: View) => readonly string[]): Promise<void>
  /** Bytes of a task, as they are; escape sequences are taken out on a terminal. Settles when there is room for more. */
  raw(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void>
  /** A remark beside the answer, on stderr; nothing with JSON. */
  note(lines: (view: View) => readonly string[]): void
  /** Draws lines while something goes on, where a person looks; nothing elsewhere. */
  progress(lines: (view: View) => string[]): Progress
  /** The command shows this job itself: what happens to it needs no announcing besides. */
  shows(job: string): void
  /** Asks a person; undefined where nobody can answer. */
  ask(question: string, options?: AskOptions): Promise<string | undefined>
}

export interface Progress {
  /** Takes the lines away, and leaves the last ones if `keep`. */
  end(keep?: boolean): void
}
