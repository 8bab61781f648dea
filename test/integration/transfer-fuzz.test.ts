import { encode, prepare } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cidOfBlock, isContentCid, TRANSFER_PROTOCOL } from '../../protocols/transfer/index.ts'
import { decodeDagNode, MAX_FILE_BYTES, nameProblem } from '../../protocols/transfer/dag-node.ts'
import { rootRef, stepInto } from '../../protocols/transfer/dag-walk.ts'
import { decodeAnswer, decodeRequest, encodeControl, encodeRequest } from '../../protocols/transfer/messages.ts'
import { openFrames } from '../../protocols/wire/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { Parties, requestOf } from '../helpers/transfer-parties.ts'
import type { Request } from '../../protocols/transfer/messages.ts'

const MUTATIONS = 100_000
const random = seededRandom(Number(process.env['HEARTH_SEED'] ?? 31))

/** Changes, inserts, removes or repeats a few bytes, or cuts. */
function mutate(bytes: Uint8Array): Uint8Array {
  let out = Buffer.from(bytes)
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(out.byteLength + 1)
    switch (random.below(6)) {
      case 0: out[at] = random.below(256); break
      case 1: out[at] = (out[at] ?? 0) ^ (1 << random.below(8)); break
      case 2: out = Buffer.concat([out.subarray(0, at), random.bytes(1 + random.below(4)), out.subarray(at)]); break
      case 3: out = Buffer.concat([out.subarray(0, at), out.subarray(at + 1 + random.below(4))]); break
      case 4: out = Buffer.concat([out.subarray(0, at), out.subarray(Math.max(0, at - random.below(20)))]); break
      default: out = out.subarray(0, at)
    }
  }
  return new Uint8Array(out)
}

const leaf = cidOfBlock('raw', random.bytes(10))
const inner = cidOfBlock('dag-pb', random.bytes(10))

const REQUESTS: Request[] = [
  { kind: 'ask', root: inner, agreementId: '', aheadBytes: 0, paced: false },
  { kind: 'ask', root: leaf, agreementId: 'ab'.repeat(32), aheadBytes: 262_144, paced: true },
  { kind: 'want', path: [], positions: [0] },
  { kind: 'want', path: [1, 200, 5000, 0], positions: [7, 300, 16_384] },
  { kind: 'ack', bytes: 1 },
  { kind: 'ack', bytes: 1_000_000 }
]

function nodes(): Uint8Array[] {
  const link = (name: string, cid: string): { Name: string, Tsize: number, Hash: CID } => ({ Name: name, Tsize: 300, Hash: CID.parse(cid) })
  const sharded = new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, hashType: 0x22n, data: Uint8Array.of(1, 2) })
  return [
    encode(prepare({ Data: new UnixFS({ type: 'file', blockSizes: [5n, 1_000_000n, 300n] }).marshal(), Links: [link('', leaf), link('', leaf), link('', inner)] })),
    encode(prepare({ Data: new UnixFS({ type: 'directory' }).marshal(), Links: [link('a', leaf), link('b.txt', inner), link('ß', leaf)] })),
    encode(prepare({ Data: sharded.marshal(), Links: [link('0A', inner), link('1Fname', leaf), link('FFother', inner)] })),
    encode(prepare({ Data: new UnixFS({ type: 'directory' }).marshal(), Links: [] }))
  ]
}

/** Runs `decode` over mutations of `samples`; returns how many were accepted. Memory may not grow with the number of rounds. */
function attack(samples: Uint8Array[], decode: (bytes: Uint8Array) => boolean): number {
  let accepted = 0
  for (let round = 0; round < MUTATIONS; round++) {
    if (decode(mutate(samples[round % samples.length]!))) accepted++
  }
  return accepted
}

test('requests and answers survive their own encoding', () => {
  for (const request of REQUESTS) assert.equal(decodeRequest(encodeRequest(request)), { ok: true, value: request })
  for (const answer of [{ kind: 'accepted' }, { kind: 'refused', reason: 'busy' }, { kind: 'ahead-end' }, { kind: 'not-here' }] as const) {
    assert.equal(decodeAnswer(encodeControl(answer)), { ok: true, value: answer })
  }
  for (const bytes of nodes()) assert.ok(decodeDagNode(bytes).ok)
})

