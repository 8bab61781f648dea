/** The structural check of modules: what passes, what is refused with which code, and that it agrees with the engine. */
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MAX_FUNCTIONS, MAX_MODULE_BYTES, MAX_TABLE_ENTRIES, checkModule, type ModuleCheck } from '../../node/sandbox/check-module.ts'
import { MAX_BODY_BYTES, MAX_BR_TABLE, MAX_LOCALS, MAX_NESTING } from '../../node/sandbox/module-code.ts'
import { WASI_SIGNATURES } from '../../node/sandbox/wasi-abi.ts'
import { COMPUTE, PROBE } from '../fixtures/wasm/sandbox.ts'
import { DROP, END, TYPE, body, cat, forever, funcType, i32, leb, local, module, program, section, text, vec, type Bytes } from '../fixtures/wasm/builder.ts'
import { seededRandom } from '../helpers/seeded.ts'

const MEMORY = 16 * 1024 ** 2
const check = (bytes: Uint8Array, memoryBytes = MEMORY): ModuleCheck => checkModule(bytes, memoryBytes)
const codeOf = (bytes: Uint8Array): string => { const result = check(bytes); return result.ok ? 'ok' : result.code }
const repeat = (count: number, bytes: Bytes): number[] => cat(...Array.from({ length: count }, () => bytes))

/** The limits in the memory or table section of an accepted module, as the engine will read them. */
function grows(bytes: Uint8Array): number {
  const { memory } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { wasi_snapshot_preview1: Object.fromEntries([...WASI_SIGNATURES.keys()].map((name) => [name, () => 0])) }).exports
  if (!(memory instanceof WebAssembly.Memory)) throw new Error('no memory')
  let pages = memory.buffer.byteLength / 65_536
  for (let step = 65_536; step >= 1; step = Math.floor(step / 2)) { try { memory.grow(step); pages += step } catch { /* too much */ } }
  return pages
}

test('programs of a C compiler pass, and the engine accepts what comes out', () => {
  for (const path of [PROBE, COMPUTE]) {
    const result = check(readFileSync(path))
    assert.ok(result.ok, JSON.stringify(result))
    assert.ok(result.ok && WebAssembly.validate(result.bytes))
  }
})

test('the memory cannot grow beyond the job\'s limit, whatever the module declares', () => {
  for (const memory of [[0, 1], [1, 1, ...leb(65_536)], [1, 1, ...leb(300)], [1, 1, 7]]) {
    const result = check(program({ memory }), 256 * 65_536)
    assert.ok(result.ok)
    assert.is(result.ok && grows(result.bytes), memory.length > 2 && memory[2] === 7 ? 7 : 256)
  }
})

test('a limit that is no multiple of a page is rounded down', () => {
  const result = check(program({}), 3 * 65_536 - 1)
  assert.ok(result.ok)
  assert.is(result.ok && grows(result.bytes), 2)
})

test('a table cannot grow beyond its bound', () => {
  for (const limits of [[0, 1], [1, 1, ...leb(4_000_000_000)]]) {
    // table.grow to one entry more than the bound must answer -1.
    const result = check(program({ sections: { 4: section(4, cat([1, TYPE.funcref], limits)) }, start: cat([0xd0, 0x70], i32(MAX_TABLE_ENTRIES), [0xfc, 15, 0], i32(-1), [0x47, 0x04, 0x40, 0x00, END]) }))
    assert.ok(result.ok)
    if (!result.ok) continue
    const { _start: start } = new WebAssembly.Instance(new WebAssembly.Module(result.bytes), {}).exports
    assert.not.throws(start as () => void)
  }
})

test('custom sections are dropped, but not the names of functions', () => {
  const name = section(0, cat(text('name'), [1, 6, 1, 0], text('main')))
  const other = section(0, cat(text('metadata.code.trace_inst'), [1, 2, 3]))
  const plain = program({})
  const result = check(Uint8Array.from(cat(plain, name, other)))
  assert.ok(result.ok)
  assert.is(result.ok && result.bytes.length, (check(plain) as { bytes: Uint8Array }).bytes.length + name.length)
})

const START_EXPORT = cat(text('_start'), [0, 0])
const MEMORY_EXPORT = cat(text('memory'), [2, 0])
const importing = (entry: Bytes): Uint8Array => program({ sections: { 2: section(2, cat([1], entry)) } })
const wasi = cat(text('wasi_snapshot_preview1'))

