/** A job that a payer by hand really has: its document and module are served, so that a provider can run it. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentStore } from '../../node/content/index.ts'
import { prepareJob } from '../../node/service/job-store.ts'
import { Transfer } from '../../protocols/transfer/index.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { GIB } from '../../src/units.ts'
import type { HandPeer } from './pay-peer.ts'

export interface ServedJob { offer: Partial<Offer>, close(): Promise<void> }

export async function serveJob(peer: HandPeer, spec: Record<string, unknown>, baseDir: string): Promise<ServedJob> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-served-'))
  const content = await ContentStore.open({ dir, quotaBytes: GIB, minFreeDiskBytes: 0 })
  const transfer = await Transfer.start({ network: peer.network.streams, store: content, authorize: () => true })
  const { id, document } = await prepareJob({ content, requester: peer.peerId, providerSets: {}, secrets: { keep: async () => {} } }, { spec, baseDir }, new Uint8Array(randomBytes(16)))
  const moduleBytes = document.engine.kind === 'wasm' ? document.engine.moduleBytes : 0
  return {
    offer: { job: id, resources: document.resources, moduleBytes, runMs: document.limits.runMs },
    close: async () => {
      await transfer.stop()
      await content.close()
      await rm(dir, { recursive: true, force: true })
    }
  }
}
