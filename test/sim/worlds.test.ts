/** Random worlds, a third of them with money: faults first, then healing; every invariant is checked at every step, and everything must settle. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { replayLine, runSeed } from './explore.ts'

const FROM = Number(process.env['SIM_FROM'] ?? 1)
const WORLDS = 200
console.log(`seeds ${FROM} to ${FROM + WORLDS - 1}`)

test(`${WORLDS} random worlds hold every invariant and settle`, () => {
  let [done, tickets, winners] = [0, 0, 0]
  for (let seed = FROM; seed < FROM + WORLDS; seed++) {
    const { violation, stats } = runSeed(seed)
    assert.is(violation, undefined, `seed ${seed}: ${violation?.checker}: ${violation?.message}\nreplay: ${replayLine(seed)}`)
    done += stats.jobsDone
    tickets += stats.tickets
    winners += stats.winnersPaid
  }
  assert.ok(done >= WORLDS / 2, `only ${done} jobs were done in ${WORLDS} worlds: they are too harsh to show anything`)
  console.log(`${done} jobs, ${tickets} tickets, ${winners} winners paid`)
  assert.ok(tickets > 20 * WORLDS && winners > WORLDS, `only ${tickets} tickets and ${winners} winners: too little money moved to show anything`)
})

test('the same seed gives the same world, to the last message', () => {
  for (const seed of [FROM, FROM + 7, FROM + 13]) {
    const [first, second] = [runSeed(seed), runSeed(seed)]
    assert.is(first.digest, second.digest)
    assert.equal(first.stats, second.stats)
  }
  assert.is.not(runSeed(FROM).digest, runSeed(FROM + 1).digest)
})

test.run()
