/** Whose a card is: what others do on it, and when a run steps aside or goes on. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { FoundCard } from '../../node/containers/gpu/found.ts'
import { parseComputeApps, parsePmon, parseRocmPids } from '../../node/containers/gpu/gpu-processes.ts'
import { claimAfter, OWNER_USE_RULES, UNCLAIMED } from '../../node/containers/gpu/owner-use.ts'
import type { CardClaim, CardUse } from '../../node/containers/gpu/owner-use.ts'
import { OwnerWatch } from '../../node/containers/gpu/owner-watch.ts'
import { GIB, MIB, SECOND_MS } from '../../src/units.ts'
import { FakeGpus, UUID_A, UUID_B } from '../helpers/fake-gpu.ts'

const test = suite<{ fake: FakeGpus }>('gpu-owner-use')
test.before.each((context) => { context.fake = new FakeGpus() })
test.after.each(({ fake }) => { fake.remove() })

const VRAM = 12 * GIB
const idle: CardUse = { busyPercent: 1, computeBytes: 0 }
const game: CardUse = { busyPercent: 90, computeBytes: 0 }
/** One look every five seconds; the kinds of claim after each. */
function over(uses: (CardUse | undefined)[], from: CardClaim = UNCLAIMED): string {
  let claim = from
  return uses.map((use, index) => (claim = claimAfter(claim, use, VRAM, index * 5 * SECOND_MS)).kind[1] === 'u' ? '.' : 'O').join('')
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)

test('a game takes the card at its second look, and gives it back after a minute of quiet', () => {
  assert.is(over([idle, game, game, game, ...times(14, idle)]), '..OOOOOOOOOOOOOO..')
})

test('one short burst moves nobody, and neither does a desktop that redraws', () => {
  assert.is(over([idle, game, idle, game, idle, game, idle]), '.......')
  assert.is(over(times(20, { busyPercent: 14, computeBytes: 0 })), '.'.repeat(20))
})

test('a pause in a game shorter than a minute, or a little use, gives nothing back', () => {
  assert.is(over([game, game, ...times(11, idle), game, ...times(12, idle)]), `.${'O'.repeat(25)}`)
  assert.is(over([game, game, ...times(20, { busyPercent: 8, computeBytes: 0 })]), `.${'O'.repeat(21)}`)
})

test('a program that computes and holds memory is use even while it thinks; a little memory is not', () => {
  assert.is(over(times(4, { busyPercent: 0, computeBytes: 2 * GIB })), '.OOO')
  assert.is(over(times(4, { busyPercent: 0, computeBytes: 100 * MIB })), '....')
  assert.is(claimAfter(UNCLAIMED, { busyPercent: undefined, computeBytes: 0 }, 0, 0).kind, 'ours')
})

test('a look that tells nothing changes nothing', () => {
  assert.is(over([game, undefined, game, undefined, undefined, ...times(30, undefined)]).slice(0, 5), '..OOO')
  assert.is(over([game, game, ...times(30, undefined)]), `.${'O'.repeat(31)}`)
  assert.ok(OWNER_USE_RULES.quietPercent < OWNER_USE_RULES.busyPercent)
})

test('the table of processes is read by its header, whatever the driver\'s columns', () => {
  const recent = '# gpu         pid   type     sm    mem    enc    dec    jpg    ofa     fb   ccpm    command\n# Idx           #    C/G      %      %      %      %      %      %     MB     MB    name\n    0       1673   C+G      2      0      -      -      -      -    277      0    kwin_wayland\n    0    2959442     C     81     40      -      -      -      -   9085      0    blender --back\n    0    2959442     C     79     38      -      -      -      -   9085      0    blender --back\n    1          -     -      -      -      -      -      -      -      -      -    -\n'
  assert.equal(parsePmon(recent), [
    { card: 0, pid: 1673, busyPercent: 2, memoryBytes: 277 * MIB, compute: false },
    { card: 0, pid: 2959442, busyPercent: 81, memoryBytes: 9085 * MIB, compute: true }
  ])
  assert.equal(parsePmon('# gpu   pid  type    sm   mem   enc   dec    fb   command\n# Idx     #   C/G     %     %     %     %    MB   name\n    0  1234     G    33     1     -     -   512   game\n'), [{ card: 0, pid: 1234, busyPercent: 33, memoryBytes: 512 * MIB, compute: false }])
  assert.is(parsePmon('Not supported on the device(s)\n'), undefined)
  assert.equal(parseComputeApps(`77, 3000, ${UUID_A}\n78, [N/A], ${UUID_B}\n[Insufficient Permissions], 1, ${UUID_A}\n`).map(({ pid, memoryBytes }) => [pid, memoryBytes]), [[77, 3000 * MIB], [78, 0]])
  assert.equal(parseRocmPids('{"system": {"PID4242": "python3, with comma, 1, 2147483648, 0, 12", "No KFD PIDs": "x"}}').map(({ pid, memoryBytes }) => [pid, memoryBytes]), [[4242, 2 * GIB]])
  assert.equal(parseRocmPids('No JSON data to report'), [])
})

