import { z } from 'zod'
import { parseCid, peerId } from '../codec/schema.ts'
import { HearthError } from '../errors.ts'
import { parseDuration, parseSize } from '../units.ts'
import { nearest } from './nearest.ts'
import type { Fault, FieldFault } from './spec-problems.ts'
import { exactDuration, exactSize, parseWei } from './spec-units.ts'

/** What `help job`, `help config` and the README's tables say of one key. Kept with the schema, so that neither can drift. */
export interface FieldInfo {
  /** For people: `size`, `list of texts`. */
  type: string
  meaning: string
  /** YAML, as one would write it after the key. */
  example: string
  /** As it would be written, or a few words; absent where there is none. */
  default?: string
}

const infos = z.registry<FieldInfo>()

/** Attaches what people are told of a key. To a copy: `flag` and its like stand for many keys. */
export function field<S extends z.ZodType>(schema: S, info: FieldInfo): S {
  const own = schema.clone()
  infos.add(own, info)
  return own
}

export interface FieldDescription extends FieldInfo { key: string }

/** Every described key of a schema and of the objects in it, depth first, by full path. */
export function describeFields(schema: z.ZodType, base = ''): FieldDescription[] {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() as z.ZodType : schema
  if (!(inner instanceof z.ZodObject)) return []
  return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([name, child]) => {
    const key = base === '' ? name : `${base}.${name}`
    const info = infos.get(child)
    return [...(info === undefined ? [] : [{ key, ...info }]), ...describeFields(child, key)]
  })
}

/** The outcome of reading one value: what it means, or what is wrong with it. */
export type Read<T> = { value: T } | FieldFault

function fault(kind: Fault, message: string, hint: string): FieldFault {
  return { fault: kind, message, hint }
}

/** A field whose text form is read by `read`. Absent, it is missing; empty (`key:` and nothing), it says so. */
export function reading<T>(read: (value: string | number | boolean | object) => Read<T>): z.ZodType<T> {
  return z.unknown().transform((value, context): T => {
    const result = value === undefined ? fault('MISSING', 'is missing', 'Add it')
      : value === null ? fault('TYPE', 'is empty', 'Give it a value, or leave the key out')
        : read(value)
    if ('value' in result) return result.value
    context.issues.push({ code: 'custom', input: value, message: result.message, params: { ...result } })
    return z.NEVER
  })
}

/** How a value is named in a message: short, and never a dump. */
export function shown(value: string | number | boolean | object): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'keys and values'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text
}

/** Words for units that people try, and ours. */
const UNIT_ALIASES: Record<string, string> = {
  b: 'B', byte: 'B', bytes: 'B', k: 'KiB', kb: 'KB', kib: 'KiB', m: 'MiB', mb: 'MB', mib: 'MiB', mega: 'MiB', megabytes: 'MiB', g: 'GiB', gb: 'GB', gib: 'GiB', t: 'TiB', tb: 'TB', tib: 'TiB',
  mbytes: 'MiB', gbytes: 'GiB', gigabytes: 'GiB'
}
const TIME_ALIASES: Record<string, string> = {
  msec: 'ms', millisecond: 'ms', milliseconds: 'ms', sec: 's', secs: 's', second: 's', seconds: 's', min: 'm', mins: 'm', minute: 'm', minutes: 'm', hr: 'h', hrs: 'h', hour: 'h', hours: 'h', day: 'd', days: 'd'
}

interface Unit { what: string, parse: (text: string) => number, write: (value: number) => string, aliases: Record<string, string>, example: string }
const SIZE: Unit = { what: 'size', parse: parseSize, write: exactSize, aliases: UNIT_ALIASES, example: '"512 MiB"' }
const DURATION: Unit = { what: 'duration', parse: parseDuration, write: exactDuration, aliases: TIME_ALIASES, example: '"90 s"' }

function readMeasure(value: string | number | boolean | object, unit: Unit, min: number, max: number): Read<number> {
  if (typeof value === 'number') return fault('UNIT', `${value} has no unit`, `Write a number and a unit, such as ${unit.example}`)
  if (typeof value !== 'string') return fault('TYPE', `must be a ${unit.what}, not ${shown(value)}`, `Write a number and a unit, such as ${unit.example}`)
  let parsed: number
  try {
    parsed = unit.parse(value)
  } catch (error) {
    return error instanceof HearthError ? fault('UNIT', error.message, aliasHint(value, unit) ?? error.hint) : fault('UNIT', `${shown(value)} is not a ${unit.what}`, `Write ${unit.example}`)
  }
  if (parsed < min) return fault('RANGE', `"${value}" is less than ${unit.write(min)}`, `Write ${unit.write(min)} or more`)
  return parsed > max ? fault('RANGE', `"${value}" is more than ${unit.write(max)}`, `Write ${unit.write(max)} or less`) : { value: parsed }
}

function aliasHint(text: string, unit: Unit): string | undefined {
  const [, amount, word] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim()) ?? []
  const key = word?.toLowerCase() ?? ''
  return amount !== undefined && Object.hasOwn(unit.aliases, key) ? `Did you mean "${amount} ${unit.aliases[key] ?? ''}"?` : undefined
}

/** `"256 MiB"` -> bytes. */
export function size(minBytes: number, maxBytes: number): z.ZodType<number> {
  return reading((value) => readMeasure(value, SIZE, minBytes, maxBytes))
}

/** `"90 s"` -> milliseconds. */
export function duration(minMs: number, maxMs: number): z.ZodType<number> {
  return reading((value) => readMeasure(value, DURATION, minMs, maxMs))
}

