/** The node's comparer over a real store and a real sandbox: what it fetches, what it asks the program, and what it leaves. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { Comparer } from '../../node/work/compare.ts'
import type { FetchRequest } from '../../node/work/content-port.ts'
import type { Engine } from '../../node/work/engine.ts'
import { jobBlockCid } from '../../node/work/job-files.ts'
import { LogHub } from '../../node/work/log-hub.ts'
import { Worker } from '../../node/work/worker.ts'
import { nativeHasher } from '../../node/keys/native-hasher.ts'
import type { Notice, Shown } from '../../src/core/effect.ts'
import type { Comparison, EventOf, PeerEvent } from '../../src/core/event.ts'
import { documentCid } from '../../src/codec/hasher.ts'
import { jobCodec, taskCount } from '../../src/documents/job.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { HearthError } from '../../src/errors.ts'
import { peerIdOf } from '../../src/sim/computer.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { GIB, KIB, MIB } from '../../src/units.ts'
import { MODULES } from '../helpers/cluster.ts'
import { PLAIN_JOB } from '../helpers/plain-job.ts'

interface Context { dir: string, store: ContentStore, module: string, fetched: FetchRequest[], comparer: Comparer, next: () => Promise<EventOf<'compared'>> }
const test = suite<Context>('comparer')
const GONE = 'gone'

test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-comparer-'))
  context.store = await ContentStore.open({ dir: join(context.dir, 'content'), quotaBytes: GIB, minFreeDiskBytes: 0 })
  context.module = (await context.store.importFile(join(MODULES, 'first-byte.wasm'), { pinFor: 'job:x' })).cid
  context.fetched = []
  const told: EventOf<'compared'>[] = []
  let wake = (): void => undefined
  context.next = async () => {
    while (told.length === 0) await new Promise<void>((resolve) => { wake = resolve })
    return told.shift()!
  }
  await mkdir(join(context.dir, 'compare', 'results', 'of a crash'), { recursive: true })
  context.comparer = new Comparer({
    dir: join(context.dir, 'compare'), content: context.store, inline: { bring: async () => undefined },
    fetch: async (request) => {
      context.fetched.push(request)
      if (request.from.includes(GONE)) throw new HearthError('E_TRANSFER_NO_SOURCE', 'nobody has it')
      await context.store.pin(request.cid, request.pinFor)
    },
    dispatch: (event) => { if (event.kind === 'compared') { told.push(event); wake() } }
  })
})

test.after(async ({ comparer, store, dir }) => {
  await comparer.close()
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

/** A result whose files below out/ are these. */
async function shown({ store }: Context, opinion: string, files: Record<string, string>, more: Partial<Shown> = {}): Promise<Shown> {
  const { cid, sizeBytes } = await store.importTree(Object.entries(files).map(([path, text]) => ({ path: `out/${path}`, bytes: Buffer.from(text) })).sort((a, b) => a.path < b.path ? -1 : 1), { pinFor: 'results' })
  return { opinion, content: cid, contentBytes: sizeBytes, from: [{ peer: `host of ${opinion}`, agreement: 'a', attempt: 0 }], ...more }
}

function documentFor({ module }: Context, by: 'program' | 'verifier' | undefined, more: Partial<JobDocument> = {}): JobDocument {
  return { ...documentOf(PLAIN_JOB, peerIdOf(0), 0), ...by === undefined ? {} : { compare: { by, module, moduleBytes: 1, args: ['{item}'] } }, map: { kind: 'list', items: ['x'] }, ...more }
}

async function outcome(context: Context, document: JobDocument, fresh: Shown, against: Shown[]): Promise<Comparison> {
  context.comparer.compare({ kind: 'compare', job: 'job', document, task: 0, fresh, against })
  const event = await context.next()
  assert.equal([event.opinion, event.against], [fresh.opinion, against.map(({ opinion }) => opinion)])
  return event.outcome
}

test('a fresh result is the same as the first that the program finds it alike, or another', async (context) => {
  const document = documentFor(context, 'program')
  const [a, a2, b, c] = [await shown(context, 'a', { x: 'a1' }), await shown(context, 'a2', { x: 'a2' }), await shown(context, 'b', { x: 'b' }), await shown(context, 'c', { x: 'c' })]
  assert.equal(await outcome(context, document, a2, [b, a]), { kind: 'same', as: 'a' })
  assert.equal(await outcome(context, document, c, [b, a]), { kind: 'other' })
})

test('who makes the program fail even on itself is named, first or last, alone or with another such, and the others are judged', async (context) => {
  const document = documentFor(context, 'program')
  const [a, a2, odd, odd2] = [await shown(context, 'a', { x: 'a1' }), await shown(context, 'a2', { x: 'a2' }), await shown(context, 'odd', { x: '!' }), await shown(context, 'odd2', { x: '!!' })]
  const named = async (fresh: Shown, against: Shown[]): Promise<string[]> => {
    const found = await outcome(context, document, fresh, against)
    assert.ok(found.kind === 'unsure' && /trapped \(unreachable\)/.test(found.message), JSON.stringify(found))
    return found.opinions
  }
  assert.equal(await named(odd, [a]), ['odd'])
  assert.equal(await named(a2, [odd, a]), ['odd'], 'the odd one came first')
  assert.equal(await outcome(context, document, a2, [a]), { kind: 'same', as: 'a' })
  assert.equal(await named(odd2, [odd]), ['odd2', 'odd'])
})

