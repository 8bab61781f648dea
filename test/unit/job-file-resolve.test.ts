import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { contentJobStore, inspectJob, readJobFile, resolveJob } from '../../node/jobfile/index.ts'
import type { ImportProgress, JobStore, ResolvedJob, ResolveRequest } from '../../node/jobfile/index.ts'
import { jobCodec, taskPlan } from '../../src/documents/job.ts'
import { HearthError } from '../../src/errors.ts'
import { parseJobSpec } from '../../src/job/spec.ts'

const PEER_A = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const PEER_B = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const WASM = Buffer.from('0061736d01000000', 'hex')

/** The real store; counts imports, can be made to fail at one, and can do something before one. */
class Store implements JobStore {
  readonly content: ContentStore
  imports = 0
  failAt = Infinity
  before: (path: string) => void = () => undefined
  readonly #inner: JobStore

  constructor(content: ContentStore) {
    this.content = content
    this.#inner = contentJobStore(content, 'draft')
  }

  async importPath(path: string, options?: { signal?: AbortSignal }): ReturnType<JobStore['importPath']> {
    this.imports++
    this.before(path)
    if (this.imports >= this.failAt) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    return this.#inner.importPath(path, options)
  }

  stat(cid: string): ReturnType<JobStore['stat']> {
    return this.#inner.stat(cid)
  }

  release(cid: string): Promise<void> {
    return this.#inner.release(cid)
  }

  get pinned(): number {
    return this.content.usage().pinnedRoots
  }
}

interface Context { dir: string, store: Store }
const test = suite<Context>('resolve')
test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'hearth-job-'))
  context.store = new Store(await ContentStore.open({ dir: join(context.dir, 'store'), quotaBytes: 64 * 2 ** 20 }))
  const put = (path: string, content: string | Buffer): void => { mkdirSync(join(context.dir, 'job', path, '..'), { recursive: true }); writeFileSync(join(context.dir, 'job', path), content) }
  put('a.wasm', WASM)
  put('scene.txt', 'a scene')
  put('texts/b.txt', 'b')
  put('texts/a.txt', 'aa')
  put('texts/sub/c.txt', 'ccc')
  put('texts/.DS_Store', 'x')
  put('texts/.git/config', 'x')
  writeFileSync(join(context.dir, 'secret'), 'keys')
})
test.after.each(async ({ dir, store }) => { await store.content.close(); rmSync(dir, { recursive: true, force: true }) })

function resolveIn({ dir, store }: Context, file: object, more: Partial<ResolveRequest> = {}): Promise<ResolvedJob> {
  return resolveJob({ spec: parseJobSpec(file), baseDir: join(dir, 'job'), requester: PEER_A, nowWallMs: 1_790_000_000_000, nonce: new Uint8Array(16), store, ...more })
}

async function refusal(promise: Promise<unknown>): Promise<HearthError> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason)
  assert.instance(error, HearthError, String(error))
  const found = error as HearthError
  assert.ok(found.hint.length > 0, `${found.code} has a hint`)
  return found
}

test('module, inputs, stdin and folder become content, and the document decodes to itself', async (context) => {
  const job = await resolveIn(context, { module: 'a.wasm', inputs: { 'data/texts': 'texts', 'scene.txt': './scene.txt' }, stdin: 'scene.txt', priceCap: '1 gwei', outputs: ['x'] })
  assert.is(job.document.inputs.map(({ path, kind, sizeBytes }) => `${path} ${kind} ${sizeBytes}`).join(), 'data/texts folder 8,scene.txt file 7')
  assert.is(job.document.stdin, job.document.inputs[1]!.cid)
  assert.equal(job.document.engine.kind === 'wasm' && job.document.engine.moduleBytes, 8)
  const decoded = jobCodec.decode(job.raw)
  assert.ok(decoded.ok)
  if (decoded.ok) assert.equal(decoded.value, job.document)
  assert.match(job.id, /^bafyrei/)
  assert.is(job.roots.length, 3, 'the scene is one content although it is named twice')
  for (const root of job.roots) assert.equal(context.store.content.pinnedFor(root), ['draft'])
  assert.is(context.store.pinned, 3)
})

test('inspecting tells sizes and imports nothing', async ({ dir, store }) => {
  const spec = parseJobSpec({ module: 'a.wasm', inputs: { 'scene.txt': 'scene.txt' }, map: { files: 'texts' } })
  const { draft, moduleBytes, inputBytes } = await inspectJob({ spec, baseDir: join(dir, 'job'), requester: PEER_A, nowWallMs: 1, nonce: new Uint8Array(16), store })
  assert.equal([moduleBytes, inputBytes, draft.map?.kind === 'files' && draft.map.files.length], [8, 13, 3])
  assert.is(store.imports, 0)
})

