import { parseArgs } from 'node:util'
import { nearest } from '../../src/job/nearest.ts'
import { parseDuration, parseSize } from '../../src/units.ts'
import { GLOBAL_OPTIONS } from './options.ts'
import { didYouMean } from './suggest.ts'
import { UsageError } from './usage-error.ts'
import type { CommandWords, Common, OptionSpec, OptionTable } from './options.ts'

type Value = string | number | boolean | string[] | undefined

export interface Parsed {
  values: Record<string, Value>
  common: Common
  help: boolean
  json: boolean
  colour: boolean
  socket: string | undefined
}

/** Words of a command, its name apart, by its table. Throws UsageError for whatever does not fit. */
export function parseWords(command: CommandWords, words: readonly string[]): Parsed {
  const table: OptionTable = { ...GLOBAL_OPTIONS, ...command.options }
  const { own, foreign } = splitForeign(command, table, words)
  const tokens = tokenize(table, own)
  const given = new Map<string, string[]>()
  const overrides: string[] = []
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const spec = Object.hasOwn(table, token.name) ? table[token.name] : undefined
    if (spec === undefined) overrides.push(keyOption(command, table, token.rawName, token.value))
    else addValue(given, token.name, spec, token)
  }
  const help = given.has('help')
  const values: Record<string, Value> = {}
  for (const [name, spec] of Object.entries(command.options)) values[name] = help ? empty(spec) : convert(name, spec, given.get(name))
  if (!help) Object.assign(values, bindPositionals(command, positionals, foreign))
  return {
    values,
    common: { overrides, dataDir: given.get('data-dir')?.[0] },
    help,
    json: given.has('json'),
    colour: !given.has('no-color'),
    socket: given.get('socket')?.[0]
  }
}

/** `--dataDir` means `--data-dir`: settings and options are written either way. */
function knownSpelling(table: OptionTable, word: string): string {
  const match = /^--([A-Za-z][\w-]*)(=.*)?$/s.exec(word)
  const [, name = '', value = ''] = match ?? []
  if (match === null || Object.hasOwn(table, name)) return word
  const loose = (text: string): string => text.toLowerCase().replace(/[_-]/g, '')
  const known = Object.keys(table).find((one) => loose(one) === loose(name))
  return known === undefined ? word : `--${known}${value}`
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number]

function tokenize(table: OptionTable, words: readonly string[]): Token[] {
  const options = Object.fromEntries(Object.entries(table).map(([name, spec]) => [name, {
    type: spec.kind === 'flag' ? 'boolean' as const : 'string' as const,
    ...(spec.short === undefined ? {} : { short: spec.short })
  }]))
  const end = words.indexOf('--')
  const args = words.map((word, i) => end !== -1 && i > end ? word : knownSpelling(table, word))
  return parseArgs({ args, options, strict: false, tokens: true, allowPositionals: true }).tokens
}

/** `run FILE ARGS`: what follows the file is the program's, even where it looks like ours. */
function splitForeign(command: CommandWords, table: OptionTable, words: readonly string[]): { own: readonly string[], foreign: string[] } {
  if (command.passThrough !== true) return { own: words, foreign: [] }
  const first = tokenize(table, words).find((token) => token.kind === 'positional')
  if (first === undefined) return { own: words, foreign: [] }
  const rest = words.slice(first.index + 1)
  return { own: words.slice(0, first.index + 1), foreign: rest[0] === '--' ? rest.slice(1) : rest }
}

function keyOption(command: CommandWords, table: OptionTable, rawName: string, value: string | undefined): string {
  const name = rawName.replace(/^-+/, '')
  const meant = nearest(name, Object.keys(table))
  if (command.keyOptions === true && rawName.startsWith('--') && (name.includes('.') || (value !== undefined && meant === undefined))) {
    if (value === undefined) throw new UsageError('E_OPTION_VALUE', `--${name} needs a value`, `Write --${name}=VALUE`)
    return `${name}=${value}`
  }
  throw new UsageError('E_OPTION_UNKNOWN', `${command.name} has no option ${rawName}`, `${meant === undefined ? '' : `Did you mean --${meant}? `}See \`${command.name} --help\``)
}

