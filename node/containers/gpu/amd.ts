import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PARAMS } from '../../../src/params.ts'
import { formatSize, GIB } from '../../../src/units.ts'
import { driverName, modelName } from './found.ts'
import type { Found, FoundCard, GpuProblem } from './found.ts'
import { attribute } from './pci.ts'
import type { BusCard } from './pci.ts'
import { askTool } from './tool.ts'
import type { ToolOptions } from './tool.ts'

/** A chip inside the processor has a few hundred MiB set aside and draws the owner's desktop: it is not lent. */
const MIN_VRAM_BYTES = GIB
const QUERY = ['--showuniqueid', '--showproductname', '--showmeminfo', 'vram', '--showbus', '--showdriverversion', '--json']

/** All values are strings. The case of field names changed between versions. */
const smiJson = z.record(z.string(), z.record(z.string(), z.string()))

/** What `rocm-smi --json` adds to what the kernel says. */
export interface SmiCard { bus: string, model: string, uniqueId: string, vramBytes: number }

function field(card: Readonly<Record<string, string>>, name: string): string {
  const found = Object.entries(card).find(([key]) => key.toLowerCase() === name)?.[1].trim() ?? ''
  return /^(?:n\/a|none|unknown)$/i.test(found) ? '' : found
}

function bytes(value: string): number {
  return Number(/^\d{1,15}$/.exec(value)?.[0] ?? 0)
}

/** Warnings may stand before the JSON. Undefined: none of what was asked. */
export function parseRocmSmi(stdout: string): { cards: SmiCard[], driver: string } | undefined {
  let json: unknown
  try {
    json = JSON.parse(stdout.slice(Math.max(0, stdout.indexOf('{'))))
  } catch {
    return undefined
  }
  const parsed = smiJson.safeParse(json)
  if (!parsed.success) return undefined
  const rows = Object.entries(parsed.data).filter(([name]) => /^card\d+$/.test(name)).slice(0, PARAMS.maxGpus)
  return {
    driver: field(parsed.data['system'] ?? {}, 'driver version'),
    cards: rows.map(([, card]) => ({
      bus: field(card, 'pci bus').toLowerCase(), model: field(card, 'card series') || field(card, 'device name'),
      uniqueId: field(card, 'unique id').toLowerCase(), vramBytes: bytes(field(card, 'vram total memory (b)'))
    }))
  }
}

function problem(code: GpuProblem['code'], message: string, hint: string): GpuProblem {
  return { code, vendor: 'amd', message, hint }
}

async function groupOf(node: string): Promise<number | undefined> {
  return stat(node).then(({ gid }) => gid, () => undefined)
}

async function look(index: number, { bus, dir, renderNode }: BusCard, said: SmiCard | undefined, driver: string, devDir: string): Promise<FoundCard | GpuProblem> {
  const kfd = join(devDir, 'kfd')
  const node = join(devDir, 'dri', renderNode ?? 'renderD')
  const groups = [await groupOf(kfd), await groupOf(node)].filter((group) => group !== undefined)
  const model = modelName(said?.model || await attribute(dir, 'product_name'), `AMD GPU ${await attribute(dir, 'device')}`)
  if (groups.length < 2) return problem('E_GPU_NODES', `${model} has no ${renderNode === undefined ? 'render node' : node} or no ${kfd}: its driver does not offer it for computing`, 'Install the amdgpu driver of AMD with ROCm, then reboot')
  const vramBytes = Math.min(bytes(await attribute(dir, 'mem_info_vram_total')) || (said?.vramBytes ?? 0), PARAMS.maxMemoryBytes)
  if (vramBytes < MIN_VRAM_BYTES) return problem('E_GPU_SMALL', `${model} has ${formatSize(vramBytes)} of memory of its own: chips inside a processor are not lent`, '')
  const uniqueId = (await attribute(dir, 'unique_id') || (said?.uniqueId ?? '')).replace(/^0x/, '')
  // cards made for desktops often have no number of their own: their slot stands for it
  return { id: `AMD-${/^0*$/.test(uniqueId) ? bus : uniqueId}`, index, card: { vendor: 'amd', model, vramBytes, driver }, nodes: [kfd, node], groups: [...new Set(groups)] }
}

/**
 * AMD's cards, as the kernel lists them: a container gets /dev/kfd and the card's own render node. `rocm-smi` adds names
 * and the driver's version where it is installed; without it cards are named by their device number.
 */
export async function findAmd(bus: readonly BusCard[], { sysDir, devDir }: { sysDir: string, devDir: string }, options: ToolOptions): Promise<Found> {
  const own = bus.filter(({ vendor }) => vendor === 'amd').slice(0, PARAMS.maxGpus)
  if (own.length === 0) return { cards: [], problems: [] }
  const answer = await askTool('rocm-smi', QUERY, options)
  const smi = answer.kind === 'answered' ? parseRocmSmi(answer.stdout) : undefined
  const driver = driverName(smi?.driver || await attribute(join(sysDir, 'module/amdgpu'), 'version') || 'amdgpu')
  const looked = await Promise.all(own.map(async (card, index) => look(index, card, smi?.cards.find((said) => said.bus === card.bus.toLowerCase()), driver, devDir)))
  const cards: FoundCard[] = []
  const problems: GpuProblem[] = []
  for (const one of looked) {
    if ('code' in one) problems.push(one)
    else cards.push(one)
  }
  return { cards, problems }
}
