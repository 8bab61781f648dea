/** Keeps the house as DESIGN says: who may import whom, what src may touch, and habits that a linter does not know. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const root = join(import.meta.dirname, '../..')
const ROOMS = ['bin', 'node', 'protocols', 'src'] as const
/** Layers of src, lowest first: a file imports its own layer or a lower one. */
const LAYERS = [
  ['errors.ts', 'units.ts', 'params.ts', 'codec'],
  ['documents'],
  ['core'],
  ['wasm', 'market', 'payment', 'reputation', 'contracts'],
  ['dispute'],
  ['job'],
  ['peer.ts'],
  ['sim']
]
/** Pure libraries that src may use: codecs, hashes, schemas. */
const SRC_LIBRARIES = [/^@noble\/(hashes|curves)\//, /^@ipld\/dag-cbor$/, /^multiformats\//, /^zod$/, /^fastest-levenshtein$/]
/** Large libraries that one room alone may know; tests may use them too. */
const ONE_ROOM: Record<string, string> = { ethers: 'node/chain/', dockerode: 'node/containers/' }
const AMBIENT = /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|setImmediate|performance\.now|process\.|crypto\.getRandomValues|randomBytes)\b/

interface Source { path: string, text: string, imports: string[] }

function read(dir: string, keep: (name: string) => boolean): Source[] {
  return readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' }).filter(keep).map((name) => {
    const path = join(dir, name)
    const text = readFileSync(join(root, path), 'utf8')
    const imports = [...text.matchAll(/^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    return { path, text, imports }
  })
}

const isCode = (name: string): boolean => name.endsWith('.ts') && !name.endsWith('.d.ts') && !name.startsWith('examples/')
const sources = ROOMS.flatMap((room) => read(room, isCode))
const tests = read('test', isCode)

function target(source: Source, specifier: string): string | undefined {
  return specifier.startsWith('.') ? relative(root, normalize(join(root, dirname(source.path), specifier))) : undefined
}

function layerOf(path: string): number {
  const part = path.split('/')[1] ?? ''
  return LAYERS.findIndex((layer) => layer.includes(part))
}

function violations(of: Source[], judge: (source: Source, specifier: string, to: string | undefined) => string | undefined): string[] {
  return of.flatMap((source) => source.imports.flatMap((specifier) => judge(source, specifier, target(source, specifier)) ?? []))
}

test('the rules see the whole house', () => {
  for (const room of ROOMS) assert.ok(sources.some(({ path }) => path.startsWith(`${room}/`)), `no source found in ${room}`)
  assert.ok(sources.some(({ imports }) => imports.length > 3))
})

test('bin imports node, node imports protocols, protocols import src, and nothing looks back', () => {
  const found = violations(sources, (source, specifier, to) => {
    if (to === undefined) return undefined
    const from = ROOMS.findIndex((room) => source.path.startsWith(`${room}/`))
    const into = ROOMS.findIndex((room) => to.startsWith(`${room}/`))
    return into >= from && into !== -1 && !to.startsWith('bin/') || to.startsWith('bin/') && source.path.startsWith('bin/') || to.startsWith('node_modules/') ? undefined : `${source.path} imports ${specifier}`
  })
  assert.equal(found, [])
})

test('a protocol imports no other protocol, only the shared wire', () => {
  const found = violations(sources.filter(({ path }) => path.startsWith('protocols/')), (source, specifier, to) => {
    const own = source.path.split('/')[1]
    const other = to?.startsWith('protocols/') === true ? to.split('/')[1] : undefined
    return other === undefined || other === own || other === 'wire' ? undefined : `${source.path} imports ${specifier}`
  })
  assert.equal(found, [])
})

test('layers of src only look down', () => {
  const found = violations(sources.filter(({ path }) => path.startsWith('src/')), (source, specifier, to) => {
    if (to === undefined) return undefined
    const [from, into] = [layerOf(source.path), layerOf(to)]
    if (from === -1 || into === -1) return `${source.path} or ${to} belongs to no layer`
    return into <= from ? undefined : `${source.path} imports ${specifier}, which stands above it`
  })
  assert.equal(found, [])
})

