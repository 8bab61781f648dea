/** Worlds whose results are compared by a program, in parts, or judged by a verifier: power cuts at any moment, and who pays for a lie. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { StoredRecord } from '../../src/core/effect.ts'
import { leaseKey } from '../../src/job/lease.ts'
import type { PeerHistory } from '../../src/reputation/history.ts'
import { SENDER_PREFIX } from '../../src/payment/sender.ts'
import type { SenderRecord } from '../../src/payment/sender.ts'
import { PEER_PREFIX } from '../../src/reputation/history.ts'
import { allCheckers } from '../../src/sim/checkers.ts'
import { putTasks } from '../../src/sim/checkers/records.ts'
import type { Checker } from '../../src/sim/observation.ts'
import { gwei } from '../../src/sim/computer.ts'
import { freeScenario } from '../../src/sim/random-scenario.ts'
import { RICH } from '../../src/sim/scenario.ts'
import type { Fault, JobSpec, PaymentSpec, PeerSpec, Scenario } from '../../src/sim/scenario.ts'
import { World } from '../../src/sim/world.ts'
import { MINUTE_MS } from '../../src/units.ts'

/** Random ones in which every job is compared in parts. */
const WORLDS = 20
const REQUESTER = 0
const LIAR = 1
const HONEST = 2

const peer: PeerSpec = { behaviour: { kind: 'honest' }, lends: true, cores: 2, skewMs: 0, onlyWhenIdle: false }
const job: JobSpec = {
  requester: REQUESTER, atMs: 2000, tasks: 2, quorum: 2, replicas: 2, adaptive: false, spotCheckShare: 0, retries: 1, selection: 'fastest', cores: 1, runMs: 400,
  limits: { queueMs: 20 * MINUTE_MS, runMs: MINUTE_MS, totalMs: 30 * MINUTE_MS, logBytes: 0 }, failing: []
}
const KINDS = { 'a comparator and segments': { compare: 'program', segments: 5, tasks: 5 }, 'segments alone': { segments: 5 }, 'a verifier': { compare: 'verifier', quorum: 1, replicas: 1, tasks: 6 } } as const satisfies Record<string, Partial<JobSpec>>

const payment: PaymentSpec = {
  unitMs: 500, coreHourGwei: 3_600_000, holdback: 3000, refund: 5000, maxCostShare: 1000, bondShares: 4, ticketLifeSec: 1200, redemptionGwei: 100,
  chain: { blockMs: 1000, confirmations: 2, delaySec: 3600, graceSec: 60 }
}

function scenario(spec: Partial<JobSpec>, faults: Fault[] = []): Scenario {
  return {
    // with a verifier one voice is enough: few hosts, so that the liar has one
    seed: 5, peers: [{ ...peer, lends: false }, { ...peer, behaviour: { kind: 'liar', share: 1 } }, peer, ...spec.compare === 'verifier' ? [] : [peer, peer]], jobs: [{ ...job, ...spec }],
    link: { minMs: 1, maxMs: 20, loss: 0, duplicate: 0, ordered: true }, faults, healAtMs: 60_000, commitMs: 0, codecs: true
  }
}

interface Seen { effects: number[], /** Who ran a segment last. */ runner: number, compared: number, segments: number, rejected: Set<string> }

/** What a peer does in each step, and what becomes of the liar. */
function watched(index: number): { seen: Seen, observer: Checker } {
  const seen: Seen = { effects: [], runner: HONEST, compared: 0, segments: 0, rejected: new Set() }
  const observer: Checker = {
    name: 'observer',
    observe(observation) {
      if (observation.kind === 'stepped' && observation.computer.index === index) {
        seen.effects[observation.number] = observation.step.effects.length
        if (observation.event.kind === 'compared') seen.compared++
      }
      if (observation.kind === 'performed') {
        const { effect } = observation
        if (effect.kind === 'run' && effect.segment !== undefined) { seen.segments++; seen.runner = observation.computer.index }
        if (effect.kind === 'send' && effect.message.kind === 'verdict' && effect.message.verdict === 'rejected') seen.rejected.add(leaseKey(effect.message))
      }
      return undefined
    }
  }
  return { seen, observer }
}

/** Whatever is sent again or begins again: a lease is of that part of its task, or of the whole, that its requester has on record. */
function samePart(): Checker {
  const parts = new Map<string, number | undefined>()
  const isSame = (key: string, segment: number | undefined): boolean => !parts.has(key) || parts.get(key) === segment
  return {
    name: 'same part',
    observe(observation) {
      if (observation.kind === 'committed') for (const { task } of putTasks(observation.writes)) for (const { agreement, attempt, segment } of task.replicas) parts.set(leaseKey({ agreement, task: task.index, attempt }), segment)
      if (observation.kind !== 'performed') return undefined
      const { effect } = observation
      if (effect.kind === 'run') return isSame(leaseKey(effect.lease), effect.segment) ? undefined : `${leaseKey(effect.lease)} was run as another part than it was leased for`
      if (effect.kind !== 'send' || effect.message.kind !== 'lease') return undefined
      const { agreement, leases } = effect.message
      return leases.every(({ segment, ...ref }) => isSame(leaseKey({ agreement, ...ref }), segment)) ? undefined : `${agreement}: a lease was sent again as of another part`
    }
  }
}

