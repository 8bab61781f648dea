import { encode, prepare } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cidOfBlock, TRANSFER_PROTOCOL } from '../../protocols/transfer/index.ts'
import { encodeControl, encodeRequest, LAST_PART_HEADER, PART_HEADER } from '../../protocols/transfer/messages.ts'
import { handleFrames, openFrames } from '../../protocols/wire/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { Parties, requestOf } from '../helpers/transfer-parties.ts'
import type { FetchOutcome } from '../../protocols/transfer/index.ts'
import type { FrameStream } from '../../protocols/wire/index.ts'

const MIB = 1024 * 1024
const random = seededRandom(29)
let parties: Parties

test.before(async () => { parties = await Parties.create(3) })
let stopHostile: (() => Promise<void>) | undefined
test.after.each(async () => {
  await parties.closeAll()
  // however it ended, no stream may stay behind
  const open = (): number => parties.nodes.flatMap((peer) => peer.getConnections()).flatMap((connection) => connection.streams).filter((stream) => stream.protocol === TRANSFER_PROTOCOL).length
  for (let i = 0; i < 500 && open() > 0; i++) await parties.nodes[1]!.services.ping.ping(parties.nodes[2]!.peerId)
  assert.is(open(), 0)
  await stopHostile?.()
  stopHostile = undefined
})
test.after(() => parties.stop())

const accepted = encodeControl({ kind: 'accepted' })
const aheadEnd = encodeControl({ kind: 'ahead-end' })
const whole = (bytes: Uint8Array): Uint8Array => Buffer.concat([LAST_PART_HEADER, bytes])
const part = (bytes: Uint8Array): Uint8Array => Buffer.concat([PART_HEADER, bytes])

/** A source on node 2 that answers as it likes. */
async function hostile(answer: (frames: FrameStream) => Promise<void>): Promise<void> {
  const handled = await handleFrames(parties.nodes[2]!, TRANSFER_PROTOCOL, { maxFrameBytes: 4096, maxSentFrameBytes: 4 * MIB, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 }, async (frames) => {
    await frames.read()
    await answer(frames)
  }, { maxStreamsPerPeer: 8 })
  stopHostile = () => handled.stop()
}

/** What the last fetch blamed on whom. */
let blamed: string[] = []

async function fetchFrom(cid: string, { maxBytes = 2 ** 30, stallTimeoutMs = 20_000 } = {}): Promise<FetchOutcome> {
  blamed = []
  const reader = await parties.party(1, { stallTimeoutMs, onMisconduct: ({ peer, code }) => { blamed.push(`${peer.toString()} ${code}`) } })
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [parties.nodes[2]!], { maxBytes }))
  if (!outcome.ok) assert.is(await reader.store.has(cid, { deep: true }), false)
  return outcome
}

/** Sends frames until the reader has had enough; a source that is never stopped would hang the test. */
async function forever(frames: FrameStream, frame: Uint8Array): Promise<void> {
  for (let i = 0; i < 100_000; i++) await frames.write(frame)
}

interface Block { cid: string, bytes: Uint8Array }
const leaf = (bytes: Uint8Array): Block => ({ cid: cidOfBlock('raw', bytes), bytes })
function node(data: UnixFS, links: { name?: string, cid: string }[]): Block {
  const bytes = encode(prepare({ Data: data.marshal(), Links: links.map(({ name, cid }) => ({ Name: name ?? '', Tsize: 0, Hash: CID.parse(cid) })) }))
  return { cid: cidOfBlock('dag-pb', bytes), bytes }
}
const fileOf = (parts: { cid: string, sizeBytes: number }[]): Block => node(new UnixFS({ type: 'file', blockSizes: parts.map((piece) => BigInt(piece.sizeBytes)) }), parts)
const folderOf = (entries: { name: string, cid: string }[]): Block => node(new UnixFS({ type: 'directory' }), entries)

const good = leaf(random.bytes(1000))
const pieces = Array.from({ length: 3 }, () => leaf(random.bytes(MIB)))
const file = fileOf(pieces.map((piece) => ({ cid: piece.cid, sizeBytes: MIB })))

