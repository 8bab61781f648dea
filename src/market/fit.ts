import type { ErrorCode } from '../errors.ts'
import type { GpuCard, GpuRequest, Hardware, HardwareClass, Resources } from '../documents/resources.ts'
import type { Market } from '../documents/offer.ts'
import { formatSize } from '../units.ts'

/** One requirement that a host does not meet: a code to count, a sentence to read. */
export interface Unmet { code: ErrorCode, message: string }

export function hardwareClass(resources: Pick<Resources, 'gpu'>): HardwareClass {
  return resources.gpu === undefined ? 'cpu' : 'gpu'
}

function cardFits(card: GpuCard, wanted: GpuRequest): boolean {
  return (wanted.vendor === undefined || card.vendor === wanted.vendor) &&
    (wanted.model === undefined || card.model.toLowerCase().includes(wanted.model.toLowerCase())) &&
    card.vramBytes >= wanted.vramBytes
}

/** The sentence names what was asked and what there is. */
function gpuUnmet(wanted: GpuRequest, cards: readonly GpuCard[]): Unmet | undefined {
  const fitting = cards.filter((card) => cardFits(card, wanted)).length
  if (fitting >= wanted.count) return undefined
  const asked = [wanted.vendor, wanted.model, wanted.vramBytes > 0 ? `${formatSize(wanted.vramBytes)} VRAM` : undefined].filter((part) => part !== undefined).join(' ')
  const have = cards.length === 0 ? 'no GPU' : cards.map((card) => `${card.model} ${formatSize(card.vramBytes)}`).join(', ')
  return { code: 'E_FIT_GPU', message: `needs ${wanted.count} GPU${asked === '' ? '' : ` (${asked})`}, has ${have}` }
}

/** Every way in which one task does not fit into `hardware`; empty when it fits. */
export function unmetResources(wanted: Resources, hardware: Hardware): Unmet[] {
  const unmet: Unmet[] = []
  if (wanted.cores > hardware.cores) unmet.push({ code: 'E_FIT_CORES', message: `needs ${wanted.cores} cores, lends ${hardware.cores}` })
  if (wanted.memoryBytes > hardware.memoryBytes) unmet.push({ code: 'E_FIT_MEMORY', message: `needs ${formatSize(wanted.memoryBytes)} of memory, lends ${formatSize(hardware.memoryBytes)}` })
  if (wanted.diskBytes > hardware.diskBytes) unmet.push({ code: 'E_FIT_DISK', message: `needs ${formatSize(wanted.diskBytes)} of disk, lends ${formatSize(hardware.diskBytes)}` })
  if (wanted.gpu !== undefined) {
    const gpu = gpuUnmet(wanted.gpu, hardware.gpus)
    if (gpu !== undefined) unmet.push(gpu)
  }
  return unmet
}

/** The sub-markets that a host of these engines, hardware and region belongs to: its own region and `any`. */
export function marketsOf(engines: readonly Market['engine'][], hardware: Hardware, region: string): Market[] {
  const classes: HardwareClass[] = hardware.gpus.length > 0 ? ['cpu', 'gpu'] : ['cpu']
  const regions = region === 'any' ? ['any'] : [region, 'any']
  return engines.flatMap((engine) => classes.flatMap((hardwareKey) => regions.map((key) => ({ engine, hardware: hardwareKey, region: key }))))
}

/** The region label under which a job with these wishes is offered: the one it names, else `any`. */
export function offerRegion(regions: readonly string[] | undefined): string {
  return regions?.length === 1 ? regions[0] ?? 'any' : 'any'
}
