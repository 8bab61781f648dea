import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseJobText } from '../../node/jobfile/index.ts'
import { HearthError } from '../../src/errors.ts'
import { nearest } from '../../src/job/nearest.ts'
import { jobFileReference } from '../../src/job/spec-reference.ts'
import { JOB_DEFAULTS } from '../../src/job/spec-schema.ts'
import { exactWei, parseWei } from '../../src/job/spec-units.ts'
import { writeJobFile } from '../../src/job/spec-write.ts'
import { checkJobSpec, parseJobSpec } from '../../src/job/spec.ts'
import { parseDuration, parseSize } from '../../src/units.ts'

const PEER_A = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const PEER_B = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const wasm = { module: 'a.wasm' }
const DIGEST = `sha256:${'a1'.repeat(32)}`
const ALPINE = `docker.io/library/alpine@${DIGEST}`
const SIGNATURE = `${PEER_A}:${'A'.repeat(86)}==`

/** What is wrong, the code, what the message names, what the hint proposes. */
type Bad = readonly [spec: unknown, code: string, message: RegExp, hint: RegExp]

const BAD: readonly Bad[] = [
  // keys
  [{ modul: 'a.wasm' }, 'E_JOB_KEY', /"modul"/, /"module"/],
  [{ ...wasm, limits: { runn: '5 m' } }, 'E_JOB_KEY', /"limits\.runn"/, /"limits\.run"/],
  [{ ...wasm, memory: '1 GiB' }, 'E_JOB_KEY', /"memory"/, /"resources\.memory"/],
  [{ ...wasm, resources: { cpu: 2 } }, 'E_JOB_KEY', /"resources\.cpu"/, /"resources\.cores"/],
  [{ ...wasm, timeout: '5 m' }, 'E_JOB_KEY', /"timeout"/, /"limits\.run"/],
  [{ ...wasm, placement: { region: 'eu' } }, 'E_JOB_KEY', /"placement\.region"/, /"placement\.regions"/],
  [{ image: ALPINE, resources: { gpu: { modle: 'RTX' } } }, 'E_JOB_KEY', /"resources\.gpu\.modle"/, /"resources\.gpu\.model"/],
  [{ ...wasm, map: { rnage: [0, 4] } }, 'E_JOB_KEY', /"map\.rnage"/, /"map\.range"/],
  [{ ...wasm, zzzzzzzz: 1 }, 'E_JOB_KEY', /"zzzzzzzz"/, /Known keys here: name, engine/],
  [{ ...wasm, MODULE: 'b.wasm' }, 'E_JOB_KEY', /"MODULE"/, /"module"/],
  [JSON.parse('{"module":"a.wasm","__proto__":{"x":1}}'), 'E_JOB_TYPE', /__proto__/, /Remove it/],
  // the whole
  [null, 'E_JOB_TYPE', /the job file must be keys and values/, /key: value/],
  [[], 'E_JOB_TYPE', /the job file must be/, /key: value/],
  ['a.wasm', 'E_JOB_TYPE', /the job file must be/, /key: value/],
  [{}, 'E_JOB_MISSING', /module is missing/, /module: /],
  [{ engine: 'container' }, 'E_JOB_MISSING', /image is missing/, /image: /],
  [{ ...wasm, args: [new Date()] }, 'E_JOB_TYPE', /args\[0\] is not plain data/, /plain/],
  [{ ...wasm, spotCheck: Number.NaN }, 'E_JOB_TYPE', /spotCheck/, /finite/],
  // types
  [{ ...wasm, limits: null }, 'E_JOB_TYPE', /limits must be keys and values/, /leave the key out/],
  [{ ...wasm, name: null }, 'E_JOB_TYPE', /name is empty/, /leave the key out/],
  [{ ...wasm, args: 'x' }, 'E_JOB_TYPE', /args must be a list/, /\[a, b\]/],
  [{ ...wasm, args: [['x']] }, 'E_JOB_TYPE', /args\[0\] must be a text, not a list/, /one text/],
  [{ ...wasm, args: [null] }, 'E_JOB_TYPE', /args\[0\] is empty/, /value/],
  [{ ...wasm, inputs: ['scene.txt'] }, 'E_JOB_TYPE', /inputs must be keys and values/, /key: value/],
  [{ ...wasm, inputs: { a: 5 } }, 'E_JOB_TYPE', /inputs\.a must be a path/, /cid:/],
  [{ module: 5 }, 'E_JOB_TYPE', /module must be a path or cid/, /path/],
  [{ ...wasm, adaptive: 'yes' }, 'E_JOB_TYPE', /adaptive must be true or false, not "yes"/, /without quotes/],
  [{ ...wasm, replicas: '3' }, 'E_JOB_TYPE', /replicas must be a whole number, not "3"/, /without quotes/],
  [{ ...wasm, replicas: 2.5 }, 'E_JOB_TYPE', /replicas must be a whole number/, /2 or 3/],
  [{ ...wasm, map: { range: 10 } }, 'E_JOB_TYPE', /map\.range must be two or three/, /\[from, to\]/],
  [{ image: ALPINE, command: 'echo x' }, 'E_JOB_TYPE', /command must be a list/, /\[a, b\]/],
  // units
  [{ ...wasm, resources: { memory: 512 } }, 'E_JOB_UNIT', /resources\.memory: 512 has no unit/, /"512 MiB"/],
  [{ ...wasm, resources: { memory: '512' } }, 'E_JOB_UNIT', /"512" is not a size/, /"512 MiB"/],
  [{ ...wasm, resources: { memory: '512 mib' } }, 'E_JOB_UNIT', /"512 mib"/, /Did you mean "512 MiB"/],
  [{ ...wasm, resources: { disk: '2 gigabytes' } }, 'E_JOB_UNIT', /"2 gigabytes"/, /Did you mean "2 GiB"/],
  [{ ...wasm, limits: { run: 300 } }, 'E_JOB_UNIT', /limits\.run: 300 has no unit/, /"90 s"/],
  [{ ...wasm, limits: { run: '5 minutes' } }, 'E_JOB_UNIT', /"5 minutes"/, /Did you mean "5 m"/],
  [{ ...wasm, limits: { queue: '-1 s' } }, 'E_JOB_UNIT', /"-1 s"/, /"90 s"/],
  [{ ...wasm, limits: { queue: '1 constructor' } }, 'E_JOB_UNIT', /"1 constructor"/, /"90 s"/],
  [{ ...wasm, priceCap: 5 }, 'E_JOB_UNIT', /priceCap: 5 has no unit/, /"0\.01 ether"/],
  [{ ...wasm, priceCap: '0.01 dollars' }, 'E_JOB_UNIT', /"0\.01 dollars" is not an amount/, /gwei/],
  [{ ...wasm, priceCap: '1.5 wei' }, 'E_JOB_UNIT', /"1\.5 wei"/, /gwei/],
  [{ ...wasm, priceCap: '0.0000000000000000001 ether' }, 'E_JOB_UNIT', /is not an amount/, /wei/],
  // ranges
  [{ ...wasm, resources: { memory: '5 GiB' } }, 'E_JOB_RANGE', /5\.0 GiB, more than the 4 GiB/, /"4 GiB"/],
  [{ ...wasm, resources: { memory: '1 KiB' } }, 'E_JOB_RANGE', /"1 KiB" is less than 1 MiB/, /1 MiB or more/],
  [{ ...wasm, resources: { cores: 2 } }, 'E_JOB_RANGE', /one core/, /map/],
  [{ ...wasm, resources: { cores: 0 } }, 'E_JOB_RANGE', /resources\.cores: 0/, /0\.1/],
  [{ ...wasm, limits: { run: '0 s' } }, 'E_JOB_RANGE', /"0 s" is less than 1 ms/, /or more/],
  [{ ...wasm, limits: { run: '25 d' } }, 'E_JOB_RANGE', /"25 d" is more than 24 d/, /or less/],
  [{ ...wasm, limits: { log: '1 GiB' } }, 'E_JOB_RANGE', /more than 16 MiB/, /or less/],
  [{ ...wasm, replicas: 17 }, 'E_JOB_RANGE', /replicas: 17/, /from 1 to 16/],
  [{ ...wasm, compare: {} }, 'E_JOB_MISSING', /compare names no program/, /with/],
  [{ ...wasm, compare: 'a.wasm' }, 'E_JOB_TYPE', /compare must be keys and values/, /key: value/],
  [{ ...wasm, compare: { with: 'a.wasm', verify: 'b.wasm' } }, 'E_JOB_CONFLICT', /with and verify/, /one/],
  [{ ...wasm, tolerance: 'a.wasm' }, 'E_JOB_KEY', /tolerance/, /compare\.with/],
  [{ ...wasm, compare: { verify: 'b.wasm' }, segments: 4 }, 'E_JOB_CONFLICT', /segments is given/, /one of the two/],
  [{ ...wasm, segments: 1 }, 'E_JOB_RANGE', /segments: 1/, /from 2 to 10000/],
  [{ ...wasm, retries: -1 }, 'E_JOB_RANGE', /retries: -1/, /from 0 to 64/],
  [{ ...wasm, spotCheck: 5 }, 'E_JOB_RANGE', /spotCheck: 5/, /"5 %"/],
  [{ ...wasm, map: { range: [0, 0] } }, 'E_JOB_RANGE', /from 0 to 0 is empty/, /above the first/],
  [{ ...wasm, map: { range: [0, 10_001] } }, 'E_JOB_RANGE', /10001 tasks, more than 10000/, /several jobs/],
  [{ ...wasm, map: { range: [0, 10, 0] } }, 'E_JOB_RANGE', /step 0/, /1 or more/],
  [{ ...wasm, map: { range: [0.5, 10] } }, 'E_JOB_RANGE', /not whole/, /\[from, to\]/],
  [{ ...wasm, map: { list: [] } }, 'E_JOB_RANGE', /map\.list is empty/, /Add an entry/],
  [{ ...wasm, args: Array.from({ length: 257 }, () => 'x') }, 'E_JOB_RANGE', /args has more than 256 entries/, /Shorten/],
  [{ ...wasm, args: ['x'.repeat(4097)] }, 'E_JOB_RANGE', /args\[0\] has 4097 characters/, /input file/],
  [{ ...wasm, map: { list: Array.from({ length: 700 }, () => 'ü'.repeat(2000)) }, args: ['{item}'] }, 'E_JOB_SIZE', /more than the \d/, /map\.list/],
  [{ ...wasm, env: Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`A${i}`, 'x'])) }, 'E_JOB_RANGE', /129 variables/, /input file/],
  // values
  [{ ...wasm, engine: 'wasmm' }, 'E_JOB_VALUE', /engine: "wasmm" is not one of wasm, container/, /Did you mean "wasm"/],
  [{ ...wasm, select: 'fast' }, 'E_JOB_VALUE', /select: "fast"/, /Did you mean "fastest"/],
  [{ image: ALPINE, resources: { gpu: { vendor: 'nvidea' } } }, 'E_JOB_VALUE', /resources\.gpu\.vendor/, /"nvidia"/],
  [{ ...wasm, placement: { regions: ['EU West'] } }, 'E_JOB_VALUE', /placement\.regions\[0\]/, /eu-west/],
  [{ ...wasm, placement: { regions: ['any'] } }, 'E_JOB_VALUE', /"any"/, /leave regions out/],
  [{ ...wasm, placement: { allow: ['QmFoo'] } }, 'E_JOB_VALUE', /"QmFoo" is not a PeerId/, /12D3KooW/],
  [{ ...wasm, env: { 'MY-VAR': 'x' } }, 'E_JOB_VALUE', /"MY-VAR"/, /digits and _/],
  [{ ...wasm, env: { A: 'x\0y' } }, 'E_JOB_VALUE', /env\.A holds a character/, /Remove/],
  [{ ...wasm, name: 'two\nlines' }, 'E_JOB_VALUE', /name: "two\\nlines"/, /one line/],
  [{ ...wasm, args: ['\ud800'] }, 'E_JOB_VALUE', /args\[0\] holds a character/, /Remove/],
  [{ module: 'cid:bafynope' }, 'E_JOB_VALUE', /module: "cid:bafynope" is not a CID/, /base32/],
  // paths
  [{ module: 'https://example.org/a.wasm' }, 'E_JOB_PATH', /nothing is downloaded/, /Download it first/],
  [{ module: '' }, 'E_JOB_PATH', /"" is not a path/, /relative to the job file/],
  [{ ...wasm, inputs: { '../x': 'a' } }, 'E_JOB_PATH', /"\.\.\/x" is not a place/, /plain path/],
  [{ ...wasm, inputs: { '/in/scene.txt': 'a' } }, 'E_JOB_PATH', /"\/in\/scene\.txt"/, /write "scene\.txt"/],
  [{ ...wasm, outputs: ['/out/tile.png'] }, 'E_JOB_PATH', /outputs\[0\]/, /write "tile\.png"/],
  [{ ...wasm, outputs: ['-rf'] }, 'E_JOB_PATH', /"-rf"/, /plain path/],
  [{ ...wasm, map: { files: `cid:bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy` }, args: ['{item}'] }, 'E_JOB_PATH', /map\.files must be a folder here/, /relative/],
  // conflicts
  [{ module: 'a.wasm', image: ALPINE }, 'E_JOB_CONFLICT', /both module and image/, /keep one/],
  [{ engine: 'container', module: 'a.wasm' }, 'E_JOB_CONFLICT', /engine is container, but a module/, /image/],
  [{ ...wasm, network: { allow: ['example.org'] } }, 'E_JOB_CONFLICT', /network is for containers/, /no network/],
  [{ ...wasm, command: ['x'] }, 'E_JOB_CONFLICT', /command is for containers/, /args/],
  // images and secrets
  [{ image: 'alpine:3' }, 'E_JOB_VALUE', /another image tomorrow/, /alpine@sha256:…/],
  [{ image: 'Alpine@sha256:abc' }, 'E_JOB_VALUE', /"sha256:abc" is not a digest/, /64 hex digits/],
  [{ image: `Alpine@${DIGEST}` }, 'E_JOB_VALUE', /not the name of an image/, /lower case/],
  [{ image: 'https://example.org/a.tar' }, 'E_JOB_PATH', /nothing is downloaded/, /Download it first/],
  [{ image: 7 }, 'E_JOB_TYPE', /must be an image/, /sha256/],
  [{ image: ALPINE, imageSignatures: [`${PEER_A}:abc`] }, 'E_JOB_VALUE', /imageSignatures\[0\]/, /image sign/],
  [{ ...wasm, imageSignatures: [SIGNATURE] }, 'E_JOB_CONFLICT', /for containers/, /Remove it/],
  [{ ...wasm, secrets: { token: 't.txt' } }, 'E_JOB_CONFLICT', /secrets is for containers/, /container/],
  [{ image: ALPINE, secrets: { '../x': 't.txt' } }, 'E_JOB_VALUE', /"\.\.\/x" is not a plain name/, /letters/],
  [{ image: ALPINE, secrets: { a: 'cid:bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' } }, 'E_JOB_VALUE', /anybody may hold/, /file beside/],
  [{ image: ALPINE, registryLogin: 'login' }, 'E_JOB_CONFLICT', /none of the secrets/, /secrets: \{ login/],
  [{ image: 'a.tar', secrets: { login: 'l' }, registryLogin: 'login' }, 'E_JOB_CONFLICT', /no registry/, /Remove it/],
  [{ image: ALPINE, args: ['x'], command: ['y'] }, 'E_JOB_CONFLICT', /both args and command/, /keep one/],
  [{ ...wasm, resources: { gpu: { count: 1 } } }, 'E_JOB_CONFLICT', /wasm task can not use a graphics card/, /container/],
  [{ image: ALPINE, placement: { hardware: { gpuVendors: ['amd'] } } }, 'E_JOB_CONFLICT', /no gpu is asked for/, /resources\.gpu/],
  [{ image: ALPINE, resources: { gpu: { vendor: 'nvidia' } }, placement: { hardware: { gpuVendors: ['amd'] } } }, 'E_JOB_CONFLICT', /leaves out/, /Keep one/],
  [{ ...wasm, replicas: 2, quorum: 3 }, 'E_JOB_CONFLICT', /quorum is 3, more than the 2 replicas/, /replicas: 3/],
  [{ ...wasm, adaptive: true }, 'E_JOB_CONFLICT', /quorum is 1 already/, /replicas: 3/],
  [{ ...wasm, limits: { run: '2 h', total: '1 h' } }, 'E_JOB_CONFLICT', /limits\.run is 2 h, longer than limits\.total, 1 h/, /longest/],
  [{ ...wasm, limits: { queue: '2 h', total: '1 h' } }, 'E_JOB_CONFLICT', /limits\.queue is 2 h/, /longest/],
  [{ ...wasm, inputs: { a: 'x', 'a/b': 'y' } }, 'E_JOB_CONFLICT', /"a\/b" lies inside the input "a"/, /place of its own/],
  [{ ...wasm, placement: { allow: [PEER_A], deny: [PEER_A] } }, 'E_JOB_CONFLICT', /allows and denies/, /Remove it/],
  [{ ...wasm, replicas: 3, placement: { allow: [PEER_A] } }, 'E_JOB_CONFLICT', /names 1 host, but 2 different ones/, /Allow more/],
  [{ ...wasm, map: { range: [0, 2], list: ['a'] } }, 'E_JOB_CONFLICT', /map has range and list/, /Keep one/],
  [{ ...wasm, map: {} }, 'E_JOB_MISSING', /map is empty/, /range, a list or files/],
  [{ ...wasm, outputs: ['a', 'b', 'a'] }, 'E_JOB_DUPLICATE', /outputs names "a" twice/, /Remove one/],
  [{ ...wasm, placement: { deny: [PEER_B, PEER_B] } }, 'E_JOB_DUPLICATE', /placement\.deny names 12D3/, /Remove one/],
  // placeholders
  [{ ...wasm, args: ['{item}'] }, 'E_JOB_TEMPLATE', /args\[0\] uses \{item\}, but the job has no map/, /Add map/],
  [{ ...wasm, map: { range: [0, 2] }, args: ['--n', '{indx}'] }, 'E_JOB_TEMPLATE', /\{indx\}/, /Did you mean "\{index\}"/],
  [{ ...wasm, map: { range: [0, 2] }, env: { A: '{tile}' } }, 'E_JOB_TEMPLATE', /env\.A uses \{tile\}/, /literal brace/]
]

