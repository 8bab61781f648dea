import { SECOND_MS } from '../../src/units.ts'
import { MAX_FILE_DEPTH, MAX_FOLDER_DEPTH, MAX_LEAF_BYTES } from './dag-node.ts'

export const TRANSFER_PROTOCOL = '/hearth/transfer/1'

/** What a source may send before it is asked block by block: a whole small result, or the first nodes of a large one, in one round trip. */
export const AHEAD_BYTES = 256 * 1024

/** The most a source sends ahead, whatever is asked. */
export const MAX_AHEAD_BYTES = 1024 * 1024

/** Blocks looked through to send ahead; reading further would cost more than the round trip it saves. */
export const MAX_AHEAD_BLOCKS = 256

/** Blocks asked of one source and not come yet, and blocks not stored yet: with less, network and disk wait for each other. */
export const WINDOW_BYTES = 6 * MAX_LEAF_BYTES

/** Fetches that run at once; more wait. With many, each has a smaller window, so that together they hold some tens of MiB. */
export const MAX_FETCHES = 16

/** With more readers than this being sent blocks, none has blocks read ahead: each then holds one or two in memory. */
export const MANY_READERS = 12

/** Streams of all readers together, resting ones included. */
export const MAX_READER_STREAMS = 256

/** Small blocks asked of one source and not come yet. */
export const WINDOW_BLOCKS = 64

/** Positions in one request. */
export const MAX_WANTED = 32

/** From a root to any block: folders, as many shards again, and the levels of a file. */
export const MAX_PATH = 2 * MAX_FOLDER_DEPTH + MAX_FILE_DEPTH

/** A node of 512 KiB has no more links than this. */
export const MAX_POSITION = 16_384

/** Requests a client may have waiting at a source: those of its window, and to spare. */
export const MAX_QUEUED_REQUESTS = 2 * WINDOW_BLOCKS

/** The longest request: a path and positions, three bytes a number. */
export const MAX_REQUEST_BYTES = 1024

/** The longest answer: a leaf and the byte that says what it is. */
export const MAX_ANSWER_BYTES = MAX_LEAF_BYTES + 1

/** Ids of agreements are hashes in hexadecimal. */
export const MAX_AGREEMENT_CHARS = 128

/** A reader acknowledges parts when it has this much of them. */
export const ACK_EVERY_BYTES = 16 * 1024

/** Paced blocks travel in parts between these sizes, the larger the faster the way: others' messages get between them, and their delay is seen. */
export const MIN_PACED_PART_BYTES = 16 * 1024
export const MAX_PACED_PART_BYTES = 128 * 1024

/** Small answers leave together up to this. */
export const TOGETHER_BYTES = 32 * 1024

/** A part smaller than this that is not the last: nobody honest sends those. */
export const MIN_PART_BYTES = 4 * 1024

/** Without a byte for this long, a source or a reader is given up. A block may take twice as long: 17 KB/s is the slowest source that is of use. */
export const STALL_TIMEOUT_MS = 30 * SECOND_MS

/** Dialling a source, and its first answer. */
export const OPEN_TIMEOUT_MS = 15 * SECOND_MS

/** A stream kept for the next fetch saves it a round trip. */
export const KEEP_STREAM_MS = 20 * SECOND_MS

/** The source waits longer than the client keeps, so that it is the client that ends the stream. */
export const IDLE_STREAM_MS = 40 * SECOND_MS

/** Streams kept for reuse, over all peers. */
export const MAX_KEPT_STREAMS = 64

/** Blocks being written to the store at once, a fetch: a window of large ones, or this many small ones, which share a write. */
export const MAX_PENDING_PUTS = 64

/** Blocks a source reads from its disk before they are sent. */
export const LOAD_AHEAD = 3

/** Blocks up to this leave together with their neighbours. */
export const SMALL_BLOCK_BYTES = 8 * 1024

/** Sources asked at once for one content. */
export const MAX_PARALLEL_SOURCES = 3

/** With less than this to come a second source would come too late to help. */
export const PARALLEL_ABOVE_BYTES = 16 * MAX_LEAF_BYTES

/** Blocks of one content: 256 GiB in whole leaves. */
export const MAX_BLOCKS = 262_144

/** Progress is told at most this often. */
export const PROGRESS_EVERY_MS = 100

/** Streams one peer may have open here at once: one a fetch of its own, and some that are just closing. */
export const MAX_STREAMS_PER_PEER = MAX_FETCHES + 4

/** What one peer may read here in an hour, unless configured: a gigabit link's worth of half of it. */
export const MAX_PEER_BYTES_PER_HOUR = 256 * 1024 ** 3
