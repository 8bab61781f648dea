/**
 * The sandbox's bounds, in one place. No imports: the child process loads this file too.
 * What depends on the job (memory, output, time) is in `RunLimits`.
 */

/** Program faults by a name that does not change with the engine's wording. */
export const TRAPS = [
  'unreachable', 'memory-out-of-bounds', 'divide-by-zero', 'divide-overflow', 'invalid-conversion', 'table-out-of-bounds',
  'indirect-call', 'null-reference', 'data-out-of-bounds', 'element-out-of-bounds', 'invalid-module'
] as const
export type Trap = (typeof TRAPS)[number]

/** Virtual nanoseconds by which one reading of a clock advances it: a program that spins until a deadline soon gets there. */
export const CLOCK_STEP_NS = 1_000_000n

export const SEED_BYTES = 32
/** One wasm32 address space. */
export const MAX_MEMORY_BYTES = 4 * 1024 ** 3
/** Directory entries live in the child's small heap. */
export const MAX_OUT_FILES = 50_000
export const MAX_INPUTS = 50_000
/** Both streams are held in the child's memory until the end. */
export const MAX_LOG_BYTES = 64 * 1024 ** 2
/** Arguments, and the environment, each in all: as on Linux a quarter of the stack. */
export const MAX_ARGS_BYTES = 1024 ** 2
/** As long as a timer of the platform can wait (2^31 - 1 ms, about 24 days). */
export const MAX_WALL_MS = 2 ** 31 - 1
/** A path given by a program; more is ENAMETOOLONG. */
export const MAX_PATH_BYTES = 4096

/** A cut stream ends with this line, so that nobody mistakes it for the whole. */
export const LOG_CUT_MARK = '\n[hearth: cut here, the limit for this stream is reached]\n'

/** One component of a path, as on every common file system. */
export const MAX_NAME_BYTES = 255
/** A whole path below `/out`, and its depth: what every host, Windows included, can store below a directory of its own. */
export const MAX_OUT_PATH_BYTES = 1024
export const MAX_OUT_DEPTH = 32
/** Descriptors of one program, preopens and streams included. */
export const MAX_OPEN_FILES = 256
/** Vectors in one read or write (IOV_MAX of Linux). */
export const MAX_IOVECS = 1024
/** Subscriptions in one `poll_oneoff`. */
export const MAX_SUBSCRIPTIONS = 1024
/** One host call reads or writes at most this; a program sees a short count. Node's own calls take 31 bits. */
export const MAX_TRANSFER_BYTES = 1024 ** 3

/** A scratch file moves from memory to the host's disk above this, or when all of them together reach the second figure. */
export const SPILL_FILE_BYTES = 1024 ** 2
export const SPILL_TOTAL_BYTES = 64 * 1024 ** 2

/** Bodies of the frames that a child sends; a log is cut into pieces of `LOG_FRAME_BYTES`. */
export const MAX_CHILD_FRAME_BYTES = 64 * 1024
export const LOG_FRAME_BYTES = 32 * 1024
/** Bodies of the frames between node and supervisor: a spec with `MAX_INPUTS` long paths fits. */
export const MAX_SPEC_FRAME_BYTES = 512 * 1024 ** 2