test('src has no I/O: only pure libraries, no clock, no luck, no timers', () => {
  const src = sources.filter(({ path }) => path.startsWith('src/'))
  const imported = violations(src, (source, specifier, to) => to !== undefined || SRC_LIBRARIES.some((allowed) => allowed.test(specifier)) ? undefined : `${source.path} imports ${specifier}`)
  const ambient = src.flatMap(({ path, text }) => text.split('\n').flatMap((line, i) => AMBIENT.test(line.replace(/\/\/.*|^\s*\*.*|\/\*\*.*/, '')) ? [`${path}:${i + 1} ${line.trim()}`] : []))
  assert.equal([...imported, ...ambient], [])
})

test('only node/chain knows ethers, only node/containers dockerode', () => {
  const found = violations(sources, ({ path }, specifier) => {
    const room = ONE_ROOM[specifier.split('/')[0] ?? '']
    return room === undefined || path.startsWith(room) ? undefined : `${path} imports ${specifier}`
  })
  assert.equal(found, [])
})

test('only node/config reads config/', () => {
  const found = sources.filter(({ path, text }) => !path.startsWith('node/config/') && /['"`/](\.\.\/)*config\/(defaults|devnet)/.test(text)).map(({ path }) => path)
  assert.equal(found, [])
})

test('every test file runs its tests', () => {
  const found = tests.filter(({ path, text }) => path.endsWith('.test.ts') && !/^\s*(\w+\.)?(test|suite\w*|\w+Suite)?\.?run\(\)/m.test(text) && !text.includes('test.run()')).map(({ path }) => path)
  assert.equal(found, [])
})

test('no test sleeps, is skipped or is alone', () => {
  const found = tests.filter(({ path }) => path.endsWith('.test.ts') && !path.endsWith('tidy.test.ts')).flatMap(({ path, text }) => text.split('\n').flatMap((line, i) => /test\.(skip|only)\(|\bsleep\(|await delay\(|setTimeout\(resolve/.test(line) && !/^\s*while \(/.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : []))
  assert.equal(found, [])
})

test('no escape hatches from the types', () => {
  const found = sources.flatMap(({ path, text }) => text.split('\n').flatMap((line, i) => /as unknown as|@ts-ignore|@ts-expect-error|oxlint-disable|eslint-disable/.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : []))
  assert.equal(found, [])
})

test('tests say what they need of a part by its type too', () => {
  // libp2p has no public way to say what a router would
  const found = tests.filter(({ path }) => !/tidy|network-company/.test(path)).flatMap(({ path, text }) => text.split('\n').flatMap((line, i) => /as unknown as|@ts-ignore/.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : []))
  assert.equal(found, [])
})

test('a file has one noun: at most 450 lines', () => {
  const found = sources.filter(({ text }) => text.split('\n').length > 450).map(({ path, text }) => `${path} has ${text.split('\n').length} lines`)
  assert.equal(found, [])
})

test('every folder of the house tells what it is for', () => {
  const folders = new Set(sources.map(({ path }) => path.split('/').slice(0, 2).join('/')).filter((folder) => !folder.endsWith('.ts')))
  const found = [...folders].filter((folder) => !readdirSync(join(root, folder)).includes('README.md'))
  assert.equal(found, [])
})

test('the top level is fixed', () => {
  const allowed = new Set(['package.json', 'package-lock.json', 'tsconfig.json', 'src', 'protocols', 'node', 'bin', 'test', 'config', 'README.md', 'LICENSE', 'CHANGELOG.md', 'node_modules', 'dist'])
  assert.equal(readdirSync(root).filter((name) => !name.startsWith('.') && !allowed.has(name)), [])
})

test.run()