const lies: Record<string, { answer: (frames: FrameStream) => Promise<void>, code: string, root?: Block }> = {
  'other bytes': { answer: (frames) => frames.writeAll([accepted, whole(random.bytes(1000)), aheadEnd]), code: 'E_SOURCE_LIED' },
  'one bit less': { answer: (frames) => frames.writeAll([accepted, whole(good.bytes.map((byte, i) => i === 500 ? byte ^ 1 : byte)), aheadEnd]), code: 'E_SOURCE_LIED' },
  'nothing for a block': { answer: (frames) => frames.writeAll([accepted, whole(new Uint8Array()), aheadEnd]), code: 'E_SOURCE_LIED' },
  'no root': { answer: (frames) => frames.writeAll([accepted, aheadEnd]), code: 'E_SOURCE_PROTOCOL' },
  'blocks before it was asked': { answer: (frames) => frames.write(whole(good.bytes)), code: 'E_SOURCE_PROTOCOL' },
  'an answer twice': { answer: (frames) => frames.writeAll([accepted, accepted]), code: 'E_SOURCE_PROTOCOL' },
  'nonsense': { answer: (frames) => frames.write(random.bytes(50)), code: 'E_SOURCE_PROTOCOL' },
  'an empty frame': { answer: (frames) => frames.write(new Uint8Array()), code: 'E_SOURCE_PROTOCOL' },
  'a frame above the limit': { answer: async (frames) => { await frames.write(accepted); await frames.write(new Uint8Array(2 * MIB)) }, code: 'E_SOURCE_PROTOCOL' },
  'a block without end': { answer: async (frames) => { await frames.write(accepted); await forever(frames, part(random.bytes(100_000))) }, code: 'E_SOURCE_PROTOCOL' },
  'a block in crumbs': { answer: async (frames) => { await frames.write(accepted); await forever(frames, part(Uint8Array.of(1))) }, code: 'E_SOURCE_PROTOCOL' },
  'a block that is broken off': { answer: (frames) => frames.writeAll([accepted, part(random.bytes(5000)), aheadEnd]), code: 'E_SOURCE_PROTOCOL' },
  'silence': { answer: async (frames) => { await frames.read() }, code: 'E_SOURCE_STALLED' },
  'silence after the first answer': { answer: async (frames) => { await frames.write(accepted); await frames.read() }, code: 'E_SOURCE_STALLED' },
  'silence in the middle of a block': { answer: async (frames) => { await frames.writeAll([accepted, part(random.bytes(5000))]); await frames.read() }, code: 'E_SOURCE_STALLED' },
  'the end': { answer: () => Promise.resolve(), code: 'E_SOURCE_BROKE' },
  'a refusal': { answer: (frames) => frames.write(encodeControl({ kind: 'refused', reason: 'busy' })), code: 'E_SOURCE_BUSY' },
  'other bytes for a part that was asked for': {
    root: file,
    answer: async (frames) => {
      await frames.writeAll([accepted, whole(file.bytes), aheadEnd])
      await frames.read()
      for (const piece of [pieces[0]!, pieces[2]!, pieces[1]!]) await frames.write(whole(piece.bytes))
      await frames.read()
    },
    code: 'E_SOURCE_LIED'
  },
  'more than was asked for': {
    root: file,
    answer: async (frames) => {
      await frames.writeAll([accepted, whole(file.bytes), aheadEnd])
      await frames.read()
      await frames.write(whole(pieces[0]!.bytes))
      await forever(frames, whole(pieces[0]!.bytes))
    },
    code: 'E_SOURCE_LIED'
  }
}

for (const [what, { answer, code, root }] of Object.entries(lies)) {
  test(`a source that sends ${what} is left, and told apart from bad luck`, async () => {
    await hostile(answer)
    const { cid } = root ?? good
    const outcome = await fetchFrom(cid, { stallTimeoutMs: code === 'E_SOURCE_STALLED' ? 200 : 20_000 })
      assert.ok(!outcome.ok)
    assert.is(outcome.code, 'E_TRANSFER_NO_SOURCE')
    assert.equal(outcome.sources.map((source) => [source.code, source.misbehaved]), [[code, code === 'E_SOURCE_LIED' || code === 'E_SOURCE_PROTOCOL']])
    assert.equal(blamed, code === 'E_SOURCE_LIED' || code === 'E_SOURCE_PROTOCOL' ? [`${parties.nodes[2]!.peerId.toString()} ${code}`] : [])
  })
}

test('a reader that breaks the protocol is named, and one that only leaves is not', async () => {
  const blame = Promise.withResolvers<string>()
  const source = await parties.party(0, { onMisconduct: ({ peer, code }) => { blame.resolve(`${peer.toString()} ${code}`) } })
  const open = (node: number): Promise<FrameStream> => openFrames(parties.nodes[node]!, source.node.peerId, TRANSFER_PROTOCOL, { maxFrameBytes: 4 * MIB, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 }, AbortSignal.timeout(20_000))
  const leaver = await open(1)
  await leaver.write(encodeRequest({ kind: 'ask', root: good.cid, agreementId: '', aheadBytes: 0, paced: false }))
  leaver.abort(new Error('gone'))
  const breaker = await open(2)
  await breaker.write(random.bytes(50))
  assert.is(await blame.promise, `${parties.nodes[2]!.peerId.toString()} E_READER_PROTOCOL`)
})

