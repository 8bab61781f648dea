import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FrameStream, handleFrames, openFrames, requestResponse, toWireError, yamuxOptions } from '../../protocols/wire/index.ts'
import { createTestNode, createTestNodes, stopNodes } from '../helpers/libp2p.ts'
import type { FrameLimits, WireError } from '../../protocols/wire/index.ts'
import type { TestNode } from '../helpers/libp2p.ts'
import type { Stream } from '@libp2p/interface'

const PROTOCOL = '/hearth/test/1'
const MIB = 1024 * 1024
const limits: FrameLimits = { maxFrameBytes: 256 * 1024, readTimeoutMs: 20_000, writeTimeoutMs: 20_000 }
const signal = (): AbortSignal => AbortSignal.timeout(20_000)

let nodes: TestNode[] = []
let a: TestNode
let b: TestNode

test.before(async () => {
  nodes = await createTestNodes(2)
  a = nodes[0]!
  b = nodes[1]!
})
test.after(() => stopNodes(nodes))

async function failure(promise: Promise<unknown>): Promise<WireError> {
  try {
    await promise
  } catch (err) {
    return toWireError(err, 'E_STREAM_CLOSED')
  }
  throw new Error('it did not fail')
}

let pairs = 0

/** One raw stream from `from` to `to`, both ends in hand. */
async function rawPair(from: TestNode = a, to: TestNode = b): Promise<{ near: Stream, far: Stream, end: () => void }> {
  const { promise, resolve } = Promise.withResolvers<Stream>()
  const protocol = `/hearth/pair/${pairs++}`
  await to.handle(protocol, (stream) => { resolve(stream) })
  const near = await from.dialProtocol(to.peerId, protocol)
  const far = await promise
  await to.unhandle(protocol)
  return { near, far, end() { near.abort(new Error('the test is over')) } }
}

/** Waits until `count` stands still while the connection itself is alive: then only backpressure can hold it. */
async function stalled(count: () => number): Promise<number> {
  for (;;) {
    const before = count()
    for (let i = 0; i < 20; i++) await a.services.ping.ping(b.peerId)
    if (count() === before) return before
  }
}

function frameOf(index: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes)
  new DataView(frame.buffer).setUint32(0, index)
  return frame
}

/** Writes `frames` frames in the background. */
function pump(to: FrameStream, frames: number, bytes: number): { sent: () => number, done: Promise<void> } {
  let sent = 0
  const run = async (): Promise<void> => {
    for (let i = 0; i < frames; i++) {
      await to.write(frameOf(i, bytes))
      sent++
    }
    await to.closeWrite()
  }
  const done = run()
  // a test that fails earlier does not look at it any more
  done.catch(() => {})
  return { sent: () => sent, done }
}

async function drain(from: FrameStream): Promise<number> {
  let count = 0
  for (let frame = await from.read(); frame !== undefined; frame = await from.read()) {
    assert.is(new DataView(frame.buffer, frame.byteOffset).getUint32(0), count)
    count++
  }
  return count
}

test('trap 1: writing waits for the remote on every drain, not only on the first', async () => {
  const pair = await rawPair()
  const sender = new FrameStream(pair.near, limits)
  let largestQueueBytes = 0
  const watch = (): void => { largestQueueBytes = Math.max(largestQueueBytes, pair.near.writeBufferLength) }
  const total = 600
  const work = (async () => {
    for (let i = 0; i < total; i++) {
      const written = sender.write(frameOf(i, 100_000))
      watch()
      await written
    }
    await sender.closeWrite()
  })()
  const reader = new FrameStream(pair.far, limits)
  assert.is(await drain(reader), total)
  await work
  assert.ok(largestQueueBytes < 2 * 100_000, `${largestQueueBytes} bytes were queued`)
  pair.end()
})

test('trap 2: an answer whose sender had closed before the first read is read, and so is its end', async () => {
  const pair = await rawPair()
  const server = new FrameStream(pair.far, limits)
  const ended = new Promise((resolve) => { pair.near.addEventListener('remoteCloseWrite', resolve) })
  await server.write(frameOf(7, 1000))
  await server.close()
  await ended
  const client = new FrameStream(pair.near, limits)
  assert.is((await client.read(signal()))?.byteLength, 1000)
  assert.is(await client.read(signal()), undefined)
  pair.end()
})

