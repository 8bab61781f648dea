import { decode } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import { cidFromBytes, codecOfCid } from './content-id.ts'
import type { PBLink, PBNode } from '@ipld/dag-pb'

/** A leaf of a file, and the chunk size of the `unixfs-v1-2025` profile. */
export const MAX_LEAF_BYTES = 1024 * 1024

/** A file node of 1,024 links takes 56 KiB, a folder node 256 KiB before it is split into shards: twice that is nobody's honest node. */
export const MAX_NODE_BYTES = 512 * 1024

/** The largest file that is described at all, in bytes. Sums of sizes stay exact far beyond it. */
export const MAX_FILE_BYTES = 2 ** 44

/** From a file's root to its leaves: 1,024 links a level reach 2^50 bytes with three. */
export const MAX_FILE_DEPTH = 8

/** Folders in folders, and as many shards again. */
export const MAX_FOLDER_DEPTH = 64

/** As filesystems have it. */
export const MAX_NAME_BYTES = 255

/** UnixFS data begins with its type, which protobuf readers would otherwise guess. */
const UNIXFS_TYPE_TAG = 0x08

/** HAMT folders have 256 buckets, each named by two hexadecimal digits before the entry's own name. */
const SHARD_FANOUT = 256n
const SHARD_PREFIX = /^[0-9A-F]{2}/

export interface FileChild {
  cid: string
  /** Content bytes below it, as the parent declares; the child must agree. */
  sizeBytes: number
}

export interface FolderEntry {
  name: string
  cid: string
}

/** What one dag-pb block says, checked. Leaves are raw blocks and have no node. */
export type DagNode =
  | { kind: 'file', sizeBytes: number, children: FileChild[] }
  | { kind: 'folder', entries: FolderEntry[] }
  /** A part of a large folder: its own entries, and further parts. */
  | { kind: 'shard', entries: FolderEntry[], shards: string[] }

/**
 * Why a name cannot be written anywhere safely, or undefined when it can: it would leave the folder, split into two, hide in a listing,
 * or be taken for an option by the next command.
 */
export function nameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'is not a name'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `is longer than ${MAX_NAME_BYTES} bytes`
  if (name.startsWith('-')) return 'begins with "-"'
  if (name.includes('/')) return 'contains "/"'
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'contains a control character'
  if (name.includes('\ufffd') || !name.isWellFormed()) return 'is not UTF-8'
  return undefined
}

function toSize(value: bigint): number | undefined {
  return value >= 0n && value <= BigInt(MAX_FILE_BYTES) ? Number(value) : undefined
}

function fileNode(data: UnixFS, links: PBLink[], cids: string[]): Result<DagNode> {
  if (data.data !== undefined && data.data.byteLength > 0) return refuse('E_DAG_FORMAT', 'A file node holds content itself instead of in raw leaves')
  if (data.blockSizes.length !== links.length) return refuse('E_DAG_FORMAT', `A file node has ${links.length} links and ${data.blockSizes.length} sizes`)
  const children: FileChild[] = []
  let sum = 0
  for (const [i, cid] of cids.entries()) {
    const sizeBytes = toSize(data.blockSizes[i] ?? -1n)
    const name = links[i]?.Name ?? ''
    if (name !== '' || sizeBytes === undefined || sizeBytes === 0) return refuse('E_DAG_FORMAT', 'A file node has a link with a name or without a size')
    if (codecOfCid(cid) === 'raw' && sizeBytes > MAX_LEAF_BYTES) return refuse('E_DAG_FORMAT', `A leaf of ${sizeBytes} bytes is declared`)
    sum += sizeBytes
    children.push({ cid, sizeBytes })
  }
  if (sum > MAX_FILE_BYTES) return refuse('E_DAG_FORMAT', 'A file is larger than any')
  return accept({ kind: 'file', sizeBytes: sum, children })
}

function folderNode(links: PBLink[], cids: string[], isShard: boolean): Result<DagNode> {
  const entries: FolderEntry[] = []
  const shards: string[] = []
  const seen = new Set<string>()
  for (const [i, cid] of cids.entries()) {
    let name = links[i]?.Name ?? ''
    if (isShard) {
      if (!SHARD_PREFIX.test(name)) return refuse('E_DAG_FORMAT', 'A part of a folder has a link without its bucket')
      name = name.slice(2)
      if (name === '' && codecOfCid(cid) === 'dag-pb') {
        shards.push(cid)
        continue
      }
    }
    const problem = nameProblem(name)
    if (problem !== undefined) return refuse('E_DAG_NAME', `The name ${JSON.stringify(name.slice(0, MAX_NAME_BYTES))} ${problem}`)
    if (seen.has(name)) return refuse('E_DAG_NAME', `The name ${JSON.stringify(name)} stands twice in one folder`)
    seen.add(name)
    entries.push({ name, cid })
  }
  return accept(isShard ? { kind: 'shard', entries, shards } : { kind: 'folder', entries })
}

/**
 * Reads a dag-pb block that a stranger may have made. Refuses (E_DAG_FORMAT, E_DAG_NAME) what is not a UnixFS file or folder in the
 * layout of the `unixfs-v1-2025` profile, links that are not ours to follow, and names that cannot be written. Never throws.
 */
export function decodeDagNode(bytes: Uint8Array): Result<DagNode> {
  if (bytes.byteLength > MAX_NODE_BYTES) return refuse('E_DAG_FORMAT', `A node has ${bytes.byteLength} bytes, above ${MAX_NODE_BYTES}`)
  let node: PBNode
  let data: UnixFS
  try {
    node = decode(bytes)
    if (node.Data?.[0] !== UNIXFS_TYPE_TAG) return refuse('E_DAG_FORMAT', 'A node is not UnixFS')
    data = UnixFS.unmarshal(node.Data)
  } catch (err) {
    return refuse('E_DAG_FORMAT', `A node cannot be read: ${err instanceof Error ? err.message : String(err)}`)
  }
  const cids: string[] = []
  for (const link of node.Links) {
    const cid = cidFromBytes(link.Hash.bytes)
    if (cid === undefined) return refuse('E_DAG_FORMAT', 'A node links to something that is neither a raw block nor a dag-pb node by SHA-256')
    cids.push(cid)
  }
  if (data.type === 'file') return fileNode(data, node.Links, cids)
  if (data.type === 'directory') return folderNode(node.Links, cids, false)
  if (data.type !== 'hamt-sharded-directory') return refuse('E_DAG_FORMAT', `A node is a UnixFS ${data.type}, neither file nor folder`)
  if (data.fanout !== SHARD_FANOUT) return refuse('E_DAG_FORMAT', `A folder has ${data.fanout ?? 'no'} buckets instead of ${SHARD_FANOUT}`)
  return folderNode(node.Links, cids, true)
}
