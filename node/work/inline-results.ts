import type { MessageOf } from '../../src/documents/message.ts'
import { PARAMS } from '../../src/params.ts'
import { MIB } from '../../src/units.ts'
import { readSmallDag, walkSmallDag } from '../content/small-dag.ts'

/** Blocks that came with reveals and wait for the vote. Above this the oldest leave: they can be fetched. */
const MAX_WAITING_BYTES = 4 * MIB
/** Results that wait so, however small: anybody may say to reveal one. As many as a busy requester has in the vote at once. */
const MAX_WAITING = 1024

export interface InlineStore {
  getBlock(cid: string): Promise<Uint8Array | undefined>
  putBlock(cid: string, bytes: Uint8Array): Promise<void>
}

/**
 * Results so small that they travel with the words that reveal them: most tasks of a map leave a line or two, for which
 * a transfer would be ten messages more.
 */
export class InlineResults {
  readonly #store: InlineStore
  readonly #waiting = new Map<string, { blocks: readonly Uint8Array[], bytes: number }>()
  #bytes = 0

  constructor(store: InlineStore) {
    this.#store = store
  }

  /** The reveal with its result's blocks, where they are few. Never rejects. */
  async attach(reveal: MessageOf<'reveal'>): Promise<MessageOf<'reveal'>> {
    const { content, contentBytes } = reveal.receipt.result
    if (contentBytes > PARAMS.maxInlineBytes) return reveal
    const dag = await walkSmallDag(content, (cid) => this.#store.getBlock(cid), { maxBlocks: PARAMS.maxInlineBlocks, maxBytes: PARAMS.maxInlineBytes }).catch(() => undefined)
    return dag === undefined ? reveal : { ...reveal, blocks: [...dag.values()] }
  }

  /** Keeps what came with a reveal until `bring`; answers the reveal without it. */
  detach({ blocks, ...reveal }: MessageOf<'reveal'>): MessageOf<'reveal'> {
    const { content } = reveal.receipt.result
    if (blocks === undefined || this.#waiting.has(content)) return reveal
    const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0)
    this.#waiting.set(content, { blocks, bytes })
    this.#bytes += bytes
    for (const oldest of this.#waiting.keys()) {
      if (this.#bytes <= MAX_WAITING_BYTES && this.#waiting.size <= MAX_WAITING) break
      this.#drop(oldest)
    }
    return reveal
  }

  /** Stores what came for this result, if it is the whole of it; otherwise it will be fetched as any other. */
  async bring(content: string): Promise<void> {
    const waiting = this.#drop(content)
    const dag = waiting === undefined ? undefined : await readSmallDag(content, waiting)
    if (dag === undefined) return
    await Promise.all([...dag].map(async ([cid, bytes]) => { await this.#store.putBlock(cid, bytes) }))
  }

  /** Results waiting now. */
  get waiting(): number {
    return this.#waiting.size
  }

  #drop(content: string): readonly Uint8Array[] | undefined {
    const waiting = this.#waiting.get(content)
    if (waiting === undefined) return undefined
    this.#waiting.delete(content)
    this.#bytes -= waiting.bytes
    return waiting.blocks
  }
}