const REFUSED: [what: string, code: string, bytes: () => Uint8Array][] = [
  ['nothing', 'E_MODULE_FORMAT', () => new Uint8Array(0)],
  ['text', 'E_MODULE_FORMAT', () => Buffer.from('(module)')],
  ['a component', 'E_MODULE_FORMAT', () => Uint8Array.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0])],
  ['100 MB', 'E_MODULE_SIZE', () => new Uint8Array(100e6)],
  ['one byte too many', 'E_MODULE_SIZE', () => new Uint8Array(MAX_MODULE_BYTES + 1)],
  ['a section cut short', 'E_MODULE_FORMAT', () => program({}).subarray(0, -1)],
  ['a section longer than its content', 'E_MODULE_FORMAT', () => program({ sections: { 3: [3, 3, 1, 0, 0] } })],
  ['sections out of order', 'E_MODULE_FORMAT', () => module(section(3, vec([])), section(1, vec([])))],
  ['a section twice', 'E_MODULE_FORMAT', () => module(section(1, vec([])), section(1, vec([])))],
  ['an unknown section', 'E_MODULE_FORMAT', () => module(section(14, []))],
  ['a million functions', 'E_MODULE_COUNT', () => program({ sections: { 3: section(3, cat(leb(1_000_000), new Uint8Array(1_000_000))) } })],
  ['functions without bodies', 'E_MODULE_FORMAT', () => program({ sections: { 3: section(3, vec([[0], [0]])) } })],
  ['a count of 2^32 - 1 with nothing behind it', 'E_MODULE_COUNT', () => program({ sections: { 1: section(1, leb(0xffffffff)) } })],
  ['a number of 33 bits', 'E_MODULE_FORMAT', () => program({ sections: { 1: section(1, [0xff, 0xff, 0xff, 0xff, 0x1f]) } })],
  ['no memory', 'E_MODULE_MEMORY', () => program({ sections: { 5: [], 7: section(7, vec([START_EXPORT])) } })],
  ['two memories', 'E_MODULE_MEMORY', () => program({ sections: { 5: section(5, vec([[0, 1], [0, 1]])) } })],
  ['10,000 memories', 'E_MODULE_MEMORY', () => program({ sections: { 5: section(5, vec(Array.from({ length: 10_000 }, () => [0, 1]))) } })],
  ['a memory larger than the limit', 'E_MODULE_MEMORY', () => program({ memory: [0, ...leb(257)] })],
  ['an imported memory', 'E_MODULE_MEMORY', () => importing(cat(wasi, text('memory'), [2, 0, 1]))],
  ['a second memory named by a load', 'E_MODULE_MEMORY', () => program({ start: cat(i32(0), [0x28, 0x42, 1, 0], DROP) })],
  ['a second memory named by memory.grow', 'E_MODULE_MEMORY', () => program({ start: cat(i32(0), [0x40, 1], DROP) })],
  ['a second memory named by memory.copy', 'E_MODULE_MEMORY', () => program({ start: cat(i32(0), i32(0), i32(0), [0xfc, 10, 0, 1]) })],
  ['a shared memory', 'E_MODULE_THREADS', () => program({ memory: [3, 1, 2] })],
  ['a 64-bit memory', 'E_MODULE_FEATURE', () => program({ memory: [4, 1] })],
  ['a memory with pages of its own size', 'E_MODULE_FEATURE', () => program({ memory: [8, 1, 0] })],
  ['an atomic wait', 'E_MODULE_THREADS', () => program({ start: cat(i32(0), i32(0), [0x42, 0x7f], [0xfe, 1, 2, 0], DROP) })],
  ['thousands of tables', 'E_MODULE_TABLE', () => program({ sections: { 4: section(4, vec(Array.from({ length: 5000 }, () => [TYPE.funcref, 0, 1]))) } })],
  ['a table of 10 million entries', 'E_MODULE_TABLE', () => program({ sections: { 4: section(4, vec([[TYPE.funcref, 0, ...leb(10_000_000)]])) } })],
  ['a table with an initial value', 'E_MODULE_FEATURE', () => program({ sections: { 4: section(4, vec([[0x40, 0, TYPE.funcref, 0, 1, 0xd0, 0x70, END]])) } })],
  ['an array type', 'E_MODULE_GC', () => program({ types: [[0x5e, TYPE.i32, 1]] })],
  ['a struct type', 'E_MODULE_GC', () => program({ types: [[0x5f, 1, TYPE.i32, 1]] })],
  ['a recursive group', 'E_MODULE_GC', () => program({ types: [[0x4e, 1, 0x60, 0, 0]] })],
  ['array.new_default', 'E_MODULE_GC', () => program({ start: cat(i32(1000), [0xfb, 7, 1], DROP) })],
  ['a local of type anyref', 'E_MODULE_GC', () => program({ locals: [1, 1, 0x6e] })],
  ['a typed reference', 'E_MODULE_GC', () => program({ locals: [1, 1, 0x63, 0] })],
  ['a tag section', 'E_MODULE_EXCEPTIONS', () => program({ sections: { 13: section(13, [1, 0, 0]) } })],
  ['try_table', 'E_MODULE_EXCEPTIONS', () => program({ start: [0x1f, 0x40, 1, 2, 0, END] })],
  ['a legacy try with catch_all', 'E_MODULE_EXCEPTIONS', () => program({ start: [0x06, 0x40, 0x19, END] })],
  ['an imported tag', 'E_MODULE_EXCEPTIONS', () => importing(cat(wasi, text('t'), [4, 0, 0]))],
  ['a tail call', 'E_MODULE_TAIL_CALL', () => program({ start: [0x12, 0] })],
  ['an indirect tail call', 'E_MODULE_TAIL_CALL', () => program({ start: cat(i32(0), [0x13, 0, 0]) })],
  ['call_ref', 'E_MODULE_FEATURE', () => program({ start: [0x14, 0] })],
  ['relaxed SIMD', 'E_MODULE_FEATURE', () => program({ start: [0xfd, 0x80, 0x02] })],
  ['an opcode that does not exist', 'E_MODULE_FEATURE', () => program({ start: [0xff] })],
  ['a start section', 'E_MODULE_START', () => program({ start: forever(), sections: { 8: section(8, [0]) } })],
  ['an import from elsewhere', 'E_MODULE_IMPORT', () => importing(cat(text('env'), text('system'), [0, 0]))],
  ['the older WASI', 'E_MODULE_IMPORT', () => importing(cat(text('wasi_unstable'), text('fd_write'), [0, 0]))],
  ['an unknown WASI function', 'E_MODULE_IMPORT', () => importing(cat(wasi, text('fd_explode'), [0, 0]))],
  ['a method of every object', 'E_MODULE_IMPORT', () => importing(cat(wasi, text('constructor'), [0, 0]))],
  ['a WASI function with another type', 'E_MODULE_IMPORT', () => importing(cat(wasi, text('proc_exit'), [0, 0]))],
  ['an imported global', 'E_MODULE_IMPORT', () => importing(cat(wasi, text('fd_write'), [3, TYPE.i32, 0]))],
  ['an imported table', 'E_MODULE_IMPORT', () => importing(cat(wasi, text('fd_write'), [1, TYPE.funcref, 0, 1]))],
  ['no _start', 'E_MODULE_EXPORT', () => program({ sections: { 7: section(7, vec([MEMORY_EXPORT])) } })],
  ['no exported memory', 'E_MODULE_EXPORT', () => program({ sections: { 7: section(7, vec([START_EXPORT])) } })],
  ['a "memory" that is a function', 'E_MODULE_EXPORT', () => program({ sections: { 7: section(7, vec([START_EXPORT, cat(text('memory'), [0, 0])])) } })],
  ['a "_start" that is a memory', 'E_MODULE_EXPORT', () => program({ sections: { 7: section(7, vec([MEMORY_EXPORT, cat(text('_start'), [2, 0])])) } })],
  ['a "_start" that does not exist', 'E_MODULE_EXPORT', () => program({ sections: { 7: section(7, vec([MEMORY_EXPORT, cat(text('_start'), [0, 9])])) } })],
  ['a "_start" that returns a value', 'E_MODULE_EXPORT', () => program({ types: [funcType([], [TYPE.i32])], sections: { 3: section(3, vec([[1]])) } })],
  ['a "_start" that is an import', 'E_MODULE_EXPORT', () => program({ imports: ['sched_yield'], sections: { 7: section(7, vec([MEMORY_EXPORT, START_EXPORT])) } })],
  ['a function of more than the bound', 'E_MODULE_FUNCTION', () => program({ start: Array.from({ length: MAX_BODY_BYTES }, () => 0x01) })],
  ['too many locals', 'E_MODULE_FUNCTION', () => program({ locals: [1, ...leb(MAX_LOCALS + 1), TYPE.i32] })],
  ['4 billion locals', 'E_MODULE_FUNCTION', () => program({ locals: [2, ...leb(0xffffffff), TYPE.i32, ...leb(0xffffffff), TYPE.i32] })],
  ['too deep a nesting', 'E_MODULE_FUNCTION', () => program({ start: cat(repeat(MAX_NESTING + 1, [0x02, 0x40]), repeat(MAX_NESTING + 1, [END])) })],
  ['too long a br_table', 'E_MODULE_FUNCTION', () => program({ start: cat(i32(0), [0x0e], leb(MAX_BR_TABLE + 1), new Uint8Array(MAX_BR_TABLE + 2)) })],
  ['a function that takes minutes to compile', 'E_MODULE_FUNCTION', () => program({ locals: [1, ...leb(MAX_LOCALS), TYPE.i32], start: repeat(MAX_NESTING, cat(local.get(0), [0x04, 0x40, END])) })],
  ['257 parameters', 'E_MODULE_COUNT', () => program({ types: [funcType(repeat(257, [TYPE.i32]), [])] })],
  ['a body that ends early', 'E_MODULE_FORMAT', () => program({ sections: { 10: section(10, cat([1], [4, 0, END, 0, END])) } })],
  ['a body that does not end', 'E_MODULE_FORMAT', () => program({ sections: { 10: section(10, cat([1], [3, 0, 0x02, 0x40])) } })]
]

