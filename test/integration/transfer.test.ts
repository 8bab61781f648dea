import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cidOfBlock, TRANSFER_PROTOCOL } from '../../protocols/transfer/index.ts'
import { openFrames } from '../../protocols/wire/index.ts'
import { encodeRequest } from '../../protocols/transfer/messages.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { Parties, requestOf } from '../helpers/transfer-parties.ts'
import type { FetchProgress, ServedProgress } from '../../protocols/transfer/index.ts'
import type { Party } from '../helpers/transfer-parties.ts'
import type { FrameStream } from '../../protocols/wire/index.ts'

const MIB = 1024 * 1024
const random = seededRandom(23)
let parties: Parties

test.before(async () => { parties = await Parties.create(3) })
test.after.each(() => parties.closeAll())
test.after(() => parties.stop())

const limits = { maxFrameBytes: MIB + 1, maxSentFrameBytes: 1024, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 }

/** A reader that says what it likes. */
function rudeReader(source: Party): Promise<FrameStream> {
  return openFrames(parties.nodes[2]!, source.node.peerId, TRANSFER_PROTOCOL, limits, AbortSignal.timeout(20_000))
}

async function assertSame(reader: Party, source: Party, cid: string): Promise<void> {
  assert.equal(await reader.store.missing(cid), [])
  assert.equal(await reader.store.list(cid), await source.store.list(cid))
  assert.equal(await reader.store.stat(cid), await source.store.stat(cid))
}

test('files and folders arrive as they were, and are pinned before they could leave', async () => {
  const source = await parties.party(0)
  const reader = await parties.party(1)
  const made = [
    await source.store.importBytes(new Uint8Array()),
    await source.store.importBytes(random.bytes(7)),
    await source.store.importBytes(random.bytes(MIB)),
    await source.store.importBytes(random.bytes(9 * MIB + 1)),
    await source.store.importTree([]),
    await source.store.importTree([{ path: 'a', bytes: random.bytes(3 * MIB + 5) }, { path: 'b/c', bytes: random.bytes(100) }, { path: 'b/d', bytes: new Uint8Array() }]),
    // so many files that the folder is split
    await source.store.importTree(Array.from({ length: 6000 }, (_, i) => ({ path: `${String(i).padStart(55, 'x')}.json`, bytes: Uint8Array.of(i, i >> 8) })))
  ]
  for (const { cid } of made) {
    const outcome = await reader.transfer.fetchContent(requestOf(cid, [source], { pinFor: 'job' }))
    assert.ok(outcome.ok, JSON.stringify(outcome))
    await reader.store.gc()
    await assertSame(reader, source, cid)
    assert.equal(reader.store.pinnedFor(cid), ['job'])
  }
})

test('a small result takes one request, over a stream that is kept', async () => {
  const source = await parties.party(0)
  const frames: number[] = []
  let opened = 0
  const node = parties.nodes[1]!
  const network = {
    handle: node.handle.bind(node),
    unhandle: node.unhandle.bind(node),
    dialProtocol: async (...args: Parameters<typeof node.dialProtocol>) => {
      opened++
      const stream = await node.dialProtocol(...args)
      const send = stream.send.bind(stream)
      stream.send = (data) => {
        frames.push(data.byteLength)
        return send(data)
      }
      return stream
    }
  }
  const reader = await parties.party(1, { network })
  for (let i = 1; i <= 5; i++) {
    const { cid } = await source.store.importTree([{ path: 'out/image', bytes: random.bytes(20_000) }, { path: 'out/log', bytes: random.bytes(300) }, { path: 'stdout', bytes: random.bytes(10) }])
    const outcome = await reader.transfer.fetchContent(requestOf(cid, [source]))
    assert.ok(outcome.ok)
    assert.is(outcome.receivedBlocks, 5)
    await assertSame(reader, source, cid)
    assert.is(opened, 1)
    // the paced parts are acknowledged: those are no round trips
    assert.is(frames.filter((bytes) => bytes > 20).length, i)
  }
})

