import { Readable } from 'node:stream'
import { pack, type Pack } from 'tar-stream'
import { EngineError, type EngineClient, type InspectedImage } from '../engine-client.ts'
import { ACT_DEADLINE_MS, FILL_BYTES_PER_SECOND } from '../limits.ts'
import type { ImageFacts, ImageSource } from './image-source.ts'
import { readPlain, writeAll } from './inflate.ts'
import type { CheckedLayer } from './layer-check.ts'
import type { Platform } from './oci.ts'
import { ImageRefusal, quoted } from './refusal.ts'

/** An image as the engine has it. */
export interface EngineImage extends InspectedImage {
  RepoTags?: string[] | null
  RootFS?: { Layers?: string[] | null }
  Config?: InspectedImage['Config'] & { User?: string }
}

const EPOCH = new Date(0)
/** Names that nobody's registry can have (RFC 2606): an engine that looks for one elsewhere finds nothing. */
const OUR_HOST = 'hearth.invalid'

const changed = (): ImageRefusal => new ImageRefusal('E_IMAGE_DISK', 'a file of this host changed while it was read')

/** One entry of the tar, with backpressure. */
async function addEntry(tar: Pack, name: string, size: number, fill: (write: (bytes: Buffer) => Promise<void>) => Promise<void>, signal: AbortSignal): Promise<void> {
  const entry = tar.entry({ name, size, mtime: EPOCH, mode: 0o644 }, () => undefined)
  // the reader of the tar hears of it
  entry.on('error', () => undefined)
  let written = 0
  await fill(async (bytes) => {
    written += bytes.length
    if (written > size) throw changed()
    await writeAll(entry, bytes, signal)
  })
  if (written !== size) throw changed()
  entry.end(undefined)
}

async function addLayer(tar: Pack, name: string, { slice, tarBytes }: CheckedLayer, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  await addEntry(tar, name, tarBytes, async (write) => {
    await readPlain(slice, async (bytes) => {
      await write(bytes)
      onBytes(bytes.length)
    }, signal)
  }, signal)
}

/**
 * The archive that the engine gets is ours: one image, our tag, and layers as we inflated and counted them. So no archive of
 * a stranger names an image of this host, and no other inflater than ours sees packed bytes.
 */
async function addImage(tar: Pack, image: ImageSource, tag: string, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  const hex = (digest: string): string => digest.slice('sha256:'.length)
  const nameOf = ({ diffId }: CheckedLayer): string => `${hex(diffId)}.tar`
  const config = `${hex(image.configDigest)}.json`
  const manifest = Buffer.from(JSON.stringify([{ Config: config, RepoTags: [tag], Layers: image.layers.map(nameOf) }]))
  try {
    await addEntry(tar, 'manifest.json', manifest.length, async (write) => { await write(manifest) }, signal)
    await addEntry(tar, config, image.configBytes.length, async (write) => { await write(Buffer.from(image.configBytes)) }, signal)
    for (const layer of new Map(image.layers.map((each) => [each.diffId, each])).values()) await addLayer(tar, nameOf(layer), layer, onBytes, signal)
    tar.finalize()
  } catch (err) {
    tar.destroy(err instanceof Error ? err : new Error(String(err)))
    throw err
  }
}

/** The engine says in words only what it could not do. */
function loadRefusal(words: string): ImageRefusal {
  const told = quoted(words.trim())
  if (/no space left|disk quota exceeded/i.test(words)) return new ImageRefusal('E_IMAGE_ROOM', 'the engine\'s disk is full')
  if (/processing tar file|invalid (?:symlink|hardlink)|breakout/i.test(words)) return new ImageRefusal('E_IMAGE_MALFORMED', `the engine cannot unpack the image: ${told}`)
  return new ImageRefusal('E_IMAGE_ENGINE', `the engine did not load the image: ${told}`)
}

/** A load is answered with lines of JSON, after a status that says 200 in any case. */
function checkLoaded(answer: unknown): void {
  const text = Buffer.isBuffer(answer) ? answer.toString() : typeof answer === 'string' ? answer : JSON.stringify(answer)
  for (const line of text.split('\n')) {
    const error = /"error":"((?:[^"\\]|\\.)*)"/.exec(line)?.[1]
    if (error !== undefined) throw loadRefusal(error)
  }
}

/** Images on the engine, as far as they are ours. Throws `ImageRefusal` and `EngineError`. */
export class EngineImages {
  readonly #engine: EngineClient
  /** `hearth.invalid/<node>`: nodes that share an engine each have their own names. */
  readonly #repository: string

