import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal } from '../../src/codec/result.ts'
import { MessageChannels, openFrames, toWireError } from '../../protocols/wire/index.ts'
import type { MessageChannelsInit, MessageCodec, MessageProtocol } from '../../protocols/wire/index.ts'
import { createTestNodes, stopNodes } from '../helpers/libp2p.ts'
import type { TestNode } from '../helpers/libp2p.ts'

const PROTOCOL: MessageProtocol = {
  protocolId: '/hearth/message-test/1',
  limits: { maxFrameBytes: 64, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 },
  channel: { maxQueuedFrames: 4, maxQueuedBytes: 1024, idleCloseMs: 60_000 },
  maxPeers: 10,
  openTimeoutMs: 20_000
}

/** Words; `from` is part of what is decoded, as with a signature. */
const codec: MessageCodec<string> = {
  encode: (message) => Buffer.from(message),
  decode: (raw, from) => raw[0] === 0 ? refuse('E_DOCUMENT', 'no word') : accept(`${from.slice(-4)} ${Buffer.from(raw).toString()}`)
}

let nodes: TestNode[] = []
let a: TestNode
let b: TestNode
const opened: MessageChannels<string>[] = []

test.before(async () => {
  nodes = await createTestNodes(2)
  a = nodes[0]!
  b = nodes[1]!
})
test.after(() => stopNodes(nodes))
test.after.each(async () => { await Promise.all(opened.splice(0).map((channels) => channels.stop())) })

const shortOf = (node: TestNode): string => node.peerId.toString().slice(-4)

async function channelsOf(node: TestNode, events: Partial<MessageChannelsInit<string>> = {}): Promise<MessageChannels<string>> {
  const unexpected = (what: string) => () => { assert.unreachable(what) }
  const channels = new MessageChannels(PROTOCOL, codec, { network: node, onMessage: unexpected('a message'), onRefused: unexpected('a refusal'), onUndelivered: unexpected('undelivered'), ...events })
  await channels.start()
  opened.push(channels)
  return channels
}

test('both sides speak over one channel, and each message names who said it', async () => {
  const answer = Promise.withResolvers<string>()
  const atB: MessageChannels<string> = await channelsOf(b, { onMessage: (from, message) => { atB.send(a.peerId, `you are ${message}`); assert.is(from, a.peerId.toString()) } })
  const atA = await channelsOf(a, { onMessage: (_, message) => { answer.resolve(message) } })
  atA.send(b.peerId, 'hello')
  assert.is(await answer.promise, `${shortOf(b)} you are ${shortOf(a)} hello`)
  assert.equal([atA.peers, atB.peers], [1, 1])
})

test('what is no message is refused by its sender\'s name, and the stream lives on', async () => {
  const refused = Promise.withResolvers<[string, Refusal]>()
  const heard = Promise.withResolvers<string>()
  await channelsOf(b, { onRefused: (from, refusal) => { refused.resolve([from, refusal]) }, onMessage: (_, message) => { heard.resolve(message) } })
  const atA = await channelsOf(a)
  atA.send(b.peerId, '\0')
  atA.send(b.peerId, 'after')
  const [from, refusal] = await refused.promise
  assert.equal([from, refusal.code], [a.peerId.toString(), 'E_DOCUMENT'])
  assert.is(await heard.promise, `${shortOf(a)} after`)
})

test('a frame above the cap is a fault; a stream that breaks is none', async () => {
  const refused: string[] = []
  const faulty = Promise.withResolvers<void>()
  await channelsOf(b, { onRefused: (_, { code }) => { refused.push(code); faulty.resolve() } })
  const limits = { ...PROTOCOL.limits, maxFrameBytes: 1024 }
  const open = () => openFrames(a, b.peerId, PROTOCOL.protocolId, limits, AbortSignal.timeout(20_000))
  const broken = await open()
  broken.abort(toWireError(new Error('gone'), 'E_STREAM_CLOSED'))
  const large = await open()
  await large.write(new Uint8Array(65))
  await faulty.promise
  assert.equal(refused, ['E_FRAME_SIZE'])
})

test('who cannot be reached is told of', async () => {
  const lost = Promise.withResolvers<string>()
  const atA = await channelsOf(a, { onUndelivered: (peer) => { lost.resolve(peer) } })
  // nobody answers the protocol there
  atA.send(b.peerId, 'is anybody there?')
  assert.is(await lost.promise, b.peerId.toString())
})

test('a full queue is the caller\'s to bear', async () => {
  let left = PROTOCOL.channel.maxQueuedFrames
  const all = Promise.withResolvers<void>()
  await channelsOf(b, { onMessage: () => { if (--left === 0) all.resolve() } })
  const atA = await channelsOf(a)
  for (let i = 0; i < PROTOCOL.channel.maxQueuedFrames; i++) atA.send(b.peerId, 'x')
  assert.throws(() => { atA.send(b.peerId, 'one more') }, (err: unknown) => toWireError(err, 'E_STREAM_CLOSED').code === 'E_QUEUE_FULL')
  await all.promise
})

test.run()