test('without a program the first segment whose files differ is named, and a run of it is the same as who has those files', async (context) => {
  const document = documentFor(context, undefined, { segments: 12 })
  const files = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`segment-${i}/frame`, `frame ${i}`]))
  const a = await shown(context, 'a', files)
  const b = await shown(context, 'b', { ...files, 'segment-10/frame': 'lie', 'segment-11/more': '' })
  assert.equal(await outcome(context, document, b, [a]), { kind: 'other', segment: 10 })
  assert.equal(await outcome(context, document, await shown(context, 'v/10', { 'segment-10/frame': 'lie' }, { segment: 10 }), [a, b]), { kind: 'same', as: 'b' })
  assert.equal(await outcome(context, document, await shown(context, 'w/10', { 'segment-10/frame': 'frame 10' }, { segment: 10 }), [b, a]), { kind: 'same', as: 'a' })
  assert.equal(await outcome(context, document, await shown(context, 'z/10', { 'segment-10/frame': 'else', 'segment-1/frame': 'frame 1' }, { segment: 10 }), [b, a]), { kind: 'other' })
  assert.equal(await outcome(context, document, await shown(context, 'log', { ...files, log: 'only this differs' }), [a]), { kind: 'other' })
})

test('a verifier is given the task\'s argument and inputs', async (context) => {
  const question = await context.store.importBytes(Buffer.from('q'), { pinFor: 'job:x' })
  const document = documentFor(context, 'verifier', { inputs: [{ path: 'question', cid: question.cid, sizeBytes: 1, kind: 'file' }] })
  assert.equal(await outcome(context, document, await shown(context, 'yes', { x: 'q!' }), []), { kind: 'right' })
  assert.equal(await outcome(context, document, await shown(context, 'no', { x: 'r' }), []), { kind: 'wrong' })
  const odd = await outcome(context, document, await shown(context, 'odd', { x: '!' }), [])
  assert.ok(odd.kind === 'unsure' && /trapped/.test(odd.message), JSON.stringify(odd))
})

test('a result that nobody hands over is lost, by name; each holder is asked, and never for more than the job allows', async (context) => {
  const document = documentFor(context, 'program', { resources: { cores: 1, memoryBytes: MIB, diskBytes: 100 }, limits: { ...PLAIN_JOB.limits, logBytes: 10 } })
  const [a, b] = [await shown(context, 'a', { x: 'a1' }), await shown(context, 'b', { x: 'b' }, { contentBytes: GIB })]
  context.fetched.length = 0
  assert.equal(await outcome(context, document, b, [{ ...a, from: [{ peer: GONE, agreement: 'a', attempt: 0 }] }]), { kind: 'lost', opinion: 'a' })
  assert.equal(await outcome(context, document, b, [{ ...a, from: [{ peer: GONE, agreement: 'a', attempt: 0 }, { peer: 'other', agreement: 'c', attempt: 1 }] }]), { kind: 'other' })
  assert.ok(context.fetched.every(({ maxBytes }) => maxBytes <= 120 + 64 * KIB))
  assert.equal(context.fetched.map(({ from }) => from[0]), ['host of b', GONE, 'host of b', GONE, 'other'])
})

test('asked twice it is one; when its job is over nothing is told; and nothing stays', async (context) => {
  const document = documentFor(context, 'program')
  const [a, b] = [await shown(context, 'a', { x: 'a1' }), await shown(context, 'b', { x: 'b' })]
  const effect = { kind: 'compare' as const, job: 'ends', document, task: 0, fresh: b, against: [a] }
  context.comparer.compare(effect)
  context.comparer.over('ends')
  context.fetched.length = 0
  context.comparer.compare({ ...effect, job: 'goes on' })
  context.comparer.compare({ ...effect, job: 'goes on' })
  assert.is((await context.next()).job, 'goes on')
  assert.equal(await outcome(context, document, await shown(context, 'last', { x: 'z' }), [a]), { kind: 'other' })
  assert.is(context.fetched.filter(({ pinFor }) => pinFor.includes('goes on')).length, 2)
  assert.equal([...context.store.pins()].filter(({ owner }) => owner.startsWith('compare:')), [])
  assert.equal(await readdir(join(context.dir, 'compare', 'results')), [])
})

test('a result that no disk can hold is lost, and does not wait for this computer', async (context) => {
  const document = documentFor(context, 'program')
  const [a, deep] = [await shown(context, 'a', { x: 'a1' }), await shown(context, 'deep', { [`${`${'x'.repeat(200)}/`.repeat(25)}f`]: '' })]
  assert.equal(await outcome(context, document, a, [deep]), { kind: 'lost', opinion: 'deep' })
})

