import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { ContentStore } from '../../node/content/index.ts'
import { Transfer } from '../../protocols/transfer/index.ts'
import { GIB, MIB } from '../../src/units.ts'
import { createTestNetwork } from './network.ts'
import type { TestNetwork } from './network.ts'

/** A peer with the real protocols and nothing else: it asks for what it likes. */
export class Stranger {
  readonly #node: TestNetwork
  readonly #transfer: Transfer
  readonly #store: ContentStore
  readonly #dir: string

  private constructor(node: TestNetwork, transfer: Transfer, store: ContentStore, dir: string) {
    this.#node = node
    this.#transfer = transfer
    this.#store = store
    this.#dir = dir
  }

  static async arrive(addresses: readonly string[]): Promise<Stranger> {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-stranger-'))
    const node = await createTestNetwork()
    const store = await ContentStore.open({ dir, quotaBytes: GIB, minFreeDiskBytes: 0 })
    const transfer = await Transfer.start({ network: node.network.streams, store, authorize: () => false })
    for (const address of addresses) await node.network.dial(address)
    return new Stranger(node, transfer, store, dir)
  }

  get network(): TestNetwork['network'] {
    return this.#node.network
  }

  /** Why the peer did not give this content; undefined when it did. */
  async refusal(from: string, cid: string, agreementId: string): Promise<string | undefined> {
    const outcome = await this.#transfer.fetchContent({ cid, from: [peerIdFromString(from)], agreementId, maxBytes: 16 * MIB })
    return outcome.ok ? undefined : outcome.sources[0]?.code ?? outcome.code
  }

  /** The code with which the peer refuses to show a log; undefined when it shows it. */
  async logRefusal(from: string, lease: { agreement: string, task: number, attempt: number }): Promise<string | undefined> {
    try {
      for await (const _ of this.#node.network.followLogs(from, { v: 1, ...lease, follow: 'both', fromByte: 0 }, AbortSignal.timeout(20_000))) return undefined
      return undefined
    } catch (err) {
      return err instanceof Error && 'code' in err ? String(err.code) : String(err)
    }
  }

  async leave(): Promise<void> {
    await this.#transfer.stop()
    await this.#node.network.stop()
    await this.#store.close()
    await rm(this.#dir, { recursive: true, force: true })
  }
}
