import { imageKey, imageText } from '../documents/image.ts'
import type { Offer } from '../documents/offer.ts'
import type { SharePolicy } from '../documents/share.ts'
import type { ErrorCode } from '../errors.ts'
import { formatSize } from '../units.ts'

/** The owner denies the image of this offer: runs of it end, too. */
export function isDenied({ container }: Offer, { denyImages }: Pick<SharePolicy, 'denyImages'>): boolean {
  return container !== undefined && denyImages.includes(imageKey(container.image))
}

/**
 * Why a container does not run on this host: its owner's lists decide, by what an image is and not by what it is called.
 * A denied image stays denied whoever vouches for it. Signatures were checked before the offer came here.
 */
export function imageUnmet(container: NonNullable<Offer['container']>, policy: Pick<SharePolicy, 'images' | 'imageSigners' | 'denyImages' | 'anyImage' | 'containerNetwork' | 'maxImageBytes'>): { code: ErrorCode, message: string }[] {
  const { image, signatures = [], networkBytes } = container
  const key = imageKey(image)
  const unmet: { code: ErrorCode, message: string }[] = []
  const isListed = policy.anyImage || policy.images.includes(key) || signatures.some(({ signer }) => policy.imageSigners.includes(signer))
  if (policy.denyImages.includes(key)) unmet.push({ code: 'E_IMAGE_DENIED', message: `does not run the image ${imageText(image)}` })
  else if (!isListed) unmet.push({ code: 'E_IMAGE_UNLISTED', message: `runs images of its lists only, and ${imageText(image)} is on none` })
  if (networkBytes !== undefined && !policy.containerNetwork) unmet.push({ code: 'E_FIT_NETWORK', message: 'lends containers no network' })
  if (image.from === 'content' && image.sizeBytes > policy.maxImageBytes) unmet.push({ code: 'E_FIT_IMAGE', message: `takes images of at most ${formatSize(policy.maxImageBytes)}, this one has ${formatSize(image.sizeBytes)}` })
  return unmet
}
