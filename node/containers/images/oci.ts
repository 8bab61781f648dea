import { createHash } from 'node:crypto'
import { z } from 'zod'
import { imageDigest } from '../../../src/documents/image.ts'
import { MAX_ARGV_ENTRIES, MAX_CONFIG_BYTES, MAX_ENV_ENTRIES, MAX_LAYERS, MAX_MANIFEST_BYTES } from './limits.ts'
import { ImageRefusal, malformed, quoted } from './refusal.ts'

/** The documents of images, as far as this room reads them (OCI image specification 1.1, and Docker's forms of the same). */

const OCI = 'application/vnd.oci.image'
const DOCKER = 'application/vnd.docker.distribution'
export const INDEX_TYPES: readonly string[] = [`${OCI}.index.v1+json`, `${DOCKER}.manifest.list.v2+json`]
export const MANIFEST_TYPES: readonly string[] = [`${OCI}.manifest.v1+json`, `${DOCKER}.manifest.v2+json`]

const platform = z.object({ architecture: z.string().max(64), os: z.string().max(64), variant: z.string().max(64).optional() })
const descriptor = z.object({ mediaType: z.string().max(255).optional(), digest: imageDigest, size: z.int().min(1), platform: platform.optional() })
export type Descriptor = z.output<typeof descriptor>

const layers = z.array(descriptor).min(1).max(MAX_LAYERS)
const manifest = z.object({ schemaVersion: z.literal(2), mediaType: z.string().max(255).optional(), config: descriptor, layers })
export type Manifest = z.output<typeof manifest>
const index = z.object({ schemaVersion: z.literal(2), mediaType: z.string().max(255).optional(), manifests: z.array(descriptor).max(1000) })
export type Index = z.output<typeof index>

const path = z.string().min(1).max(4096)
/** `manifest.json` of `docker save`: one entry an image. */
const saved = z.array(z.object({ Config: path, Layers: z.array(path).min(1).max(MAX_LAYERS) })).min(1).max(1000)
export type Saved = z.output<typeof saved>

const words = z.array(z.string()).max(MAX_ARGV_ENTRIES).nullish()
const config = z.object({
  architecture: z.string().max(64),
  os: z.string().max(64),
  variant: z.string().max(64).optional(),
  config: z.object({
    Entrypoint: words, Cmd: words, Env: z.array(z.string()).max(MAX_ENV_ENTRIES).nullish(),
    WorkingDir: z.string().max(4096).optional(), User: z.string().max(255).optional(), Volumes: z.record(z.string(), z.unknown()).nullish()
  }).nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(imageDigest).min(1).max(MAX_LAYERS) })
})
export type ImageConfig = z.output<typeof config>

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/**
 * Engines take a key in any letters: `"volumes"` declares volumes to them, and is unknown to us. The same key written twice
 * is read by us as they read it (the last one counts), in other letters it is not.
 */
function refuseRespelled(value: object, shape: Readonly<Record<string, z.ZodType>>, what: string): void {
  const known = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]))
  const strange = Object.keys(value).find((key) => (known.get(key.toLowerCase()) ?? key) !== key)
  if (strange !== undefined) malformed(`${what} has the key ${quoted(strange)}`)
}

function read<T>(bytes: Uint8Array, maxBytes: number, schema: z.ZodType<T>, what: string): { value: T, raw: object } {
  if (bytes.length > maxBytes) malformed(`${what} has more than ${maxBytes} bytes`)
  let raw: unknown
  try {
    raw = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (err) {
    throw new ImageRefusal('E_IMAGE_MALFORMED', `${what} is no JSON`, { cause: err })
  }
  const parsed = schema.safeParse(raw)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    malformed(`${what} is malformed: ${quoted(issue?.path.join('.') ?? '')} ${issue?.message ?? ''}`)
  }
  return { value: parsed.data, raw: typeof raw === 'object' && raw !== null ? raw : {} }
}

export function readIndex(bytes: Uint8Array): Index { return read(bytes, MAX_MANIFEST_BYTES, index, 'the index').value }
export function readManifest(bytes: Uint8Array): Manifest {
  const { value } = read(bytes, MAX_MANIFEST_BYTES, manifest, 'the manifest')
  if (value.layers.some(({ mediaType = '' }) => /foreign|nondistributable|encrypted/.test(mediaType))) malformed('the manifest has layers that are not in the registry, or encrypted')
  return value
}
export function readSaved(bytes: Uint8Array): Saved { return read(bytes, MAX_MANIFEST_BYTES, saved, 'manifest.json').value }
/** Whether a `manifest.json` is meant as one of `docker save`, and not some program's file of that name. */
export function isSaved(bytes: Uint8Array): boolean {
  try {
    const raw: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return Array.isArray(raw) && raw.length > 0 && raw.every((image) => typeof image === 'object' && image !== null && 'Layers' in image)
  } catch {
    return false
  }
}

export function readConfig(bytes: Uint8Array): ImageConfig {
  const { value, raw } = read(bytes, MAX_CONFIG_BYTES, config, 'the configuration')
  refuseRespelled(raw, config.shape, 'the configuration')
  if ('config' in raw && typeof raw.config === 'object' && raw.config !== null) refuseRespelled(raw.config, { ...config.shape.config.unwrap().unwrap().shape, ...OTHER_SETTINGS }, 'the configuration')
  if ('rootfs' in raw && typeof raw.rootfs === 'object' && raw.rootfs !== null) refuseRespelled(raw.rootfs, config.shape.rootfs.shape, 'the configuration')
  return value
}
/** What the runner sets itself, so that an image's is no matter; but spelled as it is meant. */
const OTHER_SETTINGS = { Healthcheck: z.unknown(), OnBuild: z.unknown(), StopSignal: z.unknown(), Shell: z.unknown(), ExposedPorts: z.unknown(), Labels: z.unknown() }

/** This host's kernel and processor, as Go names them. */
export interface Platform { os: string, architecture: string }

/** The one image of an index for a platform. Attestations stand there under a platform of their own. */
export function pickPlatform({ manifests }: Index, host: Platform): Descriptor {
  const fits = manifests.filter(({ platform }) => platform === undefined || (platform.os === host.os && platform.architecture === host.architecture))
  const found = fits.length > 1 ? fits.filter(({ platform }) => ['v1', 'v8', '', undefined].includes(platform?.variant)) : fits
  if (found.length > 1) malformed(`it holds ${found.length} images: send one`)
  const [only] = found
  if (only !== undefined) return only
  const names = manifests.flatMap(({ platform }) => platform === undefined || platform.os === 'unknown' ? [] : [`${platform.os}/${platform.architecture}`])
  throw new ImageRefusal('E_IMAGE_PLATFORM', `the image is made for ${quoted(names.join(', '))}, this host is ${host.os}/${host.architecture}`)
}

/** Refuses what no host like this runs, before anything is loaded. */
export function checkConfig({ os, architecture, config, rootfs }: ImageConfig, layerCount: number, host: Platform): void {
  if (os !== host.os || architecture !== host.architecture) throw new ImageRefusal('E_IMAGE_PLATFORM', `the image is made for ${quoted(`${os}/${architecture}`)}, this host is ${host.os}/${host.architecture}`)
  if (rootfs.diff_ids.length !== layerCount) malformed(`the configuration names ${rootfs.diff_ids.length} layers, the image has ${layerCount}`)
  const volumes = Object.keys(config?.Volumes ?? {})
  if (volumes.length > 0) throw new ImageRefusal('E_IMAGE_VOLUME', `the image declares the volume ${quoted(volumes[0] ?? '')}: a job writes to /out and /tmp only`)
}
