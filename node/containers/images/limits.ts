import { GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from '../../../src/units.ts'

/** The bounds on images, in one place. How much an image may take unpacked is the owner's choice, and comes with each call. */

/** The kernel's overlay takes 128 directories, and the container's own is one of them. */
export const MAX_LAYERS = 127
/** An image's configuration; real ones have a few KiB. */
export const MAX_CONFIG_BYTES = MIB
/** A manifest, an index, or the answer of a registry's token server: registries refuse larger manifests than 4 MiB themselves. */
export const MAX_MANIFEST_BYTES = 4 * MIB
export const MAX_ENV_ENTRIES = 1000
/** Words of an entrypoint or a command. */
export const MAX_ARGV_ENTRIES = 4096
/** Files, directories and links of all layers: the largest images in use have some 400,000. Each costs an inode. */
export const MAX_ENTRIES = 1_000_000
/** Blobs and small files of an archive. */
export const MAX_ARCHIVE_ENTRIES = 10_000
/** Linux's own. */
export const MAX_PATH_BYTES = 4096
export const MAX_NAME_BYTES = 255
/** Extended attributes and long names of one entry: what Go's tar, which engines use, takes. */
export const MAX_TAR_EXTRA_BYTES = MIB
/** What any file takes on a disk at least. */
export const DISK_BLOCK_BYTES = 4 * KIB
/** A tar has headers and padding beside what it unpacks to; so much more than the bound may be read of it. */
export const TAR_SLACK_BYTES = 64 * MIB

/** A registry that sends nothing for so long is given up. */
export const STALL_MS = 30 * SECOND_MS
/** A pull has this long, and a second more for each of these bytes: 512 kbit/s. */
export const PULL_BASE_MS = 2 * MINUTE_MS
export const PULL_BYTES_PER_SECOND = 64 * KIB
/** No pull lasts longer. */
export const MAX_PULL_MS = 24 * HOUR_MS
export const MAX_REDIRECTS = 5
/** Layers of one image fetched at once, as Docker does. */
export const PARALLEL_LAYERS = 3
/** Images made ready at once; more wait. */
export const MAX_PREPARING = 2
/** Waiting for their turn; a node holds fewer leases. */
export const MAX_WAITING = 256

/** Images that are remembered; the oldest unused one leaves for another. */
export const MAX_IMAGES = 256
/** The catalog's file. */
export const MAX_CATALOG_BYTES = MIB
/** The engine's disk keeps this much free beside an image. */
export const ENGINE_RESERVE_BYTES = GIB
/** The node's own disk keeps this much free beside what is fetched of an image: its records live there, and its content store leaves 256 MiB. */
export const STAGING_RESERVE_BYTES = 512 * MIB
/** Of progress, at most so often. */
export const PROGRESS_EVERY_MS = 200