for (const [what, code, bytes] of REFUSED) {
  test(`refused: ${what}`, () => { assert.is(codeOf(bytes()), code) })
}

test('as many functions as allowed pass, and names in messages are plain text', () => {
  assert.is(codeOf(program({ more: Array.from({ length: MAX_FUNCTIONS - 1 }, () => body([])) })), 'ok')
  const result = check(importing(cat(text('\u001b[2J'), text('a\nb'), [0, 0])))
  assert.ok(!result.ok && /^[\u0020-\u007e]*$/.test(result.message))
})

test('every known WASI function can be imported', () => {
  assert.is(codeOf(program({ imports: [...WASI_SIGNATURES.keys()] })), 'ok')
})

/** Codes with which an instruction that the engine knows may be refused. */
const FEATURE_CODES = new Set(['E_MODULE_GC', 'E_MODULE_EXCEPTIONS', 'E_MODULE_TAIL_CALL', 'E_MODULE_THREADS', 'E_MODULE_FEATURE', 'E_MODULE_MEMORY'])

/** A program in which an instruction stands where any operands do, with something of every kind at index 0. */
function around(instruction: Bytes): Uint8Array {
  return program({
    start: cat([0x00], instruction, [0x00]), locals: [1, 1, TYPE.i32],
    sections: { 4: section(4, vec([[TYPE.funcref, 0, 1]])), 6: section(6, vec([[TYPE.i32, 1, 0x41, 0, END]])), 9: section(9, vec([[0, 0x41, 0, END, 1, 0]])), 12: section(12, [1]), 11: section(11, vec([[0, 0x41, 0, END, 0]])) }
  })
}