test('trap 2: a stream that ended empty before the first read ends at once', async () => {
  const pair = await rawPair()
  const ended = new Promise((resolve) => { pair.near.addEventListener('remoteCloseWrite', resolve) })
  await new FrameStream(pair.far, limits).close()
  await ended
  assert.is(await new FrameStream(pair.near, limits).read(signal()), undefined)
  pair.end()
})

test('traps 3 and 4: a reader that stops, after its window has grown, stops the sender and loses nothing', async () => {
  const pair = await rawPair()
  const total = 1200
  const bytes = 60_000
  const writing = pump(new FrameStream(pair.near, limits), total, bytes)
  const reader = new FrameStream(pair.far, limits)
  let read = 0
  const readSome = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const frame = await reader.read(signal())
      assert.is(frame === undefined ? undefined : new DataView(frame.buffer).getUint32(0), read)
      read++
    }
  }
  for (const step of [400, 1, 1, 200]) {
    await readSome(step)
    const held = await stalled(writing.sent) - read
    assert.ok(held * bytes < 5 * MIB, `${held * bytes} bytes were taken from the sender unread`)
    assert.is(pair.far.status, 'open')
  }
  assert.ok(writing.sent() < total)
  await readSome(total - read)
  assert.is(await reader.read(signal()), undefined)
  await writing.done
  pair.end()
})

test('trap 5: our windows fit a peer that has the defaults of the yamux specification, both ways', async () => {
  const plain = await createTestNode({})
  try {
    const met = new Promise((resolve) => { a.addEventListener('peer:connect', resolve, { once: true }) })
    await plain.dial(a.getMultiaddrs())
    await met
    for (const [from, to] of [[a, plain], [plain, a]] as const) {
      const pair = await rawPair(from, to)
      // larger than a first window, so that a sender with a wrong idea of it overruns it
      const large = { ...limits, maxFrameBytes: MIB }
      const there = pump(new FrameStream(pair.near, large), 20, 1_000_000)
      assert.is(await drain(new FrameStream(pair.far, large)), 20)
      await there.done
      pair.end()
    }
  } finally {
    await plain.stop()
  }
})

test('windows stay below what a paused stream may hold', () => {
  assert.ok(yamuxOptions.streamOptions.maxStreamWindowSize < yamuxOptions.streamOptions.maxReadBufferLength)
})

test('a frame above the limit is refused from its prefix, and the stream is reset before its body', async () => {
  const pair = await rawPair()
  const reader = new FrameStream(pair.far, limits)
  const reset = new Promise((resolve) => { pair.near.addEventListener('close', resolve) })
  pair.near.send(Uint8Array.of(0xff, 0xff, 0xff, 0x7f))
  assert.is((await failure(reader.read(signal()))).code, 'E_FRAME_SIZE')
  await reset
  assert.is(pair.near.status, 'reset')
  assert.is((await failure(reader.write(new Uint8Array(1)))).code, 'E_FRAME_SIZE')
  pair.end()
})

test('a frame of our own above the limit is refused and the stream stays whole', async () => {
  const pair = await rawPair()
  const sender = new FrameStream(pair.near, limits)
  assert.is((await failure(sender.write(new Uint8Array(limits.maxFrameBytes + 1)))).code, 'E_FRAME_SIZE')
  await sender.write([new Uint8Array(3), new Uint8Array(limits.maxFrameBytes - 3)])
  assert.is((await new FrameStream(pair.far, limits).read(signal()))?.byteLength, limits.maxFrameBytes)
  pair.end()
})

test('length prefixes that are too long or not in their shortest form are refused', async () => {
  for (const [prefix, code] of [[[0x80, 0x00], 'E_FRAME_MALFORMED'], [[0x81, 0x80, 0x80, 0x80, 0x00], 'E_FRAME_MALFORMED'], [[0x80, 0x80, 0x80, 0x80, 0x01], 'E_FRAME_MALFORMED']] as const) {
    const pair = await rawPair()
    pair.near.send(Uint8Array.from(prefix))
    assert.is((await failure(new FrameStream(pair.far, limits).read(signal()))).code, code)
    pair.end()
  }
})

