import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import { tally } from '../../src/job/vote.ts'
import type { Vote } from '../../src/job/vote.ts'

const votes = fc.array(fc.record({ provider: fc.integer({ min: 0, max: 12 }).map((n) => `p${n}`), hash: fc.constantFrom('a', 'b', 'c') }), { maxLength: 20 })
const quorum = fc.integer({ min: 1, max: 5 })

/** Distinct providers behind each hash, first votes only. */
function groups(cast: readonly Vote[]): Map<string, Set<string>> {
  const first = new Map<string, string>()
  for (const { provider, hash } of cast) if (!first.has(provider)) first.set(provider, hash)
  const byHash = new Map<string, Set<string>>()
  for (const [provider, hash] of first) byHash.set(hash, (byHash.get(hash) ?? new Set()).add(provider))
  return byHash
}

function check(property: (cast: Vote[], m: number) => void): void {
  fc.assert(fc.property(votes, quorum, property), { seed: 5, numRuns: 500 })
}

test('what is accepted has at least a quorum of distinct providers, and more than anything else', () => {
  check((cast, m) => {
    const outcome = tally(cast, m)
    if (outcome.kind !== 'accepted') return
    const sizes = groups(cast)
    const size = sizes.get(outcome.hash)!.size
    assert.ok(size >= m)
    for (const [hash, { size: other }] of sizes) assert.ok(hash === outcome.hash || other < size)
    assert.equal(new Set(outcome.winners), sizes.get(outcome.hash))
    assert.is(outcome.winners.length + outcome.losers.length, new Set(cast.map(({ provider }) => provider)).size)
  })
})

test('an open vote is won by exactly as many more equal votes as it says are missing', () => {
  check((cast, m) => {
    const outcome = tally(cast, m)
    if (outcome.kind !== 'open') return
    assert.ok(outcome.missing >= 1 && outcome.missing <= m)
    const leaders = [...groups(cast)].sort(([, a], [, b]) => b.size - a.size)
    const hash = leaders[0]?.[0] ?? 'a'
    const more = (count: number): Vote[] => [...cast, ...Array.from({ length: count }, (_, i) => ({ provider: `new${i}`, hash }))]
    assert.is(tally(more(outcome.missing - 1), m).kind, 'open')
    assert.is(tally(more(outcome.missing), m).kind, 'accepted')
  })
})

test('a provider that votes again changes nothing', () => {
  check((cast, m) => {
    const again = [...cast, ...cast.map(({ provider }) => ({ provider, hash: 'b' }))]
    assert.equal(tally(again, m), tally(cast, m))
  })
})

test('the order in which votes of a round come does not matter', () => {
  check((cast, m) => {
    const once = [...new Map([...cast].reverse().map((vote) => [vote.provider, vote])).values()]
    const [one, other] = [tally(once, m), tally([...once].reverse(), m)]
    assert.is(one.kind, other.kind)
    if (one.kind === 'accepted' && other.kind === 'accepted') assert.is(one.hash, other.hash)
  })
})

test('two results that reach the quorum together decide nothing: nobody is condemned by the order of their names', () => {
  assert.equal(tally([{ provider: 'a', hash: 'x' }, { provider: 'b', hash: 'y' }], 1), { kind: 'open', missing: 1 })
  assert.equal(tally([{ provider: 'a', hash: 'x' }, { provider: 'b', hash: 'y' }, { provider: 'c', hash: 'y' }], 1), { kind: 'accepted', hash: 'y', winners: ['b', 'c'], losers: ['a'] })
})

test.run()
