/** What a real engine was asked for, by its own inspect: one card, several, none, CDI, AMD; and what it says without a toolkit. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EngineClient } from '../../node/containers/engine-client.ts'
import { assignCards, NO_GPU } from '../../node/containers/gpu/assignment.ts'
import type { CardAccess, GpuAssignment } from '../../node/containers/gpu/assignment.ts'
import { gpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import type { GpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import type { FoundCard } from '../../node/containers/gpu/found.ts'
import { ownPids } from '../../node/containers/gpu/own-pids.ts'
import { GpuProber } from '../../node/containers/gpu/probe.ts'
import { sandboxProbe } from '../../node/containers/gpu/sandbox-probe.ts'
import { containerSettings } from '../../node/containers/settings.ts'
import { settingsDiffering } from '../../node/containers/settings-check.ts'
import { GIB } from '../../src/units.ts'
import { dropImage, makeImage, openContainers, printed, specOf, testEngine } from '../helpers/engine.ts'
import type { ContainerBench } from '../helpers/engine.ts'
import { UUID_A, UUID_B } from '../helpers/fake-gpu.ts'

const TAG = 'gpu'
const TOOLS = `hearth-test-gpu-${process.pid}`
const HOSTILE_IMAGE = ['ENV NVIDIA_VISIBLE_DEVICES=all', 'ENV NVIDIA_DRIVER_CAPABILITIES=all', 'ENV NVIDIA_REQUIRE_CUDA=cuda>=12.0', 'ENV AMD_VISIBLE_DEVICES=all']
const HOSTILE_ENV = { JOB: 'a', NVIDIA_VISIBLE_DEVICES: 'all', NVIDIA_DRIVER_CAPABILITIES: 'all' }

interface Asked { DeviceRequests: unknown, Devices: unknown, GroupAdd: unknown, env: unknown }

const found = await testEngine(import.meta.filename)
if (found !== undefined) run(found)
test.run()

function run(engine: EngineClient): void {
  let bench: ContainerBench
  test.before(async () => { bench = await openContainers(engine, await makeImage(engine, TAG, { changes: HOSTILE_IMAGE })) })
  test.after(async () => {
    await bench.close()
    await dropImage(engine, TAG)
    await engine.removeVolume(TOOLS)
  })

  /** Created, and never started: an engine checks cards when it starts a container, and there are none here. */
  const inspected = async (gpus: GpuAssignment): Promise<Asked> => {
    const settings = containerSettings(specOf(bench.imageId, { env: HOSTILE_ENV, gpus }), ['true'], await engine.image(bench.imageId), { cgroupVersion: 1, mapsUsers: false }, { node: TOOLS, uid: 64_321, toolsVolume: TOOLS, seccomp: '{"defaultAction":"SCMP_ACT_ALLOW"}' })
    const { id } = await engine.createContainer(`${TOOLS}-inspected`, settings)
    try {
      const inspected = await engine.inspect(id)
      assert.equal(settingsDiffering(settings, inspected), [])
      const { DeviceRequests, Devices, GroupAdd } = inspected.HostConfig
      return { DeviceRequests, Devices, GroupAdd, env: inspected.Config['Env'] }
    } finally {
      await engine.remove(id)
    }
  }
  const leased = (...accesses: CardAccess[]): GpuAssignment => assignCards(accesses.map((access, index) => ({ id: `card ${index}`, access })))
  const request = (Driver: string, DeviceIDs: string[], Capabilities: unknown): unknown => ({ Driver, Count: 0, DeviceIDs, Capabilities, Options: {} })

  test('one card is asked for by its UUID', async () => {
    const seen = await inspected(leased({ kind: 'nvidia', uuid: UUID_A }))
    assert.equal(seen.DeviceRequests, [request('nvidia', [UUID_A], [['gpu', 'compute', 'utility']])])
    // a bare name makes the engine drop the image's variable
    assert.equal(seen.env, ['NVIDIA_REQUIRE_CUDA', 'AMD_VISIBLE_DEVICES', 'HOME=/tmp', 'JOB=a', `NVIDIA_VISIBLE_DEVICES=${UUID_A}`, 'NVIDIA_DRIVER_CAPABILITIES=compute,utility', 'PATH=/bin'])
  })

  test('several cards are asked for by their UUIDs, in one request', async () => {
    assert.equal((await inspected(leased({ kind: 'nvidia', uuid: UUID_A }, { kind: 'nvidia', uuid: UUID_B }))).DeviceRequests, [request('nvidia', [UUID_A, UUID_B], [['gpu', 'compute', 'utility']])])
  })

  test('a job without a card asks for none, and says so to whatever runtime there is', async () => {
    const { DeviceRequests, Devices, GroupAdd, env } = await inspected(NO_GPU)
    assert.equal([DeviceRequests ?? [], Devices ?? [], GroupAdd ?? []], [[], [], []])
    assert.equal(env, ['NVIDIA_DRIVER_CAPABILITIES', 'NVIDIA_REQUIRE_CUDA', 'AMD_VISIBLE_DEVICES', 'HOME=/tmp', 'JOB=a', 'NVIDIA_VISIBLE_DEVICES=void', 'PATH=/bin'])
  })

  test('a CDI device is asked for by its name', async () => {
    const seen = await inspected(leased({ kind: 'cdi', device: `nvidia.com/gpu=${UUID_A}` }))
    assert.equal(seen.DeviceRequests, [request('cdi', [`nvidia.com/gpu=${UUID_A}`], [])])
  })

  test('an AMD card is asked for by its nodes and their groups', async () => {
    const seen = await inspected(leased({ kind: 'nodes', nodes: ['/dev/kfd', '/dev/dri/renderD129'], groups: [44, 104] }))
    assert.equal(seen.Devices, ['/dev/kfd', '/dev/dri/renderD129'].map((node) => ({ PathOnHost: node, PathInContainer: node, CgroupPermissions: 'rw' })))
    assert.equal(seen.GroupAdd, ['44', '104'])
    assert.equal(seen.DeviceRequests, [])
  })

  test('what a job and its image say of cards is not there when the job looks', async () => {
    const lines = printed(await bench.sh('env', { env: HOSTILE_ENV })).split('\n')
    assert.ok(lines.includes('JOB=a'))
    assert.equal(lines.filter((line) => /NVIDIA|AMD/.test(line)), ['NVIDIA_VISIBLE_DEVICES=void'])
  })

  test('the processes of jobs are known by their ids on the host, another node\'s too; nobody else\'s are', async () => {
    const node = `${TOOLS}-pids`
    const all = [[node, { 'hearth.node': node }], ['another', { 'hearth.node': 'another' }], ['owners', {}]] as const
    const [ours, theirs, others] = await Promise.all(all.map(async ([name, Labels]) => (await engine.createContainer(`${TOOLS}-${name}`, { Image: bench.imageId, Cmd: ['sh', '-c', 'sleep 600 & exec sleep 600'], Labels, HostConfig: { NetworkMode: 'none' } })).id))
    const { id: idle } = await engine.createContainer(`${TOOLS}-idle`, { Image: bench.imageId, Cmd: ['true'], Labels: { 'hearth.node': node }, HostConfig: { NetworkMode: 'none' } })
    try {
      for (const id of [ours, theirs, others]) await engine.start(id ?? '')
      const pids = await ownPids(engine)
      const pidOf = async (id = ''): Promise<number> => Number((await engine.inspect(id) as { State: { Pid?: number } }).State.Pid)
      for (const id of [ours, theirs]) assert.ok(pids.has(await pidOf(id)))
      assert.not.ok(pids.has(await pidOf(others)))
      assert.ok([...pids].every((pid) => pid > 1))
    } finally {
      for (const id of [ours, theirs, others, idle]) await engine.remove(id ?? '')
    }
  })

  const NVIDIA: FoundCard = { id: UUID_A, index: 0, card: { vendor: 'nvidia', model: 'GeForce RTX 4090', vramBytes: 24 * GIB, driver: '550' } }
  const AMD: FoundCard = { id: 'AMD-1', index: 0, card: { vendor: 'amd', model: 'Radeon RX 7900', vramBytes: 24 * GIB, driver: '6' }, nodes: ['/dev/kfd', '/dev/dri/renderD129'], groups: [44] }

  test('a host whose engine lacks the toolkit, CDI or the nodes does not advertise the card, and says what is missing', async () => {
    const plain: GpuEngine = { ...gpuEngine(await engine.info(), false), cdiDevices: [], readsCdi: false }
    const prober = new GpuProber(sandboxProbe(bench.sandbox, bench.imageId))
    const prove = async (card: FoundCard, change: Partial<GpuEngine>): Promise<string[]> => {
      const { cards, problems } = await prober.prove({ cards: [card], problems: [], wsl: false }, { ...plain, ...change })
      assert.equal(cards, [])
      return problems.flatMap(({ code, message, hint }) => [code, message, hint])
    }
    const [toolkit, missing, hint = ''] = await prove(NVIDIA, {})
    assert.equal([toolkit, missing], ['E_GPU_TOOLKIT', 'GeForce RTX 4090 is there, but the NVIDIA container toolkit is missing'])
    assert.match(hint, /Install nvidia-container-toolkit.*restart Docker/)
    assert.is((await prove(NVIDIA, { podman: true }))[0], 'E_GPU_CDI')
    const [nodes, message = ''] = await prove(AMD, {})
    assert.is(nodes, 'E_GPU_NODES')
    assert.match(message, '/dev/kfd')
  })
}
