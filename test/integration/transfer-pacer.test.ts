import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DelayWindow, UploadCap } from '../../protocols/transfer/pacer.ts'
import { PeerShares } from '../../protocols/transfer/peer-shares.ts'
import { seededRandom } from '../helpers/seeded.ts'

interface Link {
  bytesPerMs: number
  roundTripMs: number
  /** Now and then everything stands still for this long: a busy computer, a neighbour's download. */
  hiccupMs?: number
}

/** A link with a queue that never drops, and a reader that acknowledges 16 KiB and more at a time, driven by a window for `seconds` of virtual time. */
function drive(window: DelayWindow, link: Link, seconds: number): { usedShare: number, worstQueueMs: number } {
  const random = seededRandom(5)
  const arrivals: { bytes: number, atMs: number }[] = []
  let nowMs = 0
  let linkFreeMs = 0
  let sentBytes = 0
  let heldBytes = 0
  let worstQueueMs = 0
  // the last part of a block is as small as it happens to be
  const nextPart = (): number => random.below(8) === 0 ? 1 + random.below(window.partBytes) : window.partBytes
  // cut before it may leave: the window may be another when it does
  let bytes = nextPart()
  while (nowMs < seconds * 1000) {
    for (; window.mayHave(bytes); bytes = nextPart()) {
      window.onSent(bytes, nowMs)
      const hiccupMs = link.hiccupMs !== undefined && random.below(50) === 0 ? link.hiccupMs : 0
      const queueMs = Math.max(0, linkFreeMs - nowMs)
      // the first second is for finding the rate
      if (nowMs > 1000) worstQueueMs = Math.max(worstQueueMs, queueMs)
      linkFreeMs = nowMs + queueMs + bytes / link.bytesPerMs + hiccupMs
      arrivals.push({ bytes, atMs: linkFreeMs + link.roundTripMs })
      if (nowMs > 1000) sentBytes += bytes
    }
    const arrival = arrivals.shift()
    assert.ok(arrival !== undefined, `nothing is under way after ${nowMs} ms, and nothing may be sent`)
    nowMs = arrival.atMs
    heldBytes += arrival.bytes
    if (heldBytes < 16 * 1024) continue
    assert.ok(window.onAck(heldBytes, nowMs))
    heldBytes = 0
  }
  return { usedShare: sentBytes / (link.bytesPerMs * (nowMs - 1000)), worstQueueMs }
}

for (const [what, bytesPerMs, roundTripMs, leastShare, mostQueueMs] of [
  ['a fast local network', 100_000, 1, 0.9, 10],
  ['a gigabit line, 10 ms away', 125_000, 10, 0.9, 10],
  ['a home uplink of 40 Mbps, 20 ms away', 5000, 20, 0.8, 18],
  ['a home uplink of 20 Mbps, 20 ms away', 2500, 20, 0.8, 25],
  ['a line of 100 Mbps, 50 ms away', 12_500, 50, 0.5, 10]
] as const) {
  test(`paced, ${what} is used well and its queue stays short`, () => {
    const { usedShare, worstQueueMs } = drive(new DelayWindow(), { bytesPerMs, roundTripMs }, 20)
    assert.ok(usedShare > leastShare, `${(usedShare * 100).toFixed(0)} % were used`)
    assert.ok(worstQueueMs < mostQueueMs, `${worstQueueMs.toFixed(1)} ms of queue`)
  })
}

test('hiccups of any length never bring it to a halt', () => {
  for (const bytesPerMs of [1000, 10_000, 100_000]) for (const hiccupMs of [20, 200]) drive(new DelayWindow(), { bytesPerMs, roundTripMs: 1, hiccupMs }, 60)
})

test('a part may always leave when the reader may be holding back the rest, however small the window has become', () => {
  const window = new DelayWindow()
  window.onSent(16 * 1024 - 1, 0)
  assert.ok(window.mayHave(128 * 1024))
  window.onSent(128 * 1024, 0)
  assert.not.ok(window.mayHave(1))
})

test('an acknowledgement of what was not sent, or of half a part, is refused', () => {
  const window = new DelayWindow()
  assert.not.ok(window.onAck(1, 0))
  window.onSent(1000, 0)
  assert.not.ok(window.onAck(999, 1))
  const other = new DelayWindow()
  other.onSent(1000, 0)
  other.onSent(500, 0)
  assert.ok(other.onAck(1500, 1))
  assert.is(other.inFlightBytes, 0)
  assert.not.ok(other.onAck(1, 2))
})

test('a window at rest forgets what was under way', () => {
  const window = new DelayWindow()
  window.onSent(60_000, 0)
  assert.not.ok(window.mayHave(60_000))
  window.rest()
  assert.ok(window.mayHave(60_000))
})

/** Sends `count` parts of 100 bytes, one after the other, and returns when the last may leave. */
function sendParts(cap: UploadCap, count: number, fromMs: number): number {
  let nowMs = fromMs
  for (let i = 0; i < count; i++) nowMs += cap.waitMs(cap.take(100, nowMs), nowMs)
  return nowMs
}

test('the cap on upload holds over time, with a burst after a pause', () => {
  const cap = new UploadCap(1000, 0)
  const nowMs = sendParts(cap, 100, 0)
  assert.ok(nowMs >= 9700 && nowMs <= 9800, `${nowMs}`)
  assert.is(cap.waitMs(cap.take(250, nowMs + 60_000), nowMs + 60_000), 0)
  assert.ok(cap.waitMs(cap.take(250, nowMs + 60_000), nowMs + 60_000) > 0)
})

test('the cap on upload is one for all readers, who wait for each other in turn', () => {
  const cap = new UploadCap(1000, 0)
  const tickets = Array.from({ length: 20 }, () => cap.take(100, 0))
  const waits = tickets.map((ticket) => cap.waitMs(ticket, 0))
  assert.equal(waits.slice(0, 4), [0, 0, 50, 150])
  assert.is(waits.at(-1), 1750)
  assert.is(cap.waitMs(tickets.at(-1)!, 1000), 750)
})

test('a cap that changes counts at once, also for those that wait', () => {
  const cap = new UploadCap(undefined, 0)
  assert.is(sendParts(cap, 1000, 0), 0)
  cap.setRate(100, 0)
  const ticket = cap.take(1000, 0)
  assert.is(cap.waitMs(ticket, 0), 10_000)
  cap.setRate(1000, 5000)
  assert.is(cap.waitMs(ticket, 5000), 500)
  cap.setRate(10, 5000)
  assert.is(cap.waitMs(ticket, 5000), 50_000)
  cap.setRate(undefined, 5000)
  assert.is(cap.waitMs(ticket, 5000), 0)
  // nothing was saved up while there was none
  cap.setRate(1000, 60_000)
  assert.ok(cap.waitMs(cap.take(1000, 60_000), 60_000) >= 750)
})

test('a peer\'s share is spent, and comes back after an hour; the number of peers counted is bounded', () => {
  const shares = new PeerShares(1000)
  assert.ok(shares.take('a', 1000, 0))
  assert.ok(shares.isSpent('a', 1))
  assert.not.ok(shares.take('a', 1, 1))
  assert.not.ok(shares.isSpent('b', 1))
  assert.not.ok(shares.isSpent('a', 3_600_000))
  for (let i = 0; i < 10_000; i++) shares.take(`peer-${i}`, 1, 2)
  assert.ok(shares.take('peer-9999', 1, 3))
})

test.run()
