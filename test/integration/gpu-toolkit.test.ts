/** Cards as the driver's side sees them: a real engine of our own with a pretended toolkit that notes who holds which card. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EngineClient } from '../../node/containers/engine-client.ts'
import { assignCards, NO_GPU } from '../../node/containers/gpu/assignment.ts'
import type { GpuAssignment } from '../../node/containers/gpu/assignment.ts'
import { detectGpus } from '../../node/containers/gpu/detect.ts'
import type { DetectedGpus } from '../../node/containers/gpu/detect.ts'
import { gpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import type { GpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import { GpuLeases } from '../../node/containers/gpu/leases.ts'
import { GpuProber, PROBE_COMMAND } from '../../node/containers/gpu/probe.ts'
import { sandboxProbe } from '../../node/containers/gpu/sandbox-probe.ts'
import { GIB } from '../../src/units.ts'
import { makeImage, openContainers, printed, testEngine, textOf } from '../helpers/engine.ts'
import type { ContainerBench } from '../helpers/engine.ts'
import { FakeGpus, UUID_A, UUID_B } from '../helpers/fake-gpu.ts'
import { cannotStartEngine, FakeGpuEngine } from '../helpers/fake-gpu-engine.ts'

const missing = cannotStartEngine()
if (missing !== undefined) console.log(`NOT RUN: graphics cards on an engine of its own: ${missing}`)
else if (await testEngine(import.meta.filename) !== undefined) run()
test.run()

function run(): void {
  let fake: FakeGpuEngine
  let engine: EngineClient
  let bench: ContainerBench
  let said: GpuEngine
  let detected: DetectedGpus
  test.before(async () => {
    const tools = new FakeGpus()
    tools.tool('nvidia-smi', { '': { stdout: `${UUID_A}, NVIDIA GeForce RTX 4090, 24564, 550.54.14, [N/A]\n${UUID_B}, NVIDIA GeForce RTX 3060, 12288, 550.54.14, [N/A]\n` } })
    detected = await detectGpus(tools.options)
    tools.remove()
    fake = await FakeGpuEngine.start({ [UUID_A]: 0, [UUID_B]: 1 })
    engine = fake.client
    bench = await openContainers(engine, await makeImage(engine, 'gpu', { changes: ['ENV NVIDIA_VISIBLE_DEVICES=all'] }))
    said = gpuEngine(await engine.info(), false)
  })
  test.after(async () => {
    await bench.close()
    await fake.stop()
  })

  /** A job that goes on until it is told to end; resolves when it has begun. Its end resolves when its container is gone. */
  const begin = async (gpus: GpuAssignment): Promise<() => Promise<void>> => {
    const cancel = new AbortController()
    const begun = Promise.withResolvers<void>()
    const ended = bench.sh('echo begun; exec sleep 600', { gpus, signal: cancel.signal, onLog: () => { begun.resolve() } })
    await Promise.race([begun.promise, ended.then(({ outcome }) => { throw new Error(JSON.stringify(outcome)) })])
    return async () => {
      cancel.abort()
      await ended
      await bench.sandbox.settled()
    }
  }
  const given = (): string[][] => fake.records.filter(({ kind }) => kind === 'begin').map(({ cards }) => cards)

  test('each card is proven in a container of its own, and advertised without its UUID', async () => {
    const before = given().length
    const { cards, problems } = await new GpuProber(sandboxProbe(bench.sandbox, bench.imageId)).prove(detected, said)
    assert.equal(problems, [])
    assert.equal(cards.map(({ id, access }) => [id, access]), [UUID_A, UUID_B].map((uuid) => [uuid, { kind: 'nvidia', uuid }]))
    assert.not.match(JSON.stringify(cards.map(({ card }) => card)), /GPU-/)
    assert.equal(given().slice(before), [[UUID_A], [UUID_B]])
  })

  test('a toolkit that hands out more than the card that was asked for is found out', async () => {
    fake.leak(true)
    try {
      const { cards, problems } = await new GpuProber(sandboxProbe(bench.sandbox, bench.imageId)).prove(detected, said)
      assert.equal(cards, [])
      assert.equal(problems.map(({ code }) => code), ['E_GPU_SHARED', 'E_GPU_SHARED'])
    } finally {
      fake.leak(false)
    }
  })

  test('NVIDIA_VISIBLE_DEVICES=all in image and job gives a job without a card none, even where the runtime of NVIDIA is the default', async () => {
    const seen = await bench.sh(PROBE_COMMAND[2] ?? '', { gpus: NO_GPU, env: { NVIDIA_VISIBLE_DEVICES: 'all', NVIDIA_DRIVER_CAPABILITIES: 'all' } })
    assert.is(textOf(seen, 'stdout'), '')
    assert.equal(given().at(-1), [])
    // that this means something: the same image, asked for by somebody else, has both cards
    const { id } = await engine.createContainer('bare', { Image: bench.imageId, Cmd: ['true'], HostConfig: { NetworkMode: 'none' } })
    await engine.start(id)
    await engine.remove(id)
    assert.equal(given().at(-1), [UUID_A, UUID_B])
  })

  test('of two jobs that race for one card one gets it, and the other when that has ended: the driver never sees both', async () => {
    const { cards } = await new GpuProber(sandboxProbe(bench.sandbox, bench.imageId)).prove(detected, said)
    const leases = new GpuLeases(cards)
    const wish = { vramBytes: 20 * GIB, count: 1 }
    const race = await Promise.all(['first', 'second'].map(async (name) => {
      const lease = leases.lease(name, wish)
      return lease.kind === 'leased' ? { name, end: await begin(assignCards(lease.cards)) } : { name, code: lease.code }
    }))
    assert.equal(race.map((one) => 'code' in one ? one.code : 'runs'), ['runs', 'E_HOST_BUSY'])
    // the other card is free all the while, for who can do with it
    const small = leases.lease('third', { vramBytes: 0, count: 1 })
    assert.equal(small.kind === 'leased' && small.cards.map(({ id }) => id), [UUID_B])
    const endSmall = await begin(assignCards(small.kind === 'leased' ? small.cards : []))
    for (const { name, end } of race) if (end !== undefined) await end().then(() => { leases.release(name) })
    const again = leases.lease('second', wish)
    assert.equal(again.kind === 'leased' && again.cards.map(({ id }) => id), [UUID_A])
    const end = await begin(assignCards(again.kind === 'leased' ? again.cards : []))
    await Promise.all([end(), endSmall()])
    assert.equal(fake.shared, [])
  })

  test('two cards of one job are two nodes in its container, and their names', async () => {
    const lines = printed(await bench.sh(PROBE_COMMAND[2] ?? '', { gpus: assignCards([UUID_A, UUID_B].map((uuid) => ({ id: uuid, access: { kind: 'nvidia', uuid } }))) })).split('\n')
    assert.equal(lines.filter((line) => /nvidia\d|UUID/.test(line)).length, 4)
  })

  test('the record tells when two containers do hold one card', async () => {
    const gpus = assignCards([{ id: UUID_A, access: { kind: 'nvidia', uuid: UUID_A } }])
    const ends = [await begin(gpus), await begin(gpus)]
    for (const end of ends) await end()
    assert.equal(fake.shared, [UUID_A])
  })
}
