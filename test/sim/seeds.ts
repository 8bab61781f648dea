/**
 * More random worlds than CI has time for. The seed is printed first; a failure is made smaller and printed with the line
 * that replays it.
 *
 *   npm run sim:seeds -- --count 1000 --from 1
 *   npm run sim:seeds -- --count 1 --from 42 --trace
 *   npm run sim:seeds -- --count 1000 --paying     each seed's world with money, whether or not it has some by itself
 */
import { parseArgs } from 'node:util'
import { payingScenario, randomScenario } from '../../src/sim/random-scenario.ts'
import { replayLine, runWorld, shrink } from './explore.ts'

const { values } = parseArgs({ options: { count: { type: 'string', default: '200' }, from: { type: 'string', default: '1' }, trace: { type: 'boolean', default: false }, paying: { type: 'boolean', default: false } } })
const scenarioOf = values.paying ? payingScenario : randomScenario
const count = Number(values.count)
const from = Number(values.from)
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(from) || from < 0) {
  console.error('error E_USAGE: --count and --from are whole numbers\nhint: npm run sim:seeds -- --count 1000 --from 1')
  process.exit(2)
}
console.log(`seeds ${from} to ${from + count - 1}`)
const startedMs = performance.now()
let steps = 0
for (let seed = from; seed < from + count; seed++) {
  if (values.trace) console.log(JSON.stringify(scenarioOf(seed), undefined, 1))
  const outcome = runWorld(scenarioOf(seed), values.trace ? { sink: (line) => { console.log(line) } } : {})
  steps += outcome.stats.steps
  if (process.stderr.isTTY) process.stderr.write(`\r${seed - from + 1} of ${count}`)
  if (outcome.violation === undefined) continue
  const { checker, message, atMs } = outcome.violation
  console.log(`\nseed ${seed}: ${checker} at ${atMs} ms: ${message}\nreplay: ${replayLine(seed, values)}`)
  if (!values.trace) {
    const small = shrink(scenarioOf(seed), checker)
    console.log(`smallest world that still fails (${runWorld(small).violation?.message ?? ''}):\n${JSON.stringify(small)}`)
  }
  process.exit(1)
}
console.log(`${count} worlds held, ${steps} steps, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