for (const [spec, code, message, hint] of BAD) {
  test(`refuses with ${code} naming ${message.source}`, () => {
    const before = JSON.stringify(spec)
    try {
      parseJobSpec(spec)
    } catch (error) {
      assert.instance(error, HearthError)
      const { code: actual, message: text, hint: advice } = error as HearthError
      assert.is(actual, code, `${actual}: ${text}`)
      assert.match(text, message)
      assert.match(advice, hint)
      assert.is(JSON.stringify(spec), before, 'the input is left as it was')
      return
    }
    assert.unreachable(`accepted ${before}`)
  })
}

test('tells every problem at once, the unknown key first, and does not call missing what the typo meant', () => {
  const check = checkJobSpec({ modul: 'x', resources: { memory: 5 }, limits: { run: '5' }, select: 'best' })
  assert.not.ok(check.ok)
  if (check.ok) return
  assert.equal(check.problems.map(({ fault, path }) => [fault, path]), [['KEY', 'modul'], ['UNIT', 'resources.memory'], ['UNIT', 'limits.run'], ['VALUE', 'select']])
  assert.throws(() => parseJobSpec({ modul: 'x', select: 'best' }), (error: HearthError) => error.code === 'E_JOB_KEY' && /Also: select: "best"/.test(error.hint))
})

