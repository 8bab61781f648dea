/** The committed examples that run in containers: their files without an engine, and the programs beside them. Renders are in integration/container-render. */
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { WASI } from 'node:wasi'
import { deflateSync, inflateSync } from 'node:zlib'
import { PNG } from 'pngjs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { checkModule } from '../../node/sandbox/check-module.ts'
import { parseJobSpec } from '../../src/job/spec.ts'
import type { JobSpec } from '../../src/job/spec.ts'

const examples = join(import.meta.dirname, '../../config/examples')
/** Each job file of each example in containers, as `folder/file`. */
const jobs = readdirSync(examples).flatMap((folder) => existsSync(join(examples, folder, 'job.yaml')) ? readdirSync(join(examples, folder)).filter((file) => file.endsWith('.yaml')).map((file) => `${folder}/${file}`) : []).filter((path) => specOf(path).engine.kind === 'container')
function specOf(path: string): JobSpec {
  return parseJobSpec(parse(readFileSync(join(examples, path), 'utf8')))
}

test('each example in containers has a valid job file, a README, a script that builds its image, and what it names', () => {
  assert.ok(['render/job.yaml', 'render/film.yaml', 'render-quick/job.yaml'].every((path) => jobs.includes(path)), jobs.join(' '))
  for (const path of jobs) {
    const spec = specOf(path)
    const folder = join(examples, dirname(path))
    assert.ok(spec.engine.kind === 'container' && spec.engine.entrypoint?.[0]?.startsWith('/') === true, `${path}: an image of packages has no command and no PATH`)
    assert.ok(spec.outputs.length > 0, path)
    const sources = [...spec.inputs.map(({ source }) => source), ...spec.compare === undefined ? [] : [spec.compare.module]]
    // what the first job of an example makes is no file of the example
    const files = sources.flatMap((source) => source.kind === 'path' && !source.path.startsWith('./results') ? [source.path] : [])
    for (const file of ['README.md', 'build-image.sh', ...files]) assert.ok(statSync(join(folder, file)).size > 0, `${path}: ${file}`)
    for (const arg of spec.args) {
      const file = /\/in\/([^{]+)$/.exec(arg)?.[1]
      if (file !== undefined) assert.ok(spec.inputs.some(({ path: place }) => place === file), `${path}: ${arg} is no input`)
    }
  }
})

test('the scripts of images are sh, whatever sh is', () => {
  for (const script of ['images/build-debian.sh', ...new Set(jobs.map((path) => `${dirname(path)}/build-image.sh`))]) {
    const { status, stderr } = spawnSync('sh', ['-n', join(examples, script)], { encoding: 'utf8' })
    assert.is(status, 0, `${script}: ${stderr}`)
  }
})

test('the demo that renders names what is wrong with what it was asked', () => {
  for (const [args, words] of [[['--frames', '0'], '--frames 0'], [['--width', 'wide'], '--width wide'], [['--speed', '9'], '--speed']] as const) {
    const { status, stderr } = spawnSync(process.execPath, [join(examples, '../../bin/render-demo.ts'), ...args], { encoding: 'utf8' })
    assert.is(status, 2, stderr)
    assert.match(stderr, words)
  }
})

const similar = new WebAssembly.Module(readFileSync(join(examples, 'render/similar.wasm')))
type Side = Record<string, Buffer | string>

/** The comparator's exit code, under node:wasi: this is about the program, not about the sandbox. */
function compare(a: Side, b: Side, args = ['50', '30']): { code: number, said: string } {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-similar-'))
  const stderr = openSync(join(dir, 'stderr'), 'w')
  try {
    for (const [side, files] of [['a', a], ['b', b]] as const) {
      mkdirSync(join(dir, 'in', side), { recursive: true })
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, 'in', side, name)), { recursive: true })
        writeFileSync(join(dir, 'in', side, name), content)
      }
    }
    const wasi = new WASI({ version: 'preview1', args: ['similar', ...args], preopens: { '/in': join(dir, 'in') }, stderr, returnOnExit: true })
    const code = wasi.start(new WebAssembly.Instance(similar, wasi.getImportObject() as Record<string, Record<string, unknown>>))
    return { code, said: readFileSync(join(dir, 'stderr'), 'utf8').trim() }
  } finally {
    closeSync(stderr)
    rmSync(dir, { recursive: true })
  }
}