test('100,000 mutated requests are refused, or are requests in their one form within bounds', () => {
  const accepted = attack(REQUESTS.map(encodeRequest), (bytes) => {
    const decoded = decodeRequest(bytes)
    if (!decoded.ok) {
      assert.is(decoded.code, 'E_TRANSFER_MESSAGE')
      return false
    }
    assert.ok(Buffer.compare(encodeRequest(decoded.value), bytes) === 0)
    if (decoded.value.kind === 'ask') assert.ok(isContentCid(decoded.value.root) && decoded.value.agreementId.length <= 128)
    if (decoded.value.kind === 'want') assert.ok([...decoded.value.path, ...decoded.value.positions].every((n) => n >= 0 && n <= 16_384) && decoded.value.positions.length <= 32)
    return true
  })
  assert.ok(accepted > 100 && accepted < MUTATIONS / 2, `${accepted} were accepted`)
})

test('100,000 mutated answers are refused, or are answers', () => {
  const samples = [encodeControl({ kind: 'accepted' }), encodeControl({ kind: 'refused', reason: 'absent' }), encodeControl({ kind: 'ahead-end' }), Uint8Array.of(1, 5, 6), Uint8Array.of(0)]
  const accepted = attack(samples, (bytes) => {
    const decoded = decodeAnswer(bytes)
    if (!decoded.ok) {
      assert.is(decoded.code, 'E_TRANSFER_MESSAGE')
      return false
    }
    if (decoded.value.kind === 'part') assert.is(decoded.value.bytes.byteLength, bytes.byteLength - 1)
    else assert.ok(Buffer.compare(encodeControl(decoded.value), bytes) === 0)
    return true
  })
  assert.ok(accepted > 1000 && accepted < MUTATIONS, `${accepted} were accepted`)
})

test('100,000 mutated nodes are refused, or name only what can be followed and written', () => {
  const accepted = attack(nodes(), (bytes) => {
    const decoded = decodeDagNode(bytes)
    const step = stepInto(rootRef(inner), bytes)
    assert.is(step.ok, decoded.ok)
    if (!decoded.ok || !step.ok) return false
    assert.ok(step.value.kind !== 'leaf' && step.value.children.every((child) => isContentCid(child.cid)))
    const node = decoded.value
    if (node.kind === 'file') {
      assert.is(node.sizeBytes, node.children.reduce((sum, child) => sum + child.sizeBytes, 0))
      assert.ok(node.sizeBytes <= MAX_FILE_BYTES)
    } else {
      assert.ok(node.entries.every((entry) => nameProblem(entry.name) === undefined))
      assert.is(new Set(node.entries.map((entry) => entry.name)).size, node.entries.length)
    }
    return true
  })
  assert.ok(accepted > 1000 && accepted < MUTATIONS * 0.9, `${accepted} were accepted`)
})

test('a source survives mutated requests on real streams, and serves honest readers after them', async () => {
  const parties = await Parties.create(2)
  try {
    const source = await parties.party(0)
    const reader = await parties.party(1)
    const { cid } = await source.store.importTree([{ path: 'a', bytes: random.bytes(200_000) }, { path: 'b/c', bytes: random.bytes(50) }])
    const honest = [
      encodeRequest({ kind: 'ask', root: cid, agreementId: '', aheadBytes: 1000, paced: false }),
      encodeRequest({ kind: 'want', path: [], positions: [0, 1] }),
      encodeRequest({ kind: 'want', path: [1], positions: [0] })
    ]
    for (let round = 0; round < 300; round++) {
      const frames = await openFrames(parties.nodes[1]!, source.node.peerId, TRANSFER_PROTOCOL, { maxFrameBytes: 1 << 21, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 }, AbortSignal.timeout(20_000))
      for (const request of honest) await frames.write(random.below(2) === 0 ? request : mutate(request)).catch(() => {})
      await frames.closeWrite()
      for (let read = await frames.read().catch(() => {}); read !== undefined; read = await frames.read().catch(() => {}));
      frames.abort(new Error('the round is over'))
    }
    assert.ok((await reader.transfer.fetchContent(requestOf(cid, [source]))).ok)
  } finally {
    await parties.stop()
  }
})

test.run()
