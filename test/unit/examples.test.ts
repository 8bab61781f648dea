/**
 * The committed example modules, each run on its real input (those in containers: see container-examples). They run under node:wasi here: this is about the programs,
 * not about the sandbox, and nothing in them is hostile.
 */
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { WASI } from 'node:wasi'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { checkModule } from '../../node/sandbox/check-module.ts'
import { parseJobSpec } from '../../src/job/spec.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import type { Source } from '../../src/job/spec-fields.ts'

const examples = join(import.meta.dirname, '../../config/examples')
const names = readdirSync(examples).filter((name) => existsSync(join(examples, name, 'job.yaml')) && specOf(name).engine.kind === 'wasm').sort()

interface Ran { code: number, stdout: string, stderr: string, out: Map<string, Buffer> }

const modules = new Map<string, WebAssembly.Module>()
function moduleOf(path: string): WebAssembly.Module {
  const module = modules.get(path) ?? new WebAssembly.Module(readFileSync(join(examples, path)))
  modules.set(path, module)
  return module
}

/** Runs a module with `input` (a folder) as /in; `inputs` are small files made up by the test instead. */
function run(path: string, args: string[], input: string | Record<string, string | Buffer> = {}): Ran {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-examples-'))
  const at = (name: string): string => join(folder, name)
  const made = mkdtempSync(at('in-'))
  const out = mkdtempSync(at('out-'))
  if (typeof input !== 'string') for (const [name, content] of Object.entries(input)) writeFileSync(join(made, name), content)
  const stdout = openSync(at('stdout'), 'w')
  const stderr = openSync(at('stderr'), 'w')
  try {
    const preopens = { '/in': typeof input === 'string' ? resolve(examples, input) : made, '/out': out, '/tmp': made }
    const wasi = new WASI({ version: 'preview1', args: ['program', ...args], env: {}, preopens, stdout, stderr, returnOnExit: true })
    const instance = new WebAssembly.Instance(moduleOf(path), wasi.getImportObject() as Record<string, Record<string, unknown>>)
    const code = wasi.start(instance)
    const files = new Map(readdirSync(out).map((name): [string, Buffer] => [name, readFileSync(join(out, name))]))
    return { code, stdout: readFileSync(at('stdout'), 'utf8'), stderr: readFileSync(at('stderr'), 'utf8'), out: files }
  } finally {
    closeSync(stdout)
    closeSync(stderr)
    rmSync(folder, { recursive: true })
  }
}

function text(ran: Ran, name: string): string {
  assert.is(ran.code, 0, ran.stderr)
  const file = ran.out.get(name)
  assert.ok(file, `/out/${name} is missing`)
  return file.toString('latin1')
}

function specOf(name: string): JobSpec {
  return parseJobSpec(parse(readFileSync(join(examples, name, 'job.yaml'), 'utf8')))
}

function pathOf(source: Source): string {
  assert.ok(source.kind === 'path', 'an example takes its files from its own folder')
  return source.path
}

