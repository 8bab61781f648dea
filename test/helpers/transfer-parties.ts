import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentStore } from '../../node/content/index.ts'
import { Transfer } from '../../protocols/transfer/index.ts'
import { createTestNodes, stopNodes } from './libp2p.ts'
import type { FetchRequest, TransferOptions, TransferStore } from '../../protocols/transfer/index.ts'
import type { TestNode } from './libp2p.ts'

/** A node with a store and the transfer protocol. */
export interface Party {
  node: TestNode
  store: ContentStore
  transfer: Transfer
  storeDir: string
}

/** A store that tells of each block written by a transfer, or read for one, before it does so. */
export function watched(store: TransferStore, { onPut, onGet }: { onPut?: (count: number) => void, onGet?: (count: number) => void }): TransferStore {
  let puts = 0
  let gets = 0
  return {
    getBlock(cid, memory) {
      onGet?.(++gets)
      return store.getBlock(cid, memory)
    },
    hold() {
      const hold = store.hold()
      return {
        has: (cid) => hold.has(cid),
        put(cid, bytes) {
          onPut?.(++puts)
          return hold.put(cid, bytes)
        },
        assertRoomFor: (bytes) => hold.assertRoomFor(bytes),
        release: () => { hold.release() }
      }
    },
    pin: (cid, owner) => store.pin(cid, owner)
  }
}

/** Nodes on loopback that fetch content of each other, for one test file. */
export class Parties {
  readonly nodes: TestNode[]
  readonly dir: string
  readonly #open: Party[] = []
  #stores = 0

  private constructor(nodes: TestNode[], dir: string) {
    this.nodes = nodes
    this.dir = dir
  }

  static async create(count: number): Promise<Parties> {
    return new Parties(await createTestNodes(count), await mkdtemp(join(tmpdir(), 'hearth-transfer-')))
  }

  freshDir(): string {
    return join(this.dir, `store-${this.#stores++}`)
  }

  async party(index: number, options: Partial<TransferOptions> & { quotaBytes?: number, storeDir?: string, onPut?: (count: number) => void, onGet?: (count: number) => void } = {}): Promise<Party> {
    const node = this.nodes[index]!
    const storeDir = options.storeDir ?? this.freshDir()
    const store = await ContentStore.open({ dir: storeDir, quotaBytes: options.quotaBytes ?? 2 ** 30, minFreeDiskBytes: 0 })
    const party = { node, store, storeDir, transfer: await Transfer.start({ network: node, store: watched(store, options), authorize: () => true, ...options }) }
    this.#open.push(party)
    return party
  }

  async close(party: Party): Promise<void> {
    const at = this.#open.indexOf(party)
    if (at === -1) return
    this.#open.splice(at, 1)
    await party.transfer.stop()
    await party.store.close()
  }

  async closeAll(): Promise<void> {
    for (const party of [...this.#open]) await this.close(party)
  }

  async stop(): Promise<void> {
    await this.closeAll()
    await stopNodes(this.nodes)
    await rm(this.dir, { recursive: true })
  }
}

export function requestOf(cid: string, from: (Party | TestNode)[], options: Partial<FetchRequest> = {}): FetchRequest {
  return { cid, from: from.map((source) => 'node' in source ? source.node.peerId : source.peerId), maxBytes: 2 ** 30, signal: AbortSignal.timeout(60_000), ...options }
}
