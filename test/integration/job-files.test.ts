/** What a host fetches for a job belongs to the job: whoever asked first may stop waiting, and nothing stays when the job is over. */
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { prepareJob } from '../../node/service/job-store.ts'
import type { FetchRequest } from '../../node/work/content-port.ts'
import { JobFiles } from '../../node/work/job-files.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { GIB } from '../../src/units.ts'

const EXAMPLES = join(import.meta.dirname, '../../config/examples')
const REQUESTER = '12D3KooWBhMbLvQGgNNvGEoMoBBnFUTgTMNaFFpLVX5C6fA9nQ7s'
const AGREEMENT = `0x${'11'.repeat(32)}`

/** A host's files of a job; each fetch waits until it is let through, or ends with its signal. */
async function open(): Promise<{ files: JobFiles, offer: Offer, module: string, asked: FetchRequest[], letThrough: () => void, dir: string, close: () => Promise<void> }> {
  const home = await mkdtemp(join(tmpdir(), 'hearth-files-'))
  const content = await ContentStore.open({ dir: join(home, 'content'), quotaBytes: GIB, minFreeDiskBytes: 0 })
  const { id: job, document } = await prepareJob({ content, requester: REQUESTER, providerSets: {}, secrets: { keep: async () => {} } }, { spec: { module: './hello/hello.wasm' }, baseDir: EXAMPLES }, new Uint8Array(16))
  assert.ok(document.engine.kind === 'wasm')
  const offer: Offer = {
    v: 1, job, round: 0, requester: REQUESTER, addresses: [], market: { engine: 'wasm', hardware: 'cpu', region: 'any' }, resources: document.resources,
    tasks: 1, replicas: 1, moduleBytes: document.engine.moduleBytes, inputBytes: 0, runMs: document.limits.runMs, deadlineWallMs: 0, issuedWallMs: 0, declineShare: 0
  }
  const asked: FetchRequest[] = []
  const gates: (() => void)[] = []
  const fetch = async (request: FetchRequest): Promise<void> => {
    asked.push(request)
    await new Promise<void>((resolve, reject) => {
      gates.push(resolve)
      request.signal?.addEventListener('abort', () => { reject(request.signal?.reason as Error) })
    })
    request.onProgress?.({ bytes: 1 })
  }
  const dir = join(home, 'work')
  return {
    files: new JobFiles(content, fetch, dir, { job, requester: REQUESTER }).under(AGREEMENT), offer, module: document.engine.module, asked, dir,
    letThrough: () => { for (const gate of gates.splice(0)) gate() },
    close: async () => { await content.close(); await rm(home, { recursive: true, force: true }) }
  }
}

test('a run that is cancelled while its files come does not keep them from the others, nor from being told of progress', async () => {
  const { files, module, asked, letThrough, close } = await open()
  const cancelled = new AbortController()
  const told: number[] = []
  const first = files.path(module, 1_000_000, cancelled.signal)
  const second = files.path(module, 1_000_000, new AbortController().signal, (fraction) => { told.push(fraction) })
  cancelled.abort(new Error('cancelled'))
  await first.then(assert.unreachable, (err: Error) => { assert.is(err.message, 'cancelled') })
  letThrough()
  assert.ok(existsSync(await second))
  assert.is(asked.length, 1)
  assert.equal(told, [0.000_001])
  await files.release()
  await close()
})

test('a job that ends while its files come leaves none of them, and nobody waits for them any more', async () => {
  const { files, offer, module, asked, dir, letThrough, close } = await open()
  const document = files.document(offer)
  letThrough()
  assert.is((await document).engine.kind, 'wasm')
  const waiting = files.path(module, 1_000_000)
  const ended = waiting.then(() => 'came', (err: { code: string }) => err.code)
  await files.release()
  assert.is(await ended, 'E_CANCELLED')
  assert.is(asked.at(-1)?.signal?.aborted, true)
  assert.equal(await readdir(join(dir, '..')), ['content'])
  await close()
})

