import type { CheckedLayer } from './layer-check.ts'
import type { ImageConfig } from './oci.ts'

/** What a runner and a person want to know of an image. */
export interface ImageFacts {
  entrypoint: string[]
  command: string[]
  /** `NAME=value`. */
  env: string[]
  workingDir: string
  /** As the image says; runs have a user of their own. */
  user: string
}

/** An image whose every byte was checked: its configuration, and its layers as parts of files. */
export interface ImageSource {
  configBytes: Uint8Array
  /** The image's id for engines that go by configurations. */
  configDigest: string
  facts: ImageFacts
  layers: CheckedLayer[]
  /** On the engine's disk, unpacked. */
  diskBytes: number
  /** Of all layers' tars, unpacked. */
  tarBytes: number
}

export function factsOf({ config }: ImageConfig): ImageFacts {
  return { entrypoint: config?.Entrypoint ?? [], command: config?.Cmd ?? [], env: config?.Env ?? [], workingDir: config?.WorkingDir ?? '', user: config?.User ?? '' }
}
