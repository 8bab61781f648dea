import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LogHub } from '../../node/work/log-hub.ts'
import type { LogPiece } from '../../node/work/log-hub.ts'
import { KIB, MIB } from '../../src/units.ts'

const text = (value: string): Uint8Array => Buffer.from(value)
const NEVER = new AbortController().signal

async function all(hub: LogHub, lease: string): Promise<LogPiece[]> {
  const pieces: LogPiece[] = []
  for await (const piece of hub.follow(lease, NEVER)) pieces.push(piece)
  return pieces
}

const said = (pieces: LogPiece[]): string => pieces.map(({ stream, bytes }) => `${stream === 'stdout' ? 'o' : 'e'}:${Buffer.from(bytes).toString()}`).join(' ')

test('neighbours of a stream are joined, and the order of the streams stays', async () => {
  const hub = new LogHub()
  hub.open('a')
  for (const [stream, value] of [['stdout', 'one '], ['stdout', 'two'], ['stderr', 'oh'], ['stdout', 'three']] as const) hub.append('a', stream, text(value))
  hub.append('a', 'stdout', new Uint8Array(4 * KIB).fill(46))
  hub.end('a')
  const pieces = await all(hub, 'a')
  assert.is(said(pieces.slice(0, 3)), 'o:one two e:oh o:three')
  assert.equal(pieces.map(({ bytes }) => bytes.length), [7, 2, 5, 4 * KIB])
})

test('who follows sees each byte once, in order, while pieces grow under it', async () => {
  const hub = new LogHub()
  hub.open('a')
  const follower = hub.follow('a', NEVER)
  let seen = ''
  for (let i = 0; i < 3000; i++) {
    hub.append('a', 'stdout', text(`${i} `))
    const { value } = await follower.next() as { value: LogPiece }
    const copy = Buffer.from(value.bytes).toString()
    hub.append('a', 'stdout', text('. '))
    assert.is(Buffer.from(value.bytes).toString(), copy, 'what was given does not change')
    seen += copy
  }
  hub.end('a')
  for await (const { bytes } of follower) seen += Buffer.from(bytes).toString()
  assert.is(seen, Array.from({ length: 3000 }, (_, i) => `${i} . `).join(''))
})

test('a million pieces of one byte take the memory of their bytes; alternating ones are counted with what they cost, and cut', async () => {
  const hub = new LogHub()
  hub.open('joined')
  for (let i = 0; i < 1_000_000; i++) hub.append('joined', 'stdout', text('x'))
  hub.end('joined')
  const joined = await all(hub, 'joined')
  assert.is(joined.reduce((sum, { bytes }) => sum + bytes.length, 0), 1_000_000)
  assert.ok(joined.length < 250 && hub.costBytes < 1.2 * MIB, `${joined.length} pieces, ${hub.costBytes} bytes`)
  hub.drop('joined')
  assert.is(hub.costBytes, 0)
  hub.open('torn')
  for (let i = 0; i < 1_000_000; i++) hub.append('torn', i % 2 === 0 ? 'stdout' : 'stderr', text('x'))
  hub.end('torn')
  assert.ok(hub.costBytes <= 16 * MIB && (await all(hub, 'torn')).length < 64 * KIB, `${hub.costBytes} bytes`)
})

test('one lease leaves room for others, and what finds none cuts its log without a hole', async () => {
  const hub = new LogHub()
  hub.open('loud')
  for (let i = 0; i < 100; i++) hub.append('loud', 'stdout', new Uint8Array(MIB))
  assert.ok(hub.costBytes > 14 * MIB && hub.costBytes <= 16 * MIB, `${hub.costBytes} bytes`)
  hub.append('loud', 'stdout', text('after the cut'))
  hub.end('loud')
  assert.ok((await all(hub, 'loud')).every(({ bytes }) => bytes.length === MIB))
  hub.open('quiet')
  hub.append('quiet', 'stderr', text('still heard'))
  hub.end('quiet')
  assert.is(said(await all(hub, 'quiet')), 'e:still heard')
  for (const lease of ['b', 'c', 'd', 'e']) {
    hub.open(lease)
    for (let i = 0; i < 20; i++) hub.append(lease, 'stdout', new Uint8Array(MIB))
  }
  assert.ok(hub.costBytes <= 64 * MIB, `${hub.costBytes} bytes`)
})

test.run()
