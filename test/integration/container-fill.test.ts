/** Inputs that nobody needs any more are brought no further. */
import { truncateSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { RunInput } from '../../node/sandbox/run-spec.ts'
import { MIB } from '../../src/units.ts'
import { dropImage, makeImage, openContainers, testEngine, type ContainerBench } from '../helpers/engine.ts'
import { EngineRelay } from '../helpers/engine-relay.ts'

const TAG = `fill-${process.pid}`
/** Far more than what lies in sockets' buffers when somebody hangs up. */
const BIG_BYTES = 256 * MIB
const engine = await testEngine(import.meta.filename)

if (engine !== undefined) {
  let relay: EngineRelay
  let bench: ContainerBench
  let inputs: RunInput[]
  const spoiled = new Set<string>()
  test.before(async () => {
    relay = await EngineRelay.open(engine)
    bench = await openContainers(relay.client, await makeImage(engine, TAG), {
      alter: ({ Labels, HostConfig }) => { if (spoiled.has((Labels as Record<string, string>)['hearth.run'] ?? '')) HostConfig['Memory'] = 1 }
    })
    const hostPath = bench.file('big', '')
    truncateSync(hostPath, BIG_BYTES)
    inputs = [{ path: 'big', hostPath, sizeBytes: BIG_BYTES }]
  })
  test.before.each(() => { relay.uploadedBytes = 0 })
  test.after(async () => {
    await bench.close()
    await relay.close()
    await dropImage(engine, TAG)
  })
  const left = async (): Promise<string[]> => [...await engine.containersBy(`hearth.node=${bench.node}`), ...(await engine.volumesBy(`hearth.node=${bench.node}`)).filter(({ Name }) => !Name.endsWith('-tools'))].map((each) => 'Id' in each ? each.Id : each.Name)

  test('a run that is cancelled while its inputs are copied ends the copying', async () => {
    const abort = new AbortController()
    relay.onUpload = () => { abort.abort() }
    const { outcome } = await bench.sh('true', { inputs, signal: abort.signal })
    assert.is(outcome.kind === 'abstained' && outcome.code, 'E_CONTAINER_CANCELLED')
    await bench.sandbox.settled()
    assert.ok(relay.uploadedBytes < BIG_BYTES / 2, `${relay.uploadedBytes} bytes`)
    assert.equal(await left(), [])
  })

  test('a container that the engine refuses ends the copying of its inputs, and the reason is the engine\'s', async () => {
    spoiled.add('spoiled')
    const { outcome } = await bench.sh('true', { inputs, runId: 'spoiled' })
    assert.is(outcome.kind === 'abstained' && outcome.code, 'E_CONTAINER_REFUSED')
    await bench.sandbox.settled()
    assert.ok(relay.uploadedBytes < BIG_BYTES / 2, `${relay.uploadedBytes} bytes`)
    assert.equal(await left(), [])
  })
}

test.run()
