/** Which cards a computer has, as far as tools tell, and what is said of those that cannot be lent. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gpuCard } from '../../src/documents/resources.ts'
import { parseRocmSmi } from '../../node/containers/gpu/amd.ts'
import { detectGpus } from '../../node/containers/gpu/detect.ts'
import type { DetectedGpus } from '../../node/containers/gpu/detect.ts'
import { parseNvidiaCards } from '../../node/containers/gpu/nvidia.ts'
import { askTool } from '../../node/containers/gpu/tool.ts'
import { GIB, MIB } from '../../src/units.ts'
import { FakeGpus, UUID_A, UUID_B } from '../helpers/fake-gpu.ts'

const test = suite<{ fake: FakeGpus }>('gpu-detect')
test.before.each((context) => { context.fake = new FakeGpus() })
test.after.each(({ fake }) => { fake.remove() })

const codes = ({ problems }: DetectedGpus): string[] => problems.map(({ code }) => code)

test('two NVIDIA cards are found with their UUIDs, names, memory and driver', async ({ fake }) => {
  fake.tool('nvidia-smi', { 'mig.mode.current': { stdout: `${UUID_A}, NVIDIA GeForce RTX 4090, 24564, 550.54.14, [N/A]\n${UUID_B}, NVIDIA GeForce RTX 3060, 12288, 550.54.14, [N/A]\n` } })
  const found = await detectGpus(fake.options)
  assert.equal(found.problems, [])
  assert.equal(found.cards, [
    { id: UUID_A, index: 0, card: { vendor: 'nvidia', model: 'NVIDIA GeForce RTX 4090', vramBytes: 24564 * MIB, driver: '550.54.14' } },
    { id: UUID_B, index: 1, card: { vendor: 'nvidia', model: 'NVIDIA GeForce RTX 3060', vramBytes: 12288 * MIB, driver: '550.54.14' } }
  ])
  assert.is(readFileSync(fake.callsOf('nvidia-smi'), 'utf8').trim(), '--query-gpu=uuid,name,memory.total,driver_version,mig.mode.current --format=csv,noheader,nounits')
})

test('a driver too old for MIG is asked without it', async ({ fake }) => {
  fake.tool('nvidia-smi', { 'mig.mode': { stdout: 'Field "mig.mode.current" is not a valid field to query.\n', exitCode: 2 }, '': { stdout: `${UUID_A}, GeForce GTX 1080, 8119, 418.39\n` } })
  const { cards, problems } = await detectGpus(fake.options)
  assert.equal(problems, [])
  assert.is(cards[0]?.card.model, 'GeForce GTX 1080')
  assert.is(cards[0]?.card.driver, '418.39')
})

test('a computer without tools and cards has no cards and no problems', async ({ fake }) => {
  assert.equal(await detectGpus(fake.options), { cards: [], problems: [], wsl: false })
})

test('a tool without cards, as on a laptop whose card is switched off, is no problem', async ({ fake }) => {
  fake.tool('nvidia-smi', { '': { stdout: 'No devices were found\n', exitCode: 6 } })
  assert.equal(await detectGpus(fake.options), { cards: [], problems: [], wsl: false })
})

test('a card that MIG splits is seen and not lent', async ({ fake }) => {
  fake.tool('nvidia-smi', { '': { stdout: `${UUID_A}, NVIDIA A100-SXM4-40GB, 40960, 550.54.14, Enabled\n${UUID_B}, NVIDIA A100-SXM4-40GB, 40960, 550.54.14, Disabled\n` } })
  const found = await detectGpus(fake.options)
  assert.equal(found.cards.map(({ id, index }) => [id, index]), [[UUID_B, 1]])
  assert.equal(codes(found), ['E_GPU_MIG'])
  assert.match(found.problems[0]!.hint, `nvidia-smi -i ${UUID_A} -mig 0`)
})

const FAILURES: [name: string, stdout: string, exitCode: number, message: RegExp][] = [
  ['does not run', 'NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n', 9, /cannot reach the NVIDIA driver/],
  ['was updated without a reboot', 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.54\n', 18, /updated while its old version runs/],
  ['fails as nobody foresaw', 'Something \x1b[31mnew\x07 went wrong\n', 255, /nvidia-smi failed \(exit code 255\): Something \[31mnew went wrong/]
]
for (const [name, stdout, exitCode, message] of FAILURES) {
  test(`a driver that ${name} is said with a hint`, async ({ fake }) => {
    fake.tool('nvidia-smi', { '': { stdout, exitCode } })
    const found = await detectGpus(fake.options)
    assert.equal(found.cards, [])
    assert.equal(codes(found), ['E_GPU_DRIVER'])
    assert.match(found.problems[0]!.message, message)
    assert.ok(found.problems[0]!.hint.length > 10)
  })
}

test('one lost card does not hide the others', async ({ fake }) => {
  fake.tool('nvidia-smi', { '': { stdout: `Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU\n${UUID_B}, NVIDIA GeForce RTX 3060, 12288, 550.54.14, [N/A]\n`, exitCode: 15 } })
  const found = await detectGpus(fake.options)
  assert.equal(found.cards.map(({ id }) => id), [UUID_B])
  assert.match(found.problems[0]!.message, /GPU is lost/)
})

test('a field that the driver cannot tell is no number: a broken card is not lent, one without memory of its own has 0', () => {
  const broken = parseNvidiaCards(`${UUID_A}, NVIDIA GeForce RTX 3090, [Unknown Error], 550.54.14, [N/A]`, true)
  assert.equal(broken.cards, [])
  assert.match(broken.problems[0]!.message, /does not answer its driver: Unknown Error/)
  assert.is(parseNvidiaCards(`${UUID_A}, NVIDIA GB10, [N/A], 580.95, [N/A]`, true).cards[0]?.card.vramBytes, 0)
})

test('odd bytes, commas in names and endless names become what an ad may carry', async ({ fake }) => {
  const odd = Buffer.concat([Buffer.from(`${UUID_A}, NVIDIA\x00\x1b[2J, \u202eFake`), Buffer.from([0xff, 0xfe]), Buffer.from(`, ${'x'.repeat(300)}, 24564, ${'9'.repeat(80)}, [N/A]\r\n${UUID_A}, twice, 1, 1, [N/A]\n`)])
  fake.tool('nvidia-smi', { '': { stdout: odd } })
  const { cards } = await detectGpus(fake.options)
  assert.is(cards.length, 1)
  assert.ok(gpuCard.safeParse(cards[0]!.card).success)
  assert.match(cards[0]!.card.model, /^NVIDIA \[2J, Fake , x+$/)
  assert.is(cards[0]!.card.vramBytes, 24564 * MIB)
})

test('a tool that hangs, even deaf to signals, or floods is given up by its deadline', async ({ fake }) => {
  fake.script('nvidia-smi', 'trap "" TERM INT HUP\nwhile :; do /bin/sleep 60; done')
  const hung = await detectGpus({ ...fake.options, deadlineMs: 150 })
  assert.equal(codes(hung), ['E_GPU_TOOL'])
  assert.match(hung.problems[0]!.message, /did not answer within 0.15 s/)
  fake.script('nvidia-smi', 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done')
  assert.match((await detectGpus(fake.options)).problems[0]!.message, /printed more than 1 MiB/)
})

test('a tool hears nothing of the owner\'s environment, and none of the working folder is run', async ({ fake }) => {
  fake.script('nvidia-smi', 'echo "$LD_PRELOAD|$HOME|$SECRET|$LANG|$PWD"')
  process.env['SECRET'] = 'hunter2'
  try {
    const answer = await askTool('nvidia-smi', [], { path: [fake.bin], known: [] })
    assert.is(answer.kind === 'answered' && answer.stdout.trim(), '|||C|/')
  } finally {
    delete process.env['SECRET']
  }
  const nearby = relative(process.cwd(), fake.bin)
  assert.is((await askTool('nvidia-smi', [], { path: [nearby, '.', ''], known: [] })).kind, 'absent')
})

test('the tool of WSL2 is found where Windows puts it, and WSL2 is known by its device', async ({ fake }) => {
  fake.tool('nvidia-smi', { '': { stdout: `${UUID_A}, NVIDIA GeForce RTX 4070, 12282, 551.23, [N/A]\n` } })
  fake.node('dxg')
  const found = await detectGpus({ ...fake.options, path: [], known: [fake.bin] })
  assert.is(found.cards.length, 1)
  assert.is(found.wsl, true)
})

test('an NVIDIA card on the bus without its driver, and an Intel chip, are named', async ({ fake }) => {
  fake.pci({ slot: '0000:00:02.0', vendor: '0x8086', renderNode: 'renderD128' })
  fake.pci({ slot: '0000:01:00.0', vendor: '0x10de' })
  fake.pci({ slot: '0000:02:00.0', vendor: '0x10de', files: { class: '0x040300' } })
  const found = await detectGpus(fake.options)
  assert.equal(codes(found), ['E_GPU_DRIVER', 'E_GPU_UNSUPPORTED'])
  assert.match(found.problems[0]!.message, /there is no nvidia-smi/)
})

const ROCM = JSON.stringify({
  card0: { 'Unique ID': '0x859baafa301986cb', 'VRAM Total Memory (B)': '25753026560', 'VRAM Total Used Memory (B)': '29', 'Card Series': 'Radeon RX 7900 XTX', 'Card Model': '0x744c', 'PCI Bus': '0000:03:00.0' },
  system: { 'Driver version': '6.8.5' }
})

test('an AMD card is found with its own render node and the groups that may open it', async ({ fake }) => {
  fake.pci({ slot: '0000:03:00.0', vendor: '0x1002', renderNode: 'renderD129', files: { device: '0x744c', mem_info_vram_total: '25753026560', unique_id: '859baafa301986cb' } })
  fake.pci({ slot: '0000:0c:00.0', vendor: '0x1002', renderNode: 'renderD128', files: { device: '0x164e', mem_info_vram_total: String(512 * MIB) } })
  for (const node of ['kfd', 'dri/renderD128', 'dri/renderD129']) fake.node(node)
  fake.tool('rocm-smi', { '': { stdout: `WARNING: AMD GPU device(s) is/are in a low-power state.\n${ROCM}\n` } })
  const found = await detectGpus(fake.options)
  assert.equal(found.cards.map(({ id, card, nodes }) => ({ id, card, nodes })), [{
    id: 'AMD-859baafa301986cb', card: { vendor: 'amd', model: 'Radeon RX 7900 XTX', vramBytes: 25753026560, driver: '6.8.5' },
    nodes: [join(fake.devDir, 'kfd'), join(fake.devDir, 'dri/renderD129')]
  }])
  assert.equal(found.cards[0]?.groups, [process.getgid?.()])
  assert.equal(codes(found), ['E_GPU_SMALL'])
})

test('an AMD card is found without rocm-smi, and not lent without /dev/kfd', async ({ fake }) => {
  fake.pci({ slot: '0000:03:00.0', vendor: '0x1002', renderNode: 'renderD128', files: { device: '0x744c', mem_info_vram_total: String(24 * GIB) } })
  fake.node('dri/renderD128')
  assert.equal(codes(await detectGpus(fake.options)), ['E_GPU_NODES'])
  fake.node('kfd')
  const found = await detectGpus(fake.options)
  assert.equal(found.cards.map(({ id, card }) => [id, card.model]), [['AMD-0000:03:00.0', 'AMD GPU 0x744c']])
})

test('what rocm-smi prints is read in both spellings, and its failures are no card', () => {
  assert.equal(parseRocmSmi('{"card0": {"Card series": "Vega 10", "Unique ID": "N/A", "PCI Bus": "0000:0A:00.0"}}'), { driver: '', cards: [{ bus: '0000:0a:00.0', model: 'Vega 10', uniqueId: '', vramBytes: 0 }] })
  for (const odd of ['', 'ERROR:root:Driver not initialized (amdgpu not found in modules)', '[]', '{"card0": 3}', '{"card0": {"PCI Bus": 7}}', '{']) assert.is(parseRocmSmi(odd), undefined, odd)
})

test.run()
