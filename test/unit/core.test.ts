/** Timers, the outbox and a step's luck: the mechanics that every machine of a peer stands on. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import { Outbox } from '../../src/core/outbox.ts'
import { Timers } from '../../src/core/timers.ts'
import { Turn } from '../../src/core/turn.ts'
import type { Message } from '../../src/documents/message.ts'
import { countingHasher } from '../../src/sim/hasher.ts'

const WALL_MS = 1_800_000_000_000
const hasher = countingHasher()

function turnAt(monoMs: number, seed = 0): Turn {
  return new Turn({ monoMs, wallMs: WALL_MS + monoMs }, new Uint8Array(32).fill(seed), hasher)
}

function sent(turn: Turn): Message[] {
  return turn.effects.flatMap((effect) => effect.kind === 'send' ? [effect.message] : [])
}

const closed: Message = { kind: 'closed', agreement: `0x${'11'.repeat(32)}` }

test('timers fire in the order of their times, and of their setting where times are equal, whatever was set, moved and cleared', () => {
  const operation = fc.record({ id: fc.integer({ min: 0, max: 30 }), atMs: fc.integer({ min: 0, max: 20 }), clear: fc.boolean() })
  fc.assert(fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
    const timers = new Timers()
    const model = new Map<string, { atMs: number, order: number }>()
    for (const [order, { id, atMs, clear }] of operations.entries()) {
      if (clear) { timers.clear(`${id}`); model.delete(`${id}`) } else { timers.set(`${id}`, atMs); model.set(`${id}`, { atMs, order }) }
      assert.is(timers.size, model.size)
      assert.is(timers.at(`${id}`), model.get(`${id}`)?.atMs)
    }
    const expected = [...model].sort(([, a], [, b]) => a.atMs - b.atMs || a.order - b.order).map(([id]) => id)
    assert.is(timers.next(), model.size === 0 ? undefined : Math.min(...[...model.values()].map(({ atMs }) => atMs)))
    const fired: string[] = []
    for (let id = timers.takeDue(20); id !== undefined; id = timers.takeDue(20)) fired.push(id)
    assert.equal(fired, expected)
  }), { seed: 3, numRuns: 300 })
})

test('a timer does not fire before its time', () => {
  const timers = new Timers()
  timers.set('later', 10)
  assert.is(timers.takeDue(9.999), undefined)
  assert.is(timers.takeDue(10), 'later')
  assert.is(timers.next(), undefined)
})

test('a message in the outbox is said again, ever more rarely, until it is answered', () => {
  const timers = new Timers()
  const outbox = new Outbox(timers)
  const first = turnAt(0)
  outbox.add(first, 'close/a', 'bob', closed, WALL_MS + 100_000)
  assert.equal(sent(first), [closed])
  assert.equal(first.finish().writes.map(({ kind, key }) => [kind, key]), [['put', 'outbox/close/a']])
  const gaps: number[] = []
  for (let nowMs = 0; gaps.length < 6;) {
    const due = timers.next()!
    gaps.push(due - nowMs)
    nowMs = due
    const turn = turnAt(nowMs)
    assert.ok(outbox.timer(turn, timers.takeDue(nowMs)!))
    assert.equal(sent(turn), [closed])
  }
  assert.equal(gaps, [2000, 4000, 8000, 16_000, 30_000, 30_000])
  const answer = turnAt(95_000)
  outbox.answered(answer, 'close/a', 'bob')
  assert.equal(answer.finish().writes, [{ kind: 'delete', key: 'outbox/close/a' }])
  assert.is(timers.next(), undefined)
  assert.is(outbox.size, 0)
})

test('nobody but its addressee answers a message', () => {
  const outbox = new Outbox(new Timers())
  outbox.add(turnAt(0), 'close/a', 'bob', closed, WALL_MS + 100_000)
  const turn = turnAt(1)
  outbox.answered(turn, 'close/a', 'mallory')
  assert.is(outbox.size, 1)
  assert.equal(turn.finish(), { writes: [], effects: [] })
})

test('a message nobody answers is given up when it expires, and leaves nothing', () => {
  const timers = new Timers()
  const outbox = new Outbox(timers)
  outbox.add(turnAt(0), 'close/a', 'bob', closed, WALL_MS + 1000)
  const turn = turnAt(2000)
  outbox.timer(turn, timers.takeDue(2000)!)
  assert.equal(turn.finish(), { writes: [{ kind: 'delete', key: 'outbox/close/a' }], effects: [] })
  assert.is(timers.size, 0)
})

test('a peer that comes back hears at once what it was not answering, and not what was just said', () => {
  const timers = new Timers()
  const outbox = new Outbox(timers)
  outbox.add(turnAt(0), 'close/a', 'bob', closed, WALL_MS + 100_000)
  outbox.add(turnAt(0), 'close/b', 'carol', closed, WALL_MS + 100_000)
  const turn = turnAt(500)
  outbox.peerConnected(turn, 'bob')
  assert.is(sent(turn).length, 1)
  assert.is(timers.at('outbox|close/a'), 2500)
})

test('an outbox restored from its records says everything again', () => {
  const before = new Outbox(new Timers())
  for (const name of ['a', 'b', 'c']) before.add(turnAt(0), `close/${name}`, 'bob', closed, WALL_MS + 100_000)
  const timers = new Timers()
  const after = new Outbox(timers)
  for (const [, record] of before.records()) after.restore(record)
  const turn = turnAt(0)
  after.start(turn)
  assert.is(sent(turn).length, 3)
  assert.equal([...after.records()], [...before.records()])
})

test('all luck of a step grows from its entropy, and no two draws of it are alike', () => {
  const draws = (seed: number): string[] => { const turn = turnAt(0, seed); return [turn.nonce(), turn.nonce(), `${turn.random()}`] }
  assert.equal(draws(1), draws(1))
  assert.is(new Set([...draws(1), ...draws(2)]).size, 6)
  const turn = turnAt(0, 9)
  const numbers = Array.from({ length: 2000 }, () => turn.random())
  assert.ok(numbers.every((number) => number >= 0 && number < 1))
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length
  assert.ok(Math.abs(mean - 0.5) < 5 * Math.sqrt(1 / 12 / numbers.length))
})

test('of several writes to one key in a step the last counts', () => {
  const turn = turnAt(0)
  turn.put('k', { v: 1, n: 1 })
  turn.put('k', { v: 1, n: 2 })
  turn.delete('k')
  assert.equal(turn.finish().writes, [{ kind: 'delete', key: 'k' }])
})

test.run()
