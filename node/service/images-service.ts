import { imageKey, readImage } from '../../src/documents/image.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { HearthError } from '../../src/errors.ts'
import type { ImagesApi, ImagesReport, ImageSummary } from '../api/images.ts'
import type { ImageStore } from '../containers/images/image-store.ts'
import type { ContentStore } from '../content/content-store.ts'
import { checkImage, locate } from '../jobfile/index.ts'
import type { NodeKeys } from '../keys/index.ts'
import { signImage } from '../network/image-signers.ts'

/** What is kept while an archive is only looked at. */
const LOOK_OWNER = 'draft:image'

export interface ImagesParts {
  /** Undefined while no container engine answers. */
  store: () => ImageStore | undefined
  policy: () => SharePolicy
  quotaBytes: number
  keys: Pick<NodeKeys, 'peerId' | 'signEd25519'>
  content: Pick<ContentStore, 'importPath' | 'unpin'>
}

/** The owner's side of images: what is cached, what goes, and who vouches for what. */
export class ImagesService implements ImagesApi {
  readonly #parts: ImagesParts

  constructor(parts: ImagesParts) {
    this.#parts = parts
  }

  async images(): Promise<ImagesReport> {
    const policy = this.#parts.policy()
    const images = (this.#parts.store()?.list() ?? []).map(({ key, name, diskBytes, lastUsedWallMs, isInUse }): ImageSummary => ({ key, name, diskBytes, lastUsedWallMs, inUse: isInUse, listed: listedAs(key, policy) }))
    return { images, usedBytes: images.reduce((sum, { diskBytes }) => sum + diskBytes, 0), quotaBytes: this.#parts.quotaBytes }
  }

  async removeImages({ key }: { key?: string }): Promise<{ freedBytes: number }> {
    const store = this.#parts.store()
    if (store === undefined) throw new HearthError('E_CONTAINER_NO_ENGINE', 'no container engine answers, so no image can be removed', 'See `doctor`')
    if (key === undefined) return { freedBytes: await store.prune() }
    const bytes = store.list().find((image) => image.key === key)?.diskBytes ?? 0
    switch (await store.remove(key)) {
      case 'removed': return { freedBytes: bytes }
      case 'used': throw new HearthError('E_IMAGE_USED', 'a job uses this image now', 'Wait for it to end; `images` shows what is in use')
      case 'absent': throw new HearthError('E_IMAGE_NONE', 'no job brought such an image here', '`images` lists those that are here')
    }
  }

  async signImage({ image, baseDir }: { image: string, baseDir: string }): Promise<{ key: string, signature: string }> {
    const key = await this.#keyOf(image, baseDir)
    const { signer, signature } = signImage(this.#parts.keys, key)
    return { key, signature: `${signer}:${Buffer.from(signature).toString('base64')}` }
  }

  async #keyOf(image: string, baseDir: string): Promise<string> {
    const read = readImage(image)
    switch (read.kind) {
      case 'registry': return imageKey(read.image)
      case 'wrong': throw new HearthError('E_IMAGE_NAME', read.message, read.hint)
      case 'source': {
        if (read.path.startsWith('cid:')) return read.path.slice('cid:'.length)
        const local = await locate(read.path, baseDir, { key: 'image', kind: 'file' })
        await checkImage(local)
        // its address is that of its blocks: they are made as for a job
        const { cid } = await this.#parts.content.importPath(local.path, { pinFor: LOOK_OWNER })
        await this.#parts.content.unpin(cid, LOOK_OWNER)
        return cid
      }
    }
  }
}

function listedAs(key: string, policy: SharePolicy): ImageSummary['listed'] {
  if (policy.denyImages.includes(key)) return 'denied'
  if (policy.images.includes(key)) return 'listed'
  return policy.anyImage ? 'any' : 'no'
}
