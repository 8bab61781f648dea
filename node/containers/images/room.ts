import { statfs } from 'node:fs/promises'
import { formatSize } from '../../../src/units.ts'
import type { Catalog, CatalogEntry } from './catalog.ts'
import type { EngineImages } from './engine-images.ts'
import { ENGINE_RESERVE_BYTES, MAX_IMAGES } from './limits.ts'
import { ImageRefusal } from './refusal.ts'
import { Turns } from './turns.ts'

export interface RoomOptions {
  catalog: Catalog
  engine: EngineImages
  quotaBytes: number
  isHeld: (key: string) => boolean
  /** Free on the engine's disk; undefined where nobody can tell (an engine in a virtual machine). */
  freeBytes?: () => Promise<number | undefined>
  reserveBytes?: number
}

/** Space for images: the owner's quota and the engine's disk. Images that nobody uses leave, the one unused for longest first. */
export class Room {
  readonly #options: RoomOptions
  /** One at a time looks and removes, so that two don't count the same bytes as free. */
  readonly #turn = new Turns(1, Number.MAX_SAFE_INTEGER)
  #promisedBytes = 0
  quotaBytes: number

  constructor(options: RoomOptions) {
    this.#options = options
    this.quotaBytes = options.quotaBytes
  }

  /**
   * Makes room for an image of `diskBytes`, and keeps it while `work` runs. The engine holds the image's tars (`tarBytes`)
   * until it has read them all. `E_IMAGE_ROOM` when everything that could leave has left.
   */
  async with<T>(diskBytes: number, tarBytes: number, work: () => Promise<T>): Promise<T> {
    await this.#turn.take(async () => {
      await this.#makeRoom(diskBytes, tarBytes)
      this.#promisedBytes += diskBytes
    })
    try {
      return await work()
    } finally {
      this.#promisedBytes -= diskBytes
    }
  }

  /** For a smaller quota, or a disk that others filled. Answers what was freed; leaves what is in use. */
  async tidy(): Promise<number> {
    const before = this.#options.catalog.diskBytes
    await this.#turn.take(async () => {
      await this.#makeRoom(0, 0).catch((err: unknown) => { if (!(err instanceof ImageRefusal)) throw err })
    })
    return before - this.#options.catalog.diskBytes
  }

  /** Every image that is not in use. */
  async prune(): Promise<number> {
    const { catalog } = this.#options
    const before = catalog.diskBytes
    await this.#turn.take(async () => {
      for (const entry of catalog.all()) await this.#remove(entry)
    })
    return before - catalog.diskBytes
  }

  /** False while it is in use. */
  async remove(entry: CatalogEntry): Promise<boolean> { return await this.#turn.take(async () => await this.#remove(entry)) }

  async #remove(entry: CatalogEntry): Promise<boolean> {
    const { catalog, engine, isHeld } = this.#options
    if (isHeld(entry.key)) return false
    // first from the catalog: whoever asks for it meanwhile fetches it again
    await catalog.delete(entry.key)
    if (entry.tag === undefined || await engine.untag(entry.tag)) return true
    await catalog.put(entry)
    return false
  }

  async #makeRoom(diskBytes: number, tarBytes: number): Promise<void> {
    const { catalog, isHeld } = this.#options
    if (diskBytes > this.quotaBytes) throw new ImageRefusal('E_IMAGE_ROOM', `the image takes ${formatSize(diskBytes)}, all images together may have ${formatSize(this.quotaBytes)}`)
    const candidates = catalog.all().filter(({ key }) => !isHeld(key))
    for (;;) {
      const lacks = await this.#lacks(diskBytes, tarBytes)
      if (lacks === undefined) return
      // the owner's own images leave the catalog, but free nothing
      const next = candidates.findIndex(({ isOwners }) => lacks === 'a place in the catalog' || !isOwners)
      const [entry] = next < 0 ? [] : candidates.splice(next, 1)
      if (entry === undefined) throw new ImageRefusal('E_IMAGE_ROOM', `there is no room for the image: ${lacks} is lacking, and all images here are in use`)
      await this.#remove(entry)
    }
  }

  async #lacks(diskBytes: number, tarBytes: number): Promise<string | undefined> {
    const { catalog, freeBytes, reserveBytes = ENGINE_RESERVE_BYTES } = this.#options
    const overBytes = catalog.diskBytes + this.#promisedBytes + diskBytes - this.quotaBytes
    if (overBytes > 0) return `${formatSize(overBytes)} of the quota for images`
    if (catalog.size >= MAX_IMAGES) return 'a place in the catalog'
    const free = await (freeBytes ?? (() => freeOnDisk(this.#options.engine)))()
    const shortBytes = free === undefined ? 0 : diskBytes + tarBytes + this.#promisedBytes + reserveBytes - free
    return shortBytes > 0 ? `${formatSize(shortBytes)} on the engine's disk` : undefined
  }
}

/** Only an engine on this host keeps its images where we can look. */
async function freeOnDisk(engine: EngineImages): Promise<number | undefined> {
  try {
    const dir = await engine.rootDir()
    if (dir === undefined) return undefined
    const { bavail, bsize } = await statfs(dir)
    return bavail * bsize
  } catch {
    return undefined
  }
}
