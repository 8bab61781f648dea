/** Leased cards as the engine is asked for them, who holds which, and what a probe must show. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { assignCards, containerEnv, NO_GPU, steersGpu } from '../../node/containers/gpu/assignment.ts'
import type { GpuAssignment } from '../../node/containers/gpu/assignment.ts'
import type { DetectedGpus } from '../../node/containers/gpu/detect.ts'
import { accessCandidates, engineRefusal, gpuEngine } from '../../node/containers/gpu/engine-gpus.ts'
import type { FoundCard } from '../../node/containers/gpu/found.ts'
import { GpuLeases } from '../../node/containers/gpu/leases.ts'
import type { LocalCard } from '../../node/containers/gpu/leases.ts'
import { GpuProber, readProof } from '../../node/containers/gpu/probe.ts'
import type { GpuCard, GpuRequest } from '../../src/documents/resources.ts'
import { GIB } from '../../src/units.ts'
import { UUID_A, UUID_B } from '../helpers/fake-gpu.ts'

const card = (vendor: GpuCard['vendor'], model: string, gib: number): GpuCard => ({ vendor, model, vramBytes: gib * GIB, driver: '550' })
const BIG: FoundCard = { id: UUID_A, index: 0, card: card('nvidia', 'RTX 4090', 24) }
const SMALL: FoundCard = { id: UUID_B, index: 1, card: card('nvidia', 'RTX 3060', 12) }
const RADEON: FoundCard = { id: 'AMD-1', index: 0, card: card('amd', 'RX 7900', 24), nodes: ['/dev/kfd', '/dev/dri/renderD129'], groups: [104, 44] }
const local = ({ id, card: one }: FoundCard): LocalCard => ({ id, card: one, access: { kind: 'nvidia', uuid: id } })

test('cards are asked for by their own identity, never by number', () => {
  const one = assignCards([{ id: UUID_A, access: { kind: 'nvidia', uuid: UUID_A } }])
  assert.equal(one, {
    cards: [UUID_A], deviceRequests: [{ Driver: 'nvidia', Count: 0, DeviceIDs: [UUID_A], Capabilities: [['gpu', 'compute', 'utility']], Options: {} }], devices: [], groups: [],
    env: { NVIDIA_VISIBLE_DEVICES: UUID_A, NVIDIA_DRIVER_CAPABILITIES: 'compute,utility' }
  })
  const cdi = assignCards([{ id: UUID_A, access: { kind: 'cdi', device: `nvidia.com/gpu=${UUID_A}` } }])
  assert.equal(cdi.deviceRequests, [{ Driver: 'cdi', Count: 0, DeviceIDs: [`nvidia.com/gpu=${UUID_A}`], Capabilities: [], Options: {} }])
  // the engine's default runtime may be NVIDIA's, which would hand out cards on its own beside CDI
  assert.is(cdi.env['NVIDIA_VISIBLE_DEVICES'], 'void')
  const two = assignCards([{ id: UUID_A, access: { kind: 'nvidia', uuid: UUID_A } }, { id: UUID_B, access: { kind: 'nvidia', uuid: UUID_B } }])
  assert.equal(two.deviceRequests.map(({ DeviceIDs }) => DeviceIDs), [[UUID_A, UUID_B]])
})

test('an AMD card is its own render node, the common node once, and their groups', () => {
  const amd = assignCards([
    { id: 'a', access: { kind: 'nodes', nodes: RADEON.nodes ?? [], groups: RADEON.groups ?? [] } },
    { id: 'b', access: { kind: 'nodes', nodes: ['/dev/kfd', '/dev/dri/renderD130'], groups: [104] } }
  ])
  assert.equal(amd.devices.map(({ PathOnHost, PathInContainer, CgroupPermissions }) => `${PathOnHost} ${PathInContainer} ${CgroupPermissions}`), ['/dev/kfd /dev/kfd rw', '/dev/dri/renderD129 /dev/dri/renderD129 rw', '/dev/dri/renderD130 /dev/dri/renderD130 rw'])
  assert.equal(amd.groups, ['104', '44'])
  assert.equal(amd.deviceRequests, [])
})

test('neither job nor image chooses cards: their variables are dropped, and a job without a card gets none', () => {
  const image = ['PATH=/bin', 'NVIDIA_VISIBLE_DEVICES=all', 'NVIDIA_REQUIRE_CUDA=cuda>=12', 'AMD_VISIBLE_DEVICES=all', 'NVIDIA_DRIVER_CAPABILITIES=all']
  assert.equal(containerEnv({ A: '1', NVIDIA_VISIBLE_DEVICES: 'all', nvidia_visible_devices: 'all', NVIDIA_DRIVER_CAPABILITIES: 'all', DOCKER_RESOURCE_GPU: '0', AMD_VISIBLE_DEVICES: 'all' }, image, NO_GPU), ['NVIDIA_REQUIRE_CUDA', 'AMD_VISIBLE_DEVICES', 'NVIDIA_DRIVER_CAPABILITIES', 'A=1', 'NVIDIA_VISIBLE_DEVICES=void'])
  assert.equal(containerEnv({ NVIDIA_VISIBLE_DEVICES: 'all' }, image, assignCards([local(SMALL)])), ['NVIDIA_REQUIRE_CUDA', 'AMD_VISIBLE_DEVICES', `NVIDIA_VISIBLE_DEVICES=${UUID_B}`, 'NVIDIA_DRIVER_CAPABILITIES=compute,utility'])
  assert.ok(steersGpu('NVIDIA_ANYTHING') && !steersGpu('MY_NVIDIA') && !steersGpu('CUDA_CACHE_PATH'))
  assert.throws(() => containerEnv({ 'AMD_VISIBLE_DEVICES=all': '1' }, [], NO_GPU), /cannot be set/)
})

const wish = (change: Partial<GpuRequest> = {}): GpuRequest => ({ vramBytes: 0, count: 1, ...change })
const ids = (outcome: ReturnType<GpuLeases['lease']>): string[] => outcome.kind === 'leased' ? outcome.cards.map(({ id }) => id) : [outcome.code]

test('a card belongs to one run at a time, and comes free at its end', () => {
  const leases = new GpuLeases([local(BIG), local(SMALL)])
  const large = wish({ vramBytes: 20 * GIB })
  assert.equal(ids(leases.lease('first', large)), [UUID_A])
  assert.equal(leases.lease('second', large), { kind: 'refused', code: 'E_HOST_BUSY', message: '1 GPU (20 GiB VRAM) wanted, but RTX 4090 24 GiB is in use' })
  assert.equal(ids(leases.lease('first', large)), [UUID_A])
  assert.is(leases.holder(UUID_A), 'first')
  leases.release('first')
  assert.equal(ids(leases.lease('second', large)), [UUID_A])
})

test('a run gets the smallest card that fits, as many as it asks, or none at all', () => {
  const leases = new GpuLeases([local(BIG), local(SMALL)])
  assert.equal(ids(leases.lease('a', wish({ vramBytes: 8 * GIB }))), [UUID_B])
  assert.equal(ids(leases.lease('two', wish({ count: 2 }))), ['E_HOST_BUSY'])
  assert.equal(leases.free().map(({ id }) => id), [UUID_A])
  assert.equal(leases.lease('b', wish({ vendor: 'amd' })), { kind: 'refused', code: 'E_FIT_GPU', message: 'needs 1 GPU (amd), has RTX 4090 24 GiB, RTX 3060 12 GiB' })
  assert.equal(ids(new GpuLeases().lease('x', wish())), ['E_FIT_GPU'])
})

test('a run takes only what its agreement holds, so that another\'s card is there when its run begins', () => {
  const leases = new GpuLeases([local(BIG), local(SMALL)])
  assert.equal(ids(leases.lease('a', wish(), [BIG.card])), [UUID_A])
  assert.equal(ids(leases.lease('b', wish(), [SMALL.card])), [UUID_B])
})

test('a container that outlived its node keeps its card until it is gone', () => {
  const leases = new GpuLeases([local(BIG)])
  leases.occupy('of an earlier life', [UUID_A, 'a card that was taken out'])
  assert.equal(ids(leases.lease('new', wish())), ['E_HOST_BUSY'])
  assert.equal(leases.reconcile(new Set(['of an earlier life'])), [])
  assert.equal(leases.reconcile(new Set()), ['of an earlier life'])
  assert.equal(ids(leases.lease('new', wish())), [UUID_A])
})

const LEGACY = gpuEngine({ ServerVersion: '20.10.24', OperatingSystem: 'Debian', Runtimes: { runc: {}, nvidia: {} } }, false)
const NAMES_CDI = gpuEngine({ ServerVersion: '28.3.0', Runtimes: {}, CDISpecDirs: ['/etc/cdi'], DiscoveredDevices: [{ Source: 'cdi', ID: 'nvidia.com/gpu=0' }, { Source: 'cdi', ID: `nvidia.com/gpu=${UUID_A}` }, { Source: 'other', ID: 'nvidia.com/gpu=1' }] }, false)
const names = (found: FoundCard, engine: typeof LEGACY, wsl = false, alone = false): string[] => accessCandidates(found, engine, { wsl, alone }).map((access) => access.kind === 'nvidia' ? access.uuid : access.kind === 'cdi' ? access.device : access.nodes.join())

test('each engine is asked in the way it knows', () => {
  assert.equal(names(BIG, LEGACY), [UUID_A])
  assert.equal(names(BIG, NAMES_CDI), [`nvidia.com/gpu=${UUID_A}`, UUID_A])
  assert.equal(names(SMALL, NAMES_CDI), [UUID_B])
  assert.equal(names(BIG, gpuEngine({ CDISpecDirs: ['/etc/cdi'] }, true)), [`nvidia.com/gpu=${UUID_A}`, 'nvidia.com/gpu=0'])
  assert.equal(names(BIG, gpuEngine({ CDISpecDirs: [] }, false), true, true), [UUID_A, 'all'])
  assert.equal(names(BIG, gpuEngine({}, false), true, false), [UUID_A])
  assert.equal(names(RADEON, LEGACY), ['/dev/kfd,/dev/dri/renderD129'])
  assert.equal(names(RADEON, gpuEngine({ OperatingSystem: 'Docker Desktop' }, false)), [])
  for (const odd of [undefined, null, 'x', { Runtimes: 3, DiscoveredDevices: [{}], CDISpecDirs: 'x' }]) assert.is(gpuEngine(odd, false).readsCdi, false)
})

const NODES = 'node /dev/nvidia0\nnode /dev/nvidiactl\nnode /dev/nvidia-uvm\n'
const lists = (...uuids: string[]): string => uuids.map((uuid, index) => `GPU ${index}: NVIDIA GeForce RTX 4090 (UUID: ${uuid})\n`).join('')
const SURE = { wsl: false, sure: true }
const UNSURE = { wsl: false, sure: false }
const PROOFS: [name: string, output: string, found: FoundCard, at: typeof SURE, result: string][] = [
  ['the card by its UUID', NODES + lists(UUID_A), BIG, UNSURE, 'proven'],
  ['its nodes, where the tool cannot run', `${NODES}/bin/sh: nvidia-smi: not found`, BIG, SURE, 'proven'],
  ['nodes alone, when it was asked for by number', NODES, BIG, UNSURE, 'E_GPU_PROBE'],
  ['another card', NODES + lists(UUID_B), BIG, SURE, 'E_GPU_SHARED'],
  ['a second card', NODES + lists(UUID_A, UUID_B), BIG, SURE, 'E_GPU_SHARED'],
  ['a second card\'s node', `${NODES}node /dev/nvidia1\n`, BIG, SURE, 'E_GPU_SHARED'],
  ['nothing', '', BIG, SURE, 'E_GPU_PROBE'],
  ['the words of a job that only prints a UUID', lists(UUID_A), BIG, SURE, 'E_GPU_PROBE'],
  ['a card without memory management', 'node /dev/nvidia0\nnode /dev/nvidiactl\n', BIG, SURE, 'E_GPU_PROBE'],
  ['a node that the job may not open', `${NODES}closed /dev/nvidia-uvm`, BIG, SURE, 'E_GPU_NODES'],
  ['WSL2\'s device', `node /dev/dxg\n${lists(UUID_A)}`, BIG, { wsl: true, sure: true }, 'proven'],
  ['all cards of WSL2', `node /dev/dxg\n${lists(UUID_A, UUID_B)}`, BIG, { wsl: true, sure: true }, 'E_GPU_SHARED'],
  ['AMD\'s nodes', 'node /dev/kfd\nnode /dev/dri/renderD129\n', RADEON, SURE, 'proven'],
  ['another AMD card\'s node too', 'node /dev/kfd\nnode /dev/dri/renderD129\nnode /dev/dri/renderD128\n', RADEON, SURE, 'E_GPU_SHARED'],
  ['AMD\'s card without the common node', 'node /dev/dri/renderD129\n', RADEON, SURE, 'E_GPU_PROBE']
]
for (const [name, output, found, at, result] of PROOFS) {
  test(`a probe that shows ${name}: ${result}`, () => {
    const proof = readProof(output, found, at)
    assert.is(proof.kind === 'proven' ? 'proven' : proof.code, result)
  })
}

function detected(cards: FoundCard[]): DetectedGpus {
  return { cards, problems: [], wsl: false }
}

test('a proof holds until driver or engine change; a failure is tried again', async () => {
  const asked: GpuAssignment[] = []
  let works = false
  const prober = new GpuProber({ run: async ({ gpus }) => {
    asked.push(gpus)
    if (!works) throw new Error('(HTTP code 500) server error - could not select device driver "nvidia" with capabilities: [[gpu compute utility]] ')
    return { exitCode: 0, output: NODES + lists(UUID_A) }
  } })
  const refused = await prober.prove(detected([BIG]), LEGACY)
  assert.equal(refused.cards, [])
  assert.is(refused.problems[0]?.code, 'E_GPU_TOOLKIT')
  assert.match(refused.problems[0]?.message ?? '', 'RTX 4090 is there, but the NVIDIA container toolkit is missing')
  assert.match(refused.problems[0]?.hint ?? '', 'nvidia-container-toolkit')
  works = true
  for (const engine of [LEGACY, LEGACY]) assert.equal((await prober.prove(detected([BIG]), engine)).cards, [local(BIG)])
  assert.is(asked.length, 2)
  await prober.prove(detected([{ ...BIG, card: { ...BIG.card, driver: '555' } }]), LEGACY)
  await prober.prove(detected([BIG]), { ...LEGACY, version: '21' })
  assert.is(asked.length, 4)
  assert.ok(asked.every(({ deviceRequests }) => deviceRequests.every(({ Count, DeviceIDs }) => Count === 0 && DeviceIDs.length === 1)))
})

test('when the first way fails the next is tried, and a card that leaks others is not lent', async () => {
  const prober = new GpuProber({ run: async ({ gpus }) => {
    const [id = ''] = gpus.deviceRequests.flatMap(({ DeviceIDs }) => DeviceIDs)
    if (id.startsWith('nvidia.com')) throw new Error('CDI device injection failed: unresolvable CDI devices nvidia.com/gpu')
    return { exitCode: 0, output: NODES + (id === UUID_A ? lists(UUID_A) : lists(UUID_A, UUID_B)) }
  } })
  const { cards, problems } = await prober.prove(detected([BIG, SMALL]), NAMES_CDI)
  assert.equal(cards, [local(BIG)])
  assert.equal(problems.map(({ code }) => code), ['E_GPU_SHARED'])
})

const WORDS: [engineSays: string, code: string][] = [
  ['could not select device driver "nvidia" with capabilities: [[gpu]]', 'E_GPU_TOOLKIT'],
  ['CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0', 'E_GPU_CDI'],
  ['nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted', 'E_GPU_TOOLKIT'],
  ['nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown', 'E_GPU_DRIVER'],
  ['error gathering device information while adding custom device "/dev/kfd": no such file or directory', 'E_GPU_NODES'],
  ['something else', 'E_GPU_PROBE']
]
for (const [engineSays, code] of WORDS) test(`the engine's words become ${code}: ${engineSays.slice(0, 60)}`, () => { assert.is(engineRefusal('RTX 4090', 'nvidia', engineSays).code, code) })

test.run()
