import { createHash } from 'node:crypto'
import { readPlain, type FileSlice } from './inflate.ts'
import { malformed, quoted } from './refusal.ts'
import { TarWalk, type OnTarEntry, type TarEntry } from './tar-walk.ts'
import type { UnpackBudget } from './unpack-budget.ts'

export interface CheckedLayer {
  slice: FileSlice
  /** Of the plain tar. */
  diffId: string
  tarBytes: number
}

/** null, zero, full, random, urandom, tty, console, ptmx, and the overlay's mark for "deleted". */
const KNOWN_DEVICES = new Set(['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2', '0:0'])

/** A device lets nobody in by itself (the container's control group denies all), but no image has a use for a host's disk. */
function checkDevice({ type, path, major, minor }: TarEntry): void {
  if (type === 'block' || (type === 'char' && !KNOWN_DEVICES.has(`${major}:${minor}`))) malformed(`${quoted(path)} in the image is a device`)
}

/**
 * Inflates a layer, counting, and writes nothing: every entry against the rules and the budget, and all of it into its hash.
 * `onEntry` sees the entries that passed.
 */
export async function checkLayer(slice: FileSlice, budget: UnpackBudget, signal: AbortSignal, onEntry: OnTarEntry = () => undefined): Promise<CheckedLayer> {
  const hash = createHash('sha256')
  let tarBytes = 0
  const walk = new TarWalk((entry) => {
    budget.takeEntry(entry)
    checkDevice(entry)
    return onEntry(entry)
  })
  await readPlain(slice, (bytes) => {
    tarBytes += bytes.length
    budget.takeTar(bytes.length)
    hash.update(bytes)
    walk.push(bytes)
  }, signal)
  walk.end()
  return { slice, diffId: `sha256:${hash.digest('hex')}`, tarBytes }
}