interface Look { width?: number, height?: number, colorType?: 0 | 2 | 4 | 6, filterType?: number, deflateLevel?: number, deflateStrategy?: number, change?: (x: number, y: number, value: number) => number }

/** A picture with slopes, edges and noise, so that each filter and each kind of packing has something to do. */
function picture({ width = 100, height = 70, colorType = 2, filterType = 4, deflateLevel = 9, deflateStrategy = 3, change = (_x, _y, value) => value }: Look = {}): Buffer {
  const png = new PNG({ width, height })
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let k = 0; k < 4; k++) {
        const value = k === 3 && colorType !== 4 && colorType !== 6 ? 255 : (x * 2 + y + 40 * k + (x > 50 && y > 30 ? 60 : 0) + (x * 7919 + y * 104729) % 13) % 230 + 10
        png.data[4 * (y * width + x) + k] = k < 3 || colorType === 4 || colorType === 6 ? change(x, y, value) : 255
      }
    }
  }
  return PNG.sync.write(png, { colorType, inputColorType: 6, filterType, deflateLevel, deflateStrategy, inputHasAlpha: true })
}

function chunk(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

/** One more chunk before the pixels. */
function withChunk(png: Buffer, type: string, content: string): Buffer {
  return Buffer.concat([png.subarray(0, 33), chunk(type, Buffer.from(content, 'latin1')), png.subarray(33)])
}

/** A picture of 8 x 8 greys whose packed pixels are these bytes. */
function packedAs(idat: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0])
  return Buffer.concat([picture().subarray(0, 8), chunk('IHDR', head), chunk('IDAT', idat), chunk('IEND', Buffer.alloc(0))])
}
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let k = 0; k < 8; k++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

const frame = (bytes: Buffer): Side => ({ 'out/frame.png': bytes, stderr: `${bytes.length}` })

test('the comparator passes the sandbox\'s check and says how it is called', () => {
  const check = checkModule(readFileSync(join(examples, 'render/similar.wasm')), 1 << 30)
  assert.ok(check.ok, check.ok ? '' : check.message)
  for (const args of [[], ['50'], ['x', '30'], ['50', '30', '9'], ['nan', '30'], ['-1', '30']]) assert.is(compare({}, {}, args).code, 2, args.join(' '))
})

test('pictures that differ in last digits, in packing or in their date agree, whatever their kind', () => {
  const off = (x: number, y: number, value: number): number => x % 17 === 3 && y % 11 === 5 ? value + 1 : value
  for (const colorType of [0, 2, 4, 6] as const) {
    for (let filterType = 0; filterType < 5; filterType++) assert.is(compare(frame(picture({ colorType })), frame(picture({ colorType, filterType, change: off }))).code, 0, `colour type ${colorType}, filter ${filterType}`)
  }
  for (const [deflateLevel, deflateStrategy] of [[0, 0], [1, 0], [9, 0], [9, 2], [6, 4]] as const) assert.is(compare(frame(picture()), frame(picture({ deflateLevel, deflateStrategy, change: off }))).code, 0, `packing ${deflateLevel}, ${deflateStrategy}`)
  assert.is(compare(frame(withChunk(picture(), 'tEXt', 'Date\0today')), frame(withChunk(picture({ change: off }), 'tIME', 'abcdefg'))).code, 0)
})