test('a remote that ends inside a frame is told apart from one that ends between two', async () => {
  const pair = await rawPair()
  pair.near.send(Uint8Array.of(2, 1, 1, 2, 1))
  await pair.near.close()
  const reader = new FrameStream(pair.far, limits)
  assert.equal(await reader.read(signal()), Uint8Array.of(1, 1))
  assert.is((await failure(reader.read(signal()))).code, 'E_FRAME_TRUNCATED')
  pair.end()
})

test('a connection that breaks is no end of the stream', async () => {
  const other = await createTestNode()
  await other.dial(b.getMultiaddrs())
  const pair = await rawPair(other, b)
  const reader = new FrameStream(pair.far, limits)
  await new FrameStream(pair.near, limits).write(Uint8Array.of(5))
  assert.equal(await reader.read(signal()), Uint8Array.of(5))
  const reading = failure(reader.read(signal()))
  for (const connection of other.getConnections()) connection.abort(new Error('pulled the plug'))
  assert.ok(['E_STREAM_CLOSED', 'E_STREAM_RESET'].includes((await reading).code))
  await other.stop()
})

test('a remote that is silent, or drips a frame byte by byte, runs into the deadline and is reset', async () => {
  const short: FrameLimits = { maxFrameBytes: 1000, readTimeoutMs: 60, writeTimeoutMs: 60, idleTimeoutMs: 30 }
  const pair = await rawPair()
  assert.is((await failure(new FrameStream(pair.far, short).read())).code, 'E_FRAME_TIMEOUT')
  assert.is(pair.far.status, 'aborted')
  pair.end()
  const dripping = await rawPair()
  dripping.near.send(Uint8Array.of(200))
  const drip = setInterval(() => { if (dripping.near.status === 'open') dripping.near.send(Uint8Array.of(1)) }, 5)
  assert.is((await failure(new FrameStream(dripping.far, short).read())).code, 'E_FRAME_TIMEOUT')
  clearInterval(drip)
  dripping.end()
})

test('a remote that takes nothing runs into the write deadline', async () => {
  const pair = await rawPair()
  const idle = new FrameStream(pair.far, limits)
  const sender = new FrameStream(pair.near, { ...limits, writeTimeoutMs: 60 })
  const writeMuch = async (): Promise<void> => { for (let i = 0; i < 1000; i++) await sender.write(new Uint8Array(200_000)) }
  assert.is((await failure(writeMuch())).code, 'E_FRAME_TIMEOUT')
  assert.is(pair.near.status, 'aborted')
  idle.abort(new Error('the test is over'))
  pair.end()
})

test('writes that do not wait for each other keep their order, up to a bound', async () => {
  const pair = await rawPair()
  const sender = new FrameStream(pair.near, limits)
  const writes = Array.from({ length: 64 }, (_, i) => sender.write(frameOf(i, i % 2 === 0 ? 8 : 200_000)))
  assert.is((await failure(sender.write(new Uint8Array(1)))).code, 'E_QUEUE_FULL')
  const reader = new FrameStream(pair.far, limits)
  for (let i = 0; i < 64; i++) {
    const frame = await reader.read(signal())
    assert.is(new DataView(frame!.buffer).getUint32(0), i)
  }
  await Promise.all(writes)
  pair.end()
})

test('a read given up by its signal loses no frame', async () => {
  const pair = await rawPair()
  const reader = new FrameStream(pair.far, limits)
  const abort = new AbortController()
  const reading = failure(reader.read(abort.signal))
  abort.abort()
  assert.is((await reading).code, 'E_WIRE_ABORTED')
  await new FrameStream(pair.near, limits).write(Uint8Array.of(1))
  assert.equal(await reader.read(signal()), Uint8Array.of(1))
  pair.end()
})

test('frames sent together arrive one by one, empty ones too', async () => {
  const pair = await rawPair()
  await new FrameStream(pair.near, limits).writeAll([new Uint8Array(0), Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)])
  const reader = new FrameStream(pair.far, limits)
  for (const expected of [[], [1], [], [2, 3]]) assert.equal(await reader.read(signal()), Uint8Array.from(expected))
  pair.end()
})

