/**
 * Votes with comparators of every kind, right, wrong and contradicting themselves, and results that get lost: nothing throws,
 * nobody is condemned but by a class that won, and neither the order of reveals nor power cuts after every event change the end.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import type { EffectOf } from '../../src/core/effect.ts'
import type { Comparison } from '../../src/core/event.ts'
import type { Compare } from '../../src/documents/job.ts'
import type { RunResult } from '../../src/documents/receipt.ts'
import { hashText, Random } from '../../src/sim/random.ts'
import { cidOf } from '../../src/sim/truth.ts'
import { Booth, gives } from '../helpers/booth.ts'
import type { BoothOptions } from '../helpers/booth.ts'

const RUNS = 800
const SEGMENTS = 4
const MOST = 10

interface Vote { seed: number, by: Compare['by'] | 'bytes', segments: boolean, quorum: number, spread: number, kinds: number, failing: number, odd: number, lost: number, broken: boolean, unsure: number }

const votes = fc.record<Vote>({
  seed: fc.integer({ min: 0, max: 2 ** 30 }), by: fc.constantFrom('program', 'verifier', 'bytes'), segments: fc.boolean(), quorum: fc.integer({ min: 1, max: 3 }), spread: fc.integer({ min: 0, max: 2 }),
  kinds: fc.integer({ min: 1, max: 5 }), failing: fc.constantFrom(0, 0, 0.3), odd: fc.constantFrom(0, 0, 0.3, 1), lost: fc.constantFrom(0, 0, 0.2), broken: fc.boolean(), unsure: fc.constantFrom(0, 0, 0.2, 0.7)
})

/** Luck that depends on what is asked, not on when. */
function luck({ seed }: Vote, ...about: (string | number | undefined)[]): Random {
  return new Random(hashText(`${seed}/${about.join('/')}`))
}

function resultOf(vote: Vote, provider: number, segment: number | undefined): RunResult {
  const random = luck(vote, 'result', provider, segment)
  if (random.chance(vote.failing)) return { ...gives('trap'), status: 'trapped', trap: 'E_TRAP_UNREACHABLE' }
  return gives(`${segment ?? 'whole'} ${random.below(vote.kinds)}`)
}

/** With `odd` anything, though always the same of the same; else what is alike is what has the same remainder. */
function find(vote: Vote, { fresh, against }: EffectOf<'compare'>): Comparison {
  const about = [fresh.content, ...against.map(({ content }) => content)]
  const random = luck(vote, 'find', ...about)
  if (random.chance(vote.lost)) return { kind: 'lost', opinion: random.pick([fresh, ...against] as [typeof fresh, ...typeof against]).opinion }
  if (vote.broken && random.chance(0.06)) return { kind: 'broken', message: 'it ended with exit code 9' }
  if (vote.by === 'verifier') return random.chance(0.1) ? { kind: 'unsure', opinions: [fresh.opinion], message: 'trapped' } : { kind: luck(vote, 'right', fresh.content).chance(0.5) ? 'right' : 'wrong' }
  if (vote.by === 'program' && random.chance(vote.unsure)) return { kind: 'unsure', opinions: [fresh, ...against].filter(() => random.chance(0.5)).map(({ opinion }) => opinion), message: 'trapped' }
  const doubt = vote.by === 'program' && random.chance(vote.unsure) ? { doubt: 'out of memory' } : {}
  const same = against.find(({ content }) => vote.by === 'bytes' && fresh.segment === undefined ? content === fresh.content : luck(vote, 'odd', fresh.content, content).chance(vote.odd) ? luck(vote, 'same', fresh.content, content).chance(0.5) : hashText(content) % 2 === hashText(fresh.content) % 2)
  return same !== undefined ? { kind: 'same', as: same.opinion } : random.chance(0.3) ? { kind: 'other', ...doubt } : { kind: 'other', segment: random.below(SEGMENTS), ...doubt }
}

function run(vote: Vote, more: Partial<BoothOptions> = {}): Booth {
  const compare = vote.by === 'bytes' ? {} : { compare: { by: vote.by, module: cidOf('judge'), moduleBytes: 1, args: [] } }
  return new Booth({
    rules: { ...compare, ...vote.segments && vote.by !== 'verifier' ? { segments: SEGMENTS } : {} }, quorum: vote.quorum, spread: vote.quorum + vote.spread, most: MOST,
    result: (provider, segment) => resultOf(vote, provider, segment), compare: (effect) => find(vote, effect), hands: (content) => !luck(vote, 'hands', content).chance(vote.lost), ...more
  }).vote().settle()
}

const summary = (booth: Booth): unknown => ({ state: booth.task.state, ends: booth.ends, segments: booth.segments, error: booth.error, wrongs: booth.task.replicas.map(({ attempt }) => booth.wrongs(attempt)) })

function check(property: (vote: Vote) => void): void {
  fc.assert(fc.property(votes, property), { seed: 7, numRuns: RUNS })
}

test('nobody is condemned but by as many who won, and only whole results become content', () => {
  const seen = new Map<string, number>()
  check((vote) => {
    const booth = run(vote)
    const { task } = booth
    const condemned = task.replicas.filter(({ state }) => state.kind === 'rejected').length
    const accepted = task.replicas.filter(({ state }) => state.kind === 'accepted')
    const won = task.state.kind === 'done' || (task.state.kind === 'failed' && task.state.error.code !== 'E_COMPARE')
    assert.is(condemned > 0 && !won, false, 'condemned without a winner')
    if (won) assert.ok(accepted.length >= task.quorum, `${accepted.length} winners`)
    if (booth.error !== undefined) assert.equal([condemned, accepted.length], [0, 0])
    for (const { attempt, state } of task.replicas) assert.is(booth.wrongs(attempt), state.kind === 'rejected' ? 1 : 0)
    if (task.state.kind === 'done') {
      const { content } = task.state
      assert.ok(accepted.some(({ segment, attempt }) => segment === undefined && resultOf(vote, attempt, undefined).content === content), 'its content was given as a whole by a winner')
    }
    // not while there is something to do, or somebody left to ask
    if (task.state.kind === 'active' && booth.error === undefined) assert.is(task.attempts, MOST, 'it stands still')
    for (const what of [`ends ${task.state.kind}`, ...booth.segments.some((segment) => segment !== undefined) ? ['segment run'] : [], ...accepted.some(({ segment }) => segment !== undefined) ? ['segment accepted'] : [], ...condemned > 0 ? ['condemned'] : [], ...booth.error === undefined ? [] : ['broken']]) seen.set(what, (seen.get(what) ?? 0) + 1)
  })
  console.log([...seen].map(([what, count]) => `${count} ${what}`).join(', '))
  for (const what of ['ends done', 'ends failed', 'ends active', 'segment run', 'segment accepted', 'condemned', 'broken']) assert.ok((seen.get(what) ?? 0) > 10, `too little of: ${what}`)
})

test('in which order reveals arrive changes nothing', () => {
  check((vote) => { assert.equal(summary(run(vote, { shuffle: (replicas) => luck(vote, 'order').shuffled(replicas) })), summary(run(vote))) })
})

test('power cuts after every event change nothing', () => {
  check((vote) => { assert.equal(summary(run(vote, { crashes: true })), summary(run(vote))) })
})

test.run()
