/** Power cuts, enumerated: before and after every commit and after every effect of a small job, one at a time, on requester and provider. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { allCheckers } from '../../src/sim/checkers.ts'
import type { Checker } from '../../src/sim/observation.ts'
import type { Fault, JobSpec, PaymentSpec, PeerSpec, Scenario } from '../../src/sim/scenario.ts'
import { World } from '../../src/sim/world.ts'
import { MINUTE_MS } from '../../src/units.ts'

const REQUESTER = 0
const PROVIDER = 1

const peer: PeerSpec = { behaviour: { kind: 'honest' }, lends: true, cores: 2, skewMs: 0, onlyWhenIdle: false }
const job: JobSpec = {
  requester: REQUESTER, atMs: 2000, tasks: 6, quorum: 2, replicas: 2, adaptive: false, spotCheckShare: 0, retries: 1, selection: 'fastest', cores: 1, runMs: 400,
  limits: { queueMs: 20 * MINUTE_MS, runMs: MINUTE_MS, totalMs: 30 * MINUTE_MS, logBytes: 0 }, failing: []
}

const payment: PaymentSpec = {
  unitMs: 500, coreHourGwei: 3_600_000, holdback: 3000, refund: 5000, maxCostShare: 1000, bondShares: 4, ticketLifeSec: 1200, redemptionGwei: 100,
  chain: { blockMs: 1000, confirmations: 2, delaySec: 3600, graceSec: 60 }
}

function scenario(faults: Fault[], commitMs: number): Scenario {
  return {
    seed: 5, peers: [{ ...peer, lends: false }, peer, { ...peer, cores: 3 }, peer], jobs: [job],
    link: { minMs: 1, maxMs: 20, loss: 0, duplicate: 0, ordered: true }, faults, healAtMs: 60_000, commitMs, codecs: false
  }
}

/** Three tasks of three units, each paid while it runs, with about one winner in three tickets. */
function payingScenario(faults: Fault[]): Scenario {
  return { ...scenario(faults, 0), jobs: [{ ...job, tasks: 3, runMs: 1400, steady: true }], payment }
}

/** How many effects each step of a peer has in the world without a crash. */
function effectsBySteps(index: number, calm: Scenario): number[] {
  const counts: number[] = []
  const observer: Checker = {
    name: 'observer',
    observe(observation) {
      if (observation.kind === 'stepped' && observation.computer.index === index) counts[observation.number] = observation.step.effects.length
      return undefined
    }
  }
  assert.is(new World(calm, { checkers: [observer, ...allCheckers()] }).run().violation, undefined)
  return counts
}

for (const [name, index] of [['requester', REQUESTER], ['provider', PROVIDER]] as const) {
  for (const [how, downMs, commitMs] of [['comes back at once', 50, 0], ['stays away for half a minute', 30_000, 0], ['comes back at once and writes its disk in batches', 50, 30]] as const) {
    test(`a job completes exactly once when its ${name} loses power at any commit or effect and ${how}`, () => {
      let worlds = 0
      for (const [step, effects] of effectsBySteps(index, scenario([], commitMs)).entries()) {
        for (let keep = -1; keep <= effects; keep++) {
          const outcome = new World(scenario([{ kind: 'crash-at-step', peer: index, step, downMs, keep }], commitMs), { checkers: allCheckers() }).run()
          const where = `power cut at step ${step} of the ${name}, ${keep === -1 ? 'before its commit' : `after its commit and ${keep} effects`}`
          assert.is(outcome.violation, undefined, `${where}: ${outcome.violation?.checker}: ${outcome.violation?.message}`)
          assert.is(outcome.stats.jobsDone, 1, where)
          worlds++
        }
      }
      console.log(`${worlds} power cuts of the ${name}`)
      assert.ok(worlds > 80, `only ${worlds} places to cut`)
    })
  }
}

for (const [name, index] of [['requester', REQUESTER], ['provider', PROVIDER]] as const) {
  test(`a paying job completes once, and no money is lost, when its ${name} loses power at any commit or effect`, () => {
    let [worlds, winners] = [0, 0]
    for (const [step, effects] of effectsBySteps(index, payingScenario([])).entries()) {
      for (let keep = -1; keep <= effects; keep++) {
        const world = new World(payingScenario([{ kind: 'crash-at-step', peer: index, step, downMs: 50, keep }]), { checkers: allCheckers() })
        const outcome = world.run()
        const where = `power cut at step ${step} of the ${name}, ${keep === -1 ? 'before its commit' : `after its commit and ${keep} effects`}`
        assert.is(outcome.violation, undefined, `${where}: ${outcome.violation?.checker}: ${outcome.violation?.message}`)
        assert.is(outcome.stats.jobsDone, 1, where)
        for (const { creditWei } of world.chain?.confirmed.after.accounts.values() ?? []) if (creditWei > 0n) winners++
        worlds++
      }
    }
    console.log(`${worlds} power cuts of the ${name}, ${winners} hosts that won`)
    assert.ok(worlds > 200, `only ${worlds} places to cut`)
    assert.ok(winners > worlds, 'too few winners to show anything')
  })
}

test.run()