test('each example has a valid job file whose module, inputs and folders exist, a README and a build script', () => {
  assert.ok(names.length >= 5)
  for (const name of names) {
    const spec = specOf(name)
    assert.ok(spec.engine.kind === 'wasm' && spec.outputs.length > 0, name)
    const sources = [spec.engine.module, ...(spec.compare === undefined ? [] : [spec.compare.module]), ...spec.inputs.map(({ source }) => source), ...(spec.map?.kind === 'files' ? [spec.map.folder] : [])]
    for (const path of [...sources.map(pathOf), 'README.md', 'build.sh']) assert.ok(statSync(join(examples, name, path)).size > 0, `${name}: ${path}`)
    for (const arg of spec.args) {
      const file = /^\/in\/([^{]+)$/.exec(arg)?.[1]
      if (file !== undefined) assert.ok(spec.inputs.some(({ path }) => path === file), `${name}: ${arg} is no input`)
    }
  }
})

test('each module passes the sandbox\'s check under its job\'s memory and imports WASI preview 1 only', () => {
  for (const name of names) {
    const spec = specOf(name)
    assert.ok(spec.engine.kind === 'wasm')
    const path = join(name, pathOf(spec.engine.module))
    const check = checkModule(readFileSync(join(examples, path)), spec.resources.memoryBytes)
    assert.ok(check.ok, check.ok ? '' : `${name}: ${check.message}`)
    assert.equal([...new Set(WebAssembly.Module.imports(moduleOf(path)).map((entry) => entry.module))], ['wasi_snapshot_preview1'], name)
  }
})

test('programs that compare pass the same check, and say yes to what is right or alike and no to the rest', () => {
  for (const path of ['orbits/tolerance.wasm', 'factors/check.wasm']) assert.ok(checkModule(readFileSync(join(examples, path)), 2 ** 28).ok, path)
  const folder = mkdtempSync(join(tmpdir(), 'hearth-compare-'))
  const say = (module: string, arg: string, files: Record<string, string>): number => {
    const dir = mkdtempSync(join(folder, 'in-'))
    for (const [path, content] of Object.entries(files)) { mkdirSync(dirname(join(dir, path)), { recursive: true }); writeFileSync(join(dir, path), content) }
    return run(module, [arg], dir).code
  }
  const near = (a: string, b: string, more: Record<string, string> = {}): number => say('orbits/tolerance.wasm', '1e-6', { 'a/out/x/y.txt': a, 'b/out/x/y.txt': b, 'a/stderr': 'a', ...more })
  assert.equal([near('at 1.0000001, ok', 'at 1.0, ok'), near('-2e3;3', '-2000;3')], [0, 0])
  assert.equal([near('at 1.1, ok', 'at 1.0, ok'), near('1.0', '1.0 '), near('a', 'b'), near('1', '1', { 'b/out/z': '' }), near('1', '1', { 'a/out/z/w': '' })], [1, 1, 1, 1, 1])
  assert.is(say('orbits/tolerance.wasm', 'much', { 'a/x': '', 'b/x': '' }), 2)
  const check = (number: string, factors: string): number => say('factors/check.wasm', number, { 'result/out/factors.txt': factors })
  const ran = run('factors/factors.wasm', ['600851475143'])
  assert.is(check('600851475143', text(ran, 'factors.txt')), 0)
  assert.equal([check('12', '2\n2\n3\n'), check('2147483647', '2147483647\n')], [0, 0])
  assert.equal([check('12', '2\n6\n'), check('12', '4\n3\n'), check('12', '2\n3\n'), check('12', '3\n2\n2\n'), check('12', '2\n2\n3\n1\n'), check('12', 'x'), check('12', '')], [1, 1, 1, 1, 1, 1, 1])
  assert.is(say('factors/check.wasm', '12', { 'result/stdout': '' }), 1)
  rmSync(folder, { recursive: true, force: true })
})

test('hello greets its arguments on standard output and in its file', () => {
  const ran = run('hello/hello.wasm', ['wide', 'world'])
  assert.is(text(ran, 'hello.txt'), 'Hello, wide world!\n')
  assert.is(ran.stdout, 'Hello, wide world!\n')
  assert.is(run('hello/hello.wasm', []).stdout, 'Hello!\n')
  assert.ok(statSync(join(examples, 'hello/hello.wasm')).size < 10 * 1024)
})

interface Tile { x: number, y: number, width: number, height: number, pictureWidth: number, pictureHeight: number, rgb: Buffer }

function tileOf(ppm: Buffer): Tile {
  const head = /^P6\n# tile \d+ of \d+: x (\d+) y (\d+) of (\d+) x (\d+)\n(\d+) (\d+)\n255\n/.exec(ppm.subarray(0, 200).toString('latin1'))
  assert.ok(head, 'not a tile')
  const [x, y, pictureWidth, pictureHeight, width, height] = head.slice(1).map(Number) as [number, number, number, number, number, number]
  const rgb = ppm.subarray(head[0].length)
  assert.is(rgb.length, width * height * 3)
  return { x, y, width, height, pictureWidth, pictureHeight, rgb }
}

function render(tile: number, tiles: number, width: number, height: number, samples: number): Tile {
  const ran = run('path-tracer/tracer.wasm', ['--tile', `${tile}`, '--tiles', `${tiles}`, '--width', `${width}`, '--height', `${height}`, '--samples', `${samples}`], 'path-tracer')
  text(ran, 'tile.ppm')
  return tileOf(ran.out.get('tile.ppm')!)
}

/** Mean red, green and blue of a part of a tile, given as shares of its width and height. */
function mean(tile: Tile, x0: number, y0: number, x1: number, y1: number): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0]
  let count = 0
  for (let y = Math.floor(y0 * tile.height); y < y1 * tile.height; y++) {
    for (let x = Math.floor(x0 * tile.width); x < x1 * tile.width; x++, count++) {
      for (let k = 0; k < 3; k++) sum[k]! += tile.rgb[(y * tile.width + x) * 3 + k]!
    }
  }
  return [sum[0] / count, sum[1] / count, sum[2] / count]
}

