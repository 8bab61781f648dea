import type { ErrorCode } from '../../src/errors.ts'
import { WASI_MODULE, WASI_SIGNATURES } from './wasi-abi.ts'
import { MAX_BODY_BYTES, checkBody, checkValueType } from './module-code.ts'
import { ModuleReader, ModuleRefusal, refuse } from './module-reader.ts'

export const PAGE_BYTES = 64 * 1024
export const MAX_MODULE_BYTES = 64 * 1024 ** 2
/** CPython has 15,000 functions, large browsers' programs 100,000. */
export const MAX_FUNCTIONS = 200_000
export const MAX_TYPES = 20_000
export const MAX_PARAMETERS = 256
export const MAX_RESULTS = 32
export const MAX_IMPORTS = 1000
export const MAX_TABLES = 16
/** Entries of one table, now or after growing: 8 bytes each in the engine. */
export const MAX_TABLE_ENTRIES = 262_144
export const MAX_GLOBALS = 100_000
export const MAX_EXPORTS = 200_000
export const MAX_SEGMENTS = 100_000
/** One byte of this section can become eight in the engine. */
export const MAX_ELEMENT_SECTION_BYTES = 4 * 1024 ** 2

export type ModuleCheck =
  /** `bytes` are the module to compile: the limits of its memory and tables are clamped, and custom sections but `name` are gone. */
  | { ok: true, bytes: Uint8Array, initialPages: number, maxPages: number, functions: number }
  | { ok: false, code: ErrorCode, message: string }

/** Section ids in the order in which they must appear (the data count stands before the code). */
const SECTION_ORDER: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 13: 6, 6: 7, 7: 8, 8: 9, 9: 10, 12: 11, 10: 12, 11: 13 }

interface Seen {
  types: { at: number, params: number, results: number }[]
  /** Type index of each function, the imported ones first. */
  functionTypes: number[]
  importedFunctions: number
  memories: number
  initialPages: number
  maxPages: number
  exportsMemory: boolean
  exportsStart: boolean
  bodies: number
}

function unsignedLeb(value: number): number[] {
  const out: number[] = []
  do { out.push(value % 128 + (value >= 128 ? 128 : 0)); value = Math.floor(value / 128) } while (value > 0)
  return out
}

const TYPE_LETTERS: Readonly<Record<number, string>> = { 0x7f: 'i', 0x7e: 'I', 0x7d: 'f', 0x7c: 'F', 0x7b: 'v', 0x70: 'r', 0x6f: 'x' }

function signature(bytes: Uint8Array, type: Seen['types'][number] | undefined): string {
  if (type === undefined) return 'unknown'
  const letters = (from: number, count: number): string => Array.from(bytes.subarray(from, from + count), (byte) => TYPE_LETTERS[byte] ?? '?').join('')
  return `${letters(type.at, type.params)}:${letters(type.at + type.params + unsignedLeb(type.results).length, type.results)}`
}

function readTypes(reader: ModuleReader, seen: Seen): void {
  for (let n = reader.count(MAX_TYPES, 'types'); n > 0; n--) {
    const form = reader.byte()
    if (form === 0x4e || form === 0x4f || form === 0x50 || form === 0x5e || form === 0x5f) refuse('E_MODULE_GC', 'garbage-collected types are not supported')
    if (form !== 0x60) refuse('E_MODULE_FORMAT', `0x${form.toString(16)} is not the form of a type`)
    const params = reader.count(MAX_PARAMETERS, 'parameters')
    const at = reader.position
    for (let k = params; k > 0; k--) checkValueType(reader.byte())
    const before = reader.position
    const results = reader.count(MAX_RESULTS, 'results')
    if (reader.position - before !== 1) refuse('E_MODULE_FORMAT', 'a count is written with more bytes than it needs')
    for (let k = results; k > 0; k--) checkValueType(reader.byte())
    seen.types.push({ at, params, results })
  }
}

function readImports(reader: ModuleReader, seen: Seen): void {
  for (let n = reader.count(MAX_IMPORTS, 'imports'); n > 0; n--) {
    const module = reader.name()
    const name = reader.name()
    const kind = reader.byte()
    if (kind === 2) refuse('E_MODULE_MEMORY', 'the module imports its memory; it must define and export it')
    if (kind === 4) refuse('E_MODULE_EXCEPTIONS', 'the module imports an exception tag')
    if (kind !== 0) refuse('E_MODULE_IMPORT', `the import ${module}.${name} is not a function`)
    const type = reader.u32()
    const wanted = module === WASI_MODULE ? WASI_SIGNATURES.get(name ?? '') : undefined
    if (wanted === undefined) refuse('E_MODULE_IMPORT', `the import ${module ?? '?'}.${name ?? '?'} is not a function of ${WASI_MODULE}`)
    if (signature(reader.bytes, seen.types[type]) !== wanted) refuse('E_MODULE_IMPORT', `the import ${name} has another type than ${WASI_MODULE} gives it`)
    seen.functionTypes.push(type)
    seen.importedFunctions++
  }
}