test('a job that was taken on one offer is held to the next offer of it, too', async () => {
  const { files, offer, letThrough, close } = await open()
  const first = files.document(offer)
  letThrough()
  await first
  const code = async (change: Partial<Offer>): Promise<string> => await files.document({ ...offer, ...change }).then(() => 'taken', (err: { code: string }) => err.code)
  assert.is(await code({}), 'taken')
  assert.is(await code({ resources: { cores: 0.1, memoryBytes: 2 ** 24, diskBytes: 0 } }), 'E_OFFER_MISMATCH')
  assert.is(await code({ runMs: 1 }), 'E_OFFER_MISMATCH')
  assert.is(await code({ moduleBytes: 1 }), 'E_OFFER_MISMATCH')
  assert.is(await code({ tasks: 2 }), 'E_OFFER_MISMATCH')
  assert.is(await code({ moves: { onceBytes: 1, taskBytes: 0 } }), 'E_OFFER_MISMATCH')
  await files.release()
  await close()
})

test('content that is larger than the job says, though its blocks repeat and are few, is not written to the disk', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hearth-files-'))
  const content = await ContentStore.open({ dir: join(home, 'content'), quotaBytes: GIB, minFreeDiskBytes: 0 })
  await writeFile(join(home, 'zeros'), Buffer.alloc(8 * 2 ** 20))
  const { cid, sizeBytes } = await content.importPath(join(home, 'zeros'))
  const files = new JobFiles(content, async () => undefined, join(home, 'work'), { job: cid, requester: REQUESTER }).under(AGREEMENT)
  assert.is(await files.path(cid, sizeBytes - 1).then(() => 'taken', (err: { code: string }) => err.code), 'E_INPUT_MISMATCH')
  assert.not.ok(existsSync(join(home, 'work')))
  assert.ok(existsSync(await files.path(cid, sizeBytes)))
  await files.release()
  await content.close()
  await rm(home, { recursive: true })
})

const DIGEST = `sha256:${'a1'.repeat(32)}`
const OTHER = `sha256:${'b2'.repeat(32)}`
for (const [what, spec, offered, isFine] of [
  ['what was offered', { image: `alpine@${DIGEST}` }, {}, true],
  ['an image under another name, which lists do not go by', { image: `other.example/x@${DIGEST}` }, {}, true],
  ['another image than its host bid for', { image: `alpine@${OTHER}` }, {}, false],
  ['a network that was not offered', { image: `alpine@${DIGEST}`, network: { allow: ['example.org'] } }, {}, false],
  ['more of the network than was offered', { image: `alpine@${DIGEST}`, network: { allow: ['example.org'], max: '2 MiB' } }, { networkBytes: 2 ** 20 }, false],
  ['a graphics card that was not offered', { image: `alpine@${DIGEST}`, resources: { gpu: {} } }, {}, false]
] as const) {
  test(`a job that asks for ${what} is ${isFine ? 'taken' : 'refused'}`, async () => {
    const home = await mkdtemp(join(tmpdir(), 'hearth-files-'))
    const content = await ContentStore.open({ dir: join(home, 'content'), quotaBytes: GIB, minFreeDiskBytes: 0 })
    const { id: job, document } = await prepareJob({ content, requester: REQUESTER, providerSets: {}, secrets: { keep: async () => {} } }, { spec, baseDir: home }, new Uint8Array(16))
    const { gpu: _, ...resources } = document.resources
    const offer: Offer = {
      v: 1, job, round: 0, requester: REQUESTER, addresses: [], market: { engine: 'container', hardware: 'cpu', region: 'any' }, resources, container: { image: { from: 'registry', name: 'alpine', digest: DIGEST }, ...offered },
      tasks: 1, replicas: 1, moduleBytes: 0, inputBytes: 0, runMs: document.limits.runMs, deadlineWallMs: 0, issuedWallMs: 0, declineShare: 0
    }
    const files = new JobFiles(content, async () => undefined, join(home, 'work'), { job, requester: REQUESTER }).under(AGREEMENT)
    assert.is(await files.document(offer).then(() => 'taken', (err: { code: string }) => err.code), isFine ? 'taken' : 'E_OFFER_MISMATCH')
    await files.release()
    await content.close()
    await rm(home, { recursive: true })
  })
}

test.run()
