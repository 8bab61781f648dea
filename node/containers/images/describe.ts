import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { accept, type Result } from '../../../src/codec/result.ts'
import { readArchive, type ArchiveKind } from './archive.ts'
import type { ImageFacts } from './image-source.ts'
import { asImageRefusal } from './image-refusal.ts'
import type { Platform } from './oci.ts'

export interface ArchiveDescription extends ImageFacts {
  kind: ArchiveKind
  /** The engine's id of it, where engines go by configurations. */
  imageId: string
  layers: number
  /** Unpacked, on a disk: what hosts compare with their bound. */
  diskBytes: number
}

/** As Go, and so every image, names processors. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }

/** Linux on this PC's processor: what runs in its containers. */
export function ownPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch }
}

/**
 * What hosts will make of an archive that somebody is about to send, without an engine. `tempDir` takes a packed archive,
 * unpacked, for the time. Refused: as by `ImageStore.ensure`.
 */
export async function describeArchive(path: string, { tempDir, maxBytes, platform = ownPlatform(), signal }: { tempDir: string, maxBytes: number, platform?: Platform, signal: AbortSignal }): Promise<Result<ArchiveDescription>> {
  const dir = await mkdtemp(join(tempDir, 'image-'))
  try {
    const { kind, image } = await readArchive(path, { spoolPath: join(dir, 'archive.tar'), maxBytes, platform, signal })
    return accept({ kind, imageId: image.configDigest, layers: image.layers.length, diskBytes: image.diskBytes, ...image.facts })
  } catch (err) {
    const { code, message } = asImageRefusal(err)
    return { ok: false, code, message }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
