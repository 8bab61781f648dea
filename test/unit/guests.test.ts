/** Free mode: whom a host serves for nothing, and how much of it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Standing } from '../../src/core/event.ts'
import { Turn } from '../../src/core/turn.ts'
import { Guests } from '../../src/market/guests.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { DAY_MS, HOUR_MS } from '../../src/units.ts'

const NOON = 20_000 * DAY_MS + 12 * HOUR_MS
const turnAt = (wallMs: number): Turn => new Turn({ monoMs: 0, wallMs }, new Uint8Array(32), countingHasher())

const WELCOME: [name: string, allow: string[] | 'anyone', standing: Standing | undefined, code: string | undefined][] = [
  ['somebody on the own network', [], 'local', undefined],
  ['a stranger from elsewhere', [], 'remote', 'E_FREE_STRANGER'],
  ['a stranger from elsewhere, named', ['ann'], 'remote', undefined],
  ['a stranger from elsewhere when anyone is served', 'anyone', 'remote', undefined],
  ['somebody behind a relay', [], 'relayed', 'E_FREE_RELAYED'],
  ['somebody behind a relay, named', ['ann'], 'relayed', 'E_FREE_RELAYED'],
  ['somebody behind a relay when anyone is served', 'anyone', 'relayed', 'E_FREE_RELAYED'],
  ['somebody not connected yet', [], undefined, undefined]
]
for (const [name, allow, standing, code] of WELCOME) {
  test(`free mode: ${name} ${code === undefined ? 'is served' : `is refused with ${code}`}`, () => {
    assert.is(new Guests({ allow, coreMsADay: HOUR_MS }).unmet('ann', standing, NOON)?.code, code)
  })
}

test('a requester that used up its core-hours of the day waits for the next, and others do not', () => {
  const guests = new Guests({ allow: [], coreMsADay: 2 * HOUR_MS })
  guests.used(turnAt(NOON), 'ann', HOUR_MS)
  assert.is(guests.unmet('ann', 'local', NOON), undefined)
  guests.used(turnAt(NOON), 'ann', HOUR_MS)
  assert.is(guests.unmet('ann', 'local', NOON)?.code, 'E_FREE_QUOTA')
  assert.is(guests.unmet('ann', undefined, NOON)?.code, 'E_FREE_QUOTA')
  assert.is(guests.unmet('bob', 'local', NOON), undefined)
  assert.is(guests.unmet('ann', 'local', NOON + 12 * HOUR_MS), undefined)
})

test('what was used survives a restart', () => {
  const guests = new Guests({ allow: [], coreMsADay: HOUR_MS })
  const turn = turnAt(NOON)
  guests.used(turn, 'ann', HOUR_MS)
  const again = new Guests({ allow: [], coreMsADay: HOUR_MS })
  for (const write of turn.finish().writes) if (write.kind === 'put') again.restore(write.value)
  assert.is(again.unmet('ann', 'local', NOON)?.code, 'E_FREE_QUOTA')
  assert.equal([...again.records()], [...guests.records()])
})

test('guests beyond the bound are forgotten, the one not served for longest first', () => {
  const guests = new Guests({ allow: [], coreMsADay: 1 })
  const turn = turnAt(NOON)
  for (let n = 0; n <= 10_000; n++) guests.used(turn, `peer ${n}`, 1)
  assert.is([...guests.records()].length, 10_000)
  assert.is(guests.usedCoreMs('peer 0', NOON), 0)
  assert.ok(turn.finish().writes.some((write) => write.kind === 'delete' && write.key === 'guest/peer 0'))
})

test.run()
