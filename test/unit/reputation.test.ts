import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Turn } from '../../src/core/turn.ts'
import { Histories, score, shunned } from '../../src/reputation/history.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { DAY_MS } from '../../src/units.ts'

const WALL_MS = 1_800_000_000_000
const hasher = countingHasher()

function turnAt(wallMs: number): Turn {
  return new Turn({ monoMs: 0, wallMs }, new Uint8Array(32), hasher)
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`)
}

test('a deed weighs half after thirty days', () => {
  const histories = new Histories()
  for (let i = 0; i < 8; i++) histories.record(turnAt(WALL_MS), 'bob', 'completed')
  near(histories.get('bob', WALL_MS + 30 * DAY_MS).completed, 4)
  near(histories.get('bob', WALL_MS + 90 * DAY_MS).completed, 1)
  near(histories.get('bob', WALL_MS).completed, 8)
})

test('deeds at different times add up as if each had decayed alone', () => {
  const histories = new Histories()
  histories.record(turnAt(WALL_MS), 'bob', 'failed')
  histories.record(turnAt(WALL_MS + 30 * DAY_MS), 'bob', 'failed')
  near(histories.get('bob', WALL_MS + 60 * DAY_MS).failed, 0.25 + 0.5)
})

test('a clock that goes back gives no weight', () => {
  const histories = new Histories()
  histories.record(turnAt(WALL_MS), 'bob', 'completed')
  near(histories.get('bob', WALL_MS - 300 * DAY_MS).completed, 1)
})

test('valid results in a row count only where another\'s was compared, and start over at any failure', () => {
  const histories = new Histories()
  const inARow = (): number => histories.get('bob', WALL_MS).consecutiveValid
  for (let i = 0; i < 12; i++) histories.record(turnAt(WALL_MS), 'bob', 'completed', { replicated: true })
  histories.record(turnAt(WALL_MS), 'bob', 'completed', { replicated: false })
  assert.is(inARow(), 12)
  for (const deed of ['failed', 'late', 'wrong'] as const) {
    histories.record(turnAt(WALL_MS), 'bob', deed)
    assert.is(inARow(), 0)
    histories.record(turnAt(WALL_MS), 'bob', 'completed', { replicated: true })
    assert.is(inARow(), 1)
  }
})

test('one caught lie shuns a peer for a month, whatever good it did', () => {
  const histories = new Histories()
  for (let i = 0; i < 1000; i++) histories.record(turnAt(WALL_MS), 'bob', 'completed', { replicated: true })
  histories.record(turnAt(WALL_MS), 'bob', 'wrong')
  assert.ok(shunned(histories.get('bob', WALL_MS + 29 * DAY_MS)))
  assert.not(shunned(histories.get('bob', WALL_MS + 31 * DAY_MS)))
})

test('a score is one half for a stranger, grows with good deeds, falls with bad ones, and a lie costs ten failures', () => {
  const histories = new Histories()
  const now = (peer: string): number => score(histories.get(peer, WALL_MS))
  assert.is(now('stranger'), 0.5)
  for (let i = 0; i < 8; i++) histories.record(turnAt(WALL_MS), 'good', 'completed')
  near(now('good'), 0.9)
  histories.record(turnAt(WALL_MS), 'liar', 'wrong')
  for (let i = 0; i < 10; i++) histories.record(turnAt(WALL_MS), 'clumsy', 'failed')
  near(now('liar'), now('clumsy'))
})

test('the owner\'s stars move a score by at most a fifth', () => {
  const histories = new Histories()
  histories.rate(turnAt(WALL_MS), 'bob', 5)
  near(score(histories.get('bob', WALL_MS)), 0.7)
  histories.rate(turnAt(WALL_MS), 'bob', 1)
  near(score(histories.get('bob', WALL_MS)), 0.3)
})

test('history survives a restart', () => {
  const before = new Histories()
  before.record(turnAt(WALL_MS), 'bob', 'completed', { replicated: true })
  before.rate(turnAt(WALL_MS), 'carol', 4)
  const after = new Histories()
  for (const [, record] of before.records()) after.restore(record)
  assert.equal([...after.all()], [...before.all()])
})

test('at most ten thousand peers are remembered: the one not met for longest goes, on disk too', () => {
  const histories = new Histories()
  for (let i = 0; i < 10_000; i++) histories.record(turnAt(WALL_MS), `p${i}`, 'completed')
  histories.record(turnAt(WALL_MS), 'p0', 'completed')
  const turn = turnAt(WALL_MS)
  histories.record(turn, 'newcomer', 'completed')
  assert.equal(turn.finish().writes.map(({ kind, key }) => `${kind} ${key}`), ['put peer/newcomer', 'delete peer/p1'])
  assert.is([...histories.all()].length, 10_000)
})

test.run()
