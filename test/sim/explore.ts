import { allCheckers } from '../../src/sim/checkers.ts'
import { randomScenario } from '../../src/sim/random-scenario.ts'
import type { Scenario } from '../../src/sim/scenario.ts'
import { World } from '../../src/sim/world.ts'
import type { Outcome, WorldOptions } from '../../src/sim/world.ts'

/** One world with every checker. The same scenario gives the same outcome, to the last message. */
export function runWorld(scenario: Scenario, options: Omit<WorldOptions, 'checkers'> = {}): Outcome {
  return new World(scenario, { checkers: allCheckers(), ...options }).run()
}

export function runSeed(seed: number, options: Omit<WorldOptions, 'checkers'> = {}): Outcome {
  return runWorld(randomScenario(seed), options)
}

/** The line that replays a failure. */
export function replayLine(seed: number, options: { paying?: boolean } = {}): string {
  return `npm run sim:seeds -- --count 1 --from ${seed}${options.paying === true ? ' --paying' : ''} --trace`
}

/** Smaller scenarios, each lacking one thing: a fault, a job, a failing task, a cheat, the losses of its network. */
function * smaller(scenario: Scenario): Generator<Scenario> {
  for (let i = 0; i < scenario.faults.length; i++) yield { ...scenario, faults: scenario.faults.toSpliced(i, 1) }
  if (scenario.jobs.length > 1) for (let i = 0; i < scenario.jobs.length; i++) yield { ...scenario, jobs: scenario.jobs.toSpliced(i, 1) }
  for (const [i, job] of scenario.jobs.entries()) if (job.tasks > 1) yield { ...scenario, jobs: scenario.jobs.with(i, { ...job, tasks: Math.ceil(job.tasks / 2), failing: job.failing.filter((index) => index < Math.ceil(job.tasks / 2)) }) }
  for (const [i, peer] of scenario.peers.entries()) if (peer.behaviour.kind !== 'honest') yield { ...scenario, peers: scenario.peers.with(i, { ...peer, behaviour: { kind: 'honest' } }) }
  if (scenario.link.loss > 0) yield { ...scenario, link: { ...scenario.link, loss: 0 } }
  if (scenario.link.duplicate > 0) yield { ...scenario, link: { ...scenario.link, duplicate: 0 } }
}

/** Takes things away for as long as the same checker still fails. At most `tries` worlds are run. */
export function shrink(scenario: Scenario, checker: string, tries = 200): Scenario {
  let smallest = scenario
  for (let left = tries, found = true; found && left > 0;) {
    found = false
    for (const candidate of smaller(smallest)) {
      if (left-- <= 0) break
      if (runWorld(candidate).violation?.checker !== checker) continue
      smallest = candidate
      found = true
      break
    }
  }
  return smallest
}
