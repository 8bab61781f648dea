import { ModuleReader, refuse } from './module-reader.ts'

/**
 * Steps through function bodies, to refuse by opcode what types and sections do not show: exceptions (a program could catch
 * the host's exit), tail calls, atomics, GC, typed references, relaxed SIMD. The allowed set is the language of 2022 that
 * clang and rustc emit: 1.0, sign extension, saturating conversion, multi-value, bulk memory, reference types, SIMD.
 * Types are the engine's to check: it validates every module that passes here.
 */

/** V8 stops at 7.6 MB; compilers emit far less (the main loops of SQLite and CPython: 40 to 200 KB). */
export const MAX_BODY_BYTES = 1024 ** 2
export const MAX_LOCALS = 10_000
export const MAX_NESTING = 20_000
export const MAX_BR_TABLE = 32_768
/** Control instructions times locals: the baseline compiler merges states at each, 2^26 in 3 s. Large interpreters reach 2^24. */
export const MAX_MERGE_WORK = 2 ** 26

/** What follows an opcode. */
const IMM = {
  refused: 0, none: 1, leb: 2, leb2: 3, memory: 4, block: 5, else: 6, end: 7, brTable: 8, i64: 9, f32: 10, f64: 11,
  select: 12, refType: 13, zero: 14, bulk: 15, simd: 16
} as const

function opcodeTable(): Uint8Array {
  const table = new Uint8Array(256)
  const set = (imm: number, from: number, to = from): void => { table.fill(imm, from, to + 1) }
  set(IMM.none, 0x00, 0x01)
  set(IMM.block, 0x02, 0x04)
  set(IMM.else, 0x05)
  set(IMM.end, 0x0b)
  set(IMM.leb, 0x0c, 0x0d)
  set(IMM.brTable, 0x0e)
  set(IMM.none, 0x0f)
  set(IMM.leb, 0x10)
  set(IMM.leb2, 0x11)
  set(IMM.none, 0x1a, 0x1b)
  set(IMM.select, 0x1c)
  set(IMM.leb, 0x20, 0x26)
  set(IMM.memory, 0x28, 0x3e)
  set(IMM.zero, 0x3f, 0x40)
  set(IMM.leb, 0x41)
  set(IMM.i64, 0x42)
  set(IMM.f32, 0x43)
  set(IMM.f64, 0x44)
  set(IMM.none, 0x45, 0xc4)
  set(IMM.refType, 0xd0)
  set(IMM.none, 0xd1)
  set(IMM.leb, 0xd2)
  set(IMM.bulk, 0xfc)
  set(IMM.simd, 0xfd)
  return table
}
const OPCODES = opcodeTable()

/** Numbers (and v128), and the two opaque reference types. */
export function isValueType(byte: number): boolean {
  return (byte >= 0x7b && byte <= 0x7f) || byte === 0x70 || byte === 0x6f
}

/** Refuses the value type `byte` with the code that fits, if it is not one of `isValueType`. */
export function checkValueType(byte: number): void {
  if (isValueType(byte)) return
  if (byte === 0x69 || byte === 0x68 || byte === 0x74) refuse('E_MODULE_EXCEPTIONS', 'exception references are not supported')
  if (byte >= 0x63 && byte <= 0x73) refuse('E_MODULE_GC', `type 0x${byte.toString(16)} belongs to garbage collection or typed references, which are not supported`)
  refuse('E_MODULE_FORMAT', `0x${byte.toString(16)} is not a value type`)
}

function refuseOpcode(opcode: number): never {
  const name = `opcode 0x${opcode.toString(16).padStart(2, '0')}`
  switch (opcode) {
    case 0x06: case 0x07: case 0x08: case 0x09: case 0x0a: case 0x18: case 0x19: case 0x1f:
      return refuse('E_MODULE_EXCEPTIONS', `${name}: exceptions are not supported; compile without them`)
    case 0x12: case 0x13: case 0x15:
      return refuse('E_MODULE_TAIL_CALL', `${name}: tail calls are not supported; compile without them`)
    case 0xfb: case 0xd3:
      return refuse('E_MODULE_GC', `${name}: garbage-collected types are not supported`)
    case 0xfe:
      return refuse('E_MODULE_THREADS', `${name}: atomic operations are not supported; compile without threads`)
    default:
      return refuse('E_MODULE_FEATURE', `${name} is not supported`)
  }
}

function stepMemory(reader: ModuleReader): void {
  if (reader.byte() >= 64) refuse('E_MODULE_MEMORY', 'an instruction names a second memory')
  reader.skipLeb(5)
}

function stepBulk(reader: ModuleReader): void {
  const sub = reader.u32()
  if (sub > 17) refuse('E_MODULE_FEATURE', `opcode 0xfc ${sub} is not supported`)
  if (sub === 8) { reader.skipLeb(5); stepZero(reader) }
  else if (sub === 10) { stepZero(reader); stepZero(reader) }
  else if (sub === 11) stepZero(reader)
  else if (sub === 12 || sub === 14) { reader.skipLeb(5); reader.skipLeb(5) }
  else if (sub >= 9) reader.skipLeb(5)
}

