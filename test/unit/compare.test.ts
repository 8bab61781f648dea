/** How a task is decided when results are not simply equal or different: comparators, verifiers, segments, through the real ballot. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EffectOf } from '../../src/core/effect.ts'
import type { Comparison } from '../../src/core/event.ts'
import type { Compare } from '../../src/documents/job.ts'
import { outputsOf, taskPlan } from '../../src/documents/job.ts'
import { ZERO_ADDRESS, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import type { Identity } from '../../src/documents/identity.ts'
import { NO_CONTAINERS } from '../../src/documents/share.ts'
import { freshTask } from '../../src/job/task.ts'
import type { Replica } from '../../src/job/task.ts'
import { Peer } from '../../src/peer.ts'
import { addressOf, peerIdOf } from '../../src/sim/computer.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { HOUR_MS } from '../../src/units.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { cidOf } from '../../src/sim/truth.ts'
import { Booth, gives } from '../helpers/booth.ts'
import type { BoothOptions } from '../helpers/booth.ts'
import { PLAIN_JOB } from '../helpers/plain-job.ts'

const WALL_MS = 1_800_000_000_000
const program: Compare = { by: 'program', module: cidOf('comparator'), moduleBytes: 1, args: [] }
const verifier: Compare = { by: 'verifier', module: cidOf('verifier'), moduleBytes: 1, args: [] }

/** Contents are named `class~shade`. */
const nameOf = new Map<string, string>()
const named = (name: string): string => { nameOf.set(cidOf(name), name); return name }
const classOf = (content: string): string => (nameOf.get(content) ?? content).split('~')[0] ?? ''

function alike({ fresh, against }: EffectOf<'compare'>): Comparison {
  const same = against.find(({ content }) => classOf(content) === classOf(fresh.content))
  return same === undefined ? { kind: 'other' } : { kind: 'same', as: same.opinion }
}

/** Providers give these, in the order of their leases. */
function booth(contents: string[], more: Partial<BoothOptions> & Pick<BoothOptions, 'rules'>): Booth {
  return new Booth({ quorum: 2, result: (provider) => gives(named(contents[provider] ?? 'truth')), compare: alike, ...more })
}

const OTHER = { rules: { compare: program } }

test('results that a comparator finds alike are one answer, and the first of them is the content', () => {
  const done = booth(['truth~1', 'truth~2'], OTHER).vote().settle()
  assert.is(done.content, cidOf('truth~1'))
  assert.equal(done.ends, ['accepted', 'accepted'])
  assert.is(done.comparisons.length, 1)
  assert.ok(done.task.state.kind === 'done' && done.task.state.verified)
})

test('results with equal bytes need no comparator', () => {
  assert.is(booth(['truth~1', 'truth~1'], OTHER).vote().comparisons.length, 0)
})

test('who differs by the comparator is outvoted and remembered; each class is asked of once', () => {
  const done = booth(['lie', 'truth~1', 'truth~2'], OTHER).vote().settle()
  assert.is(done.content, cidOf('truth~1'))
  assert.equal(done.ends, ['rejected', 'accepted', 'accepted'])
  assert.equal([0, 1, 2].map((provider) => done.wrongs(provider)), [1, 0, 0])
  assert.equal(done.comparisons.map(({ against }) => against.length), [1, 2])
})

test('the vote waits for a comparison: nothing is leased and nothing decided before its answer', () => {
  let asked = 0
  const waits: Booth = booth(['truth~1', 'truth~2'], { ...OTHER, compare: (effect) => {
    asked++
    assert.is(waits.task.state.kind, 'active')
    assert.is(waits.task.attempts, 2)
    return alike(effect)
  } })
  waits.vote()
  assert.is(asked, 1)
})

test('a comparator that finds nothing alike condemns nobody: without a quorum there is no loser', () => {
  const open = booth(['a', 'b', 'c', 'd'], { ...OTHER, most: 4 }).vote().settle()
  assert.is(open.task.state.kind, 'active')
  assert.equal(open.ends, ['revealed', 'revealed', 'revealed', 'revealed'])
})