test('a request is answered over one stream that is freed on both sides', async () => {
  const handled = await handleFrames(b, PROTOCOL, limits, async (frames) => {
    const request = await frames.read()
    await frames.write(Uint8Array.from(request ?? []).reverse())
  }, { maxStreamsPerPeer: 4 })
  for (let i = 0; i < 20; i++) {
    assert.equal(await requestResponse(a, b.peerId, PROTOCOL, Uint8Array.of(1, 2, i), { limits, timeoutMs: 20_000 }), Uint8Array.of(i, 2, 1))
  }
  const open = (): number => [a, b].flatMap((node) => node.getConnections()).flatMap((connection) => connection.streams).filter((stream) => stream.protocol === PROTOCOL).length
  while (open() > 0) await a.services.ping.ping(b.peerId)
  await handled.stop()
})

test('a handler that throws resets its own stream and no other, and its error is told', async () => {
  const errors: WireError[] = []
  const handled = await handleFrames(b, PROTOCOL, limits, async (frames) => {
    for (let request = await frames.read(); request !== undefined; request = await frames.read()) {
      if (request[0] === 13) throw new Error('a defect')
      await frames.write(request)
    }
  }, { maxStreamsPerPeer: 4, onError: (err) => { errors.push(err) } })
  const good = await openFrames(a, b.peerId, PROTOCOL, limits, signal())
  assert.is((await failure(requestResponse(a, b.peerId, PROTOCOL, Uint8Array.of(13), { limits, timeoutMs: 20_000 }))).code, 'E_STREAM_RESET')
  await good.write(Uint8Array.of(1))
  assert.equal(await good.read(signal()), Uint8Array.of(1))
  assert.is(errors[0]?.message, 'a defect')
  await good.close()
  await handled.stop()
})

test('a peer has no more streams served at once than its share, and gets it back', async () => {
  const errors: WireError[] = []
  const handled = await handleFrames(b, PROTOCOL, limits, async (frames) => {
    for (let request = await frames.read(); request !== undefined; request = await frames.read()) await frames.write(request)
  }, { maxStreamsPerPeer: 2, onError: (err) => { errors.push(err) } })
  const open = async (): Promise<FrameStream> => {
    const frames = await openFrames(a, b.peerId, PROTOCOL, limits, signal())
    // a stream that is refused may be reset before this write or after it
    await frames.write(Uint8Array.of(1)).catch(() => {})
    return frames
  }
  const first = await open()
  const second = await open()
  await first.read(signal())
  await second.read(signal())
  const third = await open()
  assert.is((await failure(third.read(signal()))).code, 'E_STREAM_RESET')
  assert.is(errors[0]?.code, 'E_QUEUE_FULL')
  assert.is(handled.streams, 2)
  await first.close()
  while (handled.streams > 1) await a.services.ping.ping(b.peerId)
  const fourth = await open()
  assert.equal(await fourth.read(signal()), Uint8Array.of(1))
  await handled.stop()
})

test('what cannot be opened or is not answered in time says so with a code', async () => {
  assert.is((await failure(requestResponse(a, b.peerId, '/hearth/nobody/1', new Uint8Array(1), { limits, timeoutMs: 20_000 }))).code, 'E_STREAM_OPEN')
  const gone = await createTestNode()
  await gone.stop()
  assert.is((await failure(requestResponse(a, gone.peerId, PROTOCOL, new Uint8Array(1), { limits, timeoutMs: 20_000 }))).code, 'E_STREAM_OPEN')
  const handled = await handleFrames(b, PROTOCOL, limits, async (frames) => { await frames.read(); await frames.read() }, { maxStreamsPerPeer: 4 })
  assert.is((await failure(requestResponse(a, b.peerId, PROTOCOL, new Uint8Array(1), { limits, timeoutMs: 50 }))).code, 'E_FRAME_TIMEOUT')
  const abort = new AbortController()
  const asking = failure(requestResponse(a, b.peerId, PROTOCOL, new Uint8Array(1), { limits, timeoutMs: 20_000, signal: abort.signal }))
  abort.abort()
  assert.is((await asking).code, 'E_WIRE_ABORTED')
  await handled.stop()
})

test.run()