function stepSimd(reader: ModuleReader): void {
  const sub = reader.u32()
  if (sub > 255) refuse('E_MODULE_FEATURE', `opcode 0xfd ${sub}: relaxed SIMD differs between processors and is not supported`)
  if (sub <= 11 || sub === 92 || sub === 93) stepMemory(reader)
  else if (sub === 12 || sub === 13) reader.skip(16)
  else if (sub >= 21 && sub <= 34) reader.skip(1)
  else if (sub >= 84 && sub <= 91) { stepMemory(reader); reader.skip(1) }
}

function stepZero(reader: ModuleReader): void {
  if (reader.byte() !== 0) refuse('E_MODULE_MEMORY', 'an instruction names a second memory')
}

function stepBlockType(reader: ModuleReader): void {
  const byte = reader.bytes[reader.position] ?? 0
  if (byte === 0x40 || isValueType(byte)) reader.skip(1)
  else if (byte >= 0x40 && byte < 0x80) checkValueType(byte)
  else reader.skipLeb(5)
}

function stepSelect(reader: ModuleReader): void {
  for (let n = reader.count(1, 'types of a select'); n > 0; n--) checkValueType(reader.byte())
}

function stepRefType(reader: ModuleReader): void {
  const byte = reader.byte()
  if (byte !== 0x70 && byte !== 0x6f) refuse('E_MODULE_GC', `a null of type 0x${byte.toString(16)} is not supported`)
}

function stepBrTable(reader: ModuleReader): void {
  const targets = reader.u32()
  if (targets > MAX_BR_TABLE) refuse('E_MODULE_FUNCTION', `a br_table of ${targets} targets is longer than ${MAX_BR_TABLE}`)
  for (let n = 0; n <= targets; n++) reader.skipLeb(5)
}

/** Reads the locals' declaration at the reader's position and answers their number. */
function readLocals(reader: ModuleReader): number {
  let locals = 0
  for (let groups = reader.count(MAX_LOCALS, 'groups of locals'); groups > 0; groups--) {
    locals += reader.u32()
    if (locals > MAX_LOCALS) refuse('E_MODULE_FUNCTION', `a function has more than ${MAX_LOCALS} locals`)
    checkValueType(reader.byte())
  }
  return locals
}

/** The position behind a LEB128 of at most `maxBytes` bytes. May lie behind the end: the caller's next step notices. */
function afterLeb(bytes: Uint8Array, from: number, maxBytes: number): number {
  let at = from
  while ((bytes[at++] ?? 0) >= 0x80) if (at - from >= maxBytes) refuse('E_MODULE_FORMAT', `the number at byte ${from} is longer than ${maxBytes} bytes`)
  return at
}

/** The rarer opcodes, by way of the reader. */
function stepOther(reader: ModuleReader, opcode: number): void {
  switch (OPCODES[opcode]) {
    case IMM.leb2: reader.skipLeb(5); reader.skipLeb(5); break
    case IMM.i64: reader.skipLeb(10); break
    case IMM.f32: reader.skip(4); break
    case IMM.f64: reader.skip(8); break
    case IMM.brTable: stepBrTable(reader); break
    case IMM.select: stepSelect(reader); break
    case IMM.refType: stepRefType(reader); break
    case IMM.zero: stepZero(reader); break
    case IMM.bulk: stepBulk(reader); break
    case IMM.simd: stepSimd(reader); break
    default: refuseOpcode(opcode)
  }
}

/**
 * Steps through one body, from its locals to its last `end`, which must be the last byte before `reader.end`.
 * The common opcodes are handled on a position of this function's own: a fresh child has no compiled code yet, and a large
 * module has millions of them.
 */
export function checkBody(reader: ModuleReader): void {
  const locals = readLocals(reader)
  const { bytes, end } = reader
  let at = reader.position
  let depth = 1
  let controls = 0
  while (depth > 0) {
    if (at >= end) refuse('E_MODULE_FORMAT', `a function has no end before byte ${end}`)
    const opcode = bytes[at++] ?? 0
    const imm = OPCODES[opcode]
    if (imm === IMM.none) continue
    if (imm === IMM.leb) at = afterLeb(bytes, at, 5)
    else if (imm === IMM.memory) {
      // An alignment above 5 bits would name a memory.
      if ((bytes[at] ?? 0) >= 64) refuse('E_MODULE_MEMORY', 'an instruction names a second memory')
      at = afterLeb(bytes, at + 1, 5)
    } else if (imm === IMM.end) depth--
    else if (imm === IMM.else) controls++
    else {
      reader.position = at
      if (imm === IMM.block) {
        stepBlockType(reader)
        controls++
        if (++depth > MAX_NESTING) refuse('E_MODULE_FUNCTION', `blocks are nested deeper than ${MAX_NESTING}`)
      } else stepOther(reader, opcode)
      at = reader.position
    }
  }
  reader.position = at
  if (at !== end) refuse('E_MODULE_FORMAT', `a function ends before its last byte, at ${at}`)
  if (controls * locals > MAX_MERGE_WORK) refuse('E_MODULE_FUNCTION', `a function of ${controls} blocks and ${locals} locals would take too long to compile`)
}