test('the tracer paints a glowing fire on the left, a blue window on the right, and dark between', () => {
  const picture = render(0, 1, 96, 60, 4)
  assert.equal([picture.width, picture.height], [96, 60])
  const [fireRed, , fireBlue] = mean(picture, 0.30, 0.55, 0.46, 0.74)
  const [windowRed, , windowBlue] = mean(picture, 0.76, 0.12, 0.94, 0.26)
  const wall = mean(picture, 0.56, 0.3, 0.62, 0.55)
  assert.ok(fireRed > 150 && fireRed > 1.7 * fireBlue, `fire ${fireRed} ${fireBlue}`)
  assert.ok(windowBlue > 110 && windowBlue > 1.25 * windowRed, `window ${windowRed} ${windowBlue}`)
  assert.ok(Math.max(...wall) < 90, `wall ${wall.join(' ')}`)
})

test('a picture in tiles is, byte for byte, the picture in one piece, and a tile is the same each time', () => {
  const whole = render(0, 1, 90, 56, 2)
  const joined = Buffer.alloc(whole.rgb.length)
  for (let i = 0; i < 6; i++) {
    const tile = render(i, 6, 90, 56, 2)
    assert.equal([tile.pictureWidth, tile.pictureHeight, tile.width], [90, 56, 30])
    for (let row = 0; row < tile.height; row++) {
      tile.rgb.copy(joined, ((tile.y + row) * 90 + tile.x) * 3, row * tile.width * 3, (row + 1) * tile.width * 3)
    }
    if (i === 4) assert.ok(render(i, 6, 90, 56, 2).rgb.equals(tile.rgb), 'the same tile twice differs')
  }
  assert.ok(joined.equals(whole.rgb), 'tiles and whole differ')
})

test('the tracer refuses a bad scene by its line, and bad options by name', () => {
  const tracer = 'path-tracer/tracer.wasm'
  const scene = 'camera from 0 1 4 at 0 0 0\nmaterial grey diffuse .5 .5 .5\nsphere gray 0 0 0 1\n'
  const bad = run(tracer, [], { 'scene.txt': scene })
  assert.is(bad.code, 2)
  assert.match(bad.stderr, '/in/scene.txt:3: no such material (define it above): gray')
  assert.is(run(tracer, ['--width', '9', '--height', '9'], { 'scene.txt': `${scene.replace('gray', 'grey')}light sphere 0 3 0 .5 9 9 9\n` }).code, 0)
  for (const [args, words] of [[['--samples', '0'], '--samples must be'], [['--tile', '4', '--tiles', '4'], '--tile must be below'], [['--speed', '9'], 'unknown option --speed']] as const) {
    const ran = run(tracer, [...args], 'path-tracer')
    assert.is(ran.code, 2)
    assert.match(ran.stderr, words)
  }
})