test('what this computer cannot do is waited out and told, keeps nobody else from comparing, and is nobody\'s failure', async (context) => {
  const dir = join(context.dir, 'troubled')
  await mkdir(dir, { recursive: true })
  // where the sandbox wants its folder lies a file
  await writeFile(join(dir, 'sandbox'), '')
  const [told, notices, waiters]: [EventOf<'compared'>[], Notice[], (() => void)[]] = [[], [], []]
  let brought = 0
  const news = (): void => { for (const wake of waiters.splice(0)) wake() }
  const until = async (is: () => boolean): Promise<void> => { while (!is()) await new Promise<void>((resolve) => { waiters.push(resolve) }) }
  const comparer = new Comparer({
    dir, content: context.store, inline: { bring: async () => undefined }, againMs: 1,
    fetch: async ({ cid, pinFor }) => { brought++; await context.store.pin(cid, pinFor); news() },
    dispatch: (event) => { if (event.kind === 'compared') { told.push(event); news() } },
    notify: (notice) => { notices.push(notice); news() }
  })
  const [a, b] = [await shown(context, 'a', { x: 'a1' }), await shown(context, 'b', { x: 'b' })]
  const effect = { kind: 'compare' as const, document: documentFor(context, 'program'), task: 0, fresh: b, against: [a] }
  for (const job of ['first', 'second']) comparer.compare({ ...effect, job })
  await until(() => brought >= 24)
  assert.equal(told, [], 'six tries each, and no verdict')
  comparer.compare({ ...effect, job: 'third', document: documentFor(context, undefined, { segments: 2 }) })
  await until(() => told.length === 1)
  assert.equal([told[0]!.job, told[0]!.outcome], ['third', { kind: 'other' }])
  await rm(join(dir, 'sandbox'))
  await until(() => told.length === 3)
  assert.equal(told.slice(1).map(({ job, outcome }) => `${job} ${outcome.kind}`).sort(), ['first other', 'second other'])
  assert.equal(notices.map((notice) => notice.kind === 'task' ? `${notice.job} ${notice.state}` : '').sort(), ['first retry', 'second retry'], 'once each')
  await comparer.close()
})

test('a host runs the segment that was leased, owes its outputs alone, and refuses one that the job does not have', async ({ dir, store }) => {
  const document = { ...documentOf(PLAIN_JOB, peerIdOf(0), 0), segments: 3, outputs: ['segment-0/a', 'segment-1/a', 'segment-2/a'], resources: { cores: 1, memoryBytes: MIB, diskBytes: MIB } }
  const raw = jobCodec.encode(document)
  const job = documentCid(nativeHasher, raw)
  await store.putBlock(jobBlockCid(job), raw)
  const envs: Record<string, string>[] = []
  const engine: Engine = {
    prefetch: async () => undefined, suspend: () => undefined, hold: () => undefined,
    run: async ({ plan }) => {
      envs.push(plan.env)
      const usage = { wallMs: 1, cpuMs: 1, residentBytes: 1, memoryBytes: 1, outBytes: 1, outFiles: 1, stdoutBytes: 0, stderrBytes: 0 }
      return { outcome: { kind: 'exited', exitCode: 0, usage }, files: { kind: 'memory', files: [{ path: `out/segment-${plan.env['HEARTH_SEGMENT_FIRST'] ?? ''}/a`, bytes: Buffer.from('a') }] } }
    }
  }
  const events: PeerEvent[] = []
  const ended = Promise.withResolvers<void>()
  const worker = new Worker({ dir: join(dir, 'work'), content: store, fetch: async ({ cid, pinFor }) => { await store.pin(cid, pinFor) }, engines: { wasm: engine }, logs: new LogHub(), dispatch: (event) => { if (event.kind !== 'run-progress' && events.push(event) === 3) ended.resolve() } })
  const offer: Offer = { v: 1, job, round: 1, requester: peerIdOf(0), addresses: [], market: { engine: 'wasm', hardware: 'cpu', region: 'any' }, resources: document.resources, tasks: taskCount(document), replicas: 1, moduleBytes: GIB, inputBytes: GIB, runMs: document.limits.runMs, deadlineWallMs: 1, issuedWallMs: 1, declineShare: 0 }
  for (const [attempt, segment] of [1, undefined, 3].entries()) worker.run({ kind: 'run', lease: { agreement: 'a', task: 0, attempt }, job, requester: peerIdOf(0), offer, ...segment === undefined ? {} : { segment } })
  await ended.promise
  await worker.close()
  const of = (attempt: number): PeerEvent | undefined => events.find((event) => 'lease' in event && event.lease.attempt === attempt)
  const [part, whole, none] = [of(0), of(1), of(2)]
  assert.ok(part?.kind === 'run-finished' && part.result.status === 'exited')
  assert.ok(whole?.kind === 'run-finished' && whole.result.trap === 'E_OUTPUT_MISSING', 'the whole owes all outputs')
  assert.ok(none?.kind === 'run-failed' && none.code === 'E_HOST_OFFER')
  assert.equal(envs.map((env) => `${env['HEARTH_SEGMENT_FIRST'] ?? ''} to ${env['HEARTH_SEGMENT_LAST'] ?? ''}`).sort(), ['0 to 2', '1 to 1'])
})

test.run()
