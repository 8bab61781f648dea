import { KIB, MIB, SECOND_MS } from '../../src/units.ts'

/** Bounds of the local socket: a client is the owner's own program, but it may be wrong, stopped or in a loop. */

/** The socket's own protocol; a client refuses a node that speaks another. */
export const API_VERSION = 2
/** A job file of the largest allowed job, written as JSON with room to spare. */
export const MAX_REQUEST_BYTES = 8 * MIB
/** The detail of a job of 10,000 tasks with its timeline takes about 6 MiB. */
export const MAX_RESPONSE_BYTES = 64 * MIB
/** Scripts and open terminals of one person; each holds a socket and a little state. */
export const MAX_CLIENTS = 128
/** Calls and streams of one client that wait for their end. */
export const MAX_CALLS_A_CLIENT = 64
/** Most stream elements a client may ask for ahead. */
export const MAX_WINDOW = 1024
/** What a client asks ahead: enough to hide the socket's latency, little to hold in memory. */
export const CLIENT_WINDOW = 128
/** A client that reads nothing while this much waits for it is not read from either. */
export const MAX_UNREAD_BYTES = 16 * MIB
/** A frame that was begun must end within this. */
export const FRAME_WITHIN_MS = 30 * SECOND_MS
/** Time to connect and be greeted on one machine; longer means that the node hangs. */
export const GREET_WITHIN_MS = 5 * SECOND_MS
/** At closing, replies that wait may still leave within this. */
export const FLUSH_WITHIN_MS = 2 * SECOND_MS
/** Elements a live stream holds for a reader that lags. */
export const EVENT_QUEUE_LENGTH = 4096
/** `sun_path` has 104 bytes on macOS and 108 on Linux, its end included. */
export const MAX_SOCKET_PATH_BYTES = 100
/** Longest text of an identifier or address in a request. */
export const MAX_NAME_CHARS = 4 * KIB
/** How often a call tells how far it is: as often as a terminal draws. */
export const PROGRESS_EVERY_MS = 100