/** As a comparator that traps on garbage, and answers of everything else: who makes it trap alone is named. */
const trapsOnGarbage = (effect: EffectOf<'compare'>): Comparison => {
  const opinions = [effect.fresh, ...effect.against].filter(({ content }) => classOf(content).startsWith('garbage')).map(({ opinion }) => opinion)
  return opinions.length > 0 ? { kind: 'unsure', opinions, message: 'it trapped (unreachable): no frame here' } : alike(effect)
}

test('two that make the comparator fail end neither the job nor the task: they count for nothing, and others decide', () => {
  const done = booth(['garbage 1', 'garbage 2', 'truth~1', 'truth~2'], { ...OTHER, compare: trapsOnGarbage }).vote().settle()
  assert.is(done.error, undefined)
  assert.is(done.content, cidOf('truth~1'))
  assert.equal(done.ends, ['failed', 'failed', 'accepted', 'accepted'])
  assert.equal([done.wrongs(0), done.wrongs(1)], [0, 0])
  assert.equal([done.failures(0), done.failures(1), done.failures(2)], [1, 1, 0], 'like who does not hand its result over')
})

test('garbage that comes first, between or last takes nothing from what was found of the others', () => {
  for (const contents of [['garbage', 'truth~1', 'truth~2'], ['truth~1', 'garbage', 'truth~2'], ['truth~1', 'lie', 'garbage', 'truth~2']]) {
    const done = booth(contents, { ...OTHER, compare: trapsOnGarbage }).vote().settle()
    assert.is(done.content, cidOf('truth~1'))
    assert.ok(done.comparisons.every(({ against }) => against.length > 0))
    assert.equal(done.ends, contents.map((content) => content === 'garbage' ? 'failed' : content === 'lie' ? 'rejected' : 'accepted'))
  }
})

test('a comparator that can say of nobody fails the task after five payees, and the task alone, with its name and its own words', () => {
  const four = booth(Array.from({ length: 4 }, (_, i) => `garbage ${i}`), { ...OTHER, compare: trapsOnGarbage, most: 4 }).vote()
  assert.equal([four.task.state.kind, four.alone().task.state.kind], ['active', 'active'])
  const done = booth(Array.from({ length: 9 }, (_, i) => `garbage ${i}`), { ...OTHER, compare: trapsOnGarbage }).vote()
  assert.is(done.error, undefined, 'the job goes on')
  assert.ok(done.task.state.kind === 'failed' && done.task.state.error.code === 'E_COMPARE')
  assert.ok(done.task.state.error.message.includes(program.module) && /no frame here/.test(done.task.state.error.message), done.task.state.error.message)
  assert.equal(done.ends, Array.from({ length: 6 }, () => 'failed'))
  assert.ok([0, 1, 2, 3, 4, 5].every((provider) => done.wrongs(provider) === 0))
})

test('results that are each readable, and only together too much, agree with none; that condemns nobody, and six such end the task', () => {
  const heavy = (effect: EffectOf<'compare'>): Comparison => {
    const outcome = alike(effect)
    return outcome.kind === 'other' ? { ...outcome, doubt: 'it needs more than 1 GiB' } : outcome
  }
  const done = booth(['heavy', 'truth~1', 'truth~2'], { ...OTHER, compare: heavy }).vote().settle()
  assert.equal(done.ends, ['failed', 'accepted', 'accepted'])
  assert.is(done.wrongs(0), 0)
  const none = booth(['a', 'b', 'c', 'd', 'e', 'f'], { ...OTHER, compare: heavy }).vote()
  assert.ok(none.task.state.kind === 'failed' && /more than 1 GiB/.test(none.task.state.error.message), none.task.state.kind)
})

test('a result that nobody hands over counts for nothing, and another provider is asked', () => {
  const done = booth(['truth~1', 'truth~2', 'truth~3'], { ...OTHER, compare: (effect) => effect.fresh.content === cidOf('truth~2') ? { kind: 'lost', opinion: effect.fresh.opinion } : alike(effect) }).vote().settle()
  assert.equal(done.ends, ['accepted', 'failed', 'accepted'])
  assert.is(done.wrongs(1), 0)
})

