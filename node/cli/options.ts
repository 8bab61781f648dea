/** The words of a command line as a table: what commands take, what help says and what the REPL completes. */

interface Described { help: string, short?: string }
export type OptionSpec = Described & (
  | { kind: 'flag' }
  /** `value` is the placeholder in help. With `many`, it may be given again. */
  | { kind: 'text' | 'path', value: string, many?: true }
  | { kind: 'int', value: string, min: number, max: number }
  | { kind: 'number', value: string, min: number, max: number }
  | { kind: 'size' | 'duration', value: string }
  | { kind: 'choice', of: readonly string[], value?: string }
)
export type OptionTable = Record<string, OptionSpec>

export interface PositionalSpec {
  name: string
  /** What it is: checked where it can be, and completed in the REPL. */
  kind: 'text' | 'path' | 'job' | 'peer' | 'topic'
  help: string
  /** The only words it may be. */
  of?: readonly string[]
  optional?: true
  /** Takes all that follows: at least one, unless optional. */
  rest?: true
}

export type Group = 'jobs' | 'network' | 'lending' | 'money' | 'node'

export interface Example { line: string, says: string }

export interface CommandText {
  name: string
  group: Group
  /** One line, begins with a verb. */
  summary: string
  /** Paragraphs of the command's help. */
  details?: readonly string[]
  examples: readonly Example[]
  /** Where it makes sense; everywhere by default. */
  only?: 'shell' | 'repl'
  /** What follows the first positional belongs to somebody else, options included. */
  passThrough?: true
  /** Takes `--any.key=value` and hands it on as `overrides`. */
  keyOptions?: true
}

/** What every command is given besides its own. */
export interface Common {
  /** `key.path=value`, of commands with `keyOptions`. */
  overrides: string[]
  /** `--data-dir`, when given. */
  dataDir: string | undefined
}

/** What reading the words of a command needs to know of it. */
export interface CommandWords extends CommandText {
  options: OptionTable
  positionals: readonly PositionalSpec[]
}

/** Options that every command takes. */
export const GLOBAL_OPTIONS = {
  help: { kind: 'flag', short: 'h', help: 'Show this help' },
  json: { kind: 'flag', help: 'Print one JSON document (or one a line, for what goes on) and nothing else' },
  'no-color': { kind: 'flag', help: 'No colours (the same as NO_COLOR=1)' },
  'data-dir': { kind: 'path', value: 'DIR', help: 'The node\'s folder, when there are several nodes (or HEARTH_DATA_DIR)' },
  socket: { kind: 'path', value: 'PATH', help: 'The node\'s socket, when it is not in its folder' }
} as const satisfies OptionTable
/** Make sense in a shell only: the REPL has its node. */
export const SHELL_OPTIONS = new Set(['no-color', 'data-dir', 'socket'])

/** `logs [OPTIONS] JOB`: without the program's name. */
export function usageLine(command: CommandWords): string {
  const positionals = command.positionals.map(({ name, optional, rest }) => {
    const text = `${name.toUpperCase()}${rest === true ? '…' : ''}`
    return optional === true ? `[${text}]` : text
  })
  const options = Object.keys(command.options).length > 0 || command.keyOptions === true ? ['[OPTIONS]'] : []
  return [command.name, ...options, ...positionals].join(' ')
}
