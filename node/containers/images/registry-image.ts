import { join } from 'node:path'
import { formatSize } from '../../../src/units.ts'
import { checkLayers } from './archive.ts'
import { factsOf, type ImageSource } from './image-source.ts'
import type { FileSlice } from './inflate.ts'
import { MAX_CONFIG_BYTES, MAX_PULL_MS, PARALLEL_LAYERS, PULL_BASE_MS, PULL_BYTES_PER_SECOND } from './limits.ts'
import { checkConfig, INDEX_TYPES, MANIFEST_TYPES, pickPlatform, readConfig, readIndex, readManifest, sha256, type Descriptor, type Manifest, type Platform } from './oci.ts'
import { ImageRefusal, malformed } from './refusal.ts'
import type { RegistryClient } from './registry-client.ts'
import { checkStaging } from './staging.ts'
import { UnpackBudget } from './unpack-budget.ts'

export interface PullOptions {
  /** An own, empty folder for the layers; the caller removes it. */
  dir: string
  maxBytes: number
  platform: Platform
  signal: AbortSignal
  /** Bytes as they come, of all that will. */
  onBytes?: (doneBytes: number, totalBytes: number) => void
}

/** What a document is: its own word, or how it looks where it is silent (OCI allows that). */
function isIndex(bytes: Buffer): boolean {
  const raw: unknown = JSON.parse(bytes.toString())
  if (typeof raw !== 'object' || raw === null) return false
  const type = 'mediaType' in raw ? String(raw.mediaType) : undefined
  if (type !== undefined && !INDEX_TYPES.includes(type) && !MANIFEST_TYPES.includes(type)) malformed('the manifest is of a kind that is no image')
  // one that could be read as both is what attackers make
  if ('manifests' in raw && 'layers' in raw) malformed('the manifest is an image and an index at once')
  return 'manifests' in raw
}

async function manifestOf(registry: RegistryClient, digest: string, platform: Platform, signal: AbortSignal): Promise<Manifest> {
  const bytes = await registry.manifest(digest, signal)
  try {
    if (!isIndex(bytes)) return readManifest(bytes)
  } catch (err) {
    throw err instanceof SyntaxError ? new ImageRefusal('E_IMAGE_MALFORMED', 'the manifest is no JSON', { cause: err }) : err
  }
  const chosen = pickPlatform(readIndex(bytes), platform)
  return readManifest(await registry.manifest(chosen.digest, signal))
}

/** `work` on all, a few at a time; the first failure ends the others. */
async function eachOf<T>(items: readonly T[], parallel: number, signal: AbortSignal, work: (item: T, i: number, signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const ends = AbortSignal.any([signal, stop.signal])
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) {
      ends.throwIfAborted()
      const item = items[i]
      if (item !== undefined) await work(item, i, ends)
    }
  }
  const workers = Array.from({ length: Math.min(parallel, items.length) }, worker)
  try {
    await Promise.all(workers)
  } catch (err) {
    stop.abort(err)
    await Promise.allSettled(workers)
    throw err
  }
}

async function fetchLayers(registry: RegistryClient, layers: readonly Descriptor[], { dir, signal, onBytes }: PullOptions): Promise<FileSlice[]> {
  // a layer may be there twice (the empty one is); it is one blob
  const blobs = [...new Map(layers.map((layer) => [layer.digest, layer])).values()]
  const pathOf = (digest: string): string => join(dir, digest.slice('sha256:'.length))
  const totalBytes = blobs.reduce((sum, { size }) => sum + size, 0)
  await checkStaging(dir, totalBytes)
  const late = AbortSignal.timeout(Math.ceil(Math.min(MAX_PULL_MS, PULL_BASE_MS + totalBytes / PULL_BYTES_PER_SECOND * 1000)))
  let doneBytes = 0
  try {
    await eachOf(blobs, PARALLEL_LAYERS, AbortSignal.any([signal, late]), async (blob, _, signal) => {
      await registry.blob(blob, pathOf(blob.digest), (bytes) => { onBytes?.(doneBytes += bytes, totalBytes) }, signal)
    })
  } catch (err) {
    if (late.aborted && !signal.aborted) throw new ImageRefusal('E_IMAGE_REGISTRY', `the registry is too slow: ${formatSize(doneBytes)} of ${formatSize(totalBytes)} came in time`, { cause: err })
    throw err
  }
  return layers.map(({ digest, size }) => ({ path: pathOf(digest), start: 0, size }))
}

/**
 * Fetches an image by the digest of its manifest or index, and checks all of it: what the manifest promises before the first
 * layer is asked for, then each blob's digest, then each layer as it inflates. Throws `ImageRefusal`.
 */
export async function pullImage(registry: RegistryClient, digest: string, options: PullOptions): Promise<ImageSource> {
  const { maxBytes, platform, signal } = options
  const { config: configDescriptor, layers } = await manifestOf(registry, digest, platform, signal)
  const packedBytes = layers.reduce((sum, { size }) => sum + size, 0)
  if (packedBytes > maxBytes) throw new ImageRefusal('E_IMAGE_SIZE', `the image takes ${formatSize(packedBytes)} even packed, more than the ${formatSize(maxBytes)} that this host allows`)
  const configBytes = await registry.smallBlob(configDescriptor, MAX_CONFIG_BYTES, signal)
  const config = readConfig(configBytes)
  checkConfig(config, layers.length, platform)
  const slices = await fetchLayers(registry, layers, options)
  const budget = new UnpackBudget(maxBytes)
  const checked = await checkLayers(slices, config.rootfs.diff_ids, budget, signal)
  return { configBytes, configDigest: sha256(configBytes), facts: factsOf(config), layers: checked, diskBytes: budget.diskBytes, tarBytes: budget.tarBytes }
}