test('a cycle or a bottomless tree is refused, not followed', () => {
  const cycle: { module: string, args: unknown[] } = { module: 'a', args: [] }
  cycle.args.push(cycle)
  assert.not.ok(checkJobSpec(cycle).ok)
  assert.not.ok(checkJobSpec({ module: 'a', args: Array.from({ length: 200_000 }, () => 'x') }).ok)
})

test('the smallest job file gets every documented default', () => {
  const spec = parseJobSpec({ module: 'programs/tracer.wasm' })
  assert.equal(spec, {
    name: 'tracer', engine: { kind: 'wasm', module: { kind: 'path', path: 'programs/tracer.wasm' } }, args: [], env: {}, inputs: [], outputs: [],
    resources: { cores: 1, memoryBytes: 256 * 2 ** 20, diskBytes: 256 * 2 ** 20 },
    limits: { queueMs: 120_000, runMs: 600_000, totalMs: 3_600_000, logBytes: 2 ** 20 },
    replication: { quorum: 1, replicas: 1, adaptive: false, spotCheckShare: 0 }, retries: 3, selection: 'weighted', placement: {}
  })
})

test('the reference tells the defaults that a job gets, key by key', () => {
  const told = new Map(jobFileReference().map((field) => [field.key, field.default]))
  const spec = parseJobSpec({ image: ALPINE, network: { allow: ['example.org'] }, resources: { gpu: {} } })
  assert.ok(spec.engine.kind === 'container')
  assert.is(told.get('resources.cores'), String(spec.resources.cores))
  assert.is(parseSize(told.get('resources.memory')!), spec.resources.memoryBytes)
  assert.is(parseSize(told.get('resources.disk')!), spec.resources.diskBytes)
  assert.is(parseSize(told.get('resources.gpu.vram')!), spec.resources.gpu?.vramBytes)
  assert.is(told.get('resources.gpu.count'), String(spec.resources.gpu?.count))
  assert.is(parseDuration(told.get('limits.queue')!), spec.limits.queueMs)
  assert.is(parseDuration(told.get('limits.run')!), spec.limits.runMs)
  assert.is(parseDuration(told.get('limits.total')!.split(',')[0]!), spec.limits.totalMs)
  assert.is(parseSize(told.get('limits.log')!), spec.limits.logBytes)
  assert.is(told.get('replicas')!.split(',')[0], String(spec.replication.replicas))
  assert.is(told.get('adaptive'), String(spec.replication.adaptive))
  assert.is(told.get('spotCheck'), String(spec.replication.spotCheckShare))
  assert.is(told.get('retries'), String(spec.retries))
  assert.is(told.get('select'), spec.selection)
  if (spec.engine.kind === 'container') assert.is(spec.engine.network?.maxBytes, parseSize(JOB_DEFAULTS.networkMax))
})

