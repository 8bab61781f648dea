import { encode, prepare } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { cidOfBlock, cidToBytes } from '../../protocols/transfer/content-id.ts'
import { HearthError } from '../../src/errors.ts'
import { MAX_LINKS, SHARD_ABOVE_BYTES } from './limits.ts'

/** Takes a finished block in. */
export type PutBlock = (cid: string, bytes: Uint8Array) => Promise<void>

/** A node of the DAG being built. */
export interface Built {
  cid: string
  /** Content bytes below it. */
  sizeBytes: number
  /** Bytes of its own block and of all below it, counted as often as they are linked: dag-pb's `Tsize`. */
  dagBytes: number
}

async function putNode(data: UnixFS, links: { name: string, to: Built }[], put: PutBlock, sizeBytes: number): Promise<Built> {
  const block = encodeNode(data, links)
  const cid = cidOfBlock('dag-pb', block)
  await put(cid, block)
  return { cid, sizeBytes, dagBytes: block.byteLength + links.reduce((sum, link) => sum + link.to.dagBytes, 0) }
}

function encodeNode(data: UnixFS, links: { name: string, to: Built }[]): Uint8Array {
  return encode(prepare({
    Data: data.marshal(),
    Links: links.map(({ name, to }) => ({ Name: name, Tsize: to.dagBytes, Hash: CID.decode(cidToBytes(to.cid)) }))
  }))
}

/** Builds a file's DAG from its leaves as they come: the balanced layout of 1,024 links a node. Holds one open node a level. */
export class FileBuilder {
  readonly #put: PutBlock
  readonly #maxLinks: number
  readonly #levels: Built[][] = [[]]
  #leaves = 0

  constructor(put: PutBlock, maxLinks = MAX_LINKS) {
    this.#put = put
    this.#maxLinks = maxLinks
  }

  /** Leaves come in the order of the file; the leaf's block is put by the caller. */
  async add(leaf: Built): Promise<void> {
    this.#leaves++
    await this.#push(0, leaf)
  }

  /** A node is made only when a further one follows, because a level with a single node is the root. */
  async #push(level: number, built: Built): Promise<void> {
    const nodes = this.#levels[level] ??= []
    if (nodes.length === this.#maxLinks) await this.#close(level)
    ;(this.#levels[level] ?? nodes).push(built)
  }

  async #close(level: number): Promise<void> {
    const nodes = this.#levels[level] ?? []
    this.#levels[level] = []
    const data = new UnixFS({ type: 'file', blockSizes: nodes.map((node) => BigInt(node.sizeBytes)) })
    await this.#push(level + 1, await putNode(data, nodes.map((to) => ({ name: '', to })), this.#put, nodes.reduce((sum, node) => sum + node.sizeBytes, 0)))
  }

  /** The file's root: a single leaf is its own. */
  async finish(): Promise<Built> {
    for (let level = 0; ; level++) {
      const nodes = this.#levels[level] ?? []
      const [only] = nodes
      const isRoot = this.#levels.length === level + 1 && nodes.length === 1 && (level > 0 || this.#leaves === 1)
      if (isRoot && only !== undefined) return only
      await this.#close(level)
    }
  }
}

/** Builds a folder from what is in it. One whose node would pass 256 KiB is split into shards, as other tools do. */
export async function buildFolder(entries: ReadonlyMap<string, Built>, put: PutBlock): Promise<Built> {
  const data = new UnixFS({ type: 'directory' })
  const links = [...entries].map(([name, to]) => ({ name, to }))
  const sizeBytes = links.reduce((sum, link) => sum + link.to.sizeBytes, 0)
  const nameBytes = links.reduce((sum, link) => sum + link.name.length, 0)
  // no need to encode what its names alone make too large
  if (nameBytes <= SHARD_ABOVE_BYTES && encodeNode(data, links).byteLength <= SHARD_ABOVE_BYTES) return putNode(data, links, put, sizeBytes)
  return buildShards(entries, put, sizeBytes)
}

async function buildShards(entries: ReadonlyMap<string, Built>, put: PutBlock, sizeBytes: number): Promise<Built> {
  const blockstore = {
    async put(cid: CID, block: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
      if (!(block instanceof Uint8Array)) throw new TypeError('The importer gave a stream where a block was expected')
      await put(cid.toString(), block)
      return cid
    }
  }
  // the importer splits folders; the files in them are built already, so it is handed their roots
  const dagBuilder = async function * (): AsyncGenerator<() => Promise<{ cid: CID, path: string, size: bigint }>> {
    for (const [path, { cid, dagBytes }] of entries) yield () => Promise.resolve({ cid: CID.decode(cidToBytes(cid)), path, size: BigInt(dagBytes) })
  }
  // large folders are rare, and the importer is large
  const { importer } = await import('ipfs-unixfs-importer')
  let root: { cid: CID, size: bigint } | undefined
  for await (const built of importer([], blockstore, { profile: 'unixfs-v1-2025', wrapWithDirectory: true, dagBuilder })) root = built
  if (root === undefined) throw new HearthError('E_INTERNAL', 'A large folder was not built', 'This is a defect of Hearth: please report it with the steps that led here')
  return { cid: root.cid.toString(), sizeBytes, dagBytes: Number(root.size) }
}
