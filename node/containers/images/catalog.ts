import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { imageDigest, imageKeyText } from '../../../src/documents/image.ts'
import { MAX_CATALOG_BYTES, MAX_IMAGES } from './limits.ts'

const entry = z.strictObject({
  /** The digest or the CID by which jobs and lists name it. */
  key: imageKeyText,
  imageId: imageDigest,
  /** Our name of it on the engine; none for an image that the owner has without a name: taking ours away would remove it. */
  tag: z.string().max(255).optional(),
  /** Where it came from: `docker.io/library/alpine`, or empty for content. */
  name: z.string().max(255),
  /** It was fetched with a login: nobody else gets it without asking that registry. */
  isPrivate: z.boolean(),
  /** The owner had it before us: it counts for no quota, and stays. */
  isOwners: z.boolean(),
  diskBytes: z.int().min(0),
  lastUsedWallMs: z.int().min(0)
})
export type CatalogEntry = z.output<typeof entry>
const catalogFile = z.strictObject({ v: z.literal(1), images: z.array(entry).max(MAX_IMAGES) })

/** Which images this node has on the engine, and what it knows of them. A file, replaced as a whole with each change. */
export class Catalog {
  readonly #path: string
  readonly #entries: Map<string, CatalogEntry>
  #written: Promise<void> = Promise.resolve()

  private constructor(path: string, entries: CatalogEntry[]) {
    this.#path = path
    this.#entries = new Map(entries.map((each) => [each.key, each]))
  }

  /** A damaged or foreign file counts as none: all that is lost is a cache. */
  static async open(path: string): Promise<Catalog> {
    try {
      if ((await stat(path)).size > MAX_CATALOG_BYTES) return new Catalog(path, [])
      const parsed = catalogFile.safeParse(JSON.parse(await readFile(path, 'utf8')))
      return new Catalog(path, parsed.success ? parsed.data.images : [])
    } catch {
      return new Catalog(path, [])
    }
  }

  get size(): number { return this.#entries.size }
  get(key: string): CatalogEntry | undefined { return this.#entries.get(key) }
  /** Least lately used first. */
  all(): CatalogEntry[] { return [...this.#entries.values()].sort((a, b) => a.lastUsedWallMs - b.lastUsedWallMs) }
  /** Of those that are there because of us. */
  get diskBytes(): number { return this.all().reduce((sum, { isOwners, diskBytes }) => sum + (isOwners ? 0 : diskBytes), 0) }

  async put(entry: CatalogEntry): Promise<void> {
    this.#entries.set(entry.key, entry)
    await this.#write()
  }

  async delete(key: string): Promise<void> {
    if (this.#entries.delete(key)) await this.#write()
  }

  /** Resolves when all that was changed is written, or could not be. */
  async settled(): Promise<void> { await this.#written.catch(() => undefined) }

  async #write(): Promise<void> {
    const before = this.#written
    const write = async (): Promise<void> => {
      await before.catch(() => undefined)
      await writeFile(`${this.#path}.new`, JSON.stringify({ v: 1, images: [...this.#entries.values()] }), { mode: 0o600 })
      await rename(`${this.#path}.new`, this.#path)
    }
    this.#written = write()
    await this.#written
  }
}