const A: FoundCard = { id: UUID_A, index: 0, card: { vendor: 'nvidia', model: 'RTX 3060', vramBytes: VRAM, driver: '550' } }
const B: FoundCard = { ...A, id: UUID_B, index: 1 }
const TABLE = '# gpu pid type sm mem enc dec fb command\n# Idx # C/G % % % % MB name\n'

test('our own run on a card is not its owner\'s use, another program on it is', async ({ fake }) => {
  const busy = { stdout: `${UUID_A}, 95\n${UUID_B}, 0\n` }
  let ours = new Set([100])
  const watch = new OwnerWatch({ pids: async () => ours, working: () => new Set([UUID_A]) }, fake.options)
  fake.tool('nvidia-smi', { pmon: { stdout: `${TABLE}0 100 C 95 1 - - 9000 job\n0 200 G 3 1 - - 300 Xorg\n1 - - - - - - - -\n` }, 'utilization.gpu': busy })
  for (const now of [0, 5]) assert.equal(await watch.look([A, B], now * SECOND_MS), { taken: [], freed: [] })
  fake.tool('nvidia-smi', { pmon: { stdout: `${TABLE}0 100 C 60 1 - - 9000 job\n0 300 G 40 1 - - 3000 game\n` }, 'utilization.gpu': busy })
  await watch.look([A, B], 10 * SECOND_MS)
  assert.equal(await watch.look([A, B], 15 * SECOND_MS), { taken: [UUID_A], freed: [] })
  assert.equal(watch.owners, [UUID_A])
  ours = new Set([100, 300])
  await watch.look([A, B], 20 * SECOND_MS)
  assert.equal(await watch.look([A, B], 80 * SECOND_MS), { taken: [], freed: [UUID_A] })
})

test('while our run is paused all that happens on the card is the owner\'s', async ({ fake }) => {
  const watch = new OwnerWatch({ pids: async () => new Set([100]), working: () => new Set() }, fake.options)
  // Windows and WSL2 show no table of processes
  fake.tool('nvidia-smi', { pmon: { stdout: 'Not supported on the device(s)\n', exitCode: 3 }, 'utilization.gpu': { stdout: `${UUID_A}, 70\n` }, 'compute-apps': { stdout: '' } })
  await watch.look([A], 0)
  assert.equal(await watch.look([A], 5 * SECOND_MS), { taken: [UUID_A], freed: [] })
})

test('without word of our own processes, or from the driver, nobody loses a card', async ({ fake }) => {
  fake.tool('nvidia-smi', { pmon: { stdout: `${TABLE}0 100 C 95 1 - - 9000 job\n` }, 'utilization.gpu': { stdout: `${UUID_A}, 95\n` } })
  const blind = new OwnerWatch({ pids: async () => { throw new Error('the engine is away') }, working: () => new Set([UUID_A]) }, fake.options)
  for (const now of [0, 5, 10]) assert.equal(await blind.look([A], now * SECOND_MS), { taken: [], freed: [] })
  fake.tool('nvidia-smi', { '': { stdout: 'NVIDIA-SMI has failed', exitCode: 9 } })
  const deaf = new OwnerWatch({ pids: async () => new Set(), working: () => new Set([UUID_A]) }, fake.options)
  for (const now of [0, 5, 10]) assert.equal(await deaf.look([A], now * SECOND_MS), { taken: [], freed: [] })
})

test('a run that is paused or begins during a look makes the look worthless', async ({ fake }) => {
  fake.tool('nvidia-smi', { pmon: { stdout: TABLE }, 'utilization.gpu': { stdout: `${UUID_A}, 95\n` } })
  let asked = 0
  const watch = new OwnerWatch({ pids: async () => new Set(), working: () => asked++ % 2 === 0 ? new Set() : new Set([UUID_A]) }, fake.options)
  for (const now of [0, 5, 10]) assert.equal(await watch.look([A], now * SECOND_MS), { taken: [], freed: [] })
})

test('on AMD cards other programs that compute are seen, and how busy a card is while we rest', async ({ fake }) => {
  fake.pci({ slot: '0000:03:00.0', vendor: '0x1002', renderNode: 'renderD128', files: { gpu_busy_percent: '80' } })
  fake.tool('rocm-smi', { '': { stdout: '{"system": {"PID5": "blender, 1, 4294967296, 0, 3"}}' } })
  const card: FoundCard = { id: 'AMD-1', index: 0, card: { vendor: 'amd', model: 'RX', vramBytes: VRAM, driver: '6' }, nodes: ['/dev/kfd', '/dev/dri/renderD128'], groups: [] }
  const own = (pids: number[], working: string[]): OwnerWatch => new OwnerWatch({ pids: async () => new Set(pids), working: () => new Set(working) }, fake.options)
  for (const [watch, taken] of [[own([5], ['AMD-1']), []], [own([], ['AMD-1']), ['AMD-1']], [own([5], []), ['AMD-1']]] as const) {
    await watch.look([card], 0)
    assert.equal((await watch.look([card], 5 * SECOND_MS)).taken, taken)
  }
})

test.run()
