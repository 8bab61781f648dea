import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Refusal } from '../../../src/codec/result.ts'
import { imageKey, type ContainerImage } from '../../../src/documents/image.ts'
import { EngineError, type EngineClient } from '../engine-client.ts'
import { readArchive } from './archive.ts'
import { Catalog, type CatalogEntry } from './catalog.ts'
import { engineFacts, EngineImages, type EngineImage } from './engine-images.ts'
import { cancelled, Flights, type ImageProgress } from './flights.ts'
import type { ImageFacts, ImageSource } from './image-source.ts'
import { MAX_PREPARING, MAX_WAITING, PROGRESS_EVERY_MS } from './limits.ts'
import type { Platform } from './oci.ts'
import { asImageRefusal } from './image-refusal.ts'
import { ImageRefusal, type ImageFaultOf } from './refusal.ts'
import type { RegistryLogin } from './registry-auth.ts'
import { RegistryClient } from './registry-client.ts'
import type { RegistryAccess } from './registry-http.ts'
import { pullImage } from './registry-image.ts'
import { Room } from './room.ts'
import { Turns } from './turns.ts'

export interface ImageStoreOptions {
  engine: EngineClient
  /** A folder of this store's own, private to the node. */
  dir: string
  /** The PeerId, or a test's name: several nodes may share one engine. */
  node: string
  /** Of all images that are here because of us, unpacked. */
  quotaBytes: number
  registries: RegistryAccess
  /** Free on the engine's disk, and how much of that stays free; by default what the disk says, and 1 GiB. */
  freeBytes?: () => Promise<number | undefined>
  reserveBytes?: number
}

export interface ImageRequest {
  image: ContainerImage
  /** Of a content image: the file, whole and checked against its CID. */
  archivePath?: string
  /** Of a registry image. */
  login?: RegistryLogin
  /** The owner's bound on what one image takes unpacked. */
  maxBytes: number
  signal: AbortSignal
  onProgress?: (progress: ImageProgress) => void
}

/** An image on the engine, which stays there until `release`. */
export interface ReadyImage extends ImageFacts {
  imageId: string
  diskBytes: number
  /** To be called once nothing needs it any more; a second call is nothing. */
  release: () => void
}
export type ImageOutcome = { ok: true, value: ReadyImage } | Refusal & { fault: ImageFaultOf }

export interface CachedImage { key: string, name: string, imageId: string, diskBytes: number, lastUsedWallMs: number, isInUse: boolean, isOwners: boolean, isPrivate: boolean }

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
/** Of a hash, in hexadecimal digits. */
const KEY_HASH = 32
const NODE_HASH = 16

/**
 * Makes images ready for runs, and keeps them as a cache. Nothing of an image reaches the engine before all of it was fetched,
 * inflated, counted and checked here; then it goes there under a name of ours. Only what came by this store ever leaves by it.
 */
export class ImageStore {
  readonly #options: ImageStoreOptions
  readonly #engine: EngineImages
  readonly #catalog: Catalog
  readonly #room: Room
  readonly #flights = new Flights<EngineImage>()
  readonly #turns = new Turns(MAX_PREPARING, MAX_WAITING)
  readonly #holds = new Map<string, number>()
  #platform: Platform | undefined
  #staged = 0

  private constructor(options: ImageStoreOptions, catalog: Catalog) {
    this.#options = options
    this.#catalog = catalog
    this.#engine = new EngineImages(options.engine, sha(options.node).slice(0, NODE_HASH))
    this.#room = new Room({ ...options, catalog, engine: this.#engine, isHeld: (key) => this.#holds.has(key) })
  }