test('every example in the reference is accepted where it is said to stand', () => {
  const base = (key: string): Record<string, unknown> => /^(image|entrypoint|command|network|secrets|registryLogin|resources\.gpu|placement\.hardware)/.test(key) || key === 'resources' ? { image: ALPINE } : { module: 'a.wasm' }
  for (const { key, example } of jobFileReference()) {
    if (/allow|deny|Signatures/.test(key) && example.includes('…')) continue
    const value = parseJobText(`value: ${example}`, 'yaml') as { value: unknown }
    const spec: Record<string, unknown> = { ...base(key), ...(key === 'quorum' ? { replicas: 2 } : {}), ...(key === 'adaptive' ? { replicas: 3 } : {}), ...(key === 'registryLogin' ? { secrets: { registry: 'login.txt' } } : {}), ...(key === 'args' ? { map: { range: [0, 1] } } : {}) }
    if (key === 'placement.hardware' || key === 'placement.hardware.gpuVendors') spec['resources'] = { gpu: {} }
    let at = spec
    const parts = key.split('.')
    for (const part of parts.slice(0, -1)) at = (at[part] = { ...(at[part] as object | undefined), ...(part === 'network' ? { allow: [] } : key === 'compare.args' ? { with: 'a.wasm' } : {}) })
    at[parts.at(-1)!] = value.value
    const check = checkJobSpec(spec)
    assert.ok(check.ok, `${key}: ${example}: ${check.ok ? '' : check.problems[0]?.message}`)
  }
})