test('what is here is not asked for again: shared parts, and a fetch that was given up', async () => {
  const source = await parties.party(0)
  const stop = new AbortController()
  const reader = await parties.party(1, { onPut: (count) => { if (count === 7) stop.abort() } })
  const bytes = random.bytes(20 * MIB)
  const first = await source.store.importBytes(bytes)
  const broken = await reader.transfer.fetchContent(requestOf(first.cid, [source], { signal: stop.signal }))
  assert.ok(!broken.ok)
  assert.is(broken.code, 'E_TRANSFER_ABORTED')
  assert.ok(broken.receivedBytes > 5 * MIB && broken.receivedBytes < 20 * MIB, `${broken.receivedBytes}`)
  const rest = await reader.transfer.fetchContent(requestOf(first.cid, [source]))
  assert.ok(rest.ok)
  // blocks that were on their way when it was given up may come twice
  assert.ok(broken.receivedBytes + rest.receivedBytes < 26 * MIB, `${broken.receivedBytes} and ${rest.receivedBytes}`)
  await assertSame(reader, source, first.cid)
  bytes[15 * MIB + 3]! ^= 1
  const second = await source.store.importTree([{ path: 'changed', bytes }, { path: 'new', bytes: random.bytes(10) }])
  const changed = await reader.transfer.fetchContent(requestOf(second.cid, [source]))
  assert.ok(changed.ok)
  assert.ok(changed.receivedBytes < 1.1 * MIB, `${changed.receivedBytes}`)
  await assertSame(reader, source, second.cid)
  const again = await reader.transfer.fetchContent(requestOf(second.cid, []))
  assert.ok(again.ok)
  assert.is(again.receivedBytes, 0)
})

test('a reader that was killed goes on where it was', async () => {
  const source = await parties.party(0)
  const { cid } = await source.store.importBytes(random.bytes(40 * MIB))
  const storeDir = parties.freshDir()
  const child = fork(join(import.meta.dirname, '../helpers/transfer-child.ts'), [storeDir, source.node.getMultiaddrs()[0]!.toString(), cid, '20'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [, signal] = await once(child, 'exit') as [number | null, string | null]
  assert.is(signal, 'SIGKILL')
  const reader = await parties.party(1, { storeDir })
  const rest = await reader.transfer.fetchContent(requestOf(cid, [source]))
  assert.ok(rest.ok)
  // twenty blocks were given to the store, and some may have been on their way to the disk
  assert.ok(rest.receivedBytes < 32 * MIB, `${rest.receivedBytes} bytes came again`)
  await assertSame(reader, source, cid)
})

test('when a source dies on the way, another gives the rest', async () => {
  const { promise: died, resolve: die } = Promise.withResolvers<void>()
  const first: Party = await parties.party(0, { onGet: (count) => { if (count === 6) die(first.transfer.stop()) } })
  const second = await parties.party(1)
  const reader = await parties.party(2)
  const bytes = random.bytes(12 * MIB)
  const { cid } = await first.store.importBytes(bytes)
  await second.store.importBytes(bytes)
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [first, second]))
  await died
  assert.ok(outcome.ok, JSON.stringify(outcome))
  const [one, two] = outcome.sources
  assert.ok(one!.receivedBytes > 0 && two!.receivedBytes > 0 && !one!.misbehaved)
  assert.ok(outcome.receivedBytes < 13 * MIB)
  await assertSame(reader, second, cid)
})

test('large content is read from several sources at once', async () => {
  const first = await parties.party(0)
  const second = await parties.party(1)
  const reader = await parties.party(2)
  const bytes = random.bytes(48 * MIB)
  const { cid } = await first.store.importBytes(bytes)
  await second.store.importBytes(bytes)
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [first, second]))
  assert.ok(outcome.ok)
  assert.ok(outcome.sources.every((source) => source.receivedBytes > 4 * MIB && source.code === undefined), JSON.stringify(outcome.sources))
  assert.ok(outcome.receivedBytes < 49 * MIB)
  await assertSame(reader, first, cid)
})

test('a source that lacks a part is left for one that has it', async () => {
  const first = await parties.party(0)
  const second = await parties.party(1)
  const reader = await parties.party(2)
  const bytes = random.bytes(5 * MIB)
  const { cid } = await first.store.importBytes(bytes)
  await second.store.importBytes(bytes)
  const leaf = await first.store.importBytes(bytes.subarray(3 * MIB, 4 * MIB))
  await writeFile(join(first.storeDir, 'blocks', leaf.cid.slice(-2, -1), leaf.cid), 'damaged')
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [first, second]))
  assert.ok(outcome.ok)
  assert.equal(outcome.sources.map((source) => [source.code, source.misbehaved]), [['E_SOURCE_ABSENT', false], [undefined, false]])
  const alone = await reader.transfer.fetchContent(requestOf(leaf.cid, [first]))
  assert.ok(alone.ok, 'it was brought with the rest')
})

