import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { toWireError } from '../../protocols/wire/index.ts'
import { encodePrefix, FrameParser } from '../../protocols/wire/frame-parser.ts'
import { seededRandom } from '../helpers/seeded.ts'

const MAX_FRAME_BYTES = 100_000

function wire(frames: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(frames.flatMap((frame) => [encodePrefix(frame.byteLength), frame])))
}

test('frames come out as they went in, however the bytes are cut', () => {
  const random = seededRandom(1)
  for (let round = 0; round < 300; round++) {
    const frames = Array.from({ length: random.below(20) }, () => random.bytes(random.below(4) === 0 ? random.below(MAX_FRAME_BYTES) : random.below(300)))
    const bytes = wire(frames)
    const parser = new FrameParser(MAX_FRAME_BYTES)
    const out: Uint8Array[] = []
    for (let at = 0; at < bytes.byteLength;) {
      const step = 1 + random.below(random.below(3) === 0 ? 70_000 : 40)
      parser.push(bytes.subarray(at, at + step))
      at += step
      // sometimes nobody reads for a while
      if (random.below(3) > 0) for (let frame = parser.take(); frame !== undefined; frame = parser.take()) out.push(frame)
    }
    for (let frame = parser.take(); frame !== undefined; frame = parser.take()) out.push(frame)
    assert.is(parser.inFrame, false)
    assert.is(out.length, frames.length)
    for (const [i, frame] of frames.entries()) assert.ok(Buffer.compare(frame, out[i]!) === 0)
  }
})

test('100,000 mutated inputs end in frames or in a coded refusal, within bounds', () => {
  const random = seededRandom(2)
  let refused = 0
  for (let round = 0; round < 100_000; round++) {
    const bytes = wire(Array.from({ length: 1 + random.below(3) }, () => new Uint8Array(random.below(200))))
    for (let i = random.below(4); i >= 0; i--) bytes[random.below(bytes.byteLength)] = random.below(256)
    const parser = new FrameParser(500)
    let total = 0
    try {
      for (let at = 0; at < bytes.byteLength; at += 64) {
        parser.push(bytes.subarray(at, at + 64))
        for (let frame = parser.take(); frame !== undefined; frame = parser.take()) {
          assert.ok(frame.byteLength <= 500)
          total += frame.byteLength
        }
      }
    } catch (err) {
      assert.ok(['E_FRAME_SIZE', 'E_FRAME_MALFORMED'].includes(toWireError(err, 'E_STREAM_CLOSED').code), String(err))
      refused++
    }
    assert.ok(total <= bytes.byteLength)
  }
  assert.ok(refused > 1000 && refused < 99_000, `${refused} were refused`)
})

test('announcing a frame costs no memory before its bytes arrive', () => {
  const before = process.memoryUsage().arrayBuffers
  const parsers = Array.from({ length: 200 }, () => {
    const parser = new FrameParser(4 << 20)
    parser.push(encodePrefix(4 << 20))
    return parser
  })
  assert.ok(process.memoryUsage().arrayBuffers - before < 20 << 20)
  assert.is(parsers.length, 200)
})

test('bytes that come one by one while nobody reads are held together', () => {
  const parser = new FrameParser(10)
  parser.push(Uint8Array.of(1, 7))
  const before = process.memoryUsage()
  for (let i = 0; i < 200_000; i++) parser.push(Uint8Array.of(0))
  const after = process.memoryUsage()
  assert.is(parser.waitingBytes, 200_000)
  assert.ok(after.arrayBuffers - before.arrayBuffers < 4 << 20, `${after.arrayBuffers - before.arrayBuffers} bytes`)
})

test.run()
