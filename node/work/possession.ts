import type { FetchContent } from './content-port.ts'

/** Blocks that one requester is remembered to have: 64 GiB of large files, in some 8 MB of memory. */
const MAX_BLOCKS_EACH = 65_536
/** Over all requesters. What is forgotten is sent again, and nothing else is lost. */
const MAX_BLOCKS = 131_072
const MAX_REQUESTERS = 1024

export interface PossessionOptions {
  /** This node: its own jobs use what is in its own store. */
  self: string
  /** Content that anybody's job may use, such as images on the owner's list. */
  isPublic: (cid: string) => boolean
}

/**
 * Which blocks came from which requester. Content is private, and its addresses are not: offers name images, and whoever has seen
 * a folder knows what is in it. So a requester whose job names content proves that it has it, by sending it, before what others
 * brought is used for it. Block by block, since a folder of its own may name a file of another's, and every block, since a few
 * taken by chance would miss the one that is not its own. A proof is for as long as it is remembered: the same requester sends
 * nothing twice.
 */
export class Possession {
  readonly #options: PossessionOptions
  /** By requester, the latest last; of each the blocks, the oldest first. */
  readonly #had = new Map<string, Set<string>>()
  #count = 0

  constructor(options: PossessionOptions) {
    this.#options = options
  }

  /** Blocks remembered, over all requesters. */
  get size(): number {
    return this.#count
  }

  /** The same fetch for jobs of others, each from its requester alone: nothing is used that this requester has not given. */
  proven(fetch: FetchContent): FetchContent {
    return async (request) => {
      const { cid, from: [requester = ''] } = request
      if (requester === this.#options.self || this.#options.isPublic(cid)) {
        await fetch(request)
        return
      }
      await fetch({
        ...request, from: [requester],
        mayUse: (block) => this.#had.get(requester)?.has(block) === true,
        onBlock: (block) => { this.#add(requester, block) }
      })
    }
  }

  #add(requester: string, block: string): void {
    const had = this.#had.get(requester) ?? new Set()
    // who gave something last is forgotten last
    this.#had.delete(requester)
    this.#had.set(requester, had)
    if (had.has(block)) return
    had.add(block)
    this.#count++
    if (had.size > MAX_BLOCKS_EACH) this.#forgetOne(had)
    while (this.#count > MAX_BLOCKS || this.#had.size > MAX_REQUESTERS) {
      const [oldest] = this.#had
      if (oldest === undefined) return
      const [peer, blocks] = oldest
      if (this.#had.size > MAX_REQUESTERS || blocks.size === 0) {
        this.#count -= blocks.size
        this.#had.delete(peer)
      } else {
        this.#forgetOne(blocks)
      }
    }
  }

  #forgetOne(blocks: Set<string>): void {
    const [block] = blocks
    if (block !== undefined && blocks.delete(block)) this.#count--
  }
}
