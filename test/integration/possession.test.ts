/** Whose content a job may use on a host: real stores and transfers between a host and two requesters. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import type { FetchContent } from '../../node/work/content-port.ts'
import { Possession } from '../../node/work/possession.ts'
import { openTransfer } from '../../node/work/transfer.ts'
import { GIB, MIB } from '../../src/units.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { Parties } from '../helpers/transfer-parties.ts'
import type { Party } from '../helpers/transfer-parties.ts'

interface Requester { party: Party, peer: string }
interface Context { parties: Parties, store: ContentStore, possession: Possession, fetch: FetchContent, /** Blocks that came, over all fetches. */ came: string[], a: Requester, b: Requester, listed: Set<string>, stop: () => Promise<void> }
const test = suite<Context>('possession')
const random = seededRandom(5)

test.before(async (context) => { context.parties = await Parties.create(3) })
test.after(async ({ parties }) => { await parties.stop() })

test.before.each(async (context) => {
  const { parties } = context
  const requester = async (index: number): Promise<Requester> => {
    const party = await parties.party(index)
    return { party, peer: party.node.peerId.toString() }
  }
  context.store = await ContentStore.open({ dir: parties.freshDir(), quotaBytes: GIB, minFreeDiskBytes: 0 })
  const transfer = await openTransfer({ streams: parties.nodes[0]!, store: context.store, mayRead: () => false, onMisconduct: () => undefined })
  context.listed = new Set()
  context.possession = new Possession({ self: parties.nodes[0]!.peerId.toString(), isPublic: (cid) => context.listed.has(cid) })
  context.came = []
  context.fetch = context.possession.proven((asked) => transfer.fetch({ ...asked, onBlock: (block) => { context.came.push(block); asked.onBlock?.(block) } }))
  context.a = await requester(1)
  context.b = await requester(2)
  context.stop = async () => { await transfer.stop(); await context.store.close() }
})

test.after.each(async ({ parties, stop }) => {
  await stop()
  await parties.closeAll()
})

const request = (cid: string, { peer }: Requester): Parameters<FetchContent>[0] => ({ cid, from: [peer], agreementId: '', maxBytes: 100 * MIB, pinFor: `hosted:${peer}:job` })

async function refused(fetching: Promise<void>): Promise<void> {
  await fetching.then(() => { throw new Error('it was given') }, (err: Error & { code?: string }) => { assert.is(err.code, 'E_TRANSFER_NO_SOURCE', err.message) })
}

test('content that one requester brought is not there for another that lacks it, whole or in part', async ({ fetch, a, b, store }) => {
  const { cid } = await a.party.store.importBytes(random.bytes(5 * MIB))
  await fetch(request(cid, a))
  await refused(fetch(request(cid, b)))
  // all but one of its blocks are no proof
  const root = await a.party.store.getBlock(cid)
  await b.party.store.putBlock(cid, root!)
  const leaves = await a.party.store.missing(cid).then(async () => await b.party.store.missing(cid))
  assert.ok(leaves.length >= 5, `${leaves.length} leaves`)
  for (const leaf of leaves.slice(1)) await b.party.store.putBlock(leaf, (await a.party.store.getBlock(leaf))!)
  await refused(fetch(request(cid, b)))
  assert.equal(store.pinnedFor(cid), [`hosted:${a.peer}:job`], 'nothing is kept for who did not have it')
})

test('a file of another inside a folder of one\'s own is not there either', async ({ fetch, a, b }) => {
  const secret = random.bytes(1000)
  const { cid } = await a.party.store.importBytes(secret)
  await fetch(request(cid, a))
  const folder = await a.party.store.importTree([{ path: 'mine', bytes: random.bytes(2 * MIB) }, { path: 'stolen', bytes: secret }])
  for (const block of await b.party.store.missing(folder.cid)) await b.party.store.putBlock(block, (await a.party.store.getBlock(block))!)
  for (const block of await b.party.store.missing(folder.cid)) if (block !== cid) await b.party.store.putBlock(block, (await a.party.store.getBlock(block))!)
  assert.ok((await b.party.store.missing(folder.cid)).includes(cid))
  await refused(fetch(request(folder.cid, b)))
})

test('who has it sends it once, and then never again, also below another root', async ({ fetch, a, b, store, came }) => {
  const files = [{ path: 'one', bytes: random.bytes(3 * MIB) }, { path: 'two', bytes: random.bytes(100) }]
  const { cid } = await a.party.store.importTree(files)
  await b.party.store.importTree(files)
  await fetch(request(cid, a))
  const first = came.splice(0)
  await fetch(request(cid, b))
  assert.equal(came.splice(0), first, 'all of it once more')
  const more = await b.party.store.importTree([...files, { path: 'zero', bytes: random.bytes(10) }])
  await fetch(request(cid, b))
  assert.equal(came, [])
  await fetch(request(more.cid, b))
  assert.equal(await store.missing(more.cid), [])
  assert.ok(first.length >= 5 && came.length < first.length, `${came.length} of ${first.length}`)
})

test('what the owner lists is anybody\'s, and so is what is here for this node\'s own jobs', async ({ fetch, a, b, listed, parties }) => {
  const { cid } = await a.party.store.importBytes(random.bytes(2 * MIB))
  await fetch(request(cid, a))
  await fetch({ ...request(cid, b), from: [parties.nodes[0]!.peerId.toString()] })
  await refused(fetch(request(cid, b)))
  listed.add(cid)
  await fetch(request(cid, b))
  listed.delete(cid)
  await refused(fetch(request(cid, b)))
})

test('what is remembered is bounded: nobody takes it all, and what is forgotten is asked for again', async () => {
  const possession = new Possession({ self: 'me', isPublic: () => false })
  let [from, count] = ['', 0]
  const asked: boolean[] = []
  const fetch = possession.proven(async ({ cid, mayUse, onBlock }) => {
    asked.push(mayUse?.(`${cid} 0`) === true)
    for (let i = 0; i < count; i++) onBlock?.(`${cid} ${i}`)
  })
  const bring = async (peer: string, cid: string, blocks: number): Promise<boolean> => {
    from = peer
    count = blocks
    await fetch({ cid, from: [from], agreementId: '', maxBytes: 1, pinFor: 'x' })
    return asked.at(-1)!
  }
  await bring('small', 'a', 10)
  for (let i = 0; i < 4; i++) await bring('large', `b${i}`, 60_000)
  assert.ok(possession.size <= 65_536 + 10, `${possession.size}`)
  assert.is(await bring('small', 'a', 10), true, 'another\'s flood does not concern it')
  assert.is(await bring('large', 'b0', 1), false)
  for (let i = 0; i < 2000; i++) await bring(`peer ${i}`, 'c', 100)
  assert.ok(possession.size <= 131_072, `${possession.size}`)
  assert.is(await bring('small', 'a', 10), false)
})

test.run()