test('word counts of each text equal an independent count', () => {
  const files = readdirSync(join(examples, 'word-count/texts'))
  assert.is(files.length, 14)
  for (const file of files) {
    const counted = new Map<string, number>()
    const words = readFileSync(join(examples, 'word-count/texts', file), 'latin1').toLowerCase().match(/[a-z0-9\x80-\xff]+(?:['-][a-z0-9\x80-\xff]+)*/g) ?? []
    for (const word of words) counted.set(word, (counted.get(word) ?? 0) + 1)
    const expected = [...counted].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([word, count]) => `${count}\t${word}\n`).join('')
    const ran = run('word-count/word-count.wasm', [`/in/${file}`], 'word-count/texts')
    assert.ok(text(ran, 'counts.tsv') === expected, file)
    assert.is(ran.stdout, `${file}: ${words.length} words, ${counted.size} different\n`)
  }
})

test('words keep their inner apostrophes, hyphens and UTF-8, and an empty text has none', () => {
  const count = (content: string): string => text(run('word-count/word-count.wasm', ['/in/a.txt'], { 'a.txt': content }), 'counts.tsv')
  const utf8 = Buffer.from(count("'Tis o'er--o'er! Well-worn müll; müll -x- end"), 'latin1').toString()
  assert.is(utf8, "2\tmüll\n2\to'er\n1\tend\n1\ttis\n1\twell-worn\n1\tx\n")
  assert.is(count(''), '')
})

/** The same job as the example's query, by plain loops over the same files. */
function scriptsByHand(): string[] {
  const rows = (name: string): string[][] => readFileSync(join(examples, 'sqlite/data', name), 'utf8').trim().split('\n').slice(1).map((line) => line.split(','))
  const blocks = rows('blocks.csv')
  const counts = new Map<string, { characters: number, letters: number, digits: number, blocks: Map<string, number> }>()
  for (const [first, last, script, category] of rows('scripts.csv') as [string, string, string, string][]) {
    if (script === 'Common' || script === 'Inherited') continue
    const entry = counts.get(script) ?? { characters: 0, letters: 0, digits: 0, blocks: new Map<string, number>() }
    counts.set(script, entry)
    for (let code = Number(first); code <= Number(last); code++) {
      entry.characters++
      if (category.startsWith('L')) entry.letters++
      if (category === 'Nd') entry.digits++
      const block = blocks.find((row) => code >= Number(row[0]) && code <= Number(row[1]))![2]!
      entry.blocks.set(block, (entry.blocks.get(block) ?? 0) + 1)
    }
  }
  return [...counts].map(([script, entry]) => {
    const [largest] = [...entry.blocks].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0]!
    return `${script},${entry.characters},${entry.letters},${entry.digits},${largest}`
  }).sort()
}

test('SQLite answers the example query as plain loops do, ranked', () => {
  const job = specOf('sqlite')
  const input = Object.fromEntries(job.inputs.map(({ path, source }) => [path, readFileSync(join(examples, 'sqlite', pathOf(source)))]))
  const lines = text(run('sqlite/sql.wasm', job.args, input), 'result.csv').trim().split('\n')
  assert.is(lines[0], 'rank,script,characters,letters,digits,since,mostly_since,largest_block')
  const cells = lines.slice(1).map((line) => line.split(','))
  assert.equal(cells.map(([, script, characters, letters, digits, , , block]) => [script, characters, letters, digits, block].join(',')).sort(), scriptsByHand())
  assert.is(lines[1], '1,Han,98408,98063,0,1993,2001,CJK Unified Ideographs Extension B')
  const sizes = cells.map((row) => Number(row[2]))
  assert.equal(cells.map((row) => Number(row[0])), sizes.map((size) => 1 + sizes.filter((other) => other > size).length))
})

test('SQLite reads quoted CSV, keeps leading noughts, and names mistakes', () => {
  const sql = 'sqlite/sql.wasm'
  const table = 'code,n,note\n007,2,"a, ""b"""\n010,3.5,\n'
  const query = (q: string, t = table): Ran => run(sql, ['/in/q.sql', '/in/t.csv'], { 'q.sql': q, 't.csv': t })
  assert.is(text(query('SELECT code, n * 2 AS twice, note, note IS NULL AS none FROM t ORDER BY code'), 'result.csv'), 'code,twice,note,none\n007,4,"a, ""b""",0\n010,7.0,,1\n')
  const wrong = query('SELECT absent FROM t')
  assert.is(wrong.code, 2)
  assert.match(wrong.stderr, 'no such column: absent')
  assert.match(query('SELECT 1', 'a,b\n1,2\n3\n').stderr, 'record 3 has another number of fields')
  assert.match(query('CREATE TABLE u(a)').stderr, 'no statement returned rows')
})

interface Estimate { seed: number, side: number, trials: number, openedSum: number, openedSquareSum: number, threshold: number }

test('the percolation estimate is the known threshold within four standard errors, and a seed repeats', () => {
  const estimates: Estimate[] = []
  const estimate = (seed: number): string => text(run('monte-carlo/percolation.wasm', [`${seed}`, '60', '192']), 'estimate.json')
  for (let seed = 0; seed < 8; seed++) estimates.push(JSON.parse(estimate(seed)) as Estimate)
  assert.is(new Set(estimates.map((row) => row.openedSum)).size, 8, 'seeds must differ')
  assert.equal(JSON.parse(estimate(3)), estimates[3])
  const total = (key: 'trials' | 'openedSum' | 'openedSquareSum'): number => estimates.reduce((sum, row) => sum + row[key], 0)
  const cells = 192 ** 2
  const [n, sum, squares] = [total('trials'), total('openedSum'), total('openedSquareSum')]
  const threshold = sum / n / cells
  const error = Math.sqrt((squares / n - (sum / n) ** 2) / (n - 1)) / cells
  // four standard errors of 480 trials are about 0.0018
  assert.ok(error > 0.0002 && error < 0.0008, `standard error ${error}`)
  assert.ok(Math.abs(threshold - 0.592746) < 4 * error, `threshold ${threshold} +- ${error}`)
  for (const row of estimates) assert.is(row.threshold, Math.round(row.openedSum / row.trials / cells * 1e6) / 1e6)
})

test.run()