function readFunctions(reader: ModuleReader, seen: Seen): void {
  for (let n = reader.count(MAX_FUNCTIONS, 'functions'); n > 0; n--) seen.functionTypes.push(reader.u32())
}

/** Reads limits of pages or entries; `flags` above 1 mean shared or 64-bit. */
function readLimits(reader: ModuleReader, what: string): { initial: number, max: number | undefined } {
  const flags = reader.byte()
  if (flags === 2 || flags === 3) refuse('E_MODULE_THREADS', `a shared ${what} is not supported; compile without threads`)
  if (flags > 3) refuse('E_MODULE_FEATURE', `a 64-bit ${what}, or one with its own page size, is not supported`)
  const initial = reader.u32()
  return { initial, max: flags === 1 ? reader.u32() : undefined }
}

/** Answers the section with each table's maximum clamped. */
function rewriteTables(reader: ModuleReader): number[] {
  const count = reader.u32()
  if (count > MAX_TABLES) refuse('E_MODULE_TABLE', `${count} tables are more than ${MAX_TABLES}`)
  const out = unsignedLeb(count)
  for (let n = count; n > 0; n--) {
    const type = reader.byte()
    if (type === 0x40) refuse('E_MODULE_FEATURE', 'a table with an initial value is not supported')
    if (type !== 0x70 && type !== 0x6f) { checkValueType(type); refuse('E_MODULE_FORMAT', 'a table must hold references') }
    const { initial, max } = readLimits(reader, 'table')
    if (initial > MAX_TABLE_ENTRIES) refuse('E_MODULE_TABLE', `a table of ${initial} entries is larger than ${MAX_TABLE_ENTRIES}`)
    out.push(type, 1, ...unsignedLeb(initial), ...unsignedLeb(Math.min(max ?? MAX_TABLE_ENTRIES, MAX_TABLE_ENTRIES)))
  }
  return out
}

/** Answers the section with the memory's maximum clamped to `limitPages`. */
function rewriteMemory(reader: ModuleReader, seen: Seen, limitPages: number): number[] {
  seen.memories = reader.u32()
  if (seen.memories !== 1) refuse('E_MODULE_MEMORY', `the module has ${seen.memories} memories; it must have one`)
  const { initial, max } = readLimits(reader, 'memory')
  if (initial > limitPages) refuse('E_MODULE_MEMORY', `the module starts with ${initial} pages of 64 KiB, more than the job's ${limitPages}`)
  seen.initialPages = initial
  seen.maxPages = Math.min(max ?? limitPages, limitPages)
  if (max !== undefined && max < initial) refuse('E_MODULE_FORMAT', 'the memory\'s maximum is below its start')
  return [1, 1, ...unsignedLeb(initial), ...unsignedLeb(seen.maxPages)]
}

function readExports(reader: ModuleReader, seen: Seen): void {
  for (let n = reader.count(MAX_EXPORTS, 'exports'); n > 0; n--) {
    const name = reader.name()
    const kind = reader.byte()
    const index = reader.u32()
    if (kind === 4) refuse('E_MODULE_EXCEPTIONS', 'the module exports an exception tag')
    if (name === 'memory') {
      if (kind !== 2 || index !== 0) refuse('E_MODULE_EXPORT', 'the export "memory" is not the memory')
      seen.exportsMemory = true
    } else if (name === '_start') {
      const type = seen.functionTypes[index]
      if (kind !== 0 || type === undefined) refuse('E_MODULE_EXPORT', 'the export "_start" is not a function')
      if (signature(reader.bytes, seen.types[type]) !== ':') refuse('E_MODULE_EXPORT', 'the export "_start" takes or returns values')
      if (index < seen.importedFunctions) refuse('E_MODULE_EXPORT', 'the export "_start" is an import')
      seen.exportsStart = true
    }
  }
}

function readCode(reader: ModuleReader, seen: Seen): void {
  seen.bodies = reader.count(MAX_FUNCTIONS, 'functions')
  const sectionEnd = reader.end
  for (let n = 0; n < seen.bodies; n++) {
    const size = reader.u32()
    if (size > MAX_BODY_BYTES) refuse('E_MODULE_FUNCTION', `function ${n} has ${size} bytes, more than ${MAX_BODY_BYTES}`)
    if (size > sectionEnd - reader.position) refuse('E_MODULE_FORMAT', `function ${n} is cut short`)
    reader.end = reader.position + size
    checkBody(reader)
    reader.end = sectionEnd
  }
}