test('defaults give way to what is written: one limit is enough', () => {
  assert.equal(parseJobSpec({ ...wasm, limits: { total: '1 m' } }).limits, { queueMs: 60_000, runMs: 60_000, totalMs: 60_000, logBytes: 2 ** 20 })
  assert.equal(parseJobSpec({ ...wasm, limits: { run: '3 h' } }).limits, { queueMs: 120_000, runMs: 10_800_000, totalMs: 10_920_000, logBytes: 2 ** 20 })
  assert.is(parseJobSpec({ ...wasm, limits: { run: '24 d', queue: '90 d' } }).limits.totalMs, 90 * 86_400_000)
})

test('the quorum follows from the replicas and the replicas from the quorum', () => {
  const replication = (keys: object): number[] => { const { quorum, replicas } = parseJobSpec({ ...wasm, ...keys }).replication; return [quorum, replicas] }
  assert.equal([1, 2, 3, 5].map((replicas) => replication({ replicas })), [[1, 1], [2, 2], [2, 3], [2, 5]])
  assert.equal(replication({ quorum: 4 }), [4, 4])
})

test('names come from the module or image when none is given', () => {
  const name = (keys: object): string => parseJobSpec(keys).name
  assert.equal([{ module: './x/Path Tracer.WASM' }, { module: 'dir/' }, { module: 'cid:bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' }, { image: ALPINE }, { image: `localhost:5000/a/b:1.2@${DIGEST}` }, { image: 'images/My Renderer.tar.gz' }, { module: `${'n'.repeat(200)}.wasm` }].map(name),
    ['Path Tracer', 'dir', 'job', 'alpine', 'b', 'My Renderer', 'n'.repeat(64)])
})