test('when the first of a class is lost, what was found by it is asked again', () => {
  let lost = false
  const done = booth(['truth~1', 'lie', 'truth~2', 'truth~3'], { ...OTHER, compare: (effect) => {
    const [first] = effect.against
    if (!lost && effect.fresh.content === cidOf('truth~2') && first !== undefined) { lost = true; return { kind: 'lost', opinion: first.opinion } }
    return alike(effect)
  } }).vote().settle()
  assert.equal(done.ends, ['failed', 'rejected', 'accepted', 'accepted'])
  assert.is(done.content, cidOf('truth~2'))
})

test('when the first of a class is lost after others were found to equal it, they are a class without it', () => {
  let lost = false
  const done = booth(['truth~1', 'truth~2', 'truth~3', 'truth~4'], { ...OTHER, quorum: 3, compare: (effect) => {
    const [first] = effect.against
    if (!lost && effect.fresh.content === cidOf('truth~3') && first !== undefined) { lost = true; return { kind: 'lost', opinion: first.opinion } }
    return alike(effect)
  } }).vote().settle()
  assert.equal(done.ends, ['failed', 'accepted', 'accepted', 'accepted'])
  assert.is(done.content, cidOf('truth~2'))
})

test('news of a comparison that is not the one awaited changes nothing', () => {
  const waiting = booth(['a', 'b'], { ...OTHER, most: 2, compare: alike })
  waiting.tell({ opinion: 'nobody', against: [], outcome: { kind: 'other' } })
  waiting.vote()
  const deceived: Booth = booth(['truth~1', 'truth~2'], { ...OTHER, compare: (effect) => {
    deceived.tell({ opinion: effect.fresh.opinion, against: [], outcome: { kind: 'other' } })
    deceived.tell({ opinion: effect.fresh.opinion, against: [effect.fresh.opinion], outcome: { kind: 'same', as: effect.fresh.opinion } })
    return alike(effect)
  } })
  assert.equal(deceived.vote().settle().ends, ['accepted', 'accepted'], 'held against others than now')
  const before = JSON.stringify(waiting.task)
  const [asked] = waiting.comparisons
  assert.ok(asked)
  const against = asked.against.map(({ opinion }) => opinion)
  for (const outcome of [{ kind: 'same', as: against[0] ?? '' }, { kind: 'other' }, { kind: 'wrong' }, { kind: 'lost', opinion: asked.fresh.opinion }] as const) waiting.tell({ opinion: asked.fresh.opinion, against, outcome })
  assert.is(JSON.stringify(waiting.task), before)
})

test('a program that fails is compared by its bytes alone', () => {
  const failing = booth([], { ...OTHER, result: () => ({ ...gives('x'), status: 'trapped', trap: 'E_TRAP_UNREACHABLE' }) }).vote().settle()
  assert.is(failing.comparisons.length, 0)
  assert.is(failing.task.state.kind, 'failed')
})

test('a spot check is compared with the accepted answer by the comparator', () => {
  const honest = booth(['truth~1', 'truth~2', 'truth~3'], OTHER).vote().settle().check()
  assert.is(honest.ends[2], 'accepted')
  assert.equal(honest.comparisons.at(-1)?.against.map(({ content }) => content), [cidOf('truth~1')])
  const liar = booth(['truth~1', 'truth~2', 'lie'], OTHER).vote().settle().check()
  assert.is(liar.ends[2], 'rejected')
  assert.is(liar.wrongs(2), 1)
  const lost = booth(['truth~1', 'truth~2', 'truth~3'], { ...OTHER, compare: (effect) => effect.against[0]?.from.length === 0 ? { kind: 'unsure', opinions: [effect.fresh.opinion], message: 'no' } : alike(effect) }).vote().settle().check()
  assert.is(lost.ends[2], 'failed')
  assert.is(lost.wrongs(2), 0)
})

const judge = ({ fresh, against }: EffectOf<'compare'>): Comparison => {
  assert.is(against.length, 0)
  return { kind: classOf(fresh.content) === 'truth' ? 'right' : 'wrong' }
}
const VERIFIED = { rules: { compare: verifier }, quorum: 1, compare: judge }

