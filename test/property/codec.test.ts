import { decode } from '@ipld/dag-cbor'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { documentCodec } from '../../src/codec/document.ts'
import { cid } from '../../src/codec/schema.ts'
import { isPlausibleCbor } from '../../src/codec/shape.ts'
import { jobCodec } from '../../src/documents/job.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import { HearthError } from '../../src/errors.ts'
import { mutant, seededRng } from './codec-mutator.ts'
import { JOBS, SAMPLES } from './codec-samples.ts'
import type { Sampled } from './codec-samples.ts'

/** Of each codec. Another count and seed: `MUTATIONS=1000000 SEED=7 node test/property/codec.test.ts`. */
const MUTATIONS = Number(process.env['MUTATIONS'] ?? 100_000)
const SEED = Number(process.env['SEED'] ?? 1)

/** Feeds `count` mutants to a decoder; throws at the first that is accepted though not canonical, or makes it throw. */
function attack(target: Sampled, count: number): Map<string, number> {
  const rng = seededRng(SEED)
  const wires = target.raws.map((raw) => ({ raw, value: decode<unknown>(raw) }))
  const outcomes = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const raw = mutant(wires, rng)
    const at = (): string => `${target.kind}, seed ${SEED}, mutation ${i}: ${Buffer.from(raw).toString('hex').slice(0, 2000)}`
    let outcome: ReturnType<Sampled['roundTrip']>
    try {
      outcome = target.roundTrip(raw)
    } catch (error) {
      throw new Error(`threw on ${at()}`, { cause: error })
    }
    if ('raw' in outcome && Buffer.compare(outcome.raw, raw) !== 0) throw new Error(`accepted another spelling: ${at()}`)
    const key = 'raw' in outcome ? 'accepted' : outcome.code
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1)
  }
  return outcomes
}

for (const sample of SAMPLES) {
  test(`the ${sample.kind} decoder neither throws on, nor takes another spelling among, ${MUTATIONS} mutants`, () => {
    for (const raw of sample.raws) assert.equal(sample.roundTrip(raw), { raw }, 'a valid document round-trips')
    const outcomes = attack(sample, MUTATIONS)
    // The attack reaches every layer: the shape check and CBOR, the canonical form, the schema; and some mutants are valid.
    for (const key of ['E_DOCUMENT_CBOR', 'E_DOCUMENT_CANONICAL', 'E_DOCUMENT_SCHEMA', 'accepted']) assert.ok((outcomes.get(key) ?? 0) > MUTATIONS / 1000, `${key}: ${outcomes.get(key)}`)
  })
}

test('the attack finds a decoder that forgets to compare with the canonical form', () => {
  const schema = z.strictObject({ a: z.number(), b: z.string() })
  const lax: Sampled = {
    ...SAMPLES[0]!,
    raws: [documentCodec('lax', schema, 1000).encode({ a: 1, b: 'x' })],
    roundTrip: (raw) => {
      let parsed: z.ZodSafeParseResult<z.output<typeof schema>>
      try {
        parsed = schema.safeParse(decode(raw))
      } catch {
        return { code: 'E_CBOR' }
      }
      return parsed.success ? { raw: documentCodec('lax', schema, 1000).encode(parsed.data) } : { code: 'E_SCHEMA' }
    }
  }
  assert.throws(() => attack(lax, 10_000), /another spelling/)
})

test('the attack finds a decoder that throws', () => {
  assert.throws(() => attack({ ...SAMPLES[4]!, roundTrip: (raw) => ({ code: `E_${typeof decode(raw)}` }) }, 10_000), /threw on/)
})

test('a document above its cap is refused before it is read', () => {
  for (const sample of SAMPLES) assert.equal(sample.roundTrip(new Uint8Array(sample.maxBytes + 1)), { code: 'E_DOCUMENT_SIZE' })
})

test('legal CBOR up to the cap that would become a million objects is refused before it is decoded', () => {
  const count = SAMPLES[0]!.maxBytes - 5
  for (const filler of [0xa0, 0x80, 0x60, 0x00, 0x81]) {
    const raw = new Uint8Array(count + 5).fill(filler)
    raw.set([0x9a, count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255])
    assert.not.ok(isPlausibleCbor(raw))
    assert.equal(SAMPLES[0]!.roundTrip(raw), { code: 'E_DOCUMENT_CBOR' })
  }
})

test('a link with a shortened digest is refused, since fixed-width preimages are made of digests', () => {
  const short = Buffer.concat([Buffer.from('d82a5819', 'hex'), Buffer.from('0001551214', 'hex'), Buffer.alloc(20)])
  const raw = new Uint8Array(Buffer.concat([Buffer.from('a16463', 'hex'), Buffer.from('69640a', 'hex'), short]))
  assert.not.ok(documentCodec('link', z.strictObject({ cid }), 100).decode(raw).ok)
  const link = documentCodec('link', z.strictObject({ cid }), 100)
  assert.throws(() => link.encode({ cid: 'bafkrefaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }), (error: unknown) => error instanceof HearthError && error.code === 'E_DOCUMENT')
  assert.throws(() => link.encode({ cid: 'bnonsense' }), (error: unknown) => error instanceof HearthError && error.code === 'E_DOCUMENT')
})

test('a job over 10,000 files round-trips', () => {
  const files = Array.from({ length: 10_000 }, (_, i) => ({ path: `folder/part-${i}.txt`, cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', sizeBytes: i, kind: 'file' as const }))
  const document: JobDocument = { ...JOBS[0]!, map: { kind: 'files', files } }
  const decoded = jobCodec.decode(jobCodec.encode(document))
  assert.ok(decoded.ok)
  if (decoded.ok) assert.equal(decoded.value, document)
})

test('a job that no provider could plan is refused: too many tasks, a quorum out of reach, two inputs in one place', () => {
  const input = { path: 'a', cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', sizeBytes: 1, kind: 'file' as const }
  const bad: Partial<JobDocument>[] = [
    { map: { kind: 'range', start: 0, end: 1e12, step: 1 } }, { map: { kind: 'range', start: 0, end: 10_001, step: 1 } }, { map: { kind: 'range', start: 5, end: 5, step: 1 } },
    { replication: { quorum: 2, replicas: 1, adaptive: false, spotCheckShare: 0 } },
    { inputs: [input, input] }, { inputs: [input, { ...input, path: 'a/b' }] }, { inputs: [input], map: { kind: 'files', files: [input] } },
    { inputs: [{ ...input, path: '../a' }] }, { inputs: [{ ...input, path: '/a' }] }, { outputs: ['a/./b'] }
  ]
  for (const change of bad) assert.throws(() => jobCodec.encode({ ...JOBS[0]!, ...change }), (error: unknown) => error instanceof HearthError && error.code === 'E_DOCUMENT', JSON.stringify(change))
  jobCodec.encode({ ...JOBS[0]!, inputs: [input, { ...input, path: 'ab' }, { ...input, path: 'b/a' }] })
})

test.run()
