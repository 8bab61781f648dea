/** Small results that travel with their reveal. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { InlineResults } from '../../node/work/inline-results.ts'
import { ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import { runMessageCodec } from '../../src/documents/message.ts'
import type { MessageOf } from '../../src/documents/message.ts'
import { PARAMS } from '../../src/params.ts'
import { MIB } from '../../src/units.ts'

interface Two { dir: string, provider: ContentStore, requester: ContentStore }
const test = suite<Two>('inline results', { dir: '', provider: undefined as never, requester: undefined as never })

test.before.each(async (two) => {
  two.dir = await mkdtemp(join(tmpdir(), 'hearth-inline-'))
  two.provider = await ContentStore.open({ dir: join(two.dir, 'provider'), quotaBytes: 64 * MIB })
  two.requester = await ContentStore.open({ dir: join(two.dir, 'requester'), quotaBytes: 64 * MIB })
})

test.after.each(async ({ dir, provider, requester }) => {
  await provider.close()
  await requester.close()
  await rm(dir, { recursive: true })
})

function revealOf({ cid, sizeBytes }: { cid: string, sizeBytes: number }): MessageOf<'reveal'> {
  const result = { status: 'exited' as const, exitCode: 0, trap: 'E_NONE' as const, content: cid, contentBytes: sizeBytes }
  const receipt = { agreement: ZERO_BYTES32, task: 0, attempt: 0, result, usage: { wallMs: 1, cpuMs: 1, peakMemoryBytes: 1, fuel: 0 }, finalRoot: ZERO_BYTES32 }
  return { kind: 'reveal', receipt, nonce: ZERO_BYTES32, signature: `0x${'11'.repeat(65)}` }
}

/** Through the wire and back. */
function sent(message: MessageOf<'reveal'>): MessageOf<'reveal'> {
  const decoded = runMessageCodec.decode(runMessageCodec.encode(message))
  if (!decoded.ok || decoded.value.kind !== 'reveal') throw new Error('not a reveal')
  return decoded.value
}

const importResult = (store: ContentStore, text: string): ReturnType<ContentStore['importTree']> => store.importTree([
  { path: 'stdout', bytes: Buffer.from(text) }, { path: 'stderr', bytes: new Uint8Array() }, { path: 'out/deep/a.txt', bytes: Buffer.from('a') }, { path: 'out/empty', bytes: new Uint8Array() }
])

test('a small result is whole at the requester without a transfer', async ({ provider, requester }) => {
  const ref = await importResult(provider, 'hello')
  const message = sent(await new InlineResults(provider).attach(revealOf(ref)))
  assert.ok(message.blocks !== undefined)
  const inline = new InlineResults(requester)
  const { blocks: _, ...bare } = message
  assert.equal(inline.detach(message), bare)
  assert.is(await requester.has(ref.cid), false)
  await inline.bring(ref.cid)
  assert.equal(await requester.list(ref.cid), await provider.list(ref.cid))
})

test('a result above the bound, in bytes or in blocks, travels by transfer', async ({ provider }) => {
  const inline = new InlineResults(provider)
  const large = await importResult(provider, 'x'.repeat(PARAMS.maxInlineBytes + 1))
  assert.is((await inline.attach(revealOf(large))).blocks, undefined)
  // what it says of its size is not believed
  assert.is((await inline.attach(revealOf({ ...large, sizeBytes: 1 }))).blocks, undefined)
  const many = await provider.importTree(Array.from({ length: PARAMS.maxInlineBlocks }, (_, n) => ({ path: `f${n}`, bytes: Buffer.from(String(n)) })))
  assert.is((await inline.attach(revealOf(many))).blocks, undefined)
})

test('a result that is gone is still revealed', async ({ requester, provider }) => {
  const ref = await importResult(provider, 'hello')
  assert.equal(await new InlineResults(requester).attach(revealOf(ref)), revealOf(ref))
})

test('blocks that are not the result, not all of it, or more than it are not stored', async ({ provider, requester }) => {
  const ref = await importResult(provider, 'hello')
  const { blocks = [] } = await new InlineResults(provider).attach(revealOf(ref))
  const first = blocks[0]!
  const spoilt = new Uint8Array(blocks.at(-1)!.length + 1)
  const wrong: Uint8Array[][] = [[], blocks.slice(0, -1), [...blocks, first], blocks.toReversed(), [...blocks.slice(0, -1), spoilt], [Buffer.from('garbage')]]
  for (const attempt of wrong) {
    const inline = new InlineResults(requester)
    inline.detach({ ...revealOf(ref), blocks: attempt })
    await inline.bring(ref.cid)
    assert.is(requester.usage().blocks, 0)
  }
})

test('what strangers send in vain stays bounded, and the oldest goes first', async ({ provider, requester }) => {
  const inline = new InlineResults(requester)
  const ref = await importResult(provider, 'hello')
  inline.detach(await new InlineResults(provider).attach(revealOf(ref)))
  for (let n = 0; n < 300; n++) inline.detach({ ...revealOf({ cid: `content ${n}`, sizeBytes: 1 }), blocks: [new Uint8Array(PARAMS.maxInlineBytes)] })
  await inline.bring(ref.cid)
  assert.is(await requester.has(ref.cid), false)
})

test.run()
