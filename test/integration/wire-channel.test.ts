import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FrameChannels, openFrames, toWireError } from '../../protocols/wire/index.ts'
import { createTestNode, createTestNodes, stopNodes } from '../helpers/libp2p.ts'
import type { FrameChannelsInit, WireError } from '../../protocols/wire/index.ts'
import type { TestNode } from '../helpers/libp2p.ts'

const PROTOCOL = '/hearth/channel-test/1'

let nodes: TestNode[] = []
let a: TestNode
let b: TestNode
const opened: FrameChannels[] = []

test.before(async () => {
  nodes = await createTestNodes(2)
  a = nodes[0]!
  b = nodes[1]!
})
test.after(() => stopNodes(nodes))
test.after.each(async () => { await Promise.all(opened.splice(0).map((channels) => channels.close())) })

/** Frames as they come in, to be waited for. */
class Inbox {
  readonly frames: Uint8Array[] = []
  #wake: (() => void) | undefined
  readonly take = (frame: Uint8Array): void => {
    this.frames.push(frame)
    this.#wake?.()
  }

  async until(count: number): Promise<void> {
    while (this.frames.length < count) await new Promise<void>((resolve) => { this.#wake = resolve })
  }
}

async function channelsOf(node: TestNode, events: FrameChannelsInit['events'], options: Partial<FrameChannelsInit> = {}): Promise<FrameChannels> {
  const channels = await FrameChannels.open({
    network: node,
    protocolId: PROTOCOL,
    limits: { maxFrameBytes: 64 * 1024, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 },
    channel: { maxQueuedFrames: 20_000, maxQueuedBytes: 8 << 20, idleCloseMs: 60_000 },
    maxPeers: 10,
    openTimeoutMs: 20_000,
    events,
    ...options
  })
  opened.push(channels)
  return channels
}

function codeOf(run: () => void): string {
  try {
    run()
  } catch (err) {
    return toWireError(err, 'E_STREAM_CLOSED').code
  }
  return 'none'
}

const streamsOf = (node: TestNode): number => node.getConnections().flatMap((connection) => connection.streams).filter((stream) => stream.protocol === PROTOCOL).length
const settle = async (node: TestNode, other: TestNode): Promise<void> => { await node.services.ping.ping(other.peerId) }
const number = (i: number): Uint8Array => Uint8Array.of(i >> 16, i >> 8, i)
const valueOf = (frame: Uint8Array | undefined): number => ((frame?.[0] ?? 0) << 16) + ((frame?.[1] ?? 0) << 8) + (frame?.[2] ?? 0)

test('many frames to a peer arrive in order over one stream, and answers come back on it', async () => {
  const inbox = new Inbox()
  const echo: FrameChannels = await channelsOf(b, { onFrame: (frame, peer) => { echo.send(peer, frame) } })
  const channels = await channelsOf(a, { onFrame: inbox.take })
  for (let i = 0; i < 5000; i++) channels.send(b.peerId, number(i))
  await inbox.until(5000)
  assert.equal(inbox.frames.map(valueOf), Array.from({ length: 5000 }, (_, i) => i))
  assert.is(streamsOf(a), 1)
})

test('what is sent in one turn leaves in few writes', async () => {
  const inbox = new Inbox()
  await channelsOf(b, { onFrame: inbox.take })
  const channels = await channelsOf(a, { onFrame() {} })
  channels.send(b.peerId, number(0))
  await inbox.until(1)
  const stream = a.getConnections().flatMap((connection) => connection.streams).find((candidate) => candidate.protocol === PROTOCOL)!
  let writes = 0
  const send = stream.send.bind(stream)
  stream.send = (data) => {
    writes++
    return send(data)
  }
  for (let i = 0; i < 1000; i++) channels.send(b.peerId, new Uint8Array(100))
  await inbox.until(1001)
  assert.ok(writes <= 4, `${writes} writes`)
})

test('both sides may begin at once', async () => {
  const inboxes = [new Inbox(), new Inbox()]
  const near = await channelsOf(a, { onFrame: inboxes[0]!.take })
  const far = await channelsOf(b, { onFrame: inboxes[1]!.take })
  for (let i = 0; i < 100; i++) {
    near.send(b.peerId, number(i))
    far.send(a.peerId, number(i))
  }
  await Promise.all(inboxes.map((inbox) => inbox.until(100)))
  for (const inbox of inboxes) assert.equal(inbox.frames.map(valueOf), Array.from({ length: 100 }, (_, i) => i))
})

test('a queue that is full refuses with a code instead of growing, and what it holds still leaves', async () => {
  const inbox = new Inbox()
  await channelsOf(b, { onFrame: inbox.take })
  const channels = await channelsOf(a, { onFrame() {} }, { channel: { maxQueuedFrames: 10, maxQueuedBytes: 1000, idleCloseMs: 60_000 } })
  for (let i = 0; i < 10; i++) channels.send(b.peerId, number(i))
  assert.is(codeOf(() => { channels.send(b.peerId, number(10)) }), 'E_QUEUE_FULL')
  await inbox.until(10)
  await settle(a, b)
  assert.is(codeOf(() => { channels.send(b.peerId, new Uint8Array(1001)) }), 'E_QUEUE_FULL')
  assert.is(codeOf(() => { channels.send(b.peerId, new Uint8Array(65 * 1024)) }), 'E_FRAME_SIZE')
  channels.send(b.peerId, number(11))
  await inbox.until(11)
})

test('a peer that does not read stops the sender at its bound', async () => {
  const { promise: stuck, resolve: release } = Promise.withResolvers<void>()
  await channelsOf(b, { onFrame: () => stuck })
  const channels = await channelsOf(a, { onFrame() {} })
  let sent = 0
  const fill = (): string => codeOf(() => {
    for (;;) {
      channels.send(b.peerId, new Uint8Array(10_000))
      sent++
    }
  })
  for (let turn = 0; turn < 20; turn++) {
    assert.is(fill(), 'E_QUEUE_FULL')
    await settle(a, b)
  }
  assert.ok(sent * 10_000 < 24 << 20, `${sent * 10_000} bytes were taken`)
  release()
})

test('a channel that broke is opened again by the next frame', async () => {
  const inbox = new Inbox()
  await channelsOf(b, { onFrame: inbox.take })
  const channels = await channelsOf(a, { onFrame() {} })
  for (let round = 1; round <= 5; round++) {
    channels.send(b.peerId, number(round))
    await inbox.until(round)
    for (const node of [a, b]) for (const stream of node.getConnections().flatMap((connection) => connection.streams)) if (stream.protocol === PROTOCOL) stream.abort(new Error('it broke'))
  }
  assert.equal(inbox.frames.map(valueOf), [1, 2, 3, 4, 5])
})

test('a peer that cannot be reached gives the frames back with a code', async () => {
  const gone = await createTestNode()
  await gone.stop()
  const { promise, resolve } = Promise.withResolvers<[Uint8Array[], WireError]>()
  const channels = await channelsOf(a, { onFrame() {}, onUndelivered: (frames, _peer, err) => { resolve([frames, err]) } })
  channels.send(gone.peerId, number(1))
  channels.send(gone.peerId, number(2))
  const [frames, err] = await promise
  assert.equal(frames.map(valueOf), [1, 2])
  assert.is(err.code, 'E_STREAM_OPEN')
})

test('an idle channel closes its stream on both sides without losing a frame, and opens again', async () => {
  const inbox = new Inbox()
  const channel = { maxQueuedFrames: 10, maxQueuedBytes: 1000, idleCloseMs: 20 }
  await channelsOf(b, { onFrame: inbox.take }, { channel })
  const channels = await channelsOf(a, { onFrame() {} }, { channel })
  for (let round = 1; round <= 5; round++) {
    channels.send(b.peerId, number(round))
    await inbox.until(round)
    while (streamsOf(a) + streamsOf(b) > 0) await settle(a, b)
  }
  while (channels.peers > 0) await settle(a, b)
  assert.equal(inbox.frames.map(valueOf), [1, 2, 3, 4, 5])
})

test('closing sends what is queued first', async () => {
  const inbox = new Inbox()
  await channelsOf(b, { onFrame: inbox.take })
  const channels = await channelsOf(a, { onFrame() {} })
  for (let i = 0; i < 300; i++) channels.send(b.peerId, new Uint8Array(5000))
  await channels.close()
  assert.is(codeOf(() => { channels.send(b.peerId, number(1)) }), 'E_STREAM_CLOSED')
  await inbox.until(300)
})

test('a peer that sends a frame above the limit loses its stream and nothing else', async () => {
  const inbox = new Inbox()
  const { promise, resolve } = Promise.withResolvers<WireError>()
  await channelsOf(b, { onFrame: inbox.take, onError: resolve })
  const rude = await openFrames(a, b.peerId, PROTOCOL, { maxFrameBytes: 1 << 20, readTimeoutMs: 1000, writeTimeoutMs: 1000 }, AbortSignal.timeout(20_000))
  await rude.write(new Uint8Array(100_000)).catch(() => {})
  assert.is((await promise).code, 'E_FRAME_SIZE')
  const channels = await channelsOf(a, { onFrame() {} })
  channels.send(b.peerId, number(1))
  await inbox.until(1)
})

test.run()
