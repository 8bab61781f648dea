import { readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { NodeApi } from '../api/contract.ts'
import { shortId } from '../cli/ids.ts'
import { CAP_KEYS, NO_CAP, PRICE_KEYS } from '../cli/money-keys.ts'
import { GLOBAL_OPTIONS, SHELL_OPTIONS } from '../cli/options.ts'
import { SHARE_KEYS, SHARE_NAMES } from '../cli/share-keys.ts'
import { ERROR_FAMILIES } from '../cli/topics/errors.ts'
import { TOPICS } from '../cli/topics/index.ts'
import { quoteWord, splitWords } from './words.ts'
import type { Command } from '../cli/command.ts'
import type { OptionSpec, OptionTable, PositionalSpec } from '../cli/options.ts'
import type { ShareKey } from '../cli/share-keys.ts'

/** More are no help. */
const MAX_CANDIDATES = 100
const MAX_ENTRIES = 5_000

export interface CompletionSource {
  api: NodeApi
  commands: readonly Command[]
  cwd: string
}

/** What the last word of `line` may become, as readline wants it: candidates, and the part they replace. */
export async function completeLine(line: string, source: CompletionSource): Promise<[string[], string]> {
  const { words, last } = splitWords(line)
  const typed = line.slice(last.from)
  const before = last.text === '' && typed === '' ? words : words.slice(0, -1)
  const candidates = await candidatesFor(before, last.text, source)
  return [candidates.filter(({ text }) => text.startsWith(last.text)).slice(0, MAX_CANDIDATES).map(({ text, open }) => quoteWord(text) + (open === true ? '' : ' ')), typed]
}

/** `open`: more of the word is to come, as after a folder's slash. */
interface Candidate { text: string, open?: boolean }

function plainOf(texts: readonly string[]): Candidate[] {
  return texts.map((text) => ({ text }))
}

async function candidatesFor(before: readonly string[], typed: string, source: CompletionSource): Promise<Candidate[]> {
  const [first, ...rest] = before[0] === 'hearth' ? before.slice(1) : before
  if (first === undefined) return plainOf([...source.commands.map(({ name }) => name), 'exit', 'clear'])
  const command = source.commands.find(({ name }) => name === first)
  if (command === undefined) return []
  const table: OptionTable = { ...command.options, ...GLOBAL_OPTIONS }
  const equals = typed.indexOf('=')
  if (typed.startsWith('--') && equals > 0) {
    const spec = table[typed.slice(2, equals)]
    const head = typed.slice(0, equals + 1)
    return spec === undefined ? [] : (await optionValues(spec, typed.slice(head.length), source)).map((one) => ({ ...one, text: head + one.text }))
  }
  if (typed.startsWith('-')) return Object.entries(table).filter(([name]) => !SHELL_OPTIONS.has(name)).map(([name, spec]) => spec.kind === 'flag' ? { text: `--${name}` } : { text: `--${name}=`, open: true })
  const waiting = optionOf(rest.at(-1), table)
  if (waiting !== undefined) return optionValues(waiting, typed, source)
  if (command.name === 'share') return shareCandidates(rest, typed)
  if (command.name === 'price' || command.name === 'caps') return moneyCandidates(command.name, typed)
  const position = positionOf(rest, table)
  const spec = command.positionals[position] ?? command.positionals.findLast(({ rest }) => rest === true)
  return spec === undefined ? [] : positionalValues(spec, typed, source)
}

/** The option whose value the next word is. */
function optionOf(word: string | undefined, table: OptionTable): OptionSpec | undefined {
  if (word === undefined || !word.startsWith('-') || word.includes('=')) return undefined
  const spec = word.startsWith('--') ? table[word.slice(2)] : Object.values(table).find(({ short }) => short === word.slice(1))
  return spec === undefined || spec.kind === 'flag' ? undefined : spec
}

function positionOf(words: readonly string[], table: OptionTable): number {
  return words.filter((word, i) => !word.startsWith('-') && optionOf(words[i - 1], table) === undefined).length
}

async function optionValues(spec: OptionSpec, typed: string, source: CompletionSource): Promise<Candidate[]> {
  if (spec.kind === 'choice') return plainOf(spec.of)
  return spec.kind === 'path' || (spec.kind === 'text' && spec.value.includes('PATH')) ? files(typed, source.cwd) : []
}

async function positionalValues(spec: PositionalSpec, typed: string, source: CompletionSource): Promise<Candidate[]> {
  if (spec.of !== undefined) return plainOf(spec.of)
  switch (spec.kind) {
    case 'path': return files(typed, source.cwd)
    case 'job': {
      const jobs = await source.api.jobs()
      return plainOf([...jobs.toSorted((a, b) => b.createdWallMs - a.createdWallMs).flatMap(({ id }) => idsOf(id, typed)), 'last', ...(spec.help.includes('idle') ? ['idle'] : [])])
    }
    case 'peer': return plainOf((await source.api.peers()).flatMap(({ peer }) => idsOf(peer, typed)))
    case 'topic': return [...plainOf([...new Set([...source.commands, ...TOPICS].map(({ name }) => name))]), ...(typed.startsWith('E') ? ERROR_FAMILIES.map(({ prefix }) => ({ text: prefix, open: prefix.endsWith('_') })) : [])]
    case 'text': return []
  }
}

/** The short id that people read; the long one for who began to type or paste it. */
function idsOf(id: string, typed: string): string[] {
  return typed !== '' && id.startsWith(typed) ? [id, shortId(id)] : [shortId(id)]
}

function shareCandidates(rest: readonly string[], typed: string): Candidate[] {
  const equals = typed.indexOf('=')
  const named = SHARE_NAMES.find((name) => name === (equals > 0 ? typed.slice(0, equals) : rest.at(-1)))
  if (named === undefined) return SHARE_NAMES.map((name) => ({ text: `${name}=`, open: true }))
  const { values = [] }: ShareKey = SHARE_KEYS[named]
  return plainOf(values.map((value) => equals > 0 ? `${named}=${value}` : value))
}

function moneyCandidates(name: 'price' | 'caps', typed: string): Candidate[] {
  const keys = name === 'price' ? PRICE_KEYS : CAP_KEYS
  const key = keys.find((one) => typed.startsWith(`${one}=`))
  if (key !== undefined) return name === 'caps' ? [{ text: `${key}=${NO_CAP}` }] : []
  return keys.map((one) => ({ text: `${one}=`, open: true }))
}

/** Entries of the folder that is being typed; hidden ones only when asked for. */
async function files(typed: string, cwd: string): Promise<Candidate[]> {
  const slash = typed.lastIndexOf('/') + 1
  const folder = typed.slice(0, slash)
  const home = folder.startsWith('~/') ? homedir() + folder.slice(1) : folder
  const entries = await readdir(resolve(cwd, home === '' ? '.' : home), { withFileTypes: true }).catch(() => [])
  return entries.slice(0, MAX_ENTRIES)
    .filter(({ name }) => !name.startsWith('.') || typed.slice(slash).startsWith('.'))
    .map((entry) => entry.isDirectory() ? { text: `${folder}${entry.name}/`, open: true } : { text: folder + entry.name })
    .sort((a, b) => a.text < b.text ? -1 : 1)
}