test('an honest source mends what a liar began, and nothing wrong is stored', async () => {
  const honest = await parties.party(0)
  const bytes = random.bytes(6 * MIB)
  const { cid } = await honest.store.importBytes(bytes)
  const root = (await honest.store.getBlock(cid))!
  await hostile(async (frames) => {
    await frames.writeAll([accepted, whole(root), aheadEnd])
    await frames.read()
    await frames.write(whole(bytes.subarray(0, MIB)))
    await frames.write(whole(random.bytes(MIB)))
    await frames.read()
  })
  const reader = await parties.party(1, { stallTimeoutMs: 20_000 })
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [parties.nodes[2]!, honest]))
  assert.ok(outcome.ok, JSON.stringify(outcome))
  assert.equal(outcome.sources.map((source) => source.code), ['E_SOURCE_LIED', undefined])
  assert.ok(Buffer.compare(await reader.store.readFile(cid, { maxBytes: 6 * MIB }), bytes) === 0)
  assert.is(reader.store.usage().blocks, 7)
})

/** Content that is what its address says, and still must not be taken. */
function hostileContent(): Record<string, { blocks: Block[], code: string }> {
  const huge = fileOf(Array.from({ length: 1000 }, () => ({ cid: good.cid, sizeBytes: 1000 })))
  const wrongSize = fileOf([{ cid: good.cid, sizeBytes: 999 }])
  const petabyte = fileOf([{ cid: huge.cid, sizeBytes: 2 ** 43 }])
  let deep: Block = good
  const depths: Block[] = []
  for (let i = 0; i < 66; i++) {
    deep = folderOf([{ name: 'd', cid: deep.cid }])
    depths.unshift(deep)
  }
  return {
    'a name that leaves the folder': { blocks: [folderOf([{ name: '..', cid: good.cid }])], code: 'E_TRANSFER_FORMAT' },
    'the same name twice': { blocks: [folderOf([{ name: 'a', cid: good.cid }, { name: 'a', cid: good.cid }])], code: 'E_TRANSFER_FORMAT' },
    'a symbolic link': { blocks: [node(new UnixFS({ type: 'symlink', data: new TextEncoder().encode('/etc/passwd') }), [])], code: 'E_TRANSFER_FORMAT' },
    'a leaf of another size than declared': { blocks: [wrongSize, good], code: 'E_TRANSFER_FORMAT' },
    'eight terabytes declared': { blocks: [petabyte], code: 'E_TRANSFER_TOO_LARGE' },
    'folders without end': { blocks: depths, code: 'E_TRANSFER_FORMAT' },
    'a node that is none': { blocks: [{ cid: cidOfBlock('dag-pb', Uint8Array.of(1, 2, 3)), bytes: Uint8Array.of(1, 2, 3) }], code: 'E_TRANSFER_FORMAT' }
  }
}

for (const [what, { blocks, code }] of Object.entries(hostileContent())) {
  test(`content with ${what} ends the fetch with its own code, and blames no source`, async () => {
    await hostile(async (frames) => {
      await frames.writeAll([accepted, ...blocks.map((block) => whole(block.bytes)), aheadEnd])
      await frames.read()
    })
    const outcome = await fetchFrom(blocks[0]!.cid)
      assert.ok(!outcome.ok)
    assert.is(outcome.code, code)
    assert.equal(outcome.sources.map((source) => source.misbehaved), [false])
  })
}

test('nodes without end are given up by their bytes, however small the content claims to be', async () => {
  let last = good.cid
  const chain: Block[] = []
  for (let depth = 0; depth < 60; depth++) {
    const folder = folderOf([{ name: '0', cid: last }, ...Array.from({ length: 800 }, (_, i) => ({ name: `x${i}`, cid: cidOfBlock('raw', random.bytes(8)) }))])
    chain.unshift(folder)
    last = folder.cid
  }
  await hostile(async (frames) => {
    await frames.write(accepted)
    for (const folder of chain) await frames.write(whole(folder.bytes))
    await frames.read()
  })
  const outcome = await fetchFrom(last, { maxBytes: 100 })
  assert.ok(!outcome.ok)
  assert.is(outcome.code, 'E_TRANSFER_TOO_LARGE')
  assert.ok(outcome.receivedBytes < 1_200_000)
})

test('a source that sends more than there is loses its stream, not what it brought', async () => {
  await hostile((frames) => frames.writeAll([accepted, whole(good.bytes), whole(good.bytes), aheadEnd]))
  const outcome = await fetchFrom(good.cid)
  assert.ok(outcome.ok, JSON.stringify(outcome))
})

test.run()
