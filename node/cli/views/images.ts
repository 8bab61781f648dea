import { formatSize } from '../../../src/units.ts'
import type { ImagesReport, ImageSummary } from '../../api/images.ts'
import { table } from '../term/table.ts'
import { clean, wrap } from '../term/text.ts'
import { duration } from '../term/time.ts'
import type { View } from '../term/view.ts'

const MAY_RUN: Record<ImageSummary['listed'], string> = { listed: 'on your list', denied: 'denied', any: 'any may', no: 'if signed' }

export function imagesView({ images, usedBytes, quotaBytes }: ImagesReport, view: View): string[] {
  if (images.length === 0) return wrap('no job brought an image here yet', view.width)
  return [
    ...table([
      { title: 'name', min: 8, keep: 2 },
      { title: 'size', align: 'right' },
      { title: 'used', keep: 3 },
      { title: 'may run', keep: 4 },
      { title: 'key', keep: 1 }
    ], images.map(({ name, diskBytes, lastUsedWallMs, inUse, listed, key }) => [
      { text: clean(name), style: 'cyan' },
      formatSize(diskBytes),
      inUse ? { text: 'now', style: 'green' } : `${duration(Math.max(0, view.nowWallMs - lastUsedWallMs))} ago`,
      MAY_RUN[listed],
      clean(key)
    ]), view),
    '',
    `${formatSize(usedBytes)} of ${formatSize(quotaBytes)} used`
  ]
}
