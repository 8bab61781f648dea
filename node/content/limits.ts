import { MIB } from '../../src/units.ts'

/** Blocks up to this live in the index database, several to a write; larger ones are files of their own. */
export const INLINE_BLOCK_BYTES = 16 * 1024

/** Small blocks and nodes kept in memory: what a result is made of is read again within a second of being written. */
export const BLOCK_CACHE_BYTES = 8 * MIB

/** Left free on the disk for everything else: a full disk harms its owner more than a refused job. */
export const MIN_FREE_DISK_BYTES = 256 * MIB

/** Eviction goes on to this share of the quota, so that a store at its limit does not evict for each block. */
export const EVICT_TO = 0.95

/** Files read, hashed and written at once within one import: a disk and a core are busy with four. */
export const IMPORT_CONCURRENCY = 4

/** Links of a file node, as the `unixfs-v1-2025` profile has it. */
export const MAX_LINKS = 1024

/** A folder node above this is split into shards, as the profile has it. */
export const SHARD_ABOVE_BYTES = 256 * 1024

/** Files and folders of one imported or exported folder: the bound on what a listing holds in memory. */
export const MAX_ENTRIES = 100_000

/** Blocks of one DAG that are counted, pinned or listed as missing: 256 GiB in whole chunks. */
export const MAX_DAG_BLOCKS = 262_144

/** Entries visited when a folder refers to the same parts again and again. */
export const MAX_VISITS = 2 * MAX_DAG_BLOCKS

/** Owners of pins are ids of jobs and agreements. */
export const MAX_OWNER_CHARS = 200
