import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { GpuVendor } from '../../../src/documents/resources.ts'

/** A home PC has some dozens of PCI devices. */
const MAX_DEVICES = 512
const MAX_ATTRIBUTE_CHARS = 256
const VENDORS: Readonly<Record<string, GpuVendor>> = { '0x10de': 'nvidia', '0x1002': 'amd', '0x8086': 'intel' }

/** A graphics device on the bus, whatever its driver. */
export interface BusCard { vendor: GpuVendor, /** `0000:03:00.0` */ bus: string, dir: string, /** `renderD128`, when a driver made one. */ renderNode: string | undefined }

/** A line of text that the kernel gives for a device; empty where it has none. */
export async function attribute(dir: string, name: string): Promise<string> {
  return readFile(join(dir, name), 'utf8').then((value) => value.slice(0, MAX_ATTRIBUTE_CHARS).trim(), () => '')
}

/** Display controllers (PCI class 03) of the vendors we know, in the order of the bus. Empty where there is no /sys. */
export async function busCards(sysDir: string): Promise<BusCard[]> {
  const root = join(sysDir, 'bus/pci/devices')
  const names = (await readdir(root).catch(() => [])).sort((a, b) => a < b ? -1 : 1).slice(0, MAX_DEVICES)
  const cards: BusCard[] = []
  for (const name of names) {
    const dir = join(root, name)
    if (!(await attribute(dir, 'class')).startsWith('0x03')) continue
    const vendor = VENDORS[await attribute(dir, 'vendor')]
    if (vendor === undefined) continue
    const renderNode = (await readdir(join(dir, 'drm')).catch(() => [])).find((node) => /^renderD\d{1,4}$/.test(node))
    cards.push({ vendor, bus: basename(await realpath(dir).catch(() => dir)), dir, renderNode })
  }
  return cards
}