function instructions(): number[][] {
  const simple = Array.from({ length: 256 }, (_, op) => [op]).filter(([op = 0]) => op < 0xfb || op === 0xff)
  const prefixed = [0xfb, 0xfc, 0xfd, 0xfe].flatMap((prefix) => Array.from({ length: prefix === 0xfd ? 300 : 80 }, (_, sub) => [prefix, ...leb(sub)]))
  return [...simple, ...prefixed]
}

/** The language that is allowed, written down a second time. */
function isAllowed(opcode: number[]): boolean {
  const [first = 0] = opcode
  const sub = opcode.slice(1).reduce((sum, byte, n) => sum + (byte & 0x7f) * 128 ** n, 0)
  if (opcode.length > 1) return (first === 0xfc && sub <= 17) || (first === 0xfd && sub <= 255)
  return [[0x00, 0x05], [0x0b, 0x11], [0x1a, 0x1c], [0x20, 0x26], [0x28, 0xc4], [0xd0, 0xd2]].some(([from = 0, to = 0]) => first >= from && first <= to)
}

test('every instruction of the engine passes with the length the engine gives it, or is refused by name', () => {
  let passed = 0
  for (const opcode of instructions()) {
    let known = false
    for (let length = 0; length <= 18 && !known; length++) {
      // The last byte also with values that, taken for an opcode, would change the structure.
      for (const last of length === 0 ? [0] : [0, 1, 2, 3, 0x0b]) {
        const immediates = new Uint8Array(length)
        if (length > 0) immediates[length - 1] = last
        const bytes = around(cat(opcode, immediates))
        if (!WebAssembly.validate(bytes)) continue
        known = true
        const code = codeOf(bytes)
        const words = `${opcode.map((byte) => byte.toString(16)).join(' ')} with ${length} bytes, the last ${last}: ${code}`
        // A null of a type of the module's own is what the engine allows here and the check does not.
        if (isAllowed(opcode) && opcode[0] !== 0xd0) assert.is(code, 'ok', words)
        else assert.ok(FEATURE_CODES.has(code), words)
      }
    }
    if (known && isAllowed(opcode)) passed++
  }
  assert.ok(passed > 400, `only ${passed} instructions passed`)
})

