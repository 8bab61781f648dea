import { rootRef, stepInto } from '../../protocols/transfer/dag-walk.ts'
import { codecOfCid, isContentCid } from '../../protocols/transfer/content-id.ts'
import { HearthError } from '../../src/errors.ts'
import { badCid, badDag, missing } from './errors.ts'
import { Hold } from './hold.ts'
import { MAX_DAG_BLOCKS, MAX_ENTRIES, MAX_VISITS } from './limits.ts'
import type { BlockStore } from './block-store.ts'
import type { DagRef, DagStep } from '../../protocols/transfer/dag-walk.ts'

/** A file or folder as it lies in a DAG, in the DAG's order: a folder stands before what is in it. */
export type TreeEntry =
  | { kind: 'folder', path: string, cid: string }
  | { kind: 'file', path: string, cid: string, sizeBytes: number, ref: DagRef }

/** Reads DAGs that strangers may have made, out of a store that may lack parts of them. */
export class DagReader {
  readonly #blocks: BlockStore

  constructor(blocks: BlockStore) {
    this.#blocks = blocks
  }

  /** The node or leaf at `ref`, checked; undefined when it is not here. Throws E_CONTENT_FORMAT. */
  async step(ref: DagRef): Promise<{ step: DagStep, bytes: Uint8Array } | undefined> {
    const bytes = await this.#blocks.read(ref.cid)
    if (bytes === undefined) return undefined
    const read = stepInto(ref, bytes)
    if (!read.ok) throw badDag(ref.cid, read.message)
    return { step: read.value, bytes }
  }

  /**
   * Visits each block of a DAG once, leaves without reading them. `onBlock` hears of every block, here or not.
   * What lies below a missing node stays unknown.
   */
  async visitBlocks(root: string, onBlock: (ref: DagRef) => void): Promise<void> {
    if (!isContentCid(root)) throw badCid(root)
    const seen = new Set<string>([root])
    const open: DagRef[] = [rootRef(root)]
    for (let ref = open.pop(); ref !== undefined; ref = open.pop()) {
      onBlock(ref)
      if (codecOfCid(ref.cid) === 'raw' || !this.#blocks.has(ref.cid)) continue
      const read = await this.step(ref)
      if (read === undefined || read.step.kind === 'leaf') continue
      for (const child of read.step.children.toReversed()) {
        if (seen.has(child.cid)) continue
        if (seen.size >= MAX_DAG_BLOCKS) throw badDag(root, `it has more than ${MAX_DAG_BLOCKS} blocks`)
        seen.add(child.cid)
        open.push(child)
      }
    }
  }

  /** Holds every block of a DAG that is wholly here. Throws E_CONTENT_MISSING, and then holds nothing. */
  async holdAll(root: string): Promise<Hold> {
    const hold = new Hold(this.#blocks.index)
    try {
      await this.visitBlocks(root, (ref) => {
        hold.add(ref.cid)
        if (!this.#blocks.has(ref.cid)) throw missing(root)
      })
    } catch (err) {
      hold.release()
      throw err
    }
    return hold
  }

  /** Addresses of blocks of a DAG that are not here, at most `limit`, those that are known of. */
  async missing(root: string, limit: number): Promise<string[]> {
    const cids: string[] = []
    await this.visitBlocks(root, (ref) => {
      if (cids.length < limit && !this.#blocks.has(ref.cid)) cids.push(ref.cid)
    })
    return cids
  }

  /** Files and folders of a DAG, the root too, as `path` `''`. Throws E_CONTENT_MISSING, E_CONTENT_FORMAT. */
  async * tree(root: string): AsyncGenerator<TreeEntry> {
    if (!isContentCid(root)) throw badCid(root)
    const open: DagRef[] = [rootRef(root)]
    let entries = 0
    let visits = 0
    for (let ref = open.pop(); ref !== undefined; ref = open.pop()) {
      if (++visits > MAX_VISITS) throw badDag(root, `it refers to its parts more than ${MAX_VISITS} times`)
      if (ref.role === 'entry' && ++entries > MAX_ENTRIES) throw badDag(root, `it holds more than ${MAX_ENTRIES} files and folders`)
      const leafBytes = codecOfCid(ref.cid) === 'raw' ? this.#blocks.index.get(ref.cid)?.sizeBytes : undefined
      if (leafBytes !== undefined) {
        yield { kind: 'file', path: ref.path, cid: ref.cid, sizeBytes: leafBytes, ref }
        continue
      }
      const read = await this.step(ref)
      if (read === undefined) throw missing(root)
      if (read.step.kind !== 'folder') {
        yield { kind: 'file', path: ref.path, cid: ref.cid, sizeBytes: read.step.sizeBytes, ref }
        continue
      }
      if (ref.role === 'entry') yield { kind: 'folder', path: ref.path, cid: ref.cid }
      open.push(...read.step.children.toReversed())
    }
  }

  /** A file's content, leaf by leaf, `ahead` leaves read before they are asked for. Throws E_CONTENT_MISSING, E_CONTENT_FORMAT. */
  async * content(ref: DagRef, ahead = 1): AsyncGenerator<Uint8Array> {
    const open: DagRef[] = [ref]
    const reading: Promise<Uint8Array | HearthError>[] = []
    const leaf = async (part: DagRef): Promise<Uint8Array | HearthError> => {
      try {
        return (await this.step(part))?.bytes ?? missing(part.cid)
      } catch (err) {
        return err instanceof HearthError ? err : badDag(part.cid, String(err))
      }
    }
    while (open.length > 0 || reading.length > 0) {
      const next = reading.length < ahead ? open.pop() : undefined
      if (next === undefined) {
        const bytes = await reading.shift()
        if (bytes instanceof HearthError) throw bytes
        if (bytes !== undefined) yield bytes
      } else if (codecOfCid(next.cid) === 'raw') {
        reading.push(leaf(next))
      } else {
        const read = await this.step(next)
        if (read === undefined) throw missing(next.cid)
        if (read.step.kind === 'folder') throw new HearthError('E_CONTENT_IS_FOLDER', `${next.cid} is a folder`, 'Name a file in it, or export all of it')
        if (read.step.kind === 'file') open.push(...read.step.children.toReversed())
      }
    }
  }
}
