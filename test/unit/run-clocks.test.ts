/** What of a run's time is claimed: not what its owner took, nor what it stood still for want of money. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { RunClocks } from '../../src/job/run-clocks.ts'

const AGREEMENT = `0x${'11'.repeat(32)}`
const lease = { agreement: AGREEMENT, task: 3, attempt: 1 }

test('time goes while a run runs, and is claimed once', () => {
  const clocks = new RunClocks()
  assert.ok(clocks.began(lease, 100))
  assert.not.ok(clocks.began(lease, 150), 'said twice, it began once')
  assert.is(clocks.claim(AGREEMENT, 400), 300)
  assert.is(clocks.claim(AGREEMENT, 400), 0)
  assert.equal(clocks.end(lease, 1000), { ranMs: 900, claimedMs: 300 })
  assert.not.ok(clocks.runs(AGREEMENT))
})

test('what the owner takes is nobody\'s time, and whoever lets go first does not start what another holds', () => {
  const clocks = new RunClocks()
  clocks.began(lease, 0)
  clocks.aside(lease, 100)
  assert.equal(clocks.hold(AGREEMENT, true, 200), [lease])
  assert.equal(clocks.hold(AGREEMENT, true, 250), [])
  clocks.suspend(true, 300)
  clocks.began(lease, 400)
  assert.is(clocks.claim(AGREEMENT, 500), 100)
  clocks.suspend(false, 600)
  assert.ok(clocks.holds(AGREEMENT))
  assert.is(clocks.claim(AGREEMENT, 700), 0)
  assert.equal(clocks.hold(AGREEMENT, false, 800), [lease])
  assert.is(clocks.claim(AGREEMENT, 1000), 200)
})

test('a run that begins while the owner has the computer has no time yet', () => {
  const clocks = new RunClocks()
  clocks.suspend(true, 0)
  clocks.began(lease, 10)
  assert.is(clocks.claim(AGREEMENT, 100), 0)
  clocks.suspend(false, 200)
  assert.is(clocks.claim(AGREEMENT, 250), 50)
})

test.run()