test('only what was allowed is served, and to whom', async () => {
  const asked: string[] = []
  const source = await parties.party(0, {
    authorize: ({ peer, cid, agreementId }) => {
      asked.push(`${peer.toString() === parties.nodes[1]!.peerId.toString()} ${cid} ${agreementId}`)
      return agreementId === 'agreed'
    }
  })
  const reader = await parties.party(1)
  const { cid } = await source.store.importTree([{ path: 'a', bytes: random.bytes(50) }])
  for (const agreementId of ['', 'other']) {
    const refused = await reader.transfer.fetchContent(requestOf(cid, [source], { agreementId }))
    assert.ok(!refused.ok)
    assert.is(refused.code, 'E_TRANSFER_NO_SOURCE')
    assert.equal(refused.sources.map((report) => report.code), ['E_SOURCE_REFUSED'])
  }
  const allowed = await reader.transfer.fetchContent(requestOf(cid, [source], { agreementId: 'agreed' }))
  assert.ok(allowed.ok)
  assert.equal(asked, [`true ${cid} `, `true ${cid} other`, `true ${cid} agreed`])
  const absent = await reader.transfer.fetchContent(requestOf(cidOfBlock('raw', random.bytes(9)), [source], { agreementId: 'agreed' }))
  assert.ok(!absent.ok)
  assert.equal(absent.sources.map((report) => report.code), ['E_SOURCE_ABSENT'])
})

test('readers that ask for what they may not, break the protocol or flood are reset, and nobody else', async () => {
  const source = await parties.party(0, { paced: false })
  const { cid } = await source.store.importTree([{ path: 'a', bytes: random.bytes(50) }, { path: 'b/c', bytes: random.bytes(50) }])
  const ask = encodeRequest({ kind: 'ask', root: cid, agreementId: '', aheadBytes: 0, paced: false })
  const want = (path: number[], positions: number[]): Uint8Array => encodeRequest({ kind: 'want', path, positions })
  const rude: Uint8Array[][] = [
    [want([], [0])],
    [ask, want([], [2])],
    [ask, want([1], [1])],
    [ask, want([0], [0])],
    [ask, want([5], [0])],
    [ask, want([1, 0, 0], [0])],
    [ask, encodeRequest({ kind: 'ack', bytes: 1 })],
    [Uint8Array.of(1, 2, 3)],
    [new Uint8Array()],
    [ask, Buffer.concat([ask, ask])],
    Array.from({ length: 2000 }, () => want(Array.from({ length: 136 }, () => 0), [0]))
  ]
  for (const [i, requests] of rude.entries()) {
    const frames = await rudeReader(source)
    const ended = (async () => { for (let n = 0; n < 10 && await frames.read() !== undefined; n++); })()
    for (const request of requests) await frames.write(request).catch(() => {})
    const failed = await ended.then(() => 'ended', (err: unknown) => err instanceof Error && 'code' in err ? err.code : err)
    assert.is(failed, 'E_STREAM_RESET', `case ${i}`)
    frames.abort(new Error('the test is over'))
  }
  const reader = await parties.party(1)
  assert.ok((await reader.transfer.fetchContent(requestOf(cid, [source]))).ok)
})

test('a reader that takes nothing, or acknowledges nothing, is given up', async () => {
  for (const paced of [false, true]) {
    const source = await parties.party(0, { paced, stallTimeoutMs: 200 })
    const { cid } = await source.store.importBytes(random.bytes(40 * MIB))
    const frames = await rudeReader(source)
    await frames.write(encodeRequest({ kind: 'ask', root: cid, agreementId: '', aheadBytes: 0, paced }))
    for (let i = 0; i < 30; i += 10) await frames.write(encodeRequest({ kind: 'want', path: [], positions: Array.from({ length: 10 }, (_, n) => i + n) }))
    if (paced) {
      const read = (async () => { while (await frames.read() !== undefined); })()
      assert.is(await read.then(() => 'ended', (err: unknown) => err instanceof Error && 'code' in err ? err.code : err), 'E_STREAM_RESET')
    } else {
      // it reads only after the source has had enough
      const served = (): boolean => parties.nodes[0]!.getConnections(parties.nodes[2]!.peerId).flatMap((connection) => connection.streams).some((stream) => stream.protocol === TRANSFER_PROTOCOL)
      while (served()) await parties.nodes[1]!.services.ping.ping(parties.nodes[0]!.peerId)
    }
    frames.abort(new Error('the test is over'))
    await parties.close(source)
  }
})