/** Checks one section; answers its replacement, or undefined if it stays as it is. */
function checkSection(id: number, reader: ModuleReader, seen: Seen, limitPages: number): number[] | undefined {
  switch (id) {
    case 1: readTypes(reader, seen); break
    case 2: readImports(reader, seen); break
    case 3: readFunctions(reader, seen); break
    case 4: return rewriteTables(reader)
    case 5: return rewriteMemory(reader, seen, limitPages)
    // Initial values are constant expressions: the engine checks them, and without GC types they allocate nothing.
    case 6: reader.count(MAX_GLOBALS, 'globals'); reader.position = reader.end; break
    case 7: readExports(reader, seen); break
    case 8: refuse('E_MODULE_START', 'the module has a start section, which would run before the program does; export "_start" instead')
    case 9: {
      if (reader.end - reader.position > MAX_ELEMENT_SECTION_BYTES) refuse('E_MODULE_COUNT', `the element section is longer than ${MAX_ELEMENT_SECTION_BYTES} bytes`)
      reader.count(MAX_SEGMENTS, 'element segments')
      reader.position = reader.end
      break
    }
    case 10: readCode(reader, seen); break
    case 11: reader.count(MAX_SEGMENTS, 'data segments'); reader.position = reader.end; break
    case 12: reader.u32(); break
    default: refuse('E_MODULE_EXCEPTIONS', 'the module has a tag section: exceptions are not supported')
  }
  if (reader.position !== reader.end) refuse('E_MODULE_FORMAT', `section ${id} is longer than what it holds`)
  return undefined
}

function walk(bytes: Uint8Array, limitPages: number): ModuleCheck {
  const reader = new ModuleReader(bytes)
  if (bytes.length < 8 || [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0].some((byte, n) => bytes[n] !== byte)) refuse('E_MODULE_FORMAT', 'this is not a WebAssembly module (of version 1)')
  reader.position = 8
  const seen: Seen = { types: [], functionTypes: [], importedFunctions: 0, memories: 0, initialPages: 0, maxPages: 0, exportsMemory: false, exportsStart: false, bodies: 0 }
  const parts: Uint8Array[] = [bytes.subarray(0, 8)]
  let last = 0
  while (reader.position < bytes.length) {
    const start = reader.position
    const id = reader.byte()
    const size = reader.u32()
    if (size > bytes.length - reader.position) refuse('E_MODULE_FORMAT', `section ${id} is cut short`)
    const end = reader.position + size
    if (id === 0) {
      reader.end = end
      if (reader.name() === 'name') parts.push(bytes.subarray(start, end))
    } else {
      const order = SECTION_ORDER[id] ?? refuse('E_MODULE_FORMAT', `section ${id} is unknown`)
      if (order <= last) refuse('E_MODULE_FORMAT', `section ${id} is out of order or there twice`)
      last = order
      reader.end = end
      const replaced = checkSection(id, reader, seen, limitPages)
      if (replaced !== undefined && reader.position !== end) refuse('E_MODULE_FORMAT', `section ${id} is longer than what it holds`)
      parts.push(replaced === undefined ? bytes.subarray(start, end) : Uint8Array.from([id, ...unsignedLeb(replaced.length), ...replaced]))
    }
    reader.end = bytes.length
    reader.position = end
  }
  if (seen.memories === 0) refuse('E_MODULE_MEMORY', 'the module has no memory')
  if (!seen.exportsMemory) refuse('E_MODULE_EXPORT', 'the module does not export "memory"')
  if (!seen.exportsStart) refuse('E_MODULE_EXPORT', 'the module does not export "_start": compile a program, not a library')
  if (seen.bodies !== seen.functionTypes.length - seen.importedFunctions) refuse('E_MODULE_FORMAT', 'functions and bodies differ in number')
  return { ok: true, bytes: join(parts), initialPages: seen.initialPages, maxPages: seen.maxPages, functions: seen.bodies }
}

function join(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) { out.set(part, at); at += part.length }
  return out
}

/**
 * Checks a module's structure before anything compiles or runs it, in time linear in its size, and clamps what may grow.
 * The same bytes and limit give the same answer on every host. A module that passes may still be invalid: the engine says.
 * @param memoryBytes the job's linear memory; the module may start with less and grow up to it
 */
export function checkModule(bytes: Uint8Array, memoryBytes: number): ModuleCheck {
  try {
    if (bytes.length > MAX_MODULE_BYTES) refuse('E_MODULE_SIZE', `the module has ${bytes.length} bytes, more than ${MAX_MODULE_BYTES}`)
    return walk(bytes, Math.floor(memoryBytes / PAGE_BYTES))
  } catch (err) {
    if (err instanceof ModuleRefusal) return { ok: false, code: err.code, message: err.message }
    throw err
  }
}