test('the same file and nonce give the same job, another nonce another one', async (context) => {
  const ids = [0, 0, 1].map(async (byte) => (await resolveIn(context, { module: 'a.wasm' }, { nonce: new Uint8Array(16).fill(byte) })).id)
  const [first, same, other] = await Promise.all(ids)
  assert.is(first, same)
  assert.is.not(first, other)
})

test('a map over a folder takes its files, those in folders below too, sorted by path, without hidden ones', async (context) => {
  const { document } = await resolveIn(context, { module: 'a.wasm', map: { files: 'texts' }, args: ['{item}', '{item.name}', '{index}'] })
  assert.equal(document.map?.kind === 'files' && document.map.files.map(({ path, sizeBytes }) => [path, sizeBytes]), [['a.txt', 2], ['b.txt', 1], ['sub/c.txt', 3]])
  assert.equal(taskPlan(document, 2).args, ['sub/c.txt', 'c.txt', '2'])
  assert.equal(taskPlan(document, 2).inputs.map(({ path }) => path), ['sub/c.txt'])
})

test('content that is stored already needs no file', async (context) => {
  const { cid } = await context.store.importPath(join(context.dir, 'job', 'a.wasm'))
  const { document } = await resolveIn(context, { module: `cid:${cid}`, inputs: { again: `cid:${cid}` } })
  assert.is(context.store.imports, 1)
  assert.is(document.name, 'job')
  assert.equal(document.inputs, [{ path: 'again', cid, kind: 'file', sizeBytes: 8 }])
})

test('named sets of providers become those allowed, without those denied', async (context) => {
  const { document } = await resolveIn(context, { module: 'a.wasm', placement: { providers: ['friends', 'work'], deny: [PEER_B] } }, { providerSets: { friends: [PEER_A, PEER_B], work: [PEER_A] } })
  assert.equal(document.placement, { allow: [PEER_A], deny: [PEER_B] })
})

test('progress counts to the whole', async (context) => {
  const seen: ImportProgress[] = []
  await resolveIn(context, { module: 'a.wasm', inputs: { texts: 'texts' } }, { onProgress: (progress) => { seen.push(progress) } })
  const last = seen.at(-1)!
  assert.equal([last.doneFiles, last.totalFiles, last.doneBytes, last.totalBytes], [2, 2, 16, 16])
})