test('a lie in a small part of a picture, noise in all of it, or another look is a difference', () => {
  const good = frame(picture())
  const patch = compare(good, frame(picture({ change: (x, y, value) => x >= 80 && x < 90 && y >= 60 && y < 68 ? 255 - value : value })))
  assert.equal([patch.code, patch.said], [1, '/frame.png: the pictures differ around 80, 48'])
  assert.is(compare(good, frame(picture({ change: (x, y, value) => x === 99 && y === 69 ? 255 : value })), ['0', '30']).code, 0, 'one pixel is no square')
  const noisy = frame(picture({ change: (x, y, value) => value + (x * 31 + y * 17) % 5 - 2 }))
  assert.is(compare(good, noisy).code, 1)
  assert.is(compare(good, noisy, ['40', '30']).code, 0)
  assert.is(compare(good, frame(picture({ width: 101 }))).code, 1)
  assert.is(compare(good, frame(picture({ colorType: 6 }))).code, 1)
  assert.match(compare(frame(withChunk(picture(), 'gAMA', '\0\0\xb1\x8f')), frame(withChunk(picture(), 'gAMA', '\0\0\x11\x8f'))).said, /shown in different ways/)
})

test('what lacks a file, has one more, or differs in one that is no picture is a difference; logs are not looked at', () => {
  const good = frame(picture())
  for (const [a, b] of [[good, {}], [{ ...good, 'out/more/x.txt': '' }, good]] as [Side, Side][]) {
    assert.is(compare(a, b).code, 1)
    assert.is(compare(b, a).code, 1)
  }
  assert.is(compare({ 'out/a/b.txt': '1' }, { 'out/a/b.txt': '2' }).code, 1)
  assert.is(compare({ 'out/a': '1' }, { 'out/a/b.txt': '1' }).code, 1)
  assert.is(compare({ 'out/a/b.txt': '1', stdout: 'a' }, { 'out/a/b.txt': '1', stdout: 'b' }).code, 0)
})

test('pixels that no viewer would show are refused by name, though every sum over them is right', () => {
  const rows = Buffer.alloc(72, 7)
  for (let y = 0; y < 8; y++) rows[9 * y] = 0
  const good = frame(packedAs(deflateSync(rows)))
  assert.is(compare(good, frame(packedAs(deflateSync(rows, { level: 0 })))).code, 0)
  const filtered = Buffer.from(rows)
  filtered[9] = 5
  for (const [idat, words] of [
    [deflateSync(filtered), 'a row has an unknown filter'], [Buffer.concat([deflateSync(rows), Buffer.alloc(1)]), 'something follows its pixels'],
    [deflateSync(rows.subarray(9)), 'it has fewer pixels than it says'], [deflateSync(Buffer.concat([rows, rows])), 'it has more pixels than it says'], [Buffer.alloc(0), 'the packed pixels end in the middle']
  ] as const) assert.equal(compare(good, frame(packedAs(idat))), { code: 1, said: `/frame.png: ${words}` })
})

/** What zlib makes of a picture's packed pixels, where there is nothing after them; a bit or two of padding mean nothing. */
function unpacks(png: Buffer): string {
  const at = png.indexOf('IDAT')
  try {
    return inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4))).toString('latin1')
  } catch {
    return 'nothing'
  }
}

test('a broken picture never agrees with a good one, however it is broken', () => {
  const good = picture({ width: 24, height: 16 })
  const pixels = good.indexOf('IDAT')
  const length = good.readUInt32BE(pixels - 4)
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good)
    bad[at] = bad[at]! ^ 0x20
    assert.is(compare(frame(good), frame(bad)).code, 1, `byte ${at}`)
    if (at % 7 === 0) assert.is(compare(frame(good.subarray(0, at)), frame(good)).code, 1, `cut at ${at}`)
    if (at < pixels + 4 || at >= pixels + 4 + length) continue
    // whoever lies gets the sum of the part right: what is packed is wrong
    bad.writeUInt32BE(crc32(bad.subarray(pixels, pixels + 4 + length)), pixels + 4 + length)
    assert.is(compare(frame(good), frame(bad)).code, unpacks(bad) === unpacks(good) ? 0 : 1, `packed byte ${at}`)
  }
  assert.is(compare(frame(good), frame(Buffer.concat([good, Buffer.from('x')]))).code, 1)
})

test.run()
