import type { ErrorCode } from '../errors.ts'
import type { GpuCard, GpuRequest, Hardware, HardwareClass, Resources } from '../documents/resources.ts'
import type { Market, Offer } from '../documents/offer.ts'
import { formatSize, MIB } from '../units.ts'

/** One requirement that a host does not meet: a code to count, a sentence to read. */
export interface Unmet { code: ErrorCode, message: string }

/** Beside the job's own: process 1, what the kernel keeps for a container, and its first pages. */
export const CONTAINER_OVERHEAD_BYTES = 4 * MIB

/** What one task of an offer holds of its host. What a container writes lies in memory until it has ended, and each has its own copy of the inputs. */
export function heldBy({ resources, market, inputBytes }: Pick<Offer, 'resources' | 'market' | 'inputBytes'>): Resources {
  if (market.engine !== 'container') return resources
  return { ...resources, memoryBytes: resources.memoryBytes + resources.diskBytes + CONTAINER_OVERHEAD_BYTES, diskBytes: resources.diskBytes + inputBytes }
}

export function hardwareClass(resources: Pick<Resources, 'gpu'>): HardwareClass {
  return resources.gpu === undefined ? 'cpu' : 'gpu'
}

/** A model is matched by any part of its name, without regard to case. */
export function cardFits(card: GpuCard, wanted: GpuRequest): boolean {
  return (wanted.vendor === undefined || card.vendor === wanted.vendor) &&
    (wanted.model === undefined || card.model.toLowerCase().includes(wanted.model.toLowerCase())) &&
    card.vramBytes >= wanted.vramBytes
}

/** The cards that fit, the smallest first; those of one size in the order given. */
export function smallestFirst<Card extends GpuCard>(cards: readonly Card[], wanted: GpuRequest): Card[] {
  return cards.filter((card) => cardFits(card, wanted)).toSorted((a, b) => a.vramBytes - b.vramBytes)
}

/** What the sentence of a decline may have; names of cards are other people's text of up to 64. */
export const MAX_REASON_CHARS = 200
const MAX_MODEL_WORDS = 32
const MAX_CARD_WORDS = 72

export function clipped(words: string, most: number): string {
  return words.length > most ? `${words.slice(0, most - 1).toWellFormed()}…` : words
}

/** `2 GPUs (nvidia 24 GiB VRAM)` */
export function wishWords({ vendor, model, vramBytes, count }: GpuRequest): string {
  const asked = [vendor, model === undefined ? undefined : clipped(model, MAX_MODEL_WORDS), vramBytes > 0 ? `${formatSize(vramBytes)} VRAM` : undefined].filter((part) => part !== undefined).join(' ')
  return `${count} GPU${count === 1 ? '' : 's'}${asked === '' ? '' : ` (${asked})`}`
}

/** `2 x RTX 4090 24 GiB, RTX 3060 12 GiB` */
export function cardWords(cards: readonly GpuCard[]): string {
  const kinds = new Map<string, number>()
  for (const { model, vramBytes } of cards) {
    const kind = `${clipped(model, MAX_MODEL_WORDS)} ${formatSize(vramBytes)}`
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return cards.length === 0 ? 'no GPU' : clipped([...kinds].map(([kind, count]) => count === 1 ? kind : `${count} x ${kind}`).join(', '), MAX_CARD_WORDS)
}

/** The sentence names what was asked and what there is. */
function gpuUnmet(wanted: GpuRequest, cards: readonly GpuCard[]): Unmet | undefined {
  const fitting = cards.filter((card) => cardFits(card, wanted)).length
  if (fitting >= wanted.count) return undefined
  const some = fitting > 0 ? `, of which ${fitting} ${fitting === 1 ? 'fits' : 'fit'}` : ''
  return { code: 'E_FIT_GPU', message: `needs ${wishWords(wanted)}, has ${cardWords(cards)}${some}` }
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