test('one peer reads no more than its share, and opens no more than its streams', async () => {
  const source = await parties.party(0, { maxPeerBytesPerHour: 3 * MIB })
  const reader = await parties.party(1)
  const { cid } = await source.store.importBytes(random.bytes(5 * MIB))
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [source]))
  assert.ok(!outcome.ok && outcome.receivedBytes <= 4 * MIB && outcome.receivedBytes > 0)
  const next = await reader.transfer.fetchContent(requestOf(cid, [source]))
  assert.ok(!next.ok)
  assert.equal(next.sources.map((report) => report.code), ['E_SOURCE_BUSY'])
  const other = await parties.party(2)
  const small = await source.store.importBytes(random.bytes(5))
  assert.ok((await other.transfer.fetchContent(requestOf(small.cid, [source]))).ok)
  const held = await Promise.all(Array.from({ length: 30 }, () => rudeReader(source)))
  const alive = await Promise.all(held.map(async (frames) => {
    await frames.write(encodeRequest({ kind: 'ask', root: small.cid, agreementId: '', aheadBytes: 100, paced: false })).catch(() => {})
    return frames.read().then((answer) => answer !== undefined, () => false)
  }))
  assert.ok(alive.filter(Boolean).length <= 20, `${alive.filter(Boolean).length} streams were served`)
  for (const frames of held) frames.abort(new Error('the test is over'))
})

test('content above the budget is refused when its root is read, and while it comes', async () => {
  const source = await parties.party(0)
  const reader = await parties.party(1)
  const file = await source.store.importBytes(random.bytes(5 * MIB))
  const early = await reader.transfer.fetchContent(requestOf(file.cid, [source], { maxBytes: 5 * MIB - 1 }))
  assert.ok(!early.ok)
  assert.is(early.code, 'E_TRANSFER_TOO_LARGE')
  assert.ok(early.receivedBytes < 1000)
  const exact = await reader.transfer.fetchContent(requestOf(file.cid, [source], { maxBytes: 5 * MIB }))
  assert.ok(exact.ok)
  const many = await source.store.importTree(Array.from({ length: 20 }, (_, i) => ({ path: `f${i}`, bytes: random.bytes(400_000) })))
  const late = await reader.transfer.fetchContent(requestOf(many.cid, [source], { maxBytes: 2_000_000 }))
  assert.ok(!late.ok)
  assert.is(late.code, 'E_TRANSFER_TOO_LARGE')
  assert.ok(late.receivedBytes < 3_000_000)
})

test('a store without room says so, keeps what was needed, and the transfer names its code', async () => {
  const source = await parties.party(0)
  const reader = await parties.party(1, { quotaBytes: 6 * MIB })
  const mine = await reader.store.importBytes(random.bytes(3 * MIB), { pinFor: 'job' })
  const { cid } = await source.store.importBytes(random.bytes(5 * MIB))
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [source]))
  assert.ok(!outcome.ok)
  assert.is(outcome.code, 'E_TRANSFER_STORE')
  assert.match(outcome.message, 'E_CONTENT_QUOTA')
  assert.ok(outcome.receivedBytes < MIB, 'it was seen from the root')
  assert.ok(await reader.store.has(mine.cid, { deep: true }))
  const tree = await source.store.importTree(Array.from({ length: 10 }, (_, i) => ({ path: `f${i}`, bytes: random.bytes(500_000) })))
  const late = await reader.transfer.fetchContent(requestOf(tree.cid, [source]))
  assert.ok(!late.ok)
  assert.is(late.code, 'E_TRANSFER_STORE')
})

test('two fetches of one address share the work, and either may be given up', async () => {
  const source = await parties.party(0)
  const reader = await parties.party(1)
  const { cid } = await source.store.importBytes(random.bytes(6 * MIB))
  const stop = new AbortController()
  const [one, two, three] = await Promise.all([
    reader.transfer.fetchContent(requestOf(cid, [source])),
    reader.transfer.fetchContent(requestOf(cid, [source])),
    (async () => {
      const waiting = reader.transfer.fetchContent(requestOf(cid, [source], { signal: stop.signal }))
      stop.abort()
      return waiting
    })()
  ])
  assert.ok(one.ok && two.ok)
  assert.is(two.receivedBytes, 0)
  assert.ok(!three.ok && three.code === 'E_TRANSFER_ABORTED')
})

