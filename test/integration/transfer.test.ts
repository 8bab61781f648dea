import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { Transfer } from '../../protocols/transfer/index.ts'
import { createTestNodes, stopNodes } from '../helpers/libp2p.ts'
import { seededRandom } from '../helpers/seeded.ts'
import type { FetchProgress, FetchRequest, ServedProgress, TransferOptions } from '../../protocols/transfer/index.ts'
import type { TestNode } from '../helpers/libp2p.ts'

const MIB = 1024 * 1024
const random = seededRandom(23)

let dir: string
let nodes: TestNode[] = []
let number = 0

interface Party { node: TestNode, store: ContentStore, transfer: Transfer }
const parties: Party[] = []

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-transfer-'))
  nodes = await createTestNodes(3)
})
test.after(async () => {
  await stopNodes(nodes)
  await rm(dir, { recursive: true })
})
test.after.each(async () => {
  for (const { transfer, store } of parties.splice(0)) {
    await transfer.stop()
    await store.close()
  }
})

async function party(node: TestNode, options: Partial<TransferOptions> & { quotaBytes?: number } = {}): Promise<Party> {
  const store = await ContentStore.open({ dir: join(dir, `store-${number++}`), quotaBytes: options.quotaBytes ?? 2 ** 30, minFreeDiskBytes: 0 })
  const transfer = await Transfer.start({ network: node, store, authorize: () => true, ...options })
  const made = { node, store, transfer }
  parties.push(made)
  return made
}

const request = (cid: string, from: Party[], options: Partial<FetchRequest> = {}): FetchRequest =>
  ({ cid, from: from.map((source) => source.node.peerId), maxBytes: 2 ** 30, signal: AbortSignal.timeout(60_000), ...options })

test('a folder arrives as it was', async () => {
  const source = await party(nodes[0]!)
  const reader = await party(nodes[1]!)
  const files = [{ path: 'a', bytes: random.bytes(3 * MIB + 5) }, { path: 'b/c', bytes: random.bytes(100) }, { path: 'b/d', bytes: new Uint8Array() }]
  const { cid, sizeBytes } = await source.store.importTree(files)
  const outcome = await reader.transfer.fetchContent(request(cid, [source], { pinFor: 'job' }))
  assert.ok(outcome.ok, JSON.stringify(outcome))
  assert.equal(await reader.store.stat(cid), { cid, kind: 'folder', sizeBytes })
  assert.equal(reader.store.pinnedFor(cid), ['job'])
  assert.equal(await reader.store.list(cid), await source.store.list(cid))
})

test.run()
export type { FetchProgress, ServedProgress }
