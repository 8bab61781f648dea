import { formatSize } from '../../../src/units.ts'
import { DISK_BLOCK_BYTES, MAX_ENTRIES, TAR_SLACK_BYTES } from './limits.ts'
import { ImageRefusal } from './refusal.ts'
import type { TarEntry } from './tar-walk.ts'

/**
 * What is left of one image's bounds while its layers are inflated and counted. Throws `E_IMAGE_SIZE` with the first byte
 * too many: an image that expands without end is left there.
 */
export class UnpackBudget {
  readonly #maxBytes: number
  #tarBytes = 0
  #diskBytes = 0
  #entries = 0

  /** `maxBytes`: on the engine's disk. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** On the engine's disk: in whole blocks, and a block for each directory. */
  get diskBytes(): number { return this.#diskBytes }
  /** Of all tars, unpacked; the engine keeps them until it has read them. */
  get tarBytes(): number { return this.#tarBytes }
  get maxBytes(): number { return this.#maxBytes }

  takeTar(bytes: number): void {
    this.#tarBytes += bytes
    if (this.#tarBytes > this.#maxBytes + TAR_SLACK_BYTES) this.#refuse()
  }

  takeEntry({ type, size }: Pick<TarEntry, 'type' | 'size'>): void {
    this.#entries++
    if (this.#entries > MAX_ENTRIES) throw new ImageRefusal('E_IMAGE_SIZE', `the image has more than ${MAX_ENTRIES} files`)
    this.#diskBytes += type === 'file' ? Math.ceil(size / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES : type === 'dir' ? DISK_BLOCK_BYTES : 0
    if (this.#diskBytes > this.#maxBytes) this.#refuse()
  }

  #refuse(): never {
    throw new ImageRefusal('E_IMAGE_SIZE', `the image takes more than the ${formatSize(this.#maxBytes)} that this host allows, unpacked`)
  }
}