  /** Removes what an earlier life left half done. Throws when the folder cannot be written; an engine that is away is no error. */
  static async open(options: ImageStoreOptions): Promise<ImageStore> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 })
    const store = new ImageStore(options, await Catalog.open(join(options.dir, 'images.json')))
    await rm(store.#stagingDir, { recursive: true, force: true })
    await mkdir(store.#stagingDir, { mode: 0o700 })
    await store.#reap().catch((err: unknown) => { if (!(err instanceof EngineError)) throw err })
    return store
  }

  get #stagingDir(): string { return join(this.#options.dir, 'staging') }

  /**
   * The image, on the engine and held there, or why not. Calls for the same image at the same time, with the same name, login
   * and bound, are one pull, which ends when the last of them is cancelled.
   */
  async ensure(request: ImageRequest): Promise<ImageOutcome> {
    const key = imageKey(request.image)
    const release = this.#hold(key)
    try {
      const { image, login, maxBytes, archivePath } = request
      const flight = sha(JSON.stringify([key, image.from === 'registry' ? image.name : archivePath, login?.username, login?.password, maxBytes]))
      const ready = await this.#flights.join(flight, async (signal, progress) => await this.#prepare(request, signal, progress), request.signal, request.onProgress)
      const entry = this.#catalog.get(key)
      return { ok: true, value: { ...engineFacts(ready), imageId: ready.Id, diskBytes: entry?.diskBytes ?? ready.Size, release } }
    } catch (err) {
      release()
      const { code, message, fault } = asImageRefusal(err)
      return { ok: false, code, message, fault }
    }
  }

  list(): CachedImage[] {
    return this.#catalog.all().map(({ key, name, imageId, diskBytes, lastUsedWallMs, isOwners, isPrivate }) => ({ key, name, imageId, diskBytes, lastUsedWallMs, isOwners, isPrivate, isInUse: this.#holds.has(key) })).reverse()
  }

  /** `absent`: it is not here; `used`: a run has it. Throws `EngineError`. */
  async remove(key: string): Promise<'removed' | 'used' | 'absent'> {
    const entry = this.#catalog.get(key)
    if (entry === undefined) return 'absent'
    return await this.#room.remove(entry) ? 'removed' : 'used'
  }

  /** Removes all that no run has; answers the bytes. Throws `EngineError`. */
  async prune(): Promise<number> { return await this.#room.prune() }

  /** Removes what a full disk or a smaller quota asks for; answers the bytes. For the owner's changes, and from time to time. */
  async tidy(quotaBytes = this.#room.quotaBytes): Promise<number> {
    this.#room.quotaBytes = quotaBytes
    return await this.#room.tidy()
  }

  /** Ends what is being fetched, and waits until it has ended. Images stay. */
  async close(): Promise<void> {
    await this.#flights.close()
    await this.#catalog.settled()
  }

  #hold(key: string): () => void {
    this.#holds.set(key, (this.#holds.get(key) ?? 0) + 1)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      const left = (this.#holds.get(key) ?? 1) - 1
      if (left > 0) this.#holds.set(key, left)
      else this.#holds.delete(key)
    }
  }

  async #prepare(request: ImageRequest, signal: AbortSignal, progress: (progress: ImageProgress) => void): Promise<EngineImage> {
    const known = await this.#known(request, signal)
    if (known !== undefined) return known
    return await this.#turns.take(async () => {
      const dir = join(this.#stagingDir, String(++this.#staged))
      await mkdir(dir, { mode: 0o700 })
      try {
        const source = await this.#read(request, dir, signal, progress)
        return await this.#room.with(source.diskBytes, source.tarBytes, async () => await this.#place(request, source, signal, progress))
      } catch (err) {
        // whatever broke because of it: it was given up
        throw signal.aborted ? cancelled() : err
      } finally {
        await rm(dir, { recursive: true, force: true }).catch(() => undefined)
      }
    }, signal)
  }

  /** The image as it is on the engine already; undefined where it has to be fetched. */
  async #known({ image, login, maxBytes }: ImageRequest, signal: AbortSignal): Promise<EngineImage | undefined> {
    const entry = this.#catalog.get(imageKey(image))
    if (entry === undefined) return undefined
    const found = await this.#engine.find(entry.imageId)
    if (found === undefined) {
      await this.#catalog.delete(entry.key)
      return undefined
    }
    if (entry.diskBytes > maxBytes) throw new ImageRefusal('E_IMAGE_SIZE', 'the image takes more than this host allows, unpacked')
    if (entry.isPrivate && image.from === 'registry') {
      // what one login fetched is not everybody's: digests are public, they stand in offers
      if (entry.name !== image.name) return undefined
      await new RegistryClient(image.name, login, this.#options.registries).manifest(image.digest, signal)
    }
    // the cache's order is worth a write, but no failure
    await this.#catalog.put({ ...entry, isOwners: entry.isOwners && this.#engine.isOwners(found), lastUsedWallMs: Date.now() }).catch(() => undefined)
    return found
  }

  async #read({ image, archivePath, login, maxBytes }: ImageRequest, dir: string, signal: AbortSignal, progress: (progress: ImageProgress) => void): Promise<ImageSource> {
    const platform = this.#platform ??= await this.#engine.platform()
    if (image.from === 'registry') {
      const onBytes = paced((doneBytes, totalBytes) => { progress({ phase: 'fetch', doneBytes, totalBytes }) })
      return await pullImage(new RegistryClient(image.name, login, this.#options.registries), image.digest, { dir, maxBytes, platform, signal, onBytes })
    }
    if (archivePath === undefined) throw new ImageRefusal('E_IMAGE_DISK', 'the image\'s archive is not here')
    return (await readArchive(archivePath, { spoolPath: join(dir, 'archive.tar'), maxBytes, platform, signal })).image
  }

  async #place({ image, login }: ImageRequest, source: ImageSource, signal: AbortSignal, progress: (progress: ImageProgress) => void): Promise<EngineImage> {
    const key = imageKey(image)
    const tag = this.#engine.tagOf(sha(key).slice(0, KEY_HASH))
    const before = await this.#engine.find(source.configDigest)
    const isOwners = before !== undefined && this.#engine.isOwners(before)
    const isNameless = isOwners && (before.RepoTags ?? []).length === 0 && (before.RepoDigests ?? []).length === 0
    let done = 0
    const report = paced((doneBytes) => { progress({ phase: 'load', doneBytes, totalBytes: source.tarBytes }) })
    try {
      if (before !== undefined && !isNameless) await this.#engine.tag(before.Id, tag)
      const loaded = before ?? await this.#engine.load(source, tag, (bytes) => { report(done += bytes, source.tarBytes) }, signal)
      // the engine reads configurations its own way
      engineFacts(loaded)
      const entry: CatalogEntry = {
        key, imageId: loaded.Id, name: image.from === 'registry' ? image.name : '', isPrivate: login !== undefined, isOwners,
        diskBytes: source.diskBytes, lastUsedWallMs: Date.now(), ...isNameless ? {} : { tag }
      }
      await this.#catalog.put(entry)
      return loaded
    } catch (err) {
      await this.#catalog.delete(key).catch(() => undefined)
      // should this fail, too, the next start finds a name that is in no catalog
      if (!isNameless) await this.#engine.untag(tag).catch(() => undefined)
      throw err
    }
  }

  async #reap(): Promise<void> {
    const tags = new Set(this.#catalog.all().map(({ tag }) => tag))
    for (const tag of await this.#engine.ourTags()) if (!tags.has(tag)) await this.#engine.untag(tag)
    for (const { key, imageId } of this.#catalog.all()) if (await this.#engine.find(imageId) === undefined) await this.#catalog.delete(key)
  }
}

/** At most so often, and the last one always. */
function paced(report: (doneBytes: number, totalBytes: number) => void): (doneBytes: number, totalBytes: number) => void {
  let lastMs = Number.NEGATIVE_INFINITY
  return (doneBytes, totalBytes) => {
    const nowMs = performance.now()
    if (doneBytes < totalBytes && nowMs - lastMs < PROGRESS_EVERY_MS) return
    lastMs = nowMs
    report(doneBytes, totalBytes)
  }
}
