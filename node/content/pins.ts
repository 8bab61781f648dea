import { HearthError } from '../../src/errors.ts'
import { MAX_OWNER_CHARS } from './limits.ts'
import type { BlockStore } from './block-store.ts'
import type { DagReader } from './dag-reader.ts'
import type { Hold } from './hold.ts'

interface Pinned {
  owners: Set<string>
  /** Every block of the DAG, as far as it was known when it was pinned. */
  hold: Hold
}

/** Which roots are kept for whom. A root's blocks stay until its last owner lets go; pins outlive the process. */
export class Pins {
  readonly #blocks: BlockStore
  readonly #reader: DagReader
  readonly #pinned = new Map<string, Pinned>()

  constructor(blocks: BlockStore, reader: DagReader) {
    this.#blocks = blocks
    this.#reader = reader
  }

  get roots(): number {
    return this.#pinned.size
  }

  * all(): Generator<{ cid: string, owner: string }> {
    for (const [cid, { owners }] of this.#pinned) for (const owner of owners) yield { cid, owner }
  }

  ownersOf(cid: string): string[] {
    return [...this.#pinned.get(cid)?.owners ?? []]
  }

  /** Takes up what was pinned before. A root that lost blocks keeps what is left. */
  async load(hold: () => Hold): Promise<void> {
    for (const [cid, owner] of await this.#blocks.loadPins()) {
      const known = this.#pinned.get(cid)
      if (known !== undefined) {
        known.owners.add(owner)
        continue
      }
      const held = hold()
      await this.#reader.visitBlocks(cid, (ref) => { held.add(ref.cid) }).catch(() => {})
      this.#pinned.set(cid, { owners: new Set([owner]), hold: held })
    }
  }

  /** Throws E_CONTENT_MISSING unless all of it is here. */
  async pin(cid: string, owner: string): Promise<void> {
    if (owner === '' || owner.length > MAX_OWNER_CHARS) throw new HearthError('E_CONTENT_OWNER', `The owner of a pin has ${owner.length} characters`, `Use 1 to ${MAX_OWNER_CHARS}`)
    const hold = await this.#reader.holdAll(cid)
    const known = this.#pinned.get(cid)
    if (known === undefined) {
      this.#pinned.set(cid, { owners: new Set([owner]), hold })
    } else {
      // held anew: a block that was lost may be back
      known.hold.release()
      known.hold = hold
      known.owners.add(owner)
    }
    await this.#blocks.storePin(cid, owner)
  }

  /** Does nothing where there is no such pin. */
  async unpin(cid: string, owner: string): Promise<void> {
    const known = this.#pinned.get(cid)
    if (known === undefined || !known.owners.delete(owner)) return
    if (known.owners.size === 0) {
      this.#pinned.delete(cid)
      known.hold.release()
    }
    await this.#blocks.removePin(cid, owner)
  }
}
