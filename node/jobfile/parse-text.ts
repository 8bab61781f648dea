import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import type { Document, Node } from 'yaml'
import { HearthError } from '../../src/errors.ts'
import { faultOfJson } from './json-scan.ts'

export interface TextOptions {
  /** Named in errors, usually the file's path. */
  name: string
  format: 'yaml' | 'json'
  /** `E_JOB` or `E_CONFIG`. */
  prefix: 'E_JOB' | 'E_CONFIG'
  /** Where a scalar is a text however it looks: `args: [007]` must reach the program as `007`, not as 7. Not asked of JSON. */
  isText?: (path: readonly (string | number)[]) => boolean
}

/**
 * YAML 1.2 or JSON to a plain value. Throws `…_SYNTAX`, or `…_DUPLICATE` for a key that is there twice, with line and column.
 * Aliases are refused: a few lines of them can stand for gigabytes, and no file of ours needs them.
 */
export function parseText(text: string, options: TextOptions): unknown {
  const bare = text.startsWith('\u{feff}') ? text.slice(1) : text
  return options.format === 'json' ? parseJson(bare, options) : parseYaml(bare, options)
}

function parseJson(text: string, options: TextOptions): unknown {
  const fault = faultOfJson(text)
  if (fault === undefined) return JSON.parse(text)
  const before = text.slice(0, fault.offset).split('\n')
  throw new HearthError(`${options.prefix}_${fault.kind}`, `${options.name}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}: ${fault.message}`, fault.kind === 'DUPLICATE' ? 'Keep one of the two' : 'Correct the JSON there, or name the file .yaml')
}

function parseYaml(text: string, options: TextOptions): unknown {
  const lines = new LineCounter()
  // uniqueKeys compares each key with each other one, which takes a minute for a large file; `checkTree` does it in one pass
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, uniqueKeys: false, version: '1.2', schema: 'core', resolveKnownTags: false })
  const fail = (kind: 'SYNTAX' | 'DUPLICATE', offset: number, message: string, hint: string): never => {
    const { line, col } = lines.linePos(offset)
    throw new HearthError(`${options.prefix}_${kind}`, `${options.name}:${line}:${col}: ${message}`, hint)
  }
  const [fault] = [...document.errors, ...document.warnings]
  if (fault !== undefined) fail('SYNTAX', fault.pos[0], sentence(fault.message), HINTS[fault.code] ?? 'Correct the syntax there')
  if (document.contents === null) throw new HearthError(`${options.prefix}_SYNTAX`, `${options.name} is empty`, 'Write keys and values')
  checkTree(document, fail)
  if (options.isText !== undefined) keepSpelling(document.contents, [], options.isText)
  return document.toJS({ maxAliasCount: 0 })
}

const HINTS: Partial<Record<string, string>> = {
  TAB_AS_INDENT: 'Indent with spaces',
  BAD_INDENT: 'Indent each level by the same number of spaces, and close what is opened',
  MULTIPLE_DOCS: 'Keep one document: remove the --- line and what follows',
  TAG_RESOLVE_FAILED: 'Remove the tag, or put the text in quotes',
  NON_STRING_KEY: 'Write a text before the colon',
  BLOCK_AS_IMPLICIT_KEY: 'Put text that holds ": " in quotes',
  MULTILINE_IMPLICIT_KEY: 'Put text that holds ": " in quotes',
  MISSING_CHAR: 'Close the quote or bracket'
}

function sentence(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/\.$/, '').slice(0, 200)
}

function checkTree(document: Document.Parsed, fail: (kind: 'SYNTAX' | 'DUPLICATE', offset: number, message: string, hint: string) => never): void {
  visit(document, {
    Alias: (_, node) => fail('SYNTAX', node.range?.[0] ?? 0, `the alias *${node.source} is not supported`, 'Write the value out'),
    Map: (_, node) => {
      const seen = new Set<string>()
      for (const { key } of node.items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        if (seen.has(name)) fail('DUPLICATE', key.range?.[0] ?? 0, `the key "${name}" is there twice`, 'Keep one of the two')
        seen.add(name)
      }
    }
  })
}

/** Puts the written text in place of a number or boolean wherever `isText` says so. */
function keepSpelling(node: unknown, path: (string | number)[], isText: (path: readonly (string | number)[]) => boolean): void {
  if (isMap<unknown, Node>(node)) {
    for (const { key, value } of node.items) keepSpelling(value, [...path, isScalar(key) ? String(key.value) : ''], isText)
  } else if (isSeq(node)) {
    node.items.forEach((item, i) => { keepSpelling(item, [...path, i], isText) })
  } else if (isScalar(node) && node.source !== undefined && (typeof node.value === 'number' || typeof node.value === 'boolean') && isText(path)) {
    node.value = node.source
  }
}
