import { cidOfBlock, codecOfCid, isContentCid } from '../../protocols/transfer/content-id.ts'
import { rootRef, stepInto } from '../../protocols/transfer/dag-walk.ts'

/**
 * Every block of a small DAG once, by address, in the order of a walk from its root. Undefined when one cannot be had, is in no
 * form of ours, or when they are more than `maxBlocks` or `maxBytes`.
 */
export async function walkSmallDag(root: string, read: (cid: string) => Promise<Uint8Array | undefined> | Uint8Array | undefined, { maxBlocks, maxBytes }: { maxBlocks: number, maxBytes: number }): Promise<Map<string, Uint8Array> | undefined> {
  if (!isContentCid(root)) return undefined
  const found = new Map<string, Uint8Array>()
  const open = [rootRef(root)]
  let bytes = 0
  for (let ref = open.pop(); ref !== undefined; ref = open.pop()) {
    if (found.has(ref.cid)) continue
    const block = await read(ref.cid)
    if (block === undefined) return undefined
    bytes += block.byteLength
    if (found.size >= maxBlocks || bytes > maxBytes) return undefined
    found.set(ref.cid, block)
    const step = stepInto(ref, block)
    if (!step.ok) return undefined
    if (step.value.kind !== 'leaf') open.push(...step.value.children.toReversed())
  }
  return found
}

/** The blocks that a stranger sent in the order of `walkSmallDag`, each held against its address; undefined unless they are the whole DAG and nothing else. */
export async function readSmallDag(root: string, blocks: readonly Uint8Array[]): Promise<Map<string, Uint8Array> | undefined> {
  let next = 0
  const read = (cid: string): Uint8Array | undefined => {
    const block = blocks[next++]
    return block !== undefined && cidOfBlock(codecOfCid(cid), block) === cid ? block : undefined
  }
  const found = await walkSmallDag(root, read, { maxBlocks: blocks.length, maxBytes: Number.POSITIVE_INFINITY })
  return next === blocks.length ? found : undefined
}