test('numbers and booleans among arguments become the text that was written', () => {
  assert.equal(parseJobSpec({ ...wasm, args: [640, 0.5, true, 'x'] }).args, ['640', '0.5', 'true', 'x'])
  const spec = parseJobSpec(parseJobText('module: a.wasm\nargs: [007, 1.50, 0x10, yes, true, "3"]\nenv: { A: 1e3, B: 0.10 }\nname: 2024\n', 'yaml'))
  assert.equal(spec.args, ['007', '1.50', '0x10', 'yes', 'true', '3'])
  assert.equal(spec.env, { A: '1e3', B: '0.10' })
  assert.is(spec.name, '2024')
})

test('braces that are no placeholder of ours stay as they are without a map', () => {
  assert.equal(parseJobSpec({ ...wasm, args: ['{print $1}', '{"a": 1}', '{}', '{count}'] }).args, ['{print $1}', '{"a": 1}', '{}', '{count}'])
  assert.equal(parseJobSpec({ ...wasm, map: { list: ['a'] }, args: ['{ print }', '{item.name}-{index}'] }).args, ['{ print }', '{item.name}-{index}'])
})

test('warns of a map whose tasks all do the same, and of results taken unchecked', () => {
  const warnings = (keys: object): string[] => { const check = checkJobSpec({ ...wasm, ...keys }); return check.ok ? check.warnings : ['refused'] }
  assert.equal(warnings({}), [])
  assert.match(warnings({ map: { range: [0, 4] } })[0]!, /all tasks of the map do the same/)
  assert.match(warnings({ replicas: 3, quorum: 1 })[0]!, /unchecked/)
})

