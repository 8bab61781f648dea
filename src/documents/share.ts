import { z } from 'zod'
import { int, list, peerId, real, text } from '../codec/schema.ts'
import { PARAMS } from '../params.ts'
import { imageKeyText } from './image.ts'
import { ENGINES, region } from './resources.ts'

/** Local hours in minutes since midnight; `from` > `to` spans midnight; no days means every day. */
const hours = z.strictObject({ days: list(int(0, 6), 7).optional(), fromMinute: int(0, 1439), toMinute: int(0, 1440) })

/** Slower than 1 Mbps, shared by some readers, no part would come in time. */
export const MIN_UPLOAD_BYTES_PER_SECOND = 125_000
export const MAX_UPLOAD_BYTES_PER_SECOND = 125_000_000_000

/** Named by hand, or copied from somebody's list. */
export const MAX_IMAGES = 1024

/** What a host lends, to whom and when. Set by its owner with `share`; the core decides every bid by it. */
export const sharePolicy = z.strictObject({
  /** False: requester only. */
  enabled: z.boolean(),
  /** The owner pressed pause. */
  paused: z.boolean(),
  cores: real(0.1, PARAMS.maxCores),
  memoryBytes: int(PARAMS.minMemoryBytes, PARAMS.maxMemoryBytes),
  diskBytes: int(0, PARAMS.maxDiskBytes),
  gpus: z.boolean(),
  engines: list(z.enum(ENGINES), ENGINES.length),
  region,
  /** Longest run of one task it takes. */
  maxRunMs: int(1, PARAMS.maxRunMs),
  /** Most bytes of input it fetches for one task. */
  maxInputBytes: int(0, PARAMS.maxInputBytes),
  /** Most that goes out to all readers of inputs and results together; 0 or absent: what the line takes. */
  uploadBytesPerSecond: z.union([z.literal(0), int(MIN_UPLOAD_BYTES_PER_SECOND, MAX_UPLOAD_BYTES_PER_SECOND)]).exactOptional(),
  /** Container images that run here: digests and CIDs. */
  images: list(imageKeyText, MAX_IMAGES),
  /** Whoever vouches for an image, as its author or as one that looked at it: its images run here too. PeerIds. */
  imageSigners: list(peerId, MAX_IMAGES),
  /** Images that never run here, whoever vouches for them. */
  denyImages: list(imageKeyText, MAX_IMAGES),
  /** Images of nobody's list run too. */
  anyImage: z.boolean(),
  /** Containers may reach the domains that their jobs name. */
  containerNetwork: z.boolean(),
  /** Unpacked, of one image. */
  maxImageBytes: int(0, PARAMS.maxDiskBytes),
  /** Serve only these, when not empty; never those denied. */
  allow: list(peerId, 1024),
  deny: list(peerId, 1024),
  hours: list(hours, 32),
  /** Work only while the owner is away. */
  onlyWhenIdle: z.boolean(),
  /** Programs whose presence counts as use, such as a game's executable. */
  busyPrograms: list(text(128, 1), 128),
  /** Refuse requesters whose jobs failed here more than this share of the time, after ten jobs. */
  maxRequesterFaultShare: z.number().min(0).max(1)
})
export type SharePolicy = z.output<typeof sharePolicy>

/** Of a host without containers. */
export const NO_CONTAINERS = { images: [], imageSigners: [], denyImages: [], anyImage: false, containerNetwork: false, maxImageBytes: 0 } satisfies Partial<SharePolicy>
