/** A real chain and real nodes that pay each other, for tests of payment over sockets. */
import { watch } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode, NodeSetup } from '../../node/demo/cluster.ts'
import { BrokerReader, startBrokerChain } from './pay-chain.ts'
import type { BrokerChain } from './pay-chain.ts'
import { RecordStore } from '../../node/store/record-store.ts'
import type { StoredRecord } from '../../src/core/effect.ts'
import type { RecipientRecord } from '../../src/payment/recipient.ts'
import type { SenderRecord } from '../../src/payment/sender.ts'
import type { Winner } from '../../src/documents/ticket.ts'
import { LENDS, LENDS_NOTHING } from './cluster.ts'

export const ETHER = 10n ** 18n
/** What a test waits for comes within this, or never. */
const PATIENCE_MS = 30_000
/** Of one core-hour, so that a ticket of a second's work is worth its gas and always wins. */
export const SURE_WIN = ['--payment.price.coreHour=6 ether', '--payment.price.gibHour=0 wei']

/** What a stopped node's disk says of money. */
export interface Books {
  records: readonly (readonly [string, StoredRecord])[]
  senders: SenderRecord[]
  recipients: RecipientRecord[]
  winners: Winner[]
  /** Winners that the chain client knows, paid or not. */
  chain: readonly (readonly [string, unknown])[]
}

export class PayWorld {
  readonly chain: BrokerChain
  readonly broker: BrokerReader
  readonly cluster: Cluster
  readonly #dir: string
  #gifts: Promise<void> = Promise.resolve()

  private constructor(chain: BrokerChain, cluster: Cluster, dir: string) {
    this.chain = chain
    this.broker = new BrokerReader(chain)
    this.cluster = cluster
    this.#dir = dir
  }

  static async open(): Promise<PayWorld> {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-pay-'))
    return new PayWorld(await startBrokerChain(join(dir, 'chain')), await Cluster.open(), dir)
  }

  /** Of a node on this chain. */
  get flags(): string[] {
    return this.chain.flags
  }

  async provider(name: string, { flags = [], ...setup }: Partial<NodeSetup> = {}): Promise<ClusterNode> {
    return await this.#node({ name, flags: [...LENDS, ...this.flags, ...flags], ...setup })
  }

  async requester(name: string, { flags = [], ...setup }: Partial<NodeSetup> = {}): Promise<ClusterNode> {
    return await this.#node({ name, flags: [...LENDS_NOTHING, ...this.flags, ...flags], ...setup })
  }

  /** Brings accounts up to this much of everything. */
  async fund(addresses: readonly string[], wei: bigint = ETHER): Promise<void> {
    // one after the other: all gifts are of one key
    const given = this.#gifts.then(() => this.chain.give(addresses.map((address) => ({ address, coinWei: wei, depositWei: wei, bondWei: wei, jobBondWei: wei }))))
    this.#gifts = given.catch(() => undefined)
    await given
  }

  async #node(setup: NodeSetup): Promise<ClusterNode> {
    const node = await this.cluster.start(setup)
    await this.fund([(await node.api.status()).address])
    return node
  }

  async close(): Promise<void> {
    await this.cluster.close()
    await this.chain.stop()
    await rm(this.#dir, { recursive: true, force: true })
  }
}

/** What a node's disk says of money: of one that runs, a moment ago. */
export async function booksOf({ dataDir }: Pick<ClusterNode, 'dataDir'>): Promise<Books> {
  const copy = await mkdtemp(join(tmpdir(), 'hearth-books-'))
  try {
    await cp(join(dataDir, 'records'), copy, { recursive: true, filter: (path) => !path.endsWith('LOCK') })
    const store = await RecordStore.open(copy)
    const records = await store.load()
    const chain = await store.room('chain').load()
    await store.close()
    const of = <T extends StoredRecord>(prefix: string): T[] => records.filter(([key]) => key.startsWith(prefix)).map(([, value]) => value as T)
    return { records, chain, senders: of('pay/'), recipients: of('earn/'), winners: of('winner/') }
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

/** Reads a running node's books with each change of its disk until `holds`. */
export async function untilBooks(node: Pick<ClusterNode, 'dataDir' | 'name'>, what: string, holds: (books: Books) => boolean | Promise<boolean>): Promise<Books> {
  let news = Promise.withResolvers<'news'>()
  const late = Promise.withResolvers<'late'>()
  const patience = setTimeout(() => { late.resolve('late') }, PATIENCE_MS)
  const watcher = watch(join(node.dataDir, 'records'), () => { news.resolve('news') })
  try {
    for (;;) {
      news = Promise.withResolvers()
      // a copy made in the middle of a compaction is torn: the next one is whole
      const books = await booksOf(node).catch(() => undefined)
      if (books !== undefined && await holds(books)) return books
      if (books !== undefined && await Promise.race([news.promise, late.promise]) === 'late') throw new Error(`the books of ${node.name} did not say within ${PATIENCE_MS} ms: ${what}`)
    }
  } finally {
    clearTimeout(patience)
    watcher.close()
  }
}
