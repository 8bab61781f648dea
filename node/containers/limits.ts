import { KIB, MIB, SECOND_MS } from '../../src/units.ts'

/**
 * The container room's bounds, in one place. What depends on the job (memory, output, time) is in `ContainerLimits`;
 * names, paths and logs are bounded as in the WebAssembly room.
 */

/** Each call on the engine that only asks. A busy disk delays an engine by seconds, a dead one for ever. */
export const ASK_DEADLINE_MS = 10 * SECOND_MS
/** Making, starting, pausing or removing a container: with many at once on a slow disk the engine takes its time. */
export const ACT_DEADLINE_MS = 60 * SECOND_MS
/** Filling a volume must move this much at least each second, plus `ACT_DEADLINE_MS`: slower than any disk in use. */
export const FILL_BYTES_PER_SECOND = 4 * MIB
/** A socket that does not answer in this time is passed over at open. */
export const PING_DEADLINE_MS = 2 * SECOND_MS
/** A running engine is asked this often whether it lives: a connection to a dead one breaks at once, to a stuck one never. */
export const PING_INTERVAL_MS = 10 * SECOND_MS
/** So many in a row without an answer mean that the engine is stuck. */
export const MISSED_PINGS = 2
/** After a container has ended its streams are drained; longer than this means that the engine holds them. */
export const DRAIN_DEADLINE_MS = 30 * SECOND_MS

/** Images whose configuration is remembered. */
export const MAX_KNOWN_IMAGES = 256
/** Leftovers of which the removal is tried again; more wait for the next start's reaper. */
export const MAX_LEFTOVERS = 1024
/** Tries of a removal, and the pause between them: an engine that restarts is back within a minute. */
export const REMOVAL_TRIES = 20
export const REMOVAL_PAUSE_MS = 3 * SECOND_MS

/** Secrets of one run: kept in a tmpfs of this size, so in the job's memory. */
export const MAX_SECRETS = 64
export const MAX_SECRETS_BYTES = MIB
/** Shared memory (/dev/shm), part of the job's memory too. */
export const MAX_SHM_BYTES = 64 * MIB
export { CONTAINER_OVERHEAD_BYTES as OVERHEAD_BYTES } from '../../src/market/fit.ts'
/** The kernel refuses containers with less, and nothing runs in less. */
export const MIN_MEMORY_BYTES = 6 * MIB
export const MAX_CORES = 1024
export const MIN_CORES = 0.01
export const MAX_PIDS = 32_768
/** Open files of each process: what Linux gives by default. */
export const MAX_OPEN_FILES = 1024
/** Memory that a process may lock, as systemd gives users. */
export const MAX_LOCKED_BYTES = 8 * MIB
/** Files and directories in /tmp. */
export const TMP_FILES = 10_000

/** One line of progress, mark included; a longer one is plain log. */
export const MAX_PROGRESS_LINE_BYTES = KIB
/** Progress is passed on at most this often. */
export const PROGRESS_EVERY_MS = 100

/** A result up to these sizes is given in memory instead of left in a folder (as in the WebAssembly room). */
export const SMALL_RESULT_BYTES = 64 * KIB
export const SMALL_RESULT_FILES = 16
/** Nobody's report of what a container used is longer. */
export const MAX_USAGE_FRAME_BYTES = 4 * KIB

/** The oldest API that has private control group namespaces: Docker 20.10 and Podman 3. */
export const MIN_API_VERSION = '1.41'
