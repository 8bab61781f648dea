/** The rules that decide, held against the field's closed forms. Seeds are fixed; bounds are five standard deviations. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { tally } from '../../src/job/vote.ts'
import { trustedAlone } from '../../src/reputation/adaptive.ts'
import { Random } from '../../src/sim/random.ts'

function binomial(n: number, k: number): number {
  let value = 1
  for (let i = 0; i < k; i++) value = value * (n - i) / (i + 1)
  return value
}

/** Sarmenta 2002: error of m-first voting when a share `phi` of voters agrees on one lie. */
function votingError(phi: number, m: number): number {
  let error = 0
  for (let j = m; j <= 2 * m - 1; j++) error += binomial(2 * m - 1, j) * phi ** j * (1 - phi) ** (2 * m - 1 - j)
  return error
}

/** Votes come one by one until somebody has m; true when the lie won. */
function lieWins(random: Random, phi: number, m: number): boolean {
  const votes: { provider: string, hash: string }[] = []
  for (;;) {
    votes.push({ provider: `p${votes.length}`, hash: random.float() < phi ? 'lie' : 'truth' })
    const outcome = tally(votes, m)
    if (outcome.kind === 'accepted') return outcome.hash === 'lie'
  }
}

for (const [phi, m] of [[0.2, 2], [0.1, 2], [0.2, 3], [0.3, 4]] as const) {
  test(`m-first voting errs as the closed form says: phi ${phi}, m ${m}`, () => {
    const n = 40_000
    const random = new Random(7)
    const expected = votingError(phi, m)
    let wrong = 0
    for (let i = 0; i < n; i++) if (lieWins(random, phi, m)) wrong++
    assert.ok(Math.abs(wrong / n - expected) <= 5 * Math.sqrt(expected * (1 - expected) / n), `${wrong / n} against ${expected}`)
  })
}

test('the closed form gives the known value', () => {
  assert.ok(Math.abs(votingError(0.2, 2) - 0.104) < 1e-9)
})

test('a trusted peer is still checked about once in n tasks', () => {
  const random = new Random(11)
  const n = 50_000
  for (const consecutiveValid of [10, 20, 100]) {
    const history = { v: 1 as const, peer: 'p', completed: 0, failed: 0, late: 0, wrong: 0, consecutiveValid, served: 0, faulty: 0, stars: 0, updatedWallMs: 0 }
    let checked = 0
    for (let i = 0; i < n; i++) if (!trustedAlone(history, random.float())) checked++
    const p = 1 / consecutiveValid
    assert.ok(Math.abs(checked - n * p) <= 5 * Math.sqrt(n * p * (1 - p)), `${checked} of ${n} checked at ${consecutiveValid}`)
  }
})

test('fewer than ten valid results in a row, or one wrong, earn no trust', () => {
  const history = { v: 1 as const, peer: 'p', completed: 99, failed: 0, late: 0, wrong: 0, consecutiveValid: 9, served: 0, faulty: 0, stars: 0, updatedWallMs: 0 }
  assert.not(trustedAlone(history, 0.999))
  assert.not(trustedAlone({ ...history, consecutiveValid: 1000, wrong: 1 }, 0.999))
})

test.run()