function addValue(given: Map<string, string[]>, name: string, spec: OptionSpec, token: Token & { kind: 'option' }): void {
  const before = given.get(name)
  if (spec.kind === 'flag') {
    if (token.value !== undefined) throw new UsageError('E_OPTION_VALUE', `--${name} takes no value`, `Write --${name} alone`)
    given.set(name, [])
    return
  }
  if (before !== undefined && !takesMany(spec)) throw new UsageError('E_OPTION_TWICE', `--${name} is given twice`, 'Give it once')
  const { value } = token
  // a following option is more often a forgotten value than a value that begins with a dash
  if (value === undefined || (!token.inlineValue && value.startsWith('-') && value.length > 1 && !/^-\d/.test(value))) {
    throw new UsageError('E_OPTION_VALUE', `--${name} needs a value`, `Write --${name}=${placeholder(spec)}`)
  }
  if (value === '') throw new UsageError('E_OPTION_VALUE', `--${name} has an empty value`, `Write --${name}=${placeholder(spec)}`)
  given.set(name, [...before ?? [], value])
}

export function placeholder(spec: OptionSpec): string {
  if (spec.kind === 'flag') return ''
  return spec.kind === 'choice' ? spec.value ?? spec.of.join('|') : spec.value
}

function takesMany(spec: OptionSpec): boolean {
  return 'many' in spec && spec.many !== undefined
}

function empty(spec: OptionSpec): Value {
  if (spec.kind === 'flag') return false
  return takesMany(spec) ? [] : undefined
}

function convert(name: string, spec: OptionSpec, texts: readonly string[] | undefined): Value {
  if (spec.kind === 'flag') return texts !== undefined
  if (texts === undefined) return empty(spec)
  const text = texts[0] ?? ''
  const wrong = (hint: string): UsageError => new UsageError('E_OPTION_VALUE', `--${name}: "${text}" does not fit`, hint)
  switch (spec.kind) {
    case 'text':
    case 'path': return takesMany(spec) ? [...texts] : text
    case 'size': return withName(name, () => parseSize(text))
    case 'duration': return withName(name, () => parseDuration(text))
    case 'choice': {
      if (!spec.of.includes(text)) throw wrong(didYouMean(text, spec.of, `One of: ${spec.of.join(', ')}`))
      return text
    }
    case 'int':
    case 'number': {
      const value = Number(text)
      const whole = spec.kind === 'number' || Number.isInteger(value)
      if (text.trim() === '' || !Number.isFinite(value) || !whole || value < spec.min || value > spec.max) {
        throw wrong(`A ${spec.kind === 'int' ? 'whole number' : 'number'} from ${spec.min} to ${spec.max}`)
      }
      return value
    }
  }
}

function withName(name: string, read: () => number): number {
  try {
    return read()
  } catch (err) {
    if (err instanceof Error && 'hint' in err) throw new UsageError('E_OPTION_VALUE', `--${name}: ${err.message}`, String(err.hint), { cause: err })
    throw err
  }
}

function bindPositionals(command: CommandWords, texts: readonly string[], foreign: string[]): Record<string, Value> {
  const values: Record<string, Value> = {}
  const rest = [...texts]
  for (const spec of command.positionals) {
    if (spec.rest === true && (rest.length > 0 || spec.optional === true)) {
      values[spec.name] = [...rest.splice(0), ...foreign]
      continue
    }
    const text = rest.shift()
    if (text === undefined && spec.optional !== true) {
      throw new UsageError('E_ARGUMENT_MISSING', `${command.name} needs ${article(spec.name)}`, `${spec.help}. For instance: ${command.examples[0]?.line ?? `${command.name} --help`}`)
    }
    if (text === '') throw new UsageError('E_ARGUMENT_EMPTY', `${command.name}: ${spec.name} is empty`, spec.help)
    if (text !== undefined && spec.of?.includes(text) === false) throw new UsageError('E_ARGUMENT_VALUE', `${command.name} does not know "${text}"`, didYouMean(text, spec.of, `One of: ${spec.of.join(', ')}`))
    values[spec.name] = text
  }
  const extra = rest[0]
  if (extra !== undefined) throw new UsageError('E_ARGUMENT_EXTRA', `${command.name} does not take "${extra}"`, `See \`${command.name} --help\``)
  return values
}

function article(name: string): string {
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`
}
