/** Everything that reads a stranger's bytes, against seeded garbage: an answer each time, no crash, no growth. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeDone, decodeEntry, encodeEntry, MAX_DETAIL_CHARS, type ChildDone } from '../../node/sandbox/child-messages.ts'
import { encodeFrame, FRAME_HEADER_BYTES, FrameReader } from '../../node/sandbox/frames.ts'
import { isOutName } from '../../node/sandbox/out-name.ts'
import { WASI_SIGNATURES } from '../../node/sandbox/wasi-abi.ts'
import { ProgramExit } from '../../node/sandbox/wasi.ts'
import { FD, Guest } from '../fixtures/wasm/guest.ts'
import { seededRandom, type SeededRandom } from '../helpers/seeded.ts'

const pick = <T>(random: SeededRandom, values: readonly T[]): T => values[random.below(values.length)]!

const NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 0x1000, 0x7000, 0x8000, 0x1fff8, 0x1ffff, 0x20000, -1, -2, -8, 0x7fffffff, -0x80000000, 1024, 1025]
const LARGE = [0n, 1n, 5n, 100n, 1000n, 1001n, 4096n, 2n ** 20n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, -1n, -(2n ** 63n), 0x1fffffffn, 66n]
const PATHS = ['a', 'b', 'd', 'd/e', 'd/e/f', '.', '..', 'd/..', 'd/../a', '/a', 'a/', 'd/', '', 'i', '-x', 'x\0', '../../../etc/passwd', 'ü', 'a/b', 'c']

test('100,000 calls with lying arguments: an errno each, quotas kept, nothing outside the scratch directory', () => {
  const seed = 4711
  const random = seededRandom(seed)
  const names = [...WASI_SIGNATURES.keys()]
  const limits = { outBytes: 3_000_000, outFiles: 12, logBytes: 500 }
  let guest = new Guest({ ...limits, inputs: [{ path: 'i', hostPath: join(import.meta.dirname, 'wasi-fuzz.test.ts'), sizeBytes: 100 }] })
  const errnos = new Map<number, number>()
  for (let n = 0; n < 100_000; n++) {
    // Half of the paths and vectors make sense, so that the tree lives.
    const path = Buffer.from(pick(random, PATHS))
    guest.bytes.set(path, 0x1000)
    guest.vector([pick(random, NUMBERS) >>> 0, pick(random, NUMBERS) >>> 0], [0x8000, random.below(5000)])
    const name = pick(random, names)
    const types = WASI_SIGNATURES.get(name)!.split(':')[0]!
    const args = types.split('').map((type, at) => {
      if (type === 'I') return pick(random, LARGE)
      if (name.startsWith('path_') && random.below(2) === 0) return at === 0 ? pick(random, [FD.out, FD.tmp, FD.in]) : 0
      return name === 'random_get' ? random.below(5000) : pick(random, NUMBERS)
    })
    if (name.startsWith('path_') && random.below(10) > 0) {
      const pointer = name === 'path_open' || name.startsWith('path_filestat') ? 2 : 1
      args[pointer] = 0x1000
      args[pointer + 1] = path.length
      if (name === 'path_rename') { args[4] = 0x1000 + random.below(3); args[5] = random.below(3) }
      if (name === 'path_open') { args[4] = random.below(16); args[5] = pick(random, [-1n, 66n, 2n, 0n]); args[7] = random.below(2); args[8] = 0x7ff0 }
    } else if (/^fd_p?(?:read|write)$/.test(name) && random.below(2) === 0) { args[1] = 0x7000; args[2] = 2; args[args.length - 1] = 0x7ff8; args[0] = 7 + random.below(8) }
    let errno = -1
    try { errno = guest.call(name, ...args) } catch (err) { assert.instance(err, ProgramExit, `${name}(${args.join(', ')}): ${String(err)}`) }
    if (name !== 'proc_exit') assert.ok(Number.isInteger(errno) && errno >= 0 && errno < 77, `${name}(${args.join(', ')}): ${errno}`)
    errnos.set(errno, (errnos.get(errno) ?? 0) + 1)
    assert.ok(guest.wasi.tree.files <= limits.outFiles)
    if (n % 5000 !== 4999) continue
    const outputs = guest.wasi.finish()
    const total = outputs.reduce((sum, { file }) => sum + (file?.body.sizeBytes ?? 0), 0)
    assert.ok(total <= limits.outBytes && outputs.length <= limits.outFiles)
    assert.ok(outputs.every(({ path }) => path.split('/').every(isOutName)))
    assert.ok(readdirSync(guest.dir).reduce((sum, name) => sum + statSync(join(guest.dir, name)).size, 0) <= limits.outBytes)
    assert.ok(guest.wasi.stdout.end().length < limits.logBytes + 100)
    guest.close()
    guest = new Guest({ ...limits, inputs: [{ path: 'i', hostPath: join(import.meta.dirname, 'wasi-fuzz.test.ts'), sizeBytes: 100 }] })
  }
  guest.close()
  assert.ok((errnos.get(0) ?? 0) > 10_000 && errnos.size > 15, `seed ${seed}: too few kinds of answers: ${JSON.stringify([...errnos])}`)
})

function garble(random: SeededRandom, bytes: Buffer): Buffer {
  const out = Buffer.from(bytes)
  for (let n = random.below(4); n > 0 && out.length > 0; n--) out[random.below(out.length)] = random.below(256)
  return random.below(4) === 0 ? out.subarray(0, random.below(out.length + 1)) : out
}

test('100,000 garbled entries: what is decoded is a path that a program may create', () => {
  const random = seededRandom(1)
  const samples = [encodeEntry({ path: 'a/b.txt', file: { number: 3, sizeBytes: 1000 } }), encodeEntry({ path: 'dir', file: undefined }), encodeEntry({ path: 'ü/😀', file: { number: 0, sizeBytes: 0 } })]
  for (const sample of samples) assert.ok(decodeEntry(sample) !== undefined && encodeEntry(decodeEntry(sample)!).equals(sample))
  let decoded = 0
  for (let n = 0; n < 100_000; n++) {
    const entry = decodeEntry(garble(random, pick(random, samples)))
    if (entry === undefined) continue
    decoded++
    assert.ok(entry.path.split('/').every(isOutName) && Buffer.byteLength(entry.path) <= 1024)
    assert.ok(entry.file === undefined || Number.isSafeInteger(entry.file.sizeBytes) && entry.file.sizeBytes >= 0)
  }
  assert.ok(decoded > 10_000)
  for (const path of ['../x', '/x', 'a//b', 'a/./b', '', 'a/', 'a\nb', 'd/'.repeat(40) + 'x']) assert.is(decodeEntry(encodeEntry({ path, file: undefined })), undefined, path)
})

test('100,000 garbled reports: what is decoded is an outcome that a child can have, with plain text', () => {
  const random = seededRandom(2)
  const usage = { cpuMs: 1.5, residentBytes: 10, memoryBytes: 65_536, stdoutBytes: 3, stderrBytes: 0 }
  const done: ChildDone[] = [
    { kind: 'exited', exitCode: 4_294_967_295, usage }, { kind: 'trapped', trap: 'unreachable', detail: 'at x', usage },
    { kind: 'trapped', trap: 'E_MODULE_GC', detail: '', usage }, { kind: 'abstained', code: 'E_SANDBOX_STACK', message: 'deep', usage }
  ]
  for (const each of done) assert.equal(decodeDone(Buffer.from(JSON.stringify(each))), each)
  let decoded = 0
  for (let n = 0; n < 100_000; n++) {
    const result = decodeDone(garble(random, Buffer.from(JSON.stringify(pick(random, done)))))
    if (result === undefined) continue
    decoded++
    if (result.kind === 'exited') assert.ok(Number.isInteger(result.exitCode) && result.exitCode >= 0 && result.exitCode < 2 ** 32)
  }
  assert.ok(decoded > 1000)
  const bad = [{ ...done[0], exitCode: -1 }, { ...done[0], exitCode: 0.5 }, { ...done[0], exitCode: 2 ** 32 }, { ...done[1], trap: 'because' }, { ...done[3], code: 'OK' }, { ...done[0], usage: { ...usage, cpuMs: -1 } }, { ...done[0], usage: { ...usage, cpuMs: '1' } }, { ...done[0], kind: 'won' }, null, 3, []]
  for (const each of bad) assert.is(decodeDone(Buffer.from(JSON.stringify(each))), undefined, JSON.stringify(each))
  const loud = decodeDone(Buffer.from(JSON.stringify({ ...done[3], message: `\u001b[2J${'x'.repeat(9999)}` })))
  assert.ok(loud?.kind === 'abstained' && loud.message.length === MAX_DETAIL_CHARS && loud.message.startsWith('?[2J'))
})

test('frames come out as they went in, however the stream is cut; a large one ends it before it is held', () => {
  const random = seededRandom(3)
  for (let round = 0; round < 300; round++) {
    const sent = Array.from({ length: 1 + random.below(8) }, () => ({ type: random.below(256), run: random.below(2 ** 31), body: Buffer.from(random.bytes(random.below(3) === 0 ? random.below(1000) : random.below(9))) }))
    const stream = Buffer.concat(sent.map(({ type, run, body }) => encodeFrame(type, run, body)))
    const seen: typeof sent = []
    const reader = new FrameReader(1000, (type, run, body) => { seen.push({ type, run, body: Buffer.from(body) }) })
    for (let at = 0; at < stream.length;) { const size = 1 + random.below(random.below(2) === 0 ? 3 : 500); assert.ok(reader.push(stream.subarray(at, at + size))); at += size }
    assert.equal(seen, sent)
  }
  const reader = new FrameReader(1000, () => { assert.unreachable() })
  const head = encodeFrame(1, 0, Buffer.alloc(1001)).subarray(0, FRAME_HEADER_BYTES)
  assert.not.ok(reader.push(head))
})

test.run()