/** What is wrong with the files, the code, the message, the hint. Nothing may be imported. */
const BAD: readonly (readonly [name: string, file: object, code: string, message: RegExp, hint: RegExp, prepare?: ((job: string) => void) | undefined, more?: Partial<ResolveRequest>])[] = [
  ['a module that is not there', { module: 'b.wasm' }, 'E_JOB_FILE', /module: there is no b\.wasm/, /Did you mean "a\.wasm"/],
  ['a path through a file', { module: 'a.wasm/x' }, 'E_JOB_FILE', /there is no a\.wasm\/x/, /relative/],
  ['an input that is not there', { module: 'a.wasm', inputs: { s: 'scen.txt' } }, 'E_JOB_FILE', /inputs\.s: there is no scen\.txt/, /"scene\.txt"/],
  ['a folder for a module', { module: 'texts' }, 'E_JOB_KIND', /module: texts is a folder/, /Name a file/],
  ['a folder for stdin', { module: 'a.wasm', stdin: 'texts' }, 'E_JOB_KIND', /stdin: texts is a folder/, /Name a file/],
  ['a file for a map\'s folder', { module: 'a.wasm', map: { files: 'scene.txt' } }, 'E_JOB_KIND', /map\.files: scene\.txt is a file/, /Name the folder/],
  ['a path that climbs out', { module: 'a.wasm', inputs: { s: '../secret' } }, 'E_JOB_ESCAPE', /inputs\.s: \.\.\/secret lies outside/, /copy it there/],
  ['an absolute path outside', { module: 'a.wasm', inputs: { s: '/etc/passwd' } }, 'E_JOB_ESCAPE', /\/etc\/passwd lies outside/, /copy it there/],
  ['a link that leads out', { module: 'a.wasm', inputs: { s: 'link' } }, 'E_JOB_ESCAPE', /link to .*secret/, /copy it there/, (job) => { symlinkSync('../secret', join(job, 'link')) }],
  ['a link in a folder', { module: 'a.wasm', inputs: { t: 'texts' } }, 'E_JOB_ESCAPE', /texts\/sub\/link is a link/, /replace it/, (job) => { symlinkSync('../../../secret', join(job, 'texts', 'sub', 'link')) }],
  ['a link that leads in a circle', { module: 'a.wasm', inputs: { s: 'loop' } }, 'E_JOB_FILE', /leads in a circle/, /Correct/, (job) => { symlinkSync('loop', join(job, 'loop')) }],
  ['a named pipe', { module: 'a.wasm', inputs: { s: 'pipe' } }, 'E_JOB_FILE', /pipe is neither a file nor a folder/, /plain file/, (job) => { execFileSync('mkfifo', [join(job, 'pipe')]) }],
  ['a named pipe in a folder', { module: 'a.wasm', inputs: { t: 'texts' } }, 'E_JOB_FILE', /texts\/pipe is neither/, /Remove it/, (job) => { execFileSync('mkfifo', [join(job, 'texts', 'pipe')]) }],
  ['an empty folder', { module: 'a.wasm', inputs: { e: 'empty' } }, 'E_JOB_EMPTY', /inputs\.e: the folder empty holds no file/, /Put files/, (job) => { mkdirSync(join(job, 'empty')) }],
  ['a map over hidden files only', { module: 'a.wasm', map: { files: 'dots' } }, 'E_JOB_EMPTY', /no file but hidden/, /Put files/, (job) => { mkdirSync(join(job, 'dots')); writeFileSync(join(job, 'dots', '.x'), '') }],
  ['an empty module', { module: 'zero.wasm' }, 'E_JOB_MODULE', /zero\.wasm is empty/, /Compile/, (job) => { writeFileSync(join(job, 'zero.wasm'), '') }],
  ['a text for a module', { module: 'scene.txt' }, 'E_JOB_MODULE', /is not WebAssembly/, /wasm32-wasi/],
  ['a native program', { module: 'elf' }, 'E_JOB_MODULE', /program for this machine/, /wasm32-wasi/, (job) => { writeFileSync(join(job, 'elf'), Buffer.from('7f454c4602010100', 'hex')) }],
  ['a module in text form', { module: 'm.wat' }, 'E_JOB_MODULE', /text, not its binary/, /wat2wasm/, (job) => { writeFileSync(join(job, 'm.wat'), '(module)') }],
  ['a component', { module: 'c.wasm' }, 'E_JOB_MODULE', /component, not a module/, /wasm32-wasip1/, (job) => { writeFileSync(join(job, 'c.wasm'), Buffer.from('0061736d0d000100', 'hex')) }],
  ['a module above the cap', { module: 'big.wasm' }, 'E_JOB_MODULE', /more than \d+ MiB/, /Strip/, (job) => { writeFileSync(join(job, 'big.wasm'), Buffer.concat([WASM, Buffer.alloc(64 * 2 ** 20)])) }],
  ['a name that no program may meet', { module: 'a.wasm', inputs: { t: 'texts' } }, 'E_JOB_PATH', /inputs\.t: the name "-rf"/, /Rename/, (job) => { writeFileSync(join(job, 'texts', '-rf'), 'x') }],
  ['such a name in a map', { module: 'a.wasm', map: { files: 'texts' } }, 'E_JOB_PATH', /map\.files: the name "a\\nb"/, /Rename/, (job) => { writeFileSync(join(job, 'texts', 'a\nb'), 'x') }],
  ['a file of a map in an input\'s place', { module: 'a.wasm', inputs: { 'a.txt': 'scene.txt' }, map: { files: 'texts' } }, 'E_JOB_CONFLICT', /a\.txt would take the place/, /Rename the input/],
  ['content that is not stored', { module: 'cid:bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' }, 'E_JOB_CID', /is not in this node's store/, /fetch/],
  ['a provider set that is not configured', { module: 'a.wasm', placement: { providers: ['freinds'] } }, 'E_JOB_PROVIDERS', /"freinds"/, /Did you mean "friends"/, undefined, { providerSets: { friends: [PEER_A] } }],
  ['a provider set when there is none', { module: 'a.wasm', placement: { providers: ['friends'] } }, 'E_JOB_PROVIDERS', /"friends"/, /requester\.providerSets/],
  ['sets of which nobody is left', { module: 'a.wasm', placement: { providers: ['friends'], deny: [PEER_A] } }, 'E_JOB_PROVIDERS', /hold nobody/, /Add hosts/, undefined, { providerSets: { friends: [PEER_A] } }]
]

for (const [name, file, code, message, hint, prepare, more] of BAD) {
  test(`refuses ${name} before anything is imported`, async (context) => {
    prepare?.(join(context.dir, 'job'))
    const error = await refusal(resolveIn(context, file, more))
    assert.is(error.code, code, error.message)
    assert.match(error.message, message)
    assert.match(error.hint, hint)
    assert.is(context.store.imports, 0)
  })
}

test('refuses a map over more files than a job may have tasks', async (context) => {
  mkdirSync(join(context.dir, 'job', 'many'))
  for (let i = 0; i <= 10_000; i++) linkSync(join(context.dir, 'job', 'a.wasm'), join(context.dir, 'job', 'many', `${i}`))
  const error = await refusal(resolveIn(context, { module: 'a.wasm', map: { files: 'many' } }))
  assert.is(error.code, 'E_JOB_SIZE')
  assert.is(context.store.imports, 0)
})

test('refuses a map whose names make the job too large to send, before anything is imported', async (context) => {
  const folder = join(context.dir, 'job', 'long', 'x'.repeat(200), 'y'.repeat(200))
  mkdirSync(folder, { recursive: true })
  for (let i = 0; i < 2600; i++) linkSync(join(context.dir, 'job', 'a.wasm'), join(folder, `${i}`))
  const error = await refusal(resolveIn(context, { module: 'a.wasm', map: { files: 'long' } }))
  assert.is(error.code, 'E_JOB_SIZE')
  assert.match(error.message, /too large to send/)
  assert.is(context.store.imports, 0)
})

test('a store that fails half-way is left holding nothing', async (context) => {
  context.store.failAt = 3
  const error = await refusal(resolveIn(context, { module: 'a.wasm', map: { files: 'texts' }, stdin: 'scene.txt' }))
  assert.is(error.code, 'E_JOB_IMPORT')
  assert.match(error.message, /i\/o error/)
  assert.is(context.store.pinned, 0)
})

test('a file that changes between the look and the reading is refused, and nothing stays held', async (context) => {
  const { store, dir } = context
  store.before = (path) => { if (path.endsWith('scene.txt')) writeFileSync(join(dir, 'job', 'scene.txt'), 'longer than before') }
  const error = await refusal(resolveIn(context, { module: 'a.wasm', inputs: { s: 'scene.txt' } }))
  assert.is(error.code, 'E_JOB_CHANGED')
  assert.is(store.pinned, 0)
})

test('a store without room refuses the job and is left holding nothing', async (context) => {
  writeFileSync(join(context.dir, 'job', 'large'), Buffer.alloc(65 * 2 ** 20))
  const error = await refusal(resolveIn(context, { module: 'a.wasm', inputs: { large: 'large' } }))
  assert.is(error.code, 'E_CONTENT_QUOTA')
  assert.is(context.store.pinned, 0)
})

test('an aborted import leaves nothing held', async (context) => {
  const controller = new AbortController()
  const promise = resolveIn(context, { module: 'a.wasm', map: { files: 'texts' }, stdin: 'scene.txt' }, { signal: controller.signal, onProgress: () => { controller.abort(new HearthError('E_CANCELLED', 'stopped', 'Submit again')) } })
  assert.is((await refusal(promise)).code, 'E_CANCELLED')
  assert.is(context.store.pinned, 0)
})

const BAD_FILES: readonly (readonly [name: string, file: string, code: string, message: RegExp, hint: RegExp, prepare: (dir: string) => void])[] = [
  ['is not there', 'job.yml', 'E_JOB_FILE', /there is no job file .*job\.yml/, /Did you mean "job\.yaml"/, (dir) => { writeFileSync(join(dir, 'job.yaml'), 'module: a') }],
  ['is a folder', 'job', 'E_JOB_FILE', /is a folder/, /itself/, () => undefined],
  ['has another extension', 'job.txt', 'E_JOB_FILE', /neither YAML nor JSON/, /\.yaml, \.yml or \.json/, (dir) => { writeFileSync(join(dir, 'job.txt'), 'module: a') }],
  ['is not text', 'job.yaml', 'E_JOB_FILE', /not UTF-8/, /UTF-8/, (dir) => { writeFileSync(join(dir, 'job.yaml'), Buffer.from([0x6d, 0xff, 0xfe])) }],
  ['is too large', 'job.yaml', 'E_JOB_FILE', /more than the .* of a job file/, /right file/, (dir) => { writeFileSync(join(dir, 'job.yaml'), Buffer.alloc(8 * 2 ** 20)) }],
  ['is a named pipe', 'job.yaml', 'E_JOB_FILE', /no plain file/, /itself/, (dir) => { execFileSync('mkfifo', [join(dir, 'job.yaml')]) }]
]

for (const [name, file, code, message, hint, prepare] of BAD_FILES) {
  test(`refuses a job file that ${name}`, async ({ dir }) => {
    prepare(dir)
    const error = await refusal(readJobFile(join(dir, file)))
    assert.is(error.code, code, error.message)
    assert.match(error.message, message)
    assert.match(error.hint, hint)
  })
}

test('reads a job file, and its folder is where paths begin', async ({ dir }) => {
  writeFileSync(join(dir, 'job', 'job.yaml'), 'module: a.wasm\n')
  assert.equal(await readJobFile(join(dir, 'job', 'job.yaml')), { spec: { module: 'a.wasm' }, baseDir: join(dir, 'job') })
})

test.run()