test('one result that a verifier finds right is enough', () => {
  const done = booth(['truth~1'], VERIFIED).vote().settle()
  assert.equal(done.ends, ['accepted'])
  assert.ok(done.task.state.kind === 'done' && done.task.state.verified)
})

test('who a verifier finds wrong is asked for no more, and remembered when another is right', () => {
  const done = booth(['lie', 'truth~1'], VERIFIED).vote().settle()
  assert.equal(done.ends, ['rejected', 'accepted'])
  assert.equal([done.wrongs(0), done.wrongs(1)], [1, 0])
})

test('right results are one class, however they differ', () => {
  const done = booth(['truth~1', 'truth~2'], { ...VERIFIED, quorum: 2 }).vote().settle()
  assert.equal(done.ends, ['accepted', 'accepted'])
  assert.is(done.content, cidOf('truth~1'))
})

test('a verifier that is content with nobody fails the task and condemns nobody', () => {
  const done = booth(['a', 'b', 'c', 'd', 'e', 'f'], VERIFIED).vote()
  assert.ok(done.task.state.kind === 'failed' && done.task.state.error.code === 'E_COMPARE')
  assert.equal(done.ends, ['failed', 'failed', 'failed', 'failed', 'failed'])
  assert.ok([0, 1, 2, 3, 4].every((provider) => done.wrongs(provider) === 0))
})

const unsureOfOdd = (effect: EffectOf<'compare'>): Comparison => classOf(effect.fresh.content) === 'odd' ? { kind: 'unsure', opinions: [effect.fresh.opinion], message: 'it trapped (unreachable)' } : judge(effect)

test('a verifier that fails on some results is nobody\'s guilt: another provider is asked', () => {
  const done = booth(['odd~1', 'odd~2', 'odd~3', 'truth~1'], { ...VERIFIED, compare: unsureOfOdd }).vote().settle()
  assert.is(done.error, undefined)
  assert.equal(done.ends, ['failed', 'failed', 'failed', 'accepted'])
  assert.equal([done.wrongs(0), done.failures(0)], [0, 1])
})

test('a verifier that fails on the results of five payees fails the task, and not where another is right or nobody else can be had', () => {
  const odd = Array.from({ length: 5 }, (_, i) => `odd~${i}`)
  const done = booth(odd, { ...VERIFIED, compare: unsureOfOdd }).vote()
  assert.is(done.error, undefined)
  assert.ok(done.task.state.kind === 'failed' && done.task.state.error.code === 'E_COMPARE' && done.task.state.error.message.includes(verifier.module))
  const only = booth(['odd'], { ...VERIFIED, compare: unsureOfOdd, most: 1 }).vote().alone()
  assert.equal([only.error, only.task.state.kind], [undefined, 'active'])
  const both = booth(['truth', ...odd], { ...VERIFIED, quorum: 2, compare: unsureOfOdd, most: 6 }).vote().alone()
  assert.equal([both.error, both.task.state.kind], [undefined, 'active'])
})

/** Contents are `segment values, joined by -`; a run of one segment gives `#segment:value`. */
const parts = (content: string): string[] => (nameOf.get(content) ?? '').split('-')
const part = ({ content, segment }: { content: string, segment?: number }, at: number): string => segment === undefined ? parts(content)[at] ?? '' : (nameOf.get(content) ?? '').slice(3)
function bySegments({ fresh, against }: EffectOf<'compare'>): Comparison {
  const { segment } = fresh
  if (segment !== undefined) {
    const same = against.find((one) => part(one, segment) === part(fresh, segment))
    return same === undefined ? { kind: 'other' } : { kind: 'same', as: same.opinion }
  }
  const differs = parts(fresh.content).findIndex((value, i) => value !== parts(against[0]?.content ?? '')[i])
  return differs === -1 ? { kind: 'other' } : { kind: 'other', segment: differs }
}
const SEGMENTS = { rules: { segments: 4 }, compare: bySegments }
const saying = (wholes: string[], truth: string, lies: Record<number, string> = {}) => (provider: number, segment: number | undefined) =>
  gives(named(segment === undefined ? wholes[provider] ?? truth : `#${segment}:${lies[provider] ?? truth.split('-')[segment] ?? ''}`))

