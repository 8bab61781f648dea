import type { ErrorCode } from '../../../src/errors.ts'

/**
 * Whose fault it is that an image is not ready. `image`: it would be refused on every host like this one. `requester`: its
 * name or login. `host`: this host's disk, engine, network or bounds; another host may take it.
 */
export type ImageFaultOf = 'image' | 'requester' | 'host'

const FAULT_OF = {
  /** The registry has no such image, or does not say so to strangers. */
  E_IMAGE_NOT_FOUND: 'requester',
  /** Bytes came that are not those which the digest names. */
  E_IMAGE_DIGEST: 'requester',
  /** Made for another processor or system. */
  E_IMAGE_PLATFORM: 'image',
  /** It declares VOLUME: directories on the host's disk, without a limit. */
  E_IMAGE_VOLUME: 'image',
  /** Unpacked it takes more than the host's owner allows, or has more files. */
  E_IMAGE_SIZE: 'host',
  /** Not an image, or one that nobody's tools make. */
  E_IMAGE_MALFORMED: 'image',
  E_IMAGE_LOGIN: 'requester',
  /** A registry at an address of the host's own network, or none at all. */
  E_IMAGE_REGISTRY_ADDRESS: 'requester',
  E_IMAGE_REGISTRY: 'host',
  /** No room: the quota for images is in use, or the engine's disk is full. */
  E_IMAGE_ROOM: 'host',
  /** A file of this host could not be read or written. */
  E_IMAGE_DISK: 'host',
  E_IMAGE_ENGINE: 'host',
  E_IMAGE_CANCELLED: 'host'
} as const satisfies Record<`E_IMAGE_${string}`, ImageFaultOf>
export type ImageRefusalCode = keyof typeof FAULT_OF & ErrorCode

/** Why an image is not ready; thrown within this folder, an outcome outside of it. */
export class ImageRefusal extends Error {
  readonly code: ImageRefusalCode
  readonly fault: ImageFaultOf

  constructor(code: ImageRefusalCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.fault = FAULT_OF[code]
  }
}

export function malformed(message: string): never {
  throw new ImageRefusal('E_IMAGE_MALFORMED', message)
}

/** A stranger's text in a message: on one line, and short. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