/** `"0.01 ether"` -> wei. */
export const price: z.ZodType<bigint> = reading((value) => {
  if (typeof value === 'number') return fault('UNIT', `${value} has no unit`, 'Write a number and a unit, such as "0.01 ether", "20 gwei" or "1000 wei"')
  if (typeof value !== 'string') return fault('TYPE', `must be an amount, not ${shown(value)}`, 'Write a number and a unit, such as "0.01 ether"')
  try {
    return { value: parseWei(value) }
  } catch (error) {
    return fault('UNIT', `${shown(value)} is not an amount`, error instanceof HearthError ? error.hint : '')
  }
})

/** A number in bounds; whole unless `fraction`. Counts carry no unit. */
export function count(min: number, max: number, fraction = false): z.ZodType<number> {
  return reading((value) => {
    if (typeof value !== 'number') return fault('TYPE', `must be a ${fraction ? '' : 'whole '}number, not ${shown(value)}`, `Write a number from ${min} to ${max}, without quotes or unit`)
    if (!fraction && !Number.isInteger(value)) return fault('TYPE', `must be a whole number, not ${value}`, `Write ${Math.max(min, Math.floor(value))} or ${Math.ceil(value)}`)
    return value < min || value > max ? fault('RANGE', `${value} is not between ${min} and ${max}`, `Write a number from ${min} to ${max}`) : { value }
  })
}

/** A share of something: `0.05` or `"5 %"` -> 0 to 1. */
export const share: z.ZodType<number> = reading((value) => {
  const percent = typeof value === 'string' ? /^(\d+(?:\.\d+)?) ?%$/.exec(value.trim())?.[1] : undefined
  const parsed = percent === undefined ? value : Number(percent) / 100
  if (typeof parsed !== 'number') return fault('TYPE', `must be a share, not ${shown(value)}`, 'Write a number from 0 to 1, or a percentage such as "5 %"')
  return parsed < 0 || parsed > 1 ? fault('RANGE', `${shown(value)} is not between 0 and 1`, 'Write a number from 0 to 1, or a percentage such as "5 %"') : { value: parsed }
})

export const flag: z.ZodType<boolean> = reading((value) => typeof value === 'boolean' ? { value } : fault('TYPE', `must be true or false, not ${shown(value)}`, 'Write true or false, without quotes'))

/** One of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): z.ZodType<T> {
  return reading((value) => {
    const word = words.find((known) => known === value)
    if (word !== undefined) return { value: word }
    const near = typeof value === 'string' ? nearest(value, words) : undefined
    return fault('VALUE', `${shown(value)} is not one of ${words.join(', ')}`, near === undefined ? `Write one of ${words.join(', ')}` : `Did you mean "${near}"?`)
  })
}

/** A text that must match. `label` completes "must be …". */
export function text(label: string, maxChars: number, pattern: RegExp, hint: string): z.ZodType<string> {
  return reading((value) => {
    if (typeof value !== 'string') return fault('TYPE', `must be ${label}, not ${shown(value)}`, hint)
    if (!value.isWellFormed()) return fault('VALUE', 'is not well-formed Unicode', hint)
    if (value.length > maxChars) return fault('RANGE', `has ${value.length} characters, more than ${maxChars}`, 'Shorten it')
    return pattern.test(value) ? { value } : fault('VALUE', `${shown(value)} is not ${label}`, hint)
  })
}

/** A program's argument or variable: a text, or a number or boolean, which becomes its text. */
export function word(maxChars: number): z.ZodType<string> {
  return reading((value) => {
    if (typeof value === 'object') return fault('TYPE', `must be a text, not ${shown(value)}`, 'Write one text, in quotes where it holds : # { [ or the like')
    const written = String(value)
    if (!written.isWellFormed() || written.includes('\0')) return fault('VALUE', 'holds a character that no program can be given', 'Remove it')
    return written.length > maxChars ? fault('RANGE', `has ${written.length} characters, more than ${maxChars}`, 'Put long data into an input file') : { value: written }
  })
}

/** PeerId of an Ed25519 key. */
export const peer: z.ZodType<string> = reading((value) => typeof value === 'string' && peerId.safeParse(value).success
  ? { value }
  : fault('VALUE', `${shown(value)} is not a PeerId`, 'A PeerId begins with 12D3KooW and has 52 characters: `hearth peers` lists some'))

/** Where content comes from: a path below the job file's folder, or content that is stored already. */
export type Source = { kind: 'path', path: string } | { kind: 'cid', cid: string }

const MAX_PATH_CHARS = 4096

/** `"scene/house.txt"` or `"cid:bafy…"`. */
export const source: z.ZodType<Source> = reading<Source>(readSource)

export function readSource(value: string | number | boolean | object): Read<Source> {
  if (typeof value !== 'string') return fault('TYPE', `must be a path or cid:…, not ${shown(value)}`, 'Write a path such as "scene/house.txt", or "cid:bafy…"')
  if (value.startsWith('cid:')) {
    const cid = value.slice(4)
    return parseCid(cid) === undefined ? fault('VALUE', `${shown(value)} is not a CID`, 'Write cid: and a base32 CIDv1 with SHA-256, as `hearth results` prints it') : { value: { kind: 'cid', cid } }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return fault('PATH', `${shown(value)} is an address, and nothing is downloaded from addresses`, 'Download it first and write its path, or its cid:…')
  if (value === '' || value.includes('\0') || value.length > MAX_PATH_CHARS || !value.isWellFormed()) return fault('PATH', `${shown(value)} is not a path`, 'Write a path relative to the job file')
  return { value: { kind: 'path', path: value } }
}

export function sourceText(from: Source): string {
  return from.kind === 'cid' ? `cid:${from.cid}` : from.path
}
