import type { NodeApi } from '../api/contract.ts'
import { parseWords } from './parse.ts'
import type { CommandText, CommandWords, Common, OptionSpec, OptionTable, PositionalSpec } from './options.ts'
import type { Out } from './out.ts'

type OptionValue<S extends OptionSpec> =
  S extends { kind: 'flag' } ? boolean
    : S extends { many: true } ? string[]
      : S extends { kind: 'int' | 'number' | 'size' | 'duration' } ? number | undefined
        : S extends { kind: 'choice', of: readonly (infer C)[] } ? C | undefined
          : string | undefined
type PositionalValue<P extends PositionalSpec> = P extends { rest: true } ? string[] : P extends { optional: true } ? string | undefined : string

/** Values by name: options that were not given are false, empty or undefined. */
export type Args<O extends OptionTable, P extends readonly PositionalSpec[]> =
  { [K in keyof O]: OptionValue<O[K]> } & { [K in P[number] as K['name']]: PositionalValue<K> }

export interface CommandSpec<O extends OptionTable, P extends readonly PositionalSpec[]> extends CommandText {
  options: O
  positionals: P
  /** A number is the exit code. Everything that can be checked is checked before the first call of `api`. */
  run(api: NodeApi, args: Args<O, P> & Common, out: Out): Promise<number | void>
}

/** A command ready to run: its words were right. */
export interface Call {
  help: boolean
  json: boolean
  colour: boolean
  dataDir: string | undefined
  socket: string | undefined
  run(api: NodeApi, out: Out): Promise<number | void>
}

/** A command whose own types are closed over, so that commands make one table. */
export interface Command extends CommandWords {
  /** Throws UsageError; does nothing else. */
  parse(words: readonly string[]): Call
}

/** The types of `run`'s arguments follow from the table of options and positionals. */
export function defineCommand<const O extends OptionTable, const P extends readonly PositionalSpec[]>(spec: CommandSpec<O, P>): Command {
  const command: Command = {
    ...spec,
    parse(words) {
      const { values, common, ...globals } = parseWords(command, words)
      // parseWords fills `values` by the same table that `Args` is derived from
      const args = { ...values, ...common } as Args<O, P> & Common
      return { ...globals, dataDir: common.dataDir, run: (api, out) => spec.run(api, args, out) }
    }
  }
  return command
}
