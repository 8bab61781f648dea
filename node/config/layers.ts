import { parseDocument } from 'yaml'
import { z } from 'zod'
import { nearest } from '../../src/job/nearest.ts'
import { unknownKey } from '../../src/job/spec-problems.ts'
import type { Problem } from '../../src/job/spec-problems.ts'
import { SET_NAME } from '../../src/job/spec-schema.ts'
import { CONFIG_VOCABULARY, configSchema } from './schema.ts'

/** One place that settings come from, as a tree of what it says. Later layers win over earlier ones. */
export interface Layer {
  /** Of a file: its path. `nameOf` says more of the other kinds. */
  kind: 'defaults' | 'file' | 'environment' | 'option'
  tree: Record<string, unknown>
  /** How the key at a path was written there: the file's path, `HEARTH_NETWORK__PORT`, `--network.port`. */
  nameOf: (path: string) => string
  /** Where relative paths of this layer begin. */
  baseDir: string
}

export const ENV_PREFIX = 'HEARTH_'
/** Variables of ours that are no settings. */
const OTHER_VARIABLES = new Set(['HEARTH_CONFIG', 'HEARTH_KILL_AT', 'HEARTH_COUNT_POINTS'])

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? schema.unwrap() as z.ZodType : schema
}

/** The schema at a key's path; undefined where there is none. */
function schemaAt(path: readonly string[]): z.ZodType | undefined {
  let schema: z.ZodType = configSchema
  for (const part of path) {
    const inner = unwrap(schema)
    const next: unknown = inner instanceof z.ZodObject ? inner.shape[part] : inner instanceof z.ZodRecord ? inner.valueType : undefined
    if (!(next instanceof z.ZodType)) return undefined
    schema = next
  }
  return schema
}

/** Problems of keys in a tree that no setting has. */
export function unknownKeys(tree: Record<string, unknown>, path: readonly string[] = []): Problem[] {
  const here = unwrap(schemaAt(path) ?? configSchema)
  if (!(here instanceof z.ZodObject)) return []
  return Object.entries(tree).flatMap(([key, value]) => {
    if (!Object.hasOwn(here.shape, key)) return [unknownKey(key, path, CONFIG_VOCABULARY)]
    return isRecord(value) ? unknownKeys(value, [...path, key]) : []
  })
}

/** `RELAY_SERVER`, `relay-server` and `relayServer` are one key. */
function loose(text: string): string {
  return text.toLowerCase().replace(/[_-]/g, '')
}

/** The path that loosely written parts mean, or undefined. Names in a record (`providerSets`) are kept. */
function meantPath(parts: readonly string[]): string[] | undefined {
  const path: string[] = []
  for (const part of parts) {
    const here = unwrap(schemaAt(path) ?? configSchema)
    const key = here instanceof z.ZodObject ? Object.keys(here.shape).find((known) => loose(known) === loose(part)) : here instanceof z.ZodRecord && SET_NAME.test(part) ? part : undefined
    if (key === undefined) return undefined
    path.push(key)
  }
  return path
}

/**
 * The value of an option's or variable's text: YAML, where the setting takes what YAML makes of it (`false`, `4150`, `[a, b]`),
 * else the text itself; a list also as `a,b`. `null` takes a setting back to not being set.
 */
function readValue(text: string, path: readonly string[]): unknown {
  const schema = schemaAt(path)
  const parsed = parseDocument(text, { schema: 'core', version: '1.2', resolveKnownTags: false, logLevel: 'silent' })
  const value: unknown = parsed.errors.length > 0 || text.includes('*') ? text : parsed.toJS({ maxAliasCount: 0 })
  if (value === null || schema === undefined) return value
  if (unwrap(schema) instanceof z.ZodArray && !Array.isArray(value)) return text.split(',').map((part) => part.trim()).filter((part) => part !== '')
  return schema.safeParse(value).success || !schema.safeParse(text).success ? value : text
}

function put(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = tree
  for (const part of path.slice(0, -1)) {
    const next = at[part]
    const inner = isRecord(next) ? next : {}
    at[part] = inner
    at = inner
  }
  const last = path.at(-1) ?? ''
  const before = at[last]
  at[last] = isRecord(before) && isRecord(value) ? { ...before, ...value } : value
}