test('where two results differ in a segment, that segment alone is run again, and its result never becomes the content', () => {
  const done = booth([], { ...SEGMENTS, result: saying(['a-b-X-d', 'a-b-c-d'], 'a-b-c-d') }).vote().settle()
  assert.equal(done.segments, [undefined, undefined, 2])
  assert.equal(done.ends, ['rejected', 'accepted', 'accepted'])
  assert.is(done.content, cidOf('a-b-c-d'))
})

test('segment runs that a comparator fails on count for nothing, and after two the whole is run again', () => {
  const done = booth([], {
    rules: { compare: program, segments: 4 },
    compare: (effect) => classOf(effect.fresh.content).startsWith('#2:garbage') ? { kind: 'unsure', opinions: [effect.fresh.opinion], message: 'it trapped' } : bySegments(effect),
    result: (provider, segment) => gives(named(segment !== undefined ? `#2:garbage ${provider}` : provider === 0 ? 'a-b-X-d' : 'a-b-c-d'))
  }).vote().settle()
  assert.equal(done.segments, [undefined, undefined, 2, 2, undefined])
  assert.equal(done.ends, ['rejected', 'accepted', 'failed', 'failed', 'accepted'])
})

test('who lies about the segment too is a class of its own, and another decides', () => {
  const done = booth([], { ...SEGMENTS, result: saying(['a-b-c-d', 'X-b-c-d'], 'a-b-c-d', { 2: 'Y' }) }).vote().settle()
  assert.equal(done.segments, [undefined, undefined, 0, 0])
  assert.equal(done.ends, ['accepted', 'rejected', 'rejected', 'accepted'])
})

test('when two who ran the segment agree with neither, the whole is run again and may be what they said', () => {
  const done = booth([], { ...SEGMENTS, result: saying(['X-b-c-d', 'Y-b-c-d'], 'a-b-c-d') }).vote().settle()
  assert.equal(done.segments, [undefined, undefined, 0, 0, undefined])
  assert.equal(done.ends, ['rejected', 'rejected', 'accepted', 'accepted', 'accepted'])
  assert.is(done.content, cidOf('a-b-c-d'))
})

test('two who lie alike about the segment win nothing: nobody has the rest', () => {
  const done = booth([], { ...SEGMENTS, result: saying(['X-b-c-d', 'a-b-c-d'], 'a-b-c-d', { 2: 'Z', 3: 'Z' }) }).vote().settle()
  assert.equal(done.segments, [undefined, undefined, 0, 0, undefined, undefined])
  assert.equal(done.ends, ['rejected', 'accepted', 'rejected', 'rejected', 'accepted', 'accepted'])
})

test('the whole is run again where no segment differs', () => {
  const done = booth([], { ...SEGMENTS, compare: (effect) => effect.fresh.segment === undefined ? { kind: 'other' } : bySegments(effect), result: saying(['a-b-c-d~1', 'a-b-c-d'], 'a-b-c-d') }).vote().settle()
  assert.equal(done.segments, [undefined, undefined, undefined])
  assert.equal(done.ends, ['rejected', 'accepted', 'accepted'])
})

test('where enough results are equal nothing is compared, though another differs', () => {
  const done = booth([], { ...SEGMENTS, result: saying(['X-b-c-d'], 'a-b-c-d'), compare: () => ({ kind: 'other' }) }).vote().settle()
  assert.is(done.comparisons.length, 1, 'two that differ')
  assert.equal(done.ends, ['rejected', 'accepted', 'accepted'])
  assert.is(booth([], { ...SEGMENTS, result: saying([], 'a-b-c-d') }).vote().comparisons.length, 0)
})

test('a whole result with the bytes of a segment\'s run is not taken for it', () => {
  const done = booth([], { ...SEGMENTS, spread: 2, result: (provider, segment) => provider === 4 ? gives(named('#0:a')) : saying(['X-b-c-d', 'Y-b-c-d'], 'a-b-c-d')(provider, segment) }).vote().settle()
  assert.equal(done.segments.slice(0, 5), [undefined, undefined, 0, 0, undefined])
  assert.is.not(done.content, cidOf('#0:a'))
})

