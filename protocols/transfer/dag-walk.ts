import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import { codecOfCid } from './content-id.ts'
import { decodeDagNode, MAX_FILE_DEPTH, MAX_FOLDER_DEPTH, MAX_LEAF_BYTES } from './dag-node.ts'

/** One link on the way down a DAG, with what its parent says about it. */
export interface DagRef {
  cid: string
  /** `entry`: a root or something named in a folder. `part`: of a file. `shard`: of a folder. */
  role: 'entry' | 'part' | 'shard'
  /** Content bytes a part must have. */
  sizeBytes?: number
  /** Path inside the root, `''` for the root itself. Parts and shards have their file's or folder's. */
  path: string
  folderDepth: number
  fileDepth: number
}

export function rootRef(cid: string): DagRef {
  return { cid, role: 'entry', path: '', folderDepth: 0, fileDepth: 0 }
}

/** What a block turned out to be. */
export type DagStep =
  | { kind: 'leaf', sizeBytes: number }
  | { kind: 'file', sizeBytes: number, children: DagRef[] }
  | { kind: 'folder', children: DagRef[] }

/**
 * Reads the block at `ref` and holds it against what its parent said: the kind, the size, and how deep it lies.
 * The children stand in the order in which requests count them. Refuses with E_DAG_FORMAT, E_DAG_NAME. Never throws.
 */
export function stepInto(ref: DagRef, bytes: Uint8Array): Result<DagStep> {
  if (codecOfCid(ref.cid) === 'raw') {
    if (ref.role === 'shard') return refuse('E_DAG_FORMAT', 'A part of a folder is raw bytes')
    if (bytes.byteLength > MAX_LEAF_BYTES) return refuse('E_DAG_FORMAT', `A leaf has ${bytes.byteLength} bytes, above ${MAX_LEAF_BYTES}`)
    if (ref.sizeBytes !== undefined && ref.sizeBytes !== bytes.byteLength) return refuse('E_DAG_FORMAT', `A leaf has ${bytes.byteLength} bytes where its file says ${ref.sizeBytes}`)
    return accept({ kind: 'leaf', sizeBytes: bytes.byteLength })
  }
  const decoded = decodeDagNode(bytes)
  if (!decoded.ok) return decoded
  const node = decoded.value
  if (node.kind === 'file') {
    if (ref.role === 'shard') return refuse('E_DAG_FORMAT', 'A part of a folder is a file')
    if (ref.sizeBytes !== undefined && ref.sizeBytes !== node.sizeBytes) return refuse('E_DAG_FORMAT', `A part of a file has ${node.sizeBytes} bytes where its parent says ${ref.sizeBytes}`)
    const fileDepth = ref.fileDepth + 1
    if (fileDepth > MAX_FILE_DEPTH) return refuse('E_DAG_FORMAT', `A file is more than ${MAX_FILE_DEPTH} levels deep`)
    const children = node.children.map(({ cid, sizeBytes }): DagRef => ({ cid, role: 'part', sizeBytes, path: ref.path, folderDepth: ref.folderDepth, fileDepth }))
    return accept({ kind: 'file', sizeBytes: node.sizeBytes, children })
  }
  if (ref.role === 'part') return refuse('E_DAG_FORMAT', 'A part of a file is a folder')
  if (ref.role === 'shard' && node.kind === 'folder') return refuse('E_DAG_FORMAT', 'A part of a folder is a whole folder')
  const folderDepth = ref.folderDepth + 1
  if (folderDepth > MAX_FOLDER_DEPTH) return refuse('E_DAG_FORMAT', `Folders are more than ${MAX_FOLDER_DEPTH} deep`)
  const shards = node.kind === 'shard' ? node.shards : []
  const prefix = ref.path === '' ? '' : `${ref.path}/`
  return accept({
    kind: 'folder',
    children: [
      ...shards.map((cid): DagRef => ({ cid, role: 'shard', path: ref.path, folderDepth, fileDepth: 0 })),
      ...node.entries.map(({ name, cid }): DagRef => ({ cid, role: 'entry', path: `${prefix}${name}`, folderDepth, fileDepth: 0 }))
    ]
  })
}
