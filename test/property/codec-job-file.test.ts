import { anything, array, assert as checkProperty, asyncProperty, bigInt, boolean, constant, constantFrom, dictionary, domain, double, integer, oneof, option, property, record, string, stringMatching, subarray, tuple, uniqueArray } from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveJob } from '../../node/jobfile/index.ts'
import type { JobStore } from '../../node/jobfile/index.ts'
import { jobCodec, taskCount, taskPlan } from '../../src/documents/job.ts'
import { HearthError } from '../../src/errors.ts'
import { writeJobFile } from '../../src/job/spec-write.ts'
import { checkJobSpec, parseJobSpec } from '../../src/job/spec.ts'

const SEED = Number(process.env['SEED'] ?? 1)
const RUNS = Number(process.env['RUNS'] ?? 5000)
const CID_A = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const PEER_A = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const PEER_B = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'

/** Holds everything, as one file: what a job file refers to is not what is tested here. */
const store: JobStore = {
  importPath: () => Promise.reject(new Error('nothing is on disk here')),
  stat: () => Promise.resolve({ kind: 'file', sizeBytes: 8 }),
  release: () => Promise.resolve()
}

const maybe = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> => option(arbitrary, { nil: undefined })
const rare = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> => oneof({ weight: 12, arbitrary: constant(undefined) }, { weight: 1, arbitrary })
const word = oneof({ weight: 8, arbitrary: string({ unit: 'grapheme', maxLength: 20 }) }, constantFrom('{index}', '{item}', '{item.name}', '--n={index}', '{}'), integer(), boolean())
const place = array(stringMatching(/^[a-z0-9_.]{1,8}$/), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const size = tuple(integer({ min: 1, max: 3000 }), constantFrom('KiB', 'MiB', 'MB')).map(([n, unit]) => `${n} ${unit}`)
const duration = tuple(integer({ min: 1, max: 90 }), constantFrom('s', 'm', 'h', 'ms')).map(([n, unit]) => `${n} ${unit}`)
const peers = subarray([PEER_A, PEER_B])

/** Job files that are often, but not always, right. */
const jobFile = record({
  name: maybe(string({ unit: 'grapheme', minLength: 1, maxLength: 10 })),
  engine: maybe(constantFrom('wasm', 'wasm', 'wasm', 'container')),
  module: oneof({ weight: 9, arbitrary: constant(`cid:${CID_A}`) }, constant(undefined)),
  image: rare(constantFrom('alpine', `a/b:c@sha256:${'0f'.repeat(32)}`, `cid:${CID_A}`)),
  entrypoint: rare(array(word, { maxLength: 2 })),
  network: rare(record({ allow: array(domain(), { maxLength: 2 }), max: maybe(size) })),
  args: maybe(array(word, { maxLength: 4 })),
  env: maybe(dictionary(stringMatching(/^[A-Z_]{1,6}$/), word, { maxKeys: 3 })),
  inputs: maybe(dictionary(place, constant(`cid:${CID_A}`), { maxKeys: 3 })),
  stdin: maybe(constant(`cid:${CID_A}`)),
  outputs: maybe(uniqueArray(place, { maxLength: 3 })),
  map: maybe(oneof(
    tuple(integer({ min: -50, max: 50 }), integer({ min: -50, max: 50 }), integer({ min: 1, max: 9 })).map((range) => ({ range })),
    array(word, { maxLength: 5 }).map((list) => ({ list }))
  )),
  resources: maybe(record({ cores: constantFrom(1, 1, 0.5, undefined), memory: maybe(size), disk: maybe(size), gpu: rare(record({ vram: maybe(size), count: maybe(integer({ min: 1, max: 3 })) })) })),
  limits: maybe(record({ queue: maybe(duration), run: maybe(duration), total: maybe(duration), log: maybe(constantFrom('0 B', '1.5 MiB')) })),
  replicas: maybe(integer({ min: 1, max: 6 })),
  quorum: rare(integer({ min: 1, max: 4 })),
  adaptive: rare(boolean()),
  spotCheck: maybe(oneof(double({ min: 0, max: 1, noNaN: true }), constant('12.5 %'))),
  compare: rare(record({ with: rare(constant(`cid:${CID_A}`)), verify: maybe(constant(`cid:${CID_A}`)), args: maybe(array(word, { maxLength: 2 })) })),
  segments: rare(integer({ min: 1, max: 10_001 })),
  retries: maybe(integer({ min: 0, max: 64 })),
  priceCap: maybe(oneof(bigInt({ min: 0n, max: 10n ** 24n }).map((n) => `${n} wei`), constantFrom('0.015 ether', '3 gwei'))),
  select: maybe(constantFrom('weighted', 'cheapest', 'fastest', 'random')),
  placement: maybe(record({ regions: maybe(uniqueArray(constantFrom('eu', 'us-east'), { maxLength: 2 })), maxLatency: maybe(constant('80 ms')), allow: maybe(peers), deny: maybe(peers) }))
})

let accepted = 0

test('what is accepted keeps its meaning when written back, and becomes a document that its provider can plan', async () => {
  await checkProperty(asyncProperty(jobFile, async (file) => {
    const check = checkJobSpec(file)
    if (!check.ok) {
      assert.ok(check.problems.length > 0)
      for (const problem of check.problems) assert.ok(problem.message.length > 0 && problem.hint.length > 0, JSON.stringify(problem))
      return
    }
    accepted++
    const written = writeJobFile(check.spec)
    assert.equal(parseJobSpec(written), check.spec)
    assert.equal(writeJobFile(parseJobSpec(written)), written)
    const { document, raw } = await resolveJob({ spec: check.spec, baseDir: import.meta.dirname, requester: PEER_A, nowWallMs: 1, nonce: new Uint8Array(16), store })
    const decoded = jobCodec.decode(raw)
    assert.ok(decoded.ok, decoded.ok ? '' : decoded.message)
    if (decoded.ok) assert.equal(decoded.value, document)
    const plan = taskPlan(document, taskCount(document) - 1)
    assert.not.ok(plan.args.some((arg) => /\{(index|item|item\.name)\}/.test(arg) && !check.spec.args.includes(arg) && check.spec.map?.kind === 'range'), 'placeholders are filled')
  }), { seed: SEED, numRuns: RUNS })
  assert.ok(accepted > RUNS / 20, `the generator makes right files too: ${accepted}`)
})

test('whatever plain or odd value is given, checking ends in a job or in problems with hints, never in another error', () => {
  const odd = anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withNullPrototype: true, withSparseArray: true })
  const keys = constantFrom('module', 'args', 'env', 'inputs', 'map', 'resources', 'limits', 'placement', 'network', 'priceCap', 'name', 'replicas', 'outputs', 'spotCheck', 'engine', 'compare', 'segments')
  checkProperty(property(oneof(odd, dictionary(keys, odd)), (value) => {
    const check = checkJobSpec(value)
    if (!check.ok) for (const { message, hint } of check.problems) assert.ok(message.length > 0 && message.length < 400 && hint.length > 0)
    try {
      parseJobSpec(value)
      assert.ok(check.ok)
    } catch (error) {
      assert.instance(error, HearthError)
      assert.match((error as HearthError).code, /^E_JOB_/)
    }
  }), { seed: SEED, numRuns: RUNS })
})

test('texts up to every bound still make a document below its cap', async () => {
  const wide = '\u{1f525}'.repeat(2048)
  const check = checkJobSpec({
    module: `cid:${CID_A}`, args: Array.from({ length: 50 }, () => wide), env: { A: wide }, placement: { regions: ['eu'], allow: [PEER_A], deny: [PEER_B] },
    inputs: Object.fromEntries(Array.from({ length: 1024 }, (_, i) => [`p${i}`, `cid:${CID_A}`]))
  })
  assert.ok(check.ok, check.ok ? '' : check.problems[0]?.message)
  if (check.ok) await resolveJob({ spec: check.spec, baseDir: import.meta.dirname, requester: PEER_A, nowWallMs: 1, nonce: new Uint8Array(16), store })
  assert.not.ok(checkJobSpec({ module: 'a', args: Array.from({ length: 256 }, () => wide) }).ok)
})

test.run()