test('nothing outside the allowed language passes, whatever its immediates', () => {
  for (const opcode of instructions()) {
    if (isAllowed(opcode)) continue
    for (let length = 0; length <= 4; length++) for (const fill of [0, 1, 0x40, 0x7f]) assert.is.not(codeOf(around(cat(opcode, new Uint8Array(length).fill(fill)))), 'ok', String(opcode))
  }
})

function mutate(bytes: Uint8Array, random: ReturnType<typeof seededRandom>): Uint8Array {
  const out = Uint8Array.from(bytes)
  for (let n = 1 + random.below(4); n > 0; n--) {
    const at = random.below(out.length)
    const kind = random.below(5)
    if (kind === 0) out[at] = random.below(256)
    else if (kind === 1) out[at] = [0, 1, 0x7f, 0x80, 0xff, 0x40, 0x0b][random.below(7)]!
    else if (kind === 2) out[at]! ^= 1 << random.below(8)
    else if (kind === 3) out.copyWithin(at, random.below(out.length), random.below(out.length))
    else return out.subarray(0, at)
  }
  return out
}

test('100,000 seeded mutations: an answer each time, and what passes and validates keeps the rules', () => {
  const seed = 20_260_611
  const random = seededRandom(seed)
  const samples = [
    program({ imports: ['fd_write', 'proc_exit'], start: cat(i32(0), [0x10, 1]), more: [body(forever(local.get(0), DROP), [1, 2, TYPE.i64])], data: [[8, Buffer.from('data')]] }),
    around(cat(i32(1), [0x0e, 1, 0, 0])),
    program({ types: [funcType([TYPE.i32, TYPE.v128], [TYPE.i32, TYPE.i32])], memory: [1, 1, 200], sections: { 4: section(4, vec([[TYPE.funcref, 1, 1, 4], [TYPE.externref, 0, 2]])) }, start: repeat(30, cat(i32(7), [0x04, 0x40], [0x01, 0x05], [END])) })
  ]
  let accepted = 0
  for (let n = 0; n < 100_000; n++) {
    const result = check(mutate(samples[n % samples.length]!, random), 64 * 65_536)
    if (!result.ok) { assert.match(result.code, /^E_MODULE_/); continue }
    accepted++
    if (n % 10 !== 0 || !WebAssembly.validate(result.bytes)) continue
    const compiled = new WebAssembly.Module(result.bytes)
    assert.ok(WebAssembly.Module.imports(compiled).every(({ module, name, kind }) => module === 'wasi_snapshot_preview1' && WASI_SIGNATURES.has(name) && kind === 'function'))
    const exports = WebAssembly.Module.exports(compiled)
    assert.ok(exports.some(({ name, kind }) => name === 'memory' && kind === 'memory') && exports.some(({ name, kind }) => name === '_start' && kind === 'function'))
    assert.ok(result.maxPages <= 64 && exports.every(({ kind }) => kind !== 'tag'))
  }
  assert.ok(accepted > 5000, `seed ${seed}: only ${accepted} mutants passed, so little was tested`)
})

test.run()
