import type { FdTable } from './fd-table.ts'
import type { FsTree, TreeNode } from './fs-tree.ts'
import type { GuestMemory } from './guest-memory.ts'
import type { SeedRandom } from './seed-random.ts'
import type { VirtualClock } from './virtual-clock.ts'
import { FILETYPE, TIME_FLAG } from './wasi-abi.ts'

/** What the WASI calls of one run share. */
export interface WasiState {
  readonly memory: GuestMemory
  readonly tree: FsTree
  readonly fds: FdTable
  readonly clock: VirtualClock
  readonly random: SeedRandom
  /** NUL-terminated. */
  readonly args: Uint8Array[]
  readonly env: Uint8Array[]
}

/** The numbers a program gives are signed to JavaScript; here they are positions and counts. */
export const unsigned = (value: number): number => value >>> 0

/** A 64-bit offset or size as a number; beyond 2^53 nothing exists, so all of it is one answer. */
export function toOffset(value: bigint): number {
  return Number(BigInt.asUintN(64, value))
}

/** A position in a file that arithmetic keeps exact. */
export const isOffset = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

export function filetypeOf(node: TreeNode): number {
  return node.kind === 'dir' ? FILETYPE.directory : FILETYPE.regularFile
}

/** Writes a `filestat` of 64 bytes at `pointer`, which the caller has checked. Everything in it is the same on every host. */
export function putFilestat(memory: GuestMemory, pointer: number, node: TreeNode | undefined): void {
  memory.bytes.fill(0, pointer, pointer + 64)
  if (node === undefined) {
    memory.setU8(pointer + 16, FILETYPE.characterDevice)
    return
  }
  memory.setNumber(pointer, 1)
  memory.setNumber(pointer + 8, node.ino)
  memory.setU8(pointer + 16, filetypeOf(node))
  memory.setNumber(pointer + 24, 1)
  memory.setNumber(pointer + 32, node.kind === 'file' ? node.body.sizeBytes : 0)
  memory.setU64(pointer + 40, node.accessedNs)
  memory.setU64(pointer + 48, node.modifiedNs)
  memory.setU64(pointer + 56, node.modifiedNs)
}

/** Sets times as `flags` say; false if they contradict one another. */
export function setTimes(state: WasiState, node: TreeNode, accessedNs: bigint, modifiedNs: bigint, flags: number): boolean {
  const both = (a: number, b: number): boolean => (flags & a) !== 0 && (flags & b) !== 0
  if (both(TIME_FLAG.accessed, TIME_FLAG.accessedNow) || both(TIME_FLAG.modified, TIME_FLAG.modifiedNow)) return false
  if ((flags & TIME_FLAG.accessed) !== 0) node.accessedNs = BigInt.asUintN(64, accessedNs)
  if ((flags & TIME_FLAG.accessedNow) !== 0) node.accessedNs = state.clock.nowNs
  if ((flags & TIME_FLAG.modified) !== 0) node.modifiedNs = BigInt.asUintN(64, modifiedNs)
  if ((flags & TIME_FLAG.modifiedNow) !== 0) node.modifiedNs = state.clock.nowNs
  return true
}