  constructor(engine: EngineClient, nodeHash: string) {
    this.#engine = engine
    this.#repository = `${OUR_HOST}/${nodeHash}`
  }

  tagOf(keyHash: string): string { return `${this.#repository}:${keyHash}` }

  async platform(): Promise<Platform> {
    const { Os = 'linux', Arch = '' } = await this.#engine.version()
    return { os: Os, architecture: Arch }
  }

  async rootDir(): Promise<string | undefined> { return (await this.#engine.info()).DockerRootDir }

  async find(reference: string): Promise<EngineImage | undefined> {
    try {
      return await this.#engine.call<EngineImage>({ method: 'GET', path: `/images/${encodeURIComponent(reference)}/json` })
    } catch (err) {
      if (err instanceof EngineError && err.status === 404) return undefined
      throw err
    }
  }

  /** The tags of this node that are on the engine. */
  async ourTags(): Promise<string[]> {
    const images = await this.#engine.call<{ RepoTags?: string[] | null }[]>({ method: 'GET', path: '/images/json', query: { filters: { reference: [this.#repository] } } })
    return images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => tag.startsWith(`${this.#repository}:`))
  }

  /** Whether somebody other than a node has it: then it is the owner's, and stays. */
  isOwners({ RepoTags, RepoDigests }: EngineImage): boolean {
    const names = [...RepoTags ?? [], ...RepoDigests ?? []].filter((name) => !name.startsWith('<none>'))
    return names.length === 0 || names.some((name) => !name.startsWith(`${OUR_HOST}/`))
  }

  async tag(imageId: string, tag: string): Promise<void> {
    const [repo, name] = [tag.slice(0, tag.lastIndexOf(':')), tag.slice(tag.lastIndexOf(':') + 1)]
    await this.#engine.call({ method: 'POST', path: `/images/${encodeURIComponent(imageId)}/tag`, query: { repo, tag: name }, deadlineMs: ACT_DEADLINE_MS })
  }

  /** Takes our name away, and with the last name the image. False while a container needs it. */
  async untag(tag: string): Promise<boolean> {
    try {
      await this.#engine.call({ method: 'DELETE', path: `/images/${encodeURIComponent(tag)}`, deadlineMs: ACT_DEADLINE_MS })
    } catch (err) {
      if (err instanceof EngineError && err.status === 409) return false
      if (!(err instanceof EngineError && err.status === 404)) throw err
    }
    return true
  }

  /** Gives a checked image to the engine, under our tag, and looks at what it made of it. */
  async load(image: ImageSource, tag: string, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<EngineImage> {
    const tar = pack()
    tar.on('error', () => undefined)
    const stop = new AbortController()
    const added = addImage(tar, image, tag, onBytes, AbortSignal.any([signal, stop.signal]))
    // what breaks the stream ends the call, too
    added.catch((err: unknown) => { stop.abort(err) })
    try {
      checkLoaded(await this.#engine.call({ method: 'POST', path: '/images/load', query: { quiet: true }, file: Readable.from(tar as AsyncIterable<Buffer>, { objectMode: false }), deadlineMs: Math.ceil(ACT_DEADLINE_MS + image.tarBytes / FILL_BYTES_PER_SECOND * 1000), signal: AbortSignal.any([signal, stop.signal]) }))
      await added
    } catch (err) {
      // what broke the stream tells more than that it broke
      const first: unknown = stop.signal.aborted ? stop.signal.reason : err
      stop.abort(err)
      tar.destroy()
      await added.catch(() => undefined)
      signal.throwIfAborted()
      throw first instanceof EngineError && first.kind === 'refused' ? loadRefusal(first.message) : first
    }
    const loaded = await this.find(tag)
    const isSame = loaded !== undefined && (loaded.Id === image.configDigest || JSON.stringify(loaded.RootFS?.Layers) === JSON.stringify(image.layers.map(({ diffId }) => diffId)))
    if (!isSame) throw new ImageRefusal('E_IMAGE_ENGINE', 'the engine loaded another image than it was given')
    return loaded
  }
}

/** The engine's own view of an image, which is what a container gets. Refuses what slipped through by another spelling. */
export function engineFacts({ Config }: EngineImage): ImageFacts {
  const volumes = Object.keys(Config?.Volumes ?? {})
  if (volumes.length > 0) throw new ImageRefusal('E_IMAGE_VOLUME', `the image declares the volume ${quoted(volumes[0] ?? '')}: a job writes to /out and /tmp only`)
  return { entrypoint: Config?.Entrypoint ?? [], command: Config?.Cmd ?? [], env: Config?.Env ?? [], workingDir: Config?.WorkingDir ?? '', user: Config?.User ?? '' }
}
