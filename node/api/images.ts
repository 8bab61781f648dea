/** What an owner asks of the container images on this PC. Images are named by their key: the digest of a registry's image, or the CID of an archive. */
export interface ImagesApi {
  /** What jobs brought and is kept as a cache. */
  images(): Promise<ImagesReport>
  /** Removes one image, or all that no run uses. Never what the owner has on the engine apart from jobs. Throws E_IMAGE_USED, E_IMAGE_NONE. */
  removeImages(request: { key?: string }): Promise<{ freedBytes: number }>
  /** Vouches for an image with this node's identity: as its author, or because its owner looked at it. `image` as in job files. */
  signImage(request: { image: string, baseDir: string }): Promise<{ key: string, /** For a job's `imageSignatures`. */ signature: string }>
}

export interface ImageSummary {
  key: string
  name: string
  diskBytes: number
  lastUsedWallMs: number
  inUse: boolean
  /** Why it may run here. */
  listed: 'listed' | 'denied' | 'any' | 'no'
}

export interface ImagesReport { images: ImageSummary[], usedBytes: number, quotaBytes: number }