/** A layer of texts by loosely written names: the environment, or options. */
function textLayer(kind: 'environment' | 'option', texts: readonly { name: string, parts: string[], text: string }[], cwd: string): { layer: Layer, problems: Problem[] } {
  const tree: Record<string, unknown> = {}
  const names = new Map<string, string>()
  const problems: Problem[] = []
  for (const { name, parts, text } of texts) {
    const path = meantPath(parts)
    if (path === undefined) { problems.push(unknownName(name, parts, kind)); continue }
    const key = path.join('.')
    const before = names.get(key)
    if (before !== undefined) { problems.push({ fault: 'DUPLICATE', path: key, message: `${key} is set by ${before === name ? `${name} twice` : `both ${before} and ${name}`}`, hint: 'Keep one' }); continue }
    names.set(key, name)
    put(tree, path, readValue(text, path))
  }
  return { layer: { kind, tree, nameOf: (path) => nameFor(path, names), baseDir: cwd }, problems }
}

function nameFor(path: string, names: ReadonlyMap<string, string>): string {
  for (let key = path.replace(/\[.*$/, ''); key !== ''; key = key.slice(0, Math.max(0, key.lastIndexOf('.')))) {
    const name = names.get(key)
    if (name !== undefined) return name
  }
  return [...names].find(([key]) => key.startsWith(`${path}.`))?.[1] ?? path
}

function variableOf(key: string): string {
  return ENV_PREFIX + key.split('.').map((part) => part.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()).join('__')
}

function unknownName(name: string, parts: readonly string[], kind: 'environment' | 'option'): Problem {
  const keys = CONFIG_VOCABULARY.keys
  const joined = loose(parts.join(''))
  const bare = keys.map((key) => loose(key.replaceAll('.', '')))
  const meant = keys[bare.indexOf(joined)] ?? unknownKey(parts.at(-1) ?? '', parts.slice(0, -1), CONFIG_VOCABULARY).meant ?? keys[bare.indexOf(nearest(joined, bare) ?? '')]
  const written = meant === undefined ? '' : kind === 'environment' ? variableOf(meant) : `--${meant}`
  return { fault: 'KEY', path: parts.join('.'), message: `${name} is not a setting`, hint: meant === undefined ? '`hearth help config` lists all' : `Did you mean ${written}?`, ...(meant === undefined ? {} : { meant }) }
}

/** `HEARTH_NETWORK__RELAY_SERVER=true`. An empty variable counts as not set; names of provider sets are in lower case. */
export function environmentLayer(env: Readonly<Record<string, string | undefined>>, cwd: string): { layer: Layer, problems: Problem[] } {
  const texts = Object.entries(env)
    .flatMap(([name, text]) => name.startsWith(ENV_PREFIX) && !OTHER_VARIABLES.has(name) && text !== undefined && text !== '' ? [{ name, text, parts: name.slice(ENV_PREFIX.length).toLowerCase().split('__') }] : [])
    .sort((a, b) => a.name < b.name ? -1 : 1)
  return textLayer('environment', texts, cwd)
}

/** `network.port=0`, as `--network.port=0` is handed on; also with the dashes. */
export function optionLayer(options: readonly string[], cwd: string): { layer: Layer, problems: Problem[] } {
  const texts: { name: string, parts: string[], text: string }[] = []
  const problems: Problem[] = []
  for (const option of options) {
    const bare = option.replace(/^--/, '')
    const equals = bare.indexOf('=')
    const key = equals === -1 ? bare : bare.slice(0, equals)
    if (equals === -1 || equals === bare.length - 1) problems.push({ fault: 'VALUE', path: key, message: `--${key} needs a value`, hint: `Write --${key}=VALUE; null takes a setting back` })
    else texts.push({ name: `--${key}`, parts: key.split('.'), text: bare.slice(equals + 1) })
  }
  const { layer, problems: unknown } = textLayer('option', texts, cwd)
  return { layer, problems: [...problems, ...unknown] }
}