test('amounts are exact, and written back as they came', () => {
  assert.equal(['0.01 ether', '20 gwei', '1000 wei', '1 eth', '0.000000000000000001 ether', '0 wei'].map(parseWei), [10n ** 16n, 20n * 10n ** 9n, 1000n, 10n ** 18n, 1n, 0n])
  for (const wei of [0n, 1n, 999n, 10n ** 9n, 15n * 10n ** 8n, 10n ** 16n, 123_456_789_123_456_789n, (1n << 128n) - 1n]) assert.is(parseWei(exactWei(wei)), wei, exactWei(wei))
})

test('the nearest word is near: no guess is better than a wild one', () => {
  assert.equal(['memry', 'MEMORY', 'mem', 'cors', 'zzz', '', 'x'.repeat(100)].map((word) => nearest(word, ['memory', 'cores', 'disk'])), ['memory', 'memory', 'memory', 'cores', undefined, undefined, undefined])
})

/** Text, format, code, where, what the hint proposes. */
const BAD_TEXT: readonly (readonly [text: string, format: 'yaml' | 'json', code: string, message: RegExp])[] = [
  ['module: a.wasm\nmodule: b.wasm\n', 'yaml', 'E_JOB_DUPLICATE', /job\.yaml:2:1: the key "module" is there twice/],
  ['limits:\n  run: 5 m\n  total: 1 h\n  run: 6 m\n', 'yaml', 'E_JOB_DUPLICATE', /job\.yaml:4:3: the key "run"/],
  ['{\n\t"module": "a",\n\t"limits": { "run": "1 s", "run": "2 s" }\n}', 'json', 'E_JOB_DUPLICATE', /job\.json:3:28: the key "run"/],
  ['module: [a\nname: b\n', 'yaml', 'E_JOB_SYNTAX', /job\.yaml:2:1: /],
  ['module:\n\t- a\n', 'yaml', 'E_JOB_SYNTAX', /job\.yaml:2:1: Tabs/],
  ['a: &x 1\nb: *x\n', 'yaml', 'E_JOB_SYNTAX', /job\.yaml:2:4: the alias \*x/],
  [`a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[i]!}`).join(',')}]`).join('\n')}\n`, 'yaml', 'E_JOB_SYNTAX', /job\.yaml:2:8: the alias \*a/],
  ['module: a.wasm\n---\nmodule: b.wasm\n', 'yaml', 'E_JOB_SYNTAX', /multiple documents/],
  ['module: !!js/function x\n', 'yaml', 'E_JOB_SYNTAX', /job\.yaml:1:9: Unresolved tag/],
  ['? [a]\n: b\n', 'yaml', 'E_JOB_SYNTAX', /keys must be strings/],
  ['', 'yaml', 'E_JOB_SYNTAX', /job\.yaml is empty/],
  ['# only a remark\n', 'yaml', 'E_JOB_SYNTAX', /is empty/],
  ['{ "module": "a.wasm", }', 'json', 'E_JOB_SYNTAX', /job\.json:1:23: "}" stands where a key/],
  ['{ "module": "a.wasm" "args": [] }', 'json', 'E_JOB_SYNTAX', /job\.json:1:22: .* comma/],
  ['{ "retries": 01 }', 'json', 'E_JOB_SYNTAX', /job\.json:1:14: /],
  ['{} {}', 'json', 'E_JOB_SYNTAX', /job\.json:1:4: something follows/],
  ['module: a.wasm', 'json', 'E_JOB_SYNTAX', /job\.json:1:1: /],
  ['{"module": "a', 'json', 'E_JOB_SYNTAX', /job\.json:1:12: this text does not end/],
  ['', 'json', 'E_JOB_SYNTAX', /job\.json:1:1: the text ends/],
  ['['.repeat(20_000), 'yaml', 'E_JOB_SYNTAX', /job\.yaml:1:/]
]

