import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname as folderOf } from 'node:path'
import { dirname, join } from 'node:path/posix'
import { finished } from 'node:stream/promises'
import { elfMachine, ElfCount } from './elf.ts'
import { factsOf, type ImageSource } from './image-source.ts'
import { isPacked, readPlain, writeAll, type FileSlice } from './inflate.ts'
import { checkLayer, type CheckedLayer } from './layer-check.ts'
import { MAX_ARCHIVE_ENTRIES, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from './limits.ts'
import { checkConfig, INDEX_TYPES, isSaved, pickPlatform, readConfig, readIndex, readManifest, readSaved, sha256, type Descriptor, type Platform } from './oci.ts'
import { ImageRefusal, malformed, quoted } from './refusal.ts'
import { checkStaging } from './staging.ts'
import { plainPath, type OnTarEntry } from './tar-walk.ts'
import { UnpackBudget } from './unpack-budget.ts'

export type ArchiveKind = 'docker' | 'oci' | 'rootfs'
export interface ReadArchive { kind: ArchiveKind, image: ImageSource }
export interface ArchiveOptions {
  /** An own file for a packed archive, unpacked; the caller removes it. */
  spoolPath: string
  maxBytes: number
  platform: Platform
  signal: AbortSignal
}

/** `docker save` of old repeats a layer by a link. */
const MAX_LINKS = 4
/** A root file system has no configuration; ours is the same for the same tar. */
const ROOTFS_CREATED = '1970-01-01T00:00:00Z'

/** What an archive's tar holds, learnt in one pass. */
class Contents {
  readonly #files = new Map<string, { start: number, size: number } | { linkTo: string }>()
  readonly #small = new Map<string, Buffer[]>()
  readonly elf = new ElfCount()
  #isFull = false

  readonly onEntry: OnTarEntry = (entry) => {
    const { type, path, linkPath, offset, size } = entry
    if (type === 'dir' || type === 'fifo' || type === 'char' || type === 'block') return undefined
    if (this.#files.size >= MAX_ARCHIVE_ENTRIES) this.#isFull = true
    // the same name twice: tools disagree on which counts
    else if (this.#files.has(path)) this.#isFull = true
    else this.#files.set(path, type === 'file' ? { start: offset, size } : { linkTo: type === 'link' ? plainPath(linkPath) : join('/', dirname(path), linkPath).slice(1) })
    if (type !== 'file') return undefined
    if (['manifest.json', 'index.json', 'oci-layout'].includes(path) && size <= MAX_MANIFEST_BYTES) {
      const parts: Buffer[] = []
      this.#small.set(path, parts)
      return (bytes) => { parts.push(Buffer.from(bytes)) }
    }
    return this.elf.sink(entry)
  }

  get kind(): ArchiveKind {
    const manifest = this.text('manifest.json')
    if (manifest !== undefined && isSaved(manifest)) return 'docker'
    return this.#small.has('index.json') && this.#small.has('oci-layout') ? 'oci' : 'rootfs'
  }

  text(path: string): Buffer | undefined {
    const parts = this.#small.get(path)
    return parts === undefined ? undefined : Buffer.concat(parts)
  }

  /** Where a file of the archive lies in its (unpacked) tar. */
  find(path: string): { start: number, size: number } {
    if (this.#isFull) malformed('the archive has a name twice, or too many files')
    let at = plainPath(path)
    for (let links = 0; links <= MAX_LINKS; links++) {
      const file = this.#files.get(at)
      if (file === undefined) break
      if ('start' in file) return file
      at = file.linkTo
    }
    malformed(`the archive lacks ${quoted(path)}`)
  }
}

async function readSlice({ path, start, size }: FileSlice, maxBytes: number): Promise<Buffer> {
  if (size > maxBytes) malformed(`a part of the archive has ${size} bytes, more than ${maxBytes}`)
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, start)
    if (bytesRead !== size) malformed('the archive ends in the middle')
    return buffer
  } finally {
    await file.close()
  }
}

async function checkDigest({ path, start, size }: FileSlice, { digest, size: said }: Descriptor): Promise<void> {
  const hash = createHash('sha256')
  if (size === said) for await (const bytes of createReadStream(path, { start, end: start + size - 1 }) as AsyncIterable<Buffer>) hash.update(bytes)
  if (size !== said || `sha256:${hash.digest('hex')}` !== digest) throw new ImageRefusal('E_IMAGE_DIGEST', `the archive's ${digest} holds other bytes`)
}

/** An archive's parts by what refers to them. */
class Archive {
  readonly #path: string
  readonly #contents: Contents

  constructor(path: string, contents: Contents) {
    this.#path = path
    this.#contents = contents
  }

  slice(path: string): FileSlice { return { path: this.#path, ...this.#contents.find(path) } }

  async blob(descriptor: Descriptor): Promise<FileSlice> {
    const slice = this.slice(`blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`)
    await checkDigest(slice, descriptor)
    return slice
  }

  async parts(kind: 'docker' | 'oci', platform: Platform): Promise<{ config: FileSlice, layers: FileSlice[] }> {
    if (kind === 'docker') {
      const images = readSaved(this.#contents.text('manifest.json') ?? Buffer.alloc(0))
      const [only] = images
      if (only === undefined || images.length > 1) malformed(`it holds ${images.length} images: save one`)
      return { config: this.slice(only.Config), layers: only.Layers.map((path) => this.slice(path)) }
    }
    let descriptor = pickPlatform(readIndex(this.#contents.text('index.json') ?? Buffer.alloc(0)), platform)
    if (INDEX_TYPES.includes(descriptor.mediaType ?? '')) descriptor = pickPlatform(readIndex(await readSlice(await this.blob(descriptor), MAX_MANIFEST_BYTES)), platform)
    const { config, layers } = readManifest(await readSlice(await this.blob(descriptor), MAX_MANIFEST_BYTES))
    return { config: await this.blob(config), layers: await Promise.all(layers.map(async (each) => await this.blob(each))) }
  }
}

/** Checks layers one by one against the configuration, under one budget. */
export async function checkLayers(slices: readonly FileSlice[], diffIds: readonly string[], budget: UnpackBudget, signal: AbortSignal): Promise<CheckedLayer[]> {
  const layers: CheckedLayer[] = []
  for (const [i, slice] of slices.entries()) {
    const layer = await checkLayer(slice, budget, signal)
    if (layer.diffId !== diffIds[i]) throw new ImageRefusal('E_IMAGE_DIGEST', `layer ${i + 1} is not the one that the configuration names`)
    layers.push(layer)
  }
  return layers
}

function rootfsImage(layer: CheckedLayer, diskBytes: number, { os, architecture }: Platform): ImageSource {
  const config = { architecture, os, created: ROOTFS_CREATED, config: {}, rootfs: { type: 'layers', diff_ids: [layer.diffId] }, history: [{ created: ROOTFS_CREATED, created_by: 'hearth' }] }
  const configBytes = Buffer.from(JSON.stringify(config))
  return { configBytes, configDigest: sha256(configBytes), facts: factsOf(readConfig(configBytes)), layers: [layer], diskBytes, tarBytes: layer.tarBytes }
}

async function spool(slice: FileSlice, to: string, signal: AbortSignal): Promise<void> {
  const file = createWriteStream(to, { flags: 'wx', mode: 0o600 })
  const written = finished(file, { signal })
  written.catch(() => undefined)
  await readPlain(slice, async (bytes) => { await writeAll(file, bytes, signal) }, signal)
  file.end()
  await written
}

/**
 * Reads an OCI layout, a `docker save` archive, or the tar of a root file system; packed with gzip or zstd, or plain. Every
 * byte is counted and checked; tags in it count for nothing. Throws `ImageRefusal`.
 */
export async function readArchive(path: string, { spoolPath, maxBytes, platform, signal }: ArchiveOptions): Promise<ReadArchive> {
  const { size } = await stat(path)
  const whole = { path, start: 0, size }
  const contents = new Contents()
  const outer = new UnpackBudget(maxBytes)
  const layer = await checkLayer(whole, outer, signal, contents.onEntry)
  const { kind } = contents
  if (kind === 'rootfs') {
    const strange = contents.elf.stranger(elfMachine(platform.architecture))
    if (strange !== undefined) throw new ImageRefusal('E_IMAGE_PLATFORM', `the programs in it are made for ${strange}, this host is ${platform.os}/${platform.architecture}`)
    if (outer.diskBytes === 0) malformed('it is an empty tar')
    return { kind, image: rootfsImage(layer, outer.diskBytes, platform) }
  }
  const isSpooled = await isPacked(path, size)
  if (isSpooled) {
    await checkStaging(folderOf(spoolPath), layer.tarBytes)
    await spool(whole, spoolPath, signal)
  }
  const { config, layers } = await new Archive(isSpooled ? spoolPath : path, contents).parts(kind, platform)
  const configBytes = await readSlice(config, MAX_CONFIG_BYTES)
  const read = readConfig(configBytes)
  checkConfig(read, layers.length, platform)
  const budget = new UnpackBudget(maxBytes)
  const checked = await checkLayers(layers, read.rootfs.diff_ids, budget, signal)
  return { kind, image: { configBytes, configDigest: sha256(configBytes), facts: factsOf(read), layers: checked, diskBytes: budget.diskBytes, tarBytes: budget.tarBytes } }
}
