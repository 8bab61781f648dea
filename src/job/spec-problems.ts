import type { z } from 'zod'
import { HearthError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { nearest } from './nearest.ts'

/** What is wrong with one key of a job file or a configuration. */
export type Fault = 'KEY' | 'TYPE' | 'MISSING' | 'UNIT' | 'RANGE' | 'VALUE' | 'PATH' | 'CONFLICT' | 'DUPLICATE' | 'TEMPLATE' | 'SIZE'

export interface Problem {
  fault: Fault
  /** `limits.run`, `args[2]`; empty for the whole. */
  path: string
  message: string
  hint: string
  /** The key that was likely meant, of an unknown one. */
  meant?: string
}

/** What a field's own check found: carried through zod in the issue's `params`. */
export interface FieldFault { fault: Fault, message: string, hint: string }

export interface Vocabulary {
  /** What the whole is called: `job file`, `configuration`. */
  what: string
  /** Words that people from elsewhere use, by lower-case word, and our key's full path. */
  synonyms: Readonly<Record<string, string>>
  /** Paths of all keys. */
  keys: readonly string[]
}

export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`, '')
}

/** Known problems of a failed parse, unknown keys first: a typo also makes a key seem missing, which is then not repeated. */
export function problemsOf(error: z.ZodError, input: unknown, vocabulary: Vocabulary): Problem[] {
  const all = error.issues.flatMap((issue) => issueProblems(issue, input, vocabulary))
  const meant = new Set(all.map((problem) => problem.meant))
  const unknown = all.filter(({ fault }) => fault === 'KEY')
  return [...unknown, ...all.filter(({ fault, path }) => fault !== 'KEY' && !(fault === 'MISSING' && meant.has(path)))]
}

/** A field's message that goes on from the key's name. */
const VERB = /^(is|must|has|holds|gives) /

function issueProblems(issue: z.core.$ZodIssue, input: unknown, vocabulary: Vocabulary): Problem[] {
  const path = pathText(issue.path)
  const name = path === '' ? `the ${vocabulary.what}` : path
  switch (issue.code) {
    case 'unrecognized_keys': return issue.keys.map((key) => unknownKey(key, issue.path, vocabulary))
    case 'custom': {
      const { fault, message, hint } = fieldFault(issue.params) ?? { fault: 'VALUE' as const, message: issue.message, hint: '' }
      return [{ fault, path, message: VERB.test(message) ? `${name} ${message}` : `${name}: ${message}`, hint }]
    }
    case 'too_big': return [{ fault: 'RANGE', path, message: `${name} has more than ${String(issue.maximum)} entries`, hint: 'Shorten it, or put the data into an input file' }]
    case 'invalid_type': {
      const [wanted, example] = issue.expected === 'array' ? ['a list', '[a, b]'] : ['keys and values', 'key: value']
      return [valueAt(input, issue.path) === undefined && path !== ''
        ? { fault: 'MISSING', path, message: `${path} is missing`, hint: 'Add it' }
        : { fault: 'TYPE', path, message: `${name} must be ${wanted}`, hint: `Write ${wanted}, such as ${example}; leave the key out where there is nothing to say` }]
    }
    default: return [{ fault: 'VALUE', path, message: `${name}: ${issue.message}`, hint: 'Change it' }]
  }
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, part) => value === null || typeof value !== 'object' ? undefined : Reflect.get(value, part), input)
}

function fieldFault(params: Record<string, unknown> | undefined): FieldFault | undefined {
  const { fault, message, hint } = params ?? {}
  return typeof fault === 'string' && typeof message === 'string' && typeof hint === 'string' ? { fault: fault as Fault, message, hint } : undefined
}

/** The problem of a key that nobody knows, with the one that was likely meant. */
export function unknownKey(key: string, parent: readonly PropertyKey[], vocabulary: Vocabulary): Problem {
  const base = pathText(parent)
  const path = base === '' ? key : `${base}.${key}`
  const here = vocabulary.keys.filter((known) => isChild(known, base)).map((known) => base === '' ? known : known.slice(base.length + 1))
  const meant = meantKey(key, base, here, vocabulary)
  const hint = meant !== undefined ? `Did you mean "${meant}"?` : here.length > 0 ? `Known keys here: ${here.join(', ')}` : 'Remove it'
  return { fault: 'KEY', path, message: `"${path}" is not a key of a ${vocabulary.what}`, hint, ...(meant === undefined ? {} : { meant }) }
}

function isChild(known: string, base: string): boolean {
  if (base === '') return !known.includes('.')
  return known.startsWith(`${base}.`) && !known.slice(base.length + 1).includes('.')
}

/** Another vocabulary's word first: `cpu` is one letter from `gpu`. Then a key of this place, then one of any place. */
function meantKey(key: string, base: string, here: readonly string[], vocabulary: Vocabulary): string | undefined {
  const synonyms = vocabulary.synonyms
  const word = key.toLowerCase()
  if (Object.hasOwn(synonyms, word)) return synonyms[word]
  const near = nearest(key, here)
  if (near !== undefined) return base === '' ? near : `${base}.${near}`
  const lastParts = new Map(vocabulary.keys.toReversed().map((known) => [known.slice(known.lastIndexOf('.') + 1), known]))
  return lastParts.get(nearest(key, [...lastParts.keys()]) ?? '')
}

/** More than this many further problems are only counted. */
const MAX_FURTHER = 3

/** One error of all problems: the first is told in full, the next few after its hint. */
export function problemError(prefix: 'E_JOB' | 'E_CONFIG', problems: readonly Problem[]): HearthError {
  const [first, ...rest] = problems
  if (first === undefined) return new HearthError('E_INVARIANT', 'an error was made of no problem')
  const code: ErrorCode = `${prefix}_${first.fault}`
  const further = rest.slice(0, MAX_FURTHER).map(({ message }) => message)
  if (rest.length > MAX_FURTHER) further.push(`${rest.length - MAX_FURTHER} more`)
  return new HearthError(code, first.message, further.length === 0 ? first.hint : `${first.hint}. Also: ${further.join('; ')}`)
}
