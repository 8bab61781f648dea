import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { EngineClient } from '../../node/containers/engine-client.ts'
import { ImageStore } from '../../node/containers/images/image-store.ts'

/** Builds images byte by byte, right ones and such as no tool makes. */

export interface RawEntry { name: string, type?: string, data?: Buffer | string, linkTo?: string, mode?: number, major?: number, minor?: number, /** What the header says, where it lies. */ size?: number, magic?: 'ustar' | 'gnu', sizeField?: Buffer, prefix?: string }

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, '0')}\0`
}

export function tarHeader({ name, type = '0', data = '', linkTo = '', mode = 0o755, major = 0, minor = 0, size = Buffer.byteLength(data), magic = 'ustar', sizeField, prefix = '' }: RawEntry): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100)
  block.write(octal(mode, 8), 100)
  block.write(octal(0, 8), 108)
  block.write(octal(0, 8), 116)
  block.write(octal(size, 12), 124)
  sizeField?.copy(block, 124)
  block.write(octal(0, 12), 136)
  block.write('        ', 148)
  block.write(type, 156, 'latin1')
  block.write(linkTo, 157, 100)
  block.write(magic === 'ustar' ? 'ustar\x0000' : 'ustar  \0', 257, 'latin1')
  block.write(octal(major, 8), 329)
  block.write(octal(minor, 8), 337)
  block.write(prefix, 345, 155)
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

export function rawTar(entries: RawEntry[], end: Buffer = Buffer.alloc(1024)): Buffer {
  return Buffer.concat([...entries.flatMap((entry) => {
    const data = Buffer.from(entry.data ?? '')
    return [tarHeader(entry), data, Buffer.alloc((512 - data.length % 512) % 512)]
  }), end])
}

/** An extended header's data. */
export function pax(records: Record<string, string>): string {
  return Object.entries(records).map(([key, value]) => {
    const body = Buffer.byteLength(` ${key}=${value}\n`)
    let length = body + String(body).length
    if (body + String(length).length !== length) length++
    return `${length} ${key}=${value}\n`
  }).join('')
}

export interface BuiltImage {
  config: Buffer
  manifest: Buffer
  digest: string
  /** All that a registry has of it, by digest. */
  blobs: Map<string, Buffer>
  layers: Buffer[]
  imageId: string
}

export interface ImagePlan {
  layers: Buffer[]
  /** Of its `config`. */
  settings?: object
  /** Over the whole configuration. */
  over?: object
  pack?: (tar: Buffer) => Buffer
  architecture?: string
}

const OCI = 'application/vnd.oci.image'

export function descriptor(bytes: Buffer, mediaType: string): { mediaType: string, digest: string, size: number } {
  return { mediaType, digest: sha256(bytes), size: bytes.length }
}

/** As `docker build` and a push would make it. */
export function buildImage({ layers, settings = {}, over = {}, pack = (tar) => gzipSync(tar, { level: 1 }), architecture = 'amd64' }: ImagePlan): BuiltImage {
  const config = Buffer.from(JSON.stringify({ architecture, os: 'linux', config: { Labels: { 'hearth.test': 'images' }, ...settings }, rootfs: { type: 'layers', diff_ids: layers.map(sha256) }, ...over }))
  const packed = layers.map(pack)
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config: descriptor(config, `${OCI}.config.v1+json`), layers: packed.map((each) => descriptor(each, `${OCI}.layer.v1.tar+gzip`)) }))
  return { config, manifest, digest: sha256(manifest), layers, imageId: sha256(config), blobs: new Map([config, manifest, ...packed].map((each) => [sha256(each), each])) }
}

export function buildIndex(manifests: { manifest: Buffer, platform?: object }[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: manifests.map(({ manifest, platform }) => ({ ...descriptor(manifest, `${OCI}.manifest.v1+json`), ...platform === undefined ? {} : { platform } })) }))
}

const hex = (digest: string): string => digest.slice('sha256:'.length)

export function ociArchive({ blobs }: Pick<BuiltImage, 'blobs'>, index: Buffer): Buffer {
  return rawTar([
    { name: 'oci-layout', data: '{"imageLayoutVersion":"1.0.0"}' }, { name: 'index.json', data: index },
    { name: 'blobs/', type: '5' }, { name: 'blobs/sha256/', type: '5' }, ...[...blobs].map(([digest, data]) => ({ name: `blobs/sha256/${hex(digest)}`, data }))
  ])
}

/** As `docker save` of old writes it: plain layers in folders, and the tags of its host. */
export function dockerArchive({ config, layers }: Pick<BuiltImage, 'config' | 'layers'>, tags: string[] | null = null, more: object[] = []): Buffer {
  return rawTar([
    { name: `${hex(sha256(config))}.json`, data: config },
    ...layers.map((data, i) => ({ name: `${i}/layer.tar`, data })),
    { name: 'manifest.json', data: JSON.stringify([{ Config: `${hex(sha256(config))}.json`, RepoTags: tags, Layers: layers.map((_, i) => `${i}/layer.tar`) }, ...more]) },
    { name: 'repositories', data: '{"alpine":{"latest":"0"}}' }
  ])
}

/** Removes what a node brought to the engine, after its end: to a life that knows of nothing, all of it is left over. */
export async function dropNodeImages(engine: EngineClient, node: string): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-drop-'))
  try {
    await (await ImageStore.open({ engine, dir, node, quotaBytes: 0, registries: { localRegistries: {} } })).close()
  } finally {
    await rm(dir, { recursive: true })
  }
}