for (const [what, spec] of Object.entries(KINDS)) {
  // their power cuts are the same
  if (what === 'segments alone') continue
  for (const [name, decides] of [['requester', false], ['host that decides', true]] as const) {
    test(`a job with ${what} completes exactly once, and no honest host is blamed, when its ${name} loses power at any commit or effect`, () => {
      const first = watched(REQUESTER)
      new World(scenario(spec), { checkers: [first.observer] }).run()
      const index = decides ? first.seen.runner : REQUESTER
      const { seen, observer } = watched(index)
      const calm = new World(scenario(spec), { checkers: [observer, ...allCheckers()] }).run()
      assert.is(calm.violation, undefined)
      assert.ok(index !== REQUESTER || seen.compared > 0, 'nothing was compared')
      assert.ok(!('segments' in spec) || seen.segments > 0, 'no segment was run alone')
      assert.ok(seen.rejected.size > 0, 'nobody was caught')
      let worlds = 0
      for (const [step, effects] of seen.effects.entries()) {
        // every other place, each step beginning at the other
        for (let keep = -1 + step % 2; keep <= effects; keep += 2) {
          const outcome = new World(scenario(spec, [{ kind: 'crash-at-step', peer: index, step, downMs: 50, keep }]), { checkers: [samePart(), ...allCheckers()] }).run()
          const where = `power cut at step ${step} of the ${name}, ${keep === -1 ? 'before its commit' : `after its commit and ${keep} effects`}`
          assert.is(outcome.violation, undefined, `${where}: ${outcome.violation?.checker}: ${outcome.violation?.message}`)
          assert.is(outcome.stats.jobsDone, 1, where)
          worlds++
        }
      }
      console.log(`${worlds} power cuts of the ${name}, ${seen.compared} comparisons, ${seen.segments} segment runs`)
      assert.ok(worlds > 20, `only ${worlds} places to cut`)
    })
  }
}

test('leases that were lost, or that a restart begins again, are of the same part as ever', () => {
  let segments = 0
  for (let seed = 1; seed <= WORLDS; seed++) {
    const random = freeScenario(seed)
    const { seen, observer } = watched(REQUESTER)
    const lossy = { ...random, link: { ...random.link, loss: 0.2 }, jobs: random.jobs.map((one) => ({ ...one, compare: 'program' as const, segments: 5, quorum: 2, replicas: 2, failing: [] })) }
    const { violation } = new World({ ...lossy, peers: random.peers.map((one, i) => i === 0 ? { ...one, behaviour: { kind: 'liar', share: 0.5 }, lends: true } : one) }, { checkers: [observer, samePart(), ...allCheckers()] }).run()
    assert.is(violation, undefined, `seed ${seed}: ${violation?.checker}: ${violation?.message}`)
    segments += seen.segments
  }
  assert.ok(segments > WORLDS, `only ${segments} segments were run alone`)
})

for (const [what, spec] of Object.entries(KINDS)) {
  test(`who loses a vote by ${what} forfeits what was held back and its history, and nobody's bond is touched`, () => {
    const world = new World({ ...scenario({ ...spec, runMs: 4000, tasks: 6 }), payment }, { checkers: allCheckers() })
    const outcome = world.run()
    assert.is(outcome.violation, undefined, outcome.violation?.message)
    assert.is(outcome.stats.jobsDone, 1)
    const [requester, liar] = [world.computers[REQUESTER]!, world.computers[LIAR]!]
    const records = requester.disk.records()
    const of = (provider: string): SenderRecord[] => records.flatMap(([key, value]) => key.startsWith(SENDER_PREFIX) ? [value as StoredRecord & SenderRecord] : []).filter((sender) => sender.provider === provider)
    const lies = of(liar.id)
    assert.ok(lies.length > 0 && lies.every(({ work }) => work.accepted === 0), 'a lie was paid in full')
    assert.ok(lies.some(({ work }) => work.unsettled + work.failed > 0), 'the liar worked for nothing')
    assert.ok(world.computers.slice(HONEST).some(({ id }) => of(id).some(({ work }) => work.accepted > 0)), 'nobody honest was paid in full')
    const histories = new Map(records.flatMap(([key, value]) => key.startsWith(PEER_PREFIX) ? [[key.slice(PEER_PREFIX.length), value as StoredRecord & PeerHistory] as const] : []))
    assert.ok([...histories].some(([id, { wrong }]) => id === liar.id && wrong > 0))
    assert.ok([...histories].every(([id, { wrong }]) => id === liar.id || wrong === 0))
    for (const { address } of world.computers) assert.is(world.chain?.confirmed.after.balance(address).bondWei, gwei(RICH.bondGwei))
  })
}

test.run()