test('a provider is told its segment by its environment, and owes that segment\'s outputs alone', () => {
  const document = { ...documentOf(PLAIN_JOB, peerIdOf(0), 0), env: { A: '1' }, segments: 10, outputs: ['segment-1/a', 'segment-10/a', 'log'] }
  assert.equal(taskPlan(document, 0).env, { A: '1', HEARTH_SEGMENTS: '10', HEARTH_SEGMENT_FIRST: '0', HEARTH_SEGMENT_LAST: '9' })
  assert.equal(taskPlan(document, 0, 7).env, { A: '1', HEARTH_SEGMENTS: '10', HEARTH_SEGMENT_FIRST: '7', HEARTH_SEGMENT_LAST: '7' })
  assert.equal(outputsOf(document, undefined), document.outputs)
  assert.equal(outputsOf(document, 1), ['segment-1/a'])
})

test('a requester that comes back leases the same segment again to a host that never heard of it', () => {
  const hasher = countingHasher()
  const identityOf = (index: number): Identity => ({ peer: peerIdOf(index), address: addressOf(index), payee: addressOf(index), peerSignature: new Uint8Array(64), moneySignature: '' })
  const hardware = { cores: 1, memoryBytes: 1, diskBytes: 1, gpus: [] }
  const host = { ownerActive: false, minuteOfDay: 0, weekday: 0, diskFreeBytes: 1 }
  const requester = new Peer({
    self: { identity: identityOf(0), separator: new Uint8Array(32), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32 }, hasher, hardware, requester: { bidWindowMs: 1, maxProviders: 1 }, free: { allow: 'anyone', coreMsADay: 1 },
    policy: { enabled: false, paused: false, ...hardware, gpus: false, engines: ['wasm'], region: 'any', maxRunMs: 1, maxInputBytes: 1, allow: [], deny: [], hours: [], onlyWhenIdle: false, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 1 }
  })
  const [id, agreement] = [cidOf('job'), `0x${'ab'.repeat(32)}`]
  const terms: Agreement = {
    v: 1, job: id, requester: peerIdOf(0), provider: peerIdOf(1), requesterAddress: addressOf(0), providerAddress: addressOf(1), payee: addressOf(1), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32, programRoot: ZERO_BYTES32,
    initialRoot: ZERO_BYTES32, meterVersion: 0, attempt: 0, slots: 1, taskPriceWei: 0n, terms: { mode: 'free' }, createdWallMs: WALL_MS, expiresWallMs: WALL_MS + HOUR_MS
  }
  const replica: Replica = { agreement, provider: peerIdOf(1), payee: addressOf(1), attempt: 2, sinceMonoMs: 0, check: false, segment: 3, state: { kind: 'leased' } }
  requester.restore([
    [`job/${id}`, { v: 1, id, document: { ...documentOf(PLAIN_JOB, peerIdOf(0), 0), segments: 4, createdWallMs: WALL_MS }, createdWallMs: WALL_MS, offerRound: 1, begun: true, state: { kind: 'running' } }],
    [`deal/${agreement}`, { v: 1, id: agreement, job: id, provider: peerIdOf(1), payee: addressOf(1), agreement: terms, state: 'active' }],
    [`task/${id}/0`, { v: 1, job: id, task: { ...freshTask(0), attempts: 3, replicas: [replica] } }]
  ])
  const entropy = new Uint8Array(32)
  requester.handle({ kind: 'start', hardware, host }, { monoMs: 0, wallMs: WALL_MS }, entropy)
  const { effects } = requester.handle({ kind: 'message', from: peerIdOf(1), message: { kind: 'beat', agreement, running: [], suspended: false } }, { monoMs: 10_000, wallMs: WALL_MS + 10_000 }, entropy)
  const leases = effects.flatMap((effect) => effect.kind === 'send' && effect.message.kind === 'lease' ? effect.message.leases : [])
  assert.equal(leases, [{ task: 0, attempt: 2, segment: 3 }])
})

test.run()
