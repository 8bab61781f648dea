/** A host's cards from the look for them to their return: what is offered, assigned, held and freed. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { NO_GPU } from '../../node/containers/gpu/assignment.ts'
import { gpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import type { GpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import { HostGpus } from '../../node/containers/gpu/host-gpus.ts'
import { Capacity } from '../../src/market/capacity.ts'
import { GIB, SECOND_MS } from '../../src/units.ts'
import { FakeGpus, UUID_A, UUID_B } from '../helpers/fake-gpu.ts'

const ENGINE = gpuEngine({ ServerVersion: '24', Runtimes: { nvidia: {} } }, false)
const BIG_LINE = `${UUID_A}, RTX 4090, 24576, 550, [N/A]\n`
const SMALL_LINE = `${UUID_B}, RTX 3060, 12288, 550, [N/A]\n`
const TABLE = '# gpu pid type sm mem enc dec fb command\n# Idx # C/G % % % % MB name\n'

interface Context { fake: FakeGpus, gpus: HostGpus, engine: GpuEngine | undefined, probed: string[], suspended: boolean }
const test = suite<Context>('gpu-host')
test.before.each((context) => {
  const fake = new FakeGpus()
  const probed: string[] = []
  Object.assign(context, { fake, probed, engine: ENGINE, suspended: false })
  context.gpus = new HostGpus({
    runner: { run: async ({ gpus }) => {
      const [uuid = ''] = gpus.deviceRequests.flatMap(({ DeviceIDs }) => DeviceIDs)
      probed.push(uuid)
      return { exitCode: 0, output: `node /dev/nvidia0\nnode /dev/nvidiactl\nnode /dev/nvidia-uvm\nGPU 0: x (UUID: ${uuid})\n` }
    } },
    engine: async () => context.engine, pids: async () => new Set([100]), suspended: () => context.suspended, detect: fake.options
  })
  see(fake, BIG_LINE + SMALL_LINE, '')
})
test.after.each(({ fake }) => { fake.remove() })

function see(fake: FakeGpus, cards: string, processes: string, busy = `${UUID_A}, 0\n${UUID_B}, 0\n`): void {
  fake.tool('nvidia-smi', { 'memory.total': { stdout: cards }, pmon: { stdout: TABLE + processes }, 'utilization.gpu': { stdout: busy } })
}
const models = (gpus: HostGpus): string[] => gpus.offered().map(({ model }) => model)
const wish = { vramBytes: 0, count: 1 }
const assigned = (outcome: ReturnType<HostGpus['assign']>): string[] => outcome.kind === 'assigned' ? [...outcome.gpus.cards] : [outcome.code]

test('cards are offered once proven, and a job without a wish gets none of them', async ({ gpus, probed }) => {
  assert.equal(models(gpus), [])
  await Promise.all([gpus.refresh(), gpus.refresh()])
  assert.equal(models(gpus), ['RTX 4090', 'RTX 3060'])
  assert.equal(probed, [UUID_A, UUID_B])
  assert.equal(gpus.assign('run', undefined, []), { kind: 'assigned', gpus: NO_GPU })
  assert.equal(gpus.status().map(({ state }) => state), ['free', 'free'])
})

test('without an engine no card is offered, and it is said why', async (context) => {
  context.engine = undefined
  await context.gpus.refresh()
  assert.equal(models(context.gpus), [])
  assert.equal(context.gpus.problems.map(({ code }) => code), ['E_GPU_ENGINE', 'E_GPU_ENGINE'])
  context.engine = ENGINE
  await context.gpus.refresh()
  assert.is(context.gpus.problems.length, 0)
})

test('what the core reserves and what runs get are the same cards', async ({ gpus }) => {
  await gpus.refresh()
  const capacity = new Capacity({ cores: 8, memoryBytes: 8 * GIB, diskBytes: 0, gpus: gpus.offered() })
  const each = { cores: 1, memoryBytes: GIB, diskBytes: 0, gpu: wish }
  for (const agreement of ['one', 'two']) capacity.reserve(agreement, 1, each)
  // the second's run begins first, and must not take the card that the first counts on
  assert.equal(assigned(gpus.assign('run of two', wish, capacity.cardsOf('two'))), [UUID_A])
  assert.equal(assigned(gpus.assign('run of one', wish, capacity.cardsOf('one'))), [UUID_B])
  assert.equal(assigned(gpus.assign('a third', wish, gpus.offered())), ['E_HOST_BUSY'])
  gpus.release('run of two')
  assert.equal(assigned(gpus.assign('a third', wish, gpus.offered())), [UUID_A])
})

test('a new look for cards leaves a leased one alone, and finds the one that was put in', async ({ gpus, fake, probed }) => {
  see(fake, BIG_LINE, '')
  await gpus.refresh()
  assert.equal(assigned(gpus.assign('run', wish, gpus.offered())), [UUID_A])
  see(fake, SMALL_LINE + BIG_LINE.replace('550', '555'), '')
  await gpus.refresh()
  assert.equal(probed, [UUID_A, UUID_B])
  assert.equal(gpus.offered().map(({ model, driver }) => `${model} ${driver}`), ['RTX 3060 550', 'RTX 4090 550'])
  gpus.release('run')
  await gpus.refresh()
  assert.equal(gpus.offered().map(({ driver }) => driver), ['550', '555'])
})

test('a run steps aside while the owner plays, and goes on after a minute of quiet', async ({ gpus, fake }) => {
  await gpus.refresh()
  gpus.assign('run', { vramBytes: 20 * GIB, count: 1 }, gpus.offered())
  see(fake, '', '0 100 C 95 1 - - 9000 job\n0 300 G 40 1 - - 3000 game\n')
  assert.equal(await gpus.look(0), { hold: [], go: [] })
  assert.equal(await gpus.look(5 * SECOND_MS), { hold: ['run'], go: [] })
  assert.equal(gpus.status().map(({ state }) => state), ['owner', 'free'])
  // its agreement stands, so the card stays on offer; one that the owner alone holds does not
  assert.equal(models(gpus), ['RTX 4090', 'RTX 3060'])
  assert.equal(await gpus.look(10 * SECOND_MS), { hold: [], go: [] })
  see(fake, '', '0 100 C - - - - 9000 job\n')
  await gpus.look(15 * SECOND_MS)
  assert.equal(await gpus.look(75 * SECOND_MS), { hold: [], go: ['run'] })
})

test('a card that its owner uses and no run holds is not offered, and no run gets it', async ({ gpus, fake }) => {
  await gpus.refresh()
  see(fake, '', '', `${UUID_A}, 70\n${UUID_B}, 0\n`)
  await gpus.look(0)
  await gpus.look(5 * SECOND_MS)
  assert.equal(models(gpus), ['RTX 3060'])
  assert.equal(assigned(gpus.assign('run', { vramBytes: 20 * GIB, count: 1 }, gpus.status().map(({ card }) => card))), ['E_HOST_BUSY'])
})

test('while everything is suspended a busy card is the owner\'s, and a held run that ends is forgotten', async (context) => {
  const { gpus, fake } = context
  await gpus.refresh()
  gpus.assign('run', { vramBytes: 20 * GIB, count: 1 }, gpus.offered())
  see(fake, '', '', `${UUID_A}, 70\n${UUID_B}, 0\n`)
  for (const now of [0, 5, 10]) assert.equal(await gpus.look(now * SECOND_MS), { hold: [], go: [] })
  context.suspended = true
  await gpus.look(15 * SECOND_MS)
  assert.equal(await gpus.look(20 * SECOND_MS), { hold: ['run'], go: [] })
  gpus.release('run')
  assert.equal(await gpus.look(25 * SECOND_MS), { hold: [], go: [] })
})

test.run()
