import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Shell } from './shell.ts'

/** Swallows what an editor would echo. */
class Muted extends Writable {
  override _write(_chunk: unknown, _encoding: string, done: () => void): void { done() }
}

export interface AskOptions {
  /** What is typed is not shown, nor kept. */
  secret?: boolean
  /** Ends the question, besides the command's own end. */
  signal?: AbortSignal | undefined
}

/**
 * Asks on a terminal; the question goes to standard error, since standard output may be a file. Undefined where nobody can
 * answer, and when the person ends the question with Ctrl-C (`onInterrupt`) or Ctrl-D.
 */
export async function ask({ stdin, stderr }: Pick<Shell, 'stdin' | 'stderr'>, question: string, { secret = false, signal: own }: AskOptions, ended: AbortSignal, onInterrupt: () => void): Promise<string | undefined> {
  const signal = own === undefined ? ended : AbortSignal.any([own, ended])
  if (stdin.isTTY !== true || stderr.isTTY !== true || signal.aborted) return undefined
  // the editor asks for the answer alone, so that a hidden one is not echoed while the question is seen
  if (secret) stderr.write(question)
  const editor = createInterface({ input: stdin, output: secret ? new Muted() : stderr, terminal: true, historySize: 0 })
  const closed = Promise.withResolvers<undefined>()
  editor.once('close', () => { closed.resolve(undefined) })
  editor.on('SIGINT', () => { onInterrupt(); editor.close() })
  try {
    return await Promise.race([editor.question(secret ? '' : question, { signal }), closed.promise])
  } catch {
    return undefined
  } finally {
    editor.close()
    if (secret) stderr.write('\n')
  }
}