test('progress is told on both sides', async () => {
  const served: ServedProgress[] = []
  const source = await parties.party(0, { onServed: (progress) => { served.push({ ...progress }) } })
  const reader = await parties.party(1)
  const { cid } = await source.store.importBytes(random.bytes(8 * MIB))
  const seen: FetchProgress[] = []
  const outcome = await reader.transfer.fetchContent(requestOf(cid, [source], { agreementId: 'agreed', onProgress: (progress) => { seen.push(progress) } }))
  assert.ok(outcome.ok)
  assert.equal(seen.at(-1), { receivedBytes: outcome.receivedBytes, doneBytes: 8 * MIB, totalBytes: 8 * MIB })
  assert.ok(seen.every((progress, i) => progress.doneBytes >= (seen[i - 1]?.doneBytes ?? 0)))
  await parties.close(reader)
  const sum = (): number => served.reduce((bytes, progress) => bytes + progress.sentBytes, 0)
  while (sum() < outcome.receivedBytes) await parties.nodes[1]!.services.ping.ping(parties.nodes[0]!.peerId)
  assert.is(sum(), outcome.receivedBytes)
  assert.ok(served.every((progress) => progress.cid === cid && progress.agreementId === 'agreed'))
})

test('the owner\'s cap holds over all readers together, and is lifted while they wait', async () => {
  const CAP = MIB
  const source = await parties.party(0, { uploadBytesPerSecond: CAP })
  const readers = [await parties.party(1), await parties.party(2)]
  const { cid } = await source.store.importBytes(random.bytes(40 * MIB))
  const beganMs = performance.now()
  let receivedBytes = 0
  const lifted = Promise.withResolvers<number>()
  const outcomes = await Promise.all(readers.map((reader) => {
    let had = 0
    return reader.transfer.fetchContent(requestOf(cid, [source], { onProgress: (progress) => {
      receivedBytes += progress.receivedBytes - had
      had = progress.receivedBytes
      if (receivedBytes < 2 * MIB) return
      lifted.resolve(performance.now() - beganMs)
      source.transfer.limitUpload(undefined)
    } }))
  }))
  // under the cap it would take them longer than they are given
  assert.ok(outcomes.every(({ ok }) => ok))
  // no sooner than the cap allows, however slow the machine: what left is at least what came
  assert.ok(await lifted.promise >= (2 * MIB - CAP / 4) / CAP * 1000, `${await lifted.promise}`)
})

test('many fetches at once, also more than may run, all end well', async () => {
  const source = await parties.party(0, { uploadBytesPerSecond: 2 ** 30 })
  const reader = await parties.party(1)
  const made = await Promise.all(Array.from({ length: 40 }, (_, i) => source.store.importBytes(random.bytes(i < 4 ? 2 * MIB : 1000))))
  const outcomes = await Promise.all(made.map(({ cid }) => reader.transfer.fetchContent(requestOf(cid, [source]))))
  assert.ok(outcomes.every((outcome) => outcome.ok), JSON.stringify(outcomes.find((outcome) => !outcome.ok)))
})

test('nothing to fetch from, no address and a stopped node are outcomes too', async () => {
  const reader = await parties.party(1)
  const missing = (await (await parties.party(0)).store.importBytes(random.bytes(5))).cid
  const none = await reader.transfer.fetchContent(requestOf(missing, []))
  assert.ok(!none.ok && none.code === 'E_TRANSFER_NO_SOURCE' && none.hint !== '')
  const bad = await reader.transfer.fetchContent(requestOf('nonsense', []))
  assert.ok(!bad.ok && bad.code === 'E_TRANSFER_CID')
  const unreachable = await reader.transfer.fetchContent(requestOf(missing, [parties.nodes[1]!]))
  assert.ok(!unreachable.ok)
  assert.equal(unreachable.sources.map((report) => report.code), ['E_SOURCE_UNREACHABLE'])
  await reader.transfer.stop()
  const stopped = await reader.transfer.fetchContent(requestOf(missing, [parties.nodes[0]!]))
  assert.ok(!stopped.ok && stopped.code === 'E_TRANSFER_ABORTED')
})

test.run()
