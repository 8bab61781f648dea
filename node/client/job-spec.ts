/**
 * A job as an object: the keys of a job file, in its units ("512 MiB", "5 m"). The node checks it as it checks a file, and
 * an unknown key is an error that names the nearest one. `hearth help job` explains each key.
 */
export interface JobSpec {
  /** What you call it; everyone who runs it sees it. */
  name?: string
  engine?: 'wasm' | 'container'
  /** The WebAssembly (WASI preview 1) program: a path, or `cid:…`. */
  module?: string
  /** A container's image, in place of a module: `name@sha256:…`, the path of an archive, or `cid:…`. */
  image?: string
  /** Who vouches for the image, as `image sign` prints it. */
  imageSignatures?: readonly string[]
  /** The secret that holds `name:password` for the image's registry. */
  registryLogin?: string
  /** Files that only the chosen hosts get; the program finds them at /run/secrets/NAME. */
  secrets?: Readonly<Record<string, string>>
  entrypoint?: readonly string[]
  command?: readonly string[]
  network?: { allow: readonly string[], max?: string }
  /** With `map`, `{index}`, `{item}` and `{item.name}` stand for what the tasks differ in. */
  args?: readonly (string | number)[]
  env?: Readonly<Record<string, string | number>>
  /** What the program finds below /in: a file, a folder or `cid:…` at each place. */
  inputs?: Readonly<Record<string, string>>
  stdin?: string
  /** Files below /out without which a task has failed. */
  outputs?: readonly string[]
  /** Many tasks of one job. */
  map?: { range: readonly [number, number] | readonly [number, number, number] } | { list: readonly (string | number)[] } | { files: string }
  /** What one task holds while it runs. */
  resources?: { cores?: number, memory?: string, disk?: string, gpu?: { vendor?: 'nvidia' | 'amd' | 'intel', model?: string, vram?: string, count?: number } }
  limits?: { queue?: string, run?: string, total?: string, log?: string }
  /** Hosts that run each task at once. */
  replicas?: number
  /** Equal results that make a task done. */
  quorum?: number
  adaptive?: boolean
  /** How results are compared where bytes are not all: a WebAssembly program that compares two, or one that judges each. */
  compare?: { with: string, args?: readonly (string | number)[] } | { verify: string, args?: readonly (string | number)[] }
  /** Parts of a task, below /out/segment-N: of two results that differ only the first differing part runs again. */
  segments?: number
  spotCheck?: string | number
  retries?: number
  priceCap?: string
  select?: 'weighted' | 'cheapest' | 'fastest' | 'random'
  placement?: {
    regions?: readonly string[]
    maxLatency?: string
    allow?: readonly string[]
    deny?: readonly string[]
    providers?: readonly string[]
    hardware?: { gpuVendors?: readonly ('nvidia' | 'amd' | 'intel')[] }
  }
}
