import { statfs } from 'node:fs/promises'
import { formatSize } from '../../../src/units.ts'
import { STAGING_RESERVE_BYTES } from './limits.ts'
import { ImageRefusal } from './refusal.ts'

/** Before so much is written below `dir`: the node's own records must not run out of disk for an image. `E_IMAGE_ROOM`. */
export async function checkStaging(dir: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir)
  const shortBytes = bytes + STAGING_RESERVE_BYTES - bavail * bsize
  if (shortBytes > 0) throw new ImageRefusal('E_IMAGE_ROOM', `there is no room to fetch the image: ${formatSize(shortBytes)} is lacking on this host's disk`)
}