for (const [text, format, code, message] of BAD_TEXT) {
  test(`refuses text with ${code} at ${message.source}`, () => {
    assert.throws(() => parseJobText(text, format), (error: unknown) => {
      assert.instance(error, HearthError)
      const { code: actual, message: said, hint } = error as HearthError
      assert.is(actual, code, said)
      assert.match(said, message)
      assert.ok(hint.length > 0)
      return true
    })
  })
}

test('a large file of keys is read in one pass, a byte order mark and tabs in JSON are no trouble', () => {
  const many = Array.from({ length: 30_000 }, (_, i) => `key${i}: ${i}`).join('\n')
  assert.is(Object.keys(parseJobText(many, 'yaml') as object).length, 30_000)
  assert.equal(parseJobText('\u{feff}{\n\t"module": "a.wasm",\n\t"args": ["\\u00fc", 1]\n}', 'json'), { module: 'a.wasm', args: ['ü', 1] })
})

test('a checked file written back is the same job', () => {
  for (const spec of [wasm, { image: ALPINE, imageSignatures: [SIGNATURE], secrets: { b: 'x', a: 'y' }, registryLogin: 'a', entrypoint: ['sh'], network: { allow: ['a.b'], max: '1.5 MiB' }, resources: { cores: 2.5, gpu: { vendor: 'amd', vram: '1 GB' } }, placement: { hardware: { gpuVendors: ['amd'] }, providers: ['friends'], maxLatency: '80 ms' } }, { ...wasm, map: { range: [-5, 100, 7] }, args: ['{item}'], inputs: { b: 'x', a: 'y' }, stdin: 'q', priceCap: '0.015 ether', replicas: 3, spotCheck: '5 %' }]) {
    const parsed = parseJobSpec(spec)
    assert.equal(parseJobSpec(writeJobFile(parsed)), parsed)
  }
})

const examples = join(import.meta.dirname, '..', '..', 'config', 'examples')
for (const name of readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((file) => /(^|[\\/])[^\\/]*job[^\\/]*\.(ya?ml|json)$/.test(file))) {
  test(`the example ${name} is a job without warnings`, () => {
    const check = checkJobSpec(parseJobText(readFileSync(join(examples, name), 'utf8'), name.endsWith('.json') ? 'json' : 'yaml', name))
    assert.ok(check.ok, check.ok ? '' : check.problems.map(({ message }) => message).join('; '))
    if (check.ok) assert.equal(check.warnings, [])
  })
}

test.run()
