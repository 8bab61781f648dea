import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { importer, importFile } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentStore } from '../../node/content/index.ts'
import { FileBuilder } from '../../node/content/unixfs-builder.ts'
import { cidFromBytes, cidOfBlock, cidToBytes, codecOfCid, isContentCid } from '../../protocols/transfer/content-id.ts'
import { seededRandom } from '../helpers/seeded.ts'
import type { CID } from 'multiformats/cid'

const CHUNK = 1024 * 1024

let dir: string
let store: ContentStore

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-content-'))
  store = await ContentStore.open({ dir: join(dir, 'store'), quotaBytes: 2 ** 30, minFreeDiskBytes: 0 })
})
test.after(async () => {
  await store.close()
  await rm(dir, { recursive: true })
})

/** What the reference importer computes under the `unixfs-v1-2025` profile. */
async function reference(files: Record<string, Uint8Array>, folders: string[] = []): Promise<string> {
  const blockstore = {
    async put(cid: CID) {
      await Promise.resolve()
      return cid
    }
  }
  const isFile = Object.keys(files).length === 1 && '' in files
  const source = isFile ? [{ content: files['']! }] : [...folders.map((path) => ({ path })), ...Object.entries(files).map(([path, content]) => ({ path, content }))]
  let cid = ''
  for await (const entry of importer(source, blockstore, { profile: 'unixfs-v1-2025', wrapWithDirectory: !isFile })) cid = entry.cid.toString()
  return cid
}

const random = seededRandom(7)

test('known addresses: the empty file, hello, the empty folder', async () => {
  assert.is((await store.importBytes(new Uint8Array())).cid, 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
  assert.is((await store.importBytes(new TextEncoder().encode('hello world'))).cid, 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  assert.is((await store.importTree([])).cid, 'bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354')
})

for (const bytes of [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17]) {
  test(`a file of ${bytes} bytes has the address other tools give it, from memory and from disk`, async () => {
    const content = random.bytes(bytes)
    const expected = await reference({ '': content })
    assert.equal(await store.importBytes(content), { cid: expected, kind: 'file', sizeBytes: bytes })
    const path = join(dir, 'file')
    await writeFile(path, content)
    assert.equal(await store.importFile(path), { cid: expected, kind: 'file', sizeBytes: bytes })
    assert.equal(await store.importPath(path), { cid: expected, kind: 'file', sizeBytes: bytes })
  })
}

test('a file with more chunks than one node links to has the address other tools give it', async () => {
  const put = async (): Promise<void> => { await Promise.resolve() }
  const leaves = async (builder: FileBuilder, content: Uint8Array): Promise<string> => {
    for (const byte of content) await builder.add({ cid: cidOfBlock('raw', Uint8Array.of(byte)), sizeBytes: 1, dagBytes: 1 })
    return (await builder.finish()).cid
  }
  const expected = async (content: Uint8Array, maxChildrenPerNode: number): Promise<string> => {
    const blockstore = { put: (cid: CID) => Promise.resolve(cid) }
    const { cid } = await importFile({ content }, blockstore, { profile: 'unixfs-v1-2025', chunker: fixedSize({ chunkSize: 1 }), layout: balanced({ maxChildrenPerNode }) })
    return cid.toString()
  }
  for (const count of [1023, 1024, 1025, 2048, 2049]) {
    const content = random.bytes(count)
    assert.is(await leaves(new FileBuilder(put), content), await expected(content, 1024), `${count} chunks`)
  }
  // the same rule with four links a node reaches its fourth level soon
  for (let count = 2; count < 90; count++) {
    const content = random.bytes(count)
    assert.is(await leaves(new FileBuilder(put, 4), content), await expected(content, 4), `${count} chunks`)
  }
})

test('folders, folders in folders, empty ones and odd names have the addresses other tools give them', async () => {
  const files: Record<string, Uint8Array> = {
    'a.txt': random.bytes(10), 'b/c.txt': random.bytes(20), 'b/d/e': random.bytes(CHUNK + 1), 'Z': random.bytes(1), 'ä ö': random.bytes(3),
    'b/empty': new Uint8Array(), '日本語/ ^ \\ ~': random.bytes(5), '.hidden': random.bytes(1), 'b/d.e': random.bytes(2), '😀': random.bytes(2), '\uffee': random.bytes(2)
  }
  const expected = await reference(files, ['b/hollow'])
  const root = join(dir, 'folder')
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  await mkdir(join(root, 'b/hollow'))
  const sizeBytes = Object.values(files).reduce((sum, content) => sum + content.byteLength, 0)
  assert.equal(await store.importFolder(root), { cid: expected, kind: 'folder', sizeBytes })
  assert.equal(await store.importPath(root), { cid: expected, kind: 'folder', sizeBytes })
  assert.is((await store.importTree(Object.entries(files).map(([path, bytes]) => ({ path, bytes })))).cid, await reference(files))
})

test('a folder around the size at which it is split has the address other tools give it', async () => {
  // a link of 104 bytes each, 60 of them its name: the node passes 256 KiB between 2,520 and 2,521 entries
  for (const count of [2000, 2519, 2520, 2521, 2522, 4000]) {
    const files = Array.from({ length: count }, (_, i) => ({ path: `${String(i).padStart(55, 'x')}.json`, bytes: Uint8Array.of(i, i >> 8) }))
    const built = await store.importTree(files)
    assert.is(built.cid, await reference(Object.fromEntries(files.map((file) => [file.path, file.bytes]))), `${count} entries`)
    assert.is((await store.list(built.cid)).length, count)
    assert.is((await store.getBlock(built.cid))!.byteLength < 100_000, count > 2520, `${count} entries`)
  }
})

test('an address is accepted in its one spelling only, and only of our kinds', () => {
  const cid = cidOfBlock('raw', Uint8Array.of(1, 2, 3))
  assert.is(codecOfCid(cid), 'raw')
  assert.is(codecOfCid(cidOfBlock('dag-pb', new Uint8Array())), 'dag-pb')
  assert.ok(isContentCid(cid))
  assert.is(cidFromBytes(cidToBytes(cid)), cid)
  const bytes = cidToBytes(cid)
  for (const [at, value] of [[0, 2], [1, 0x71], [1, 0x00], [2, 0x00], [2, 0x13], [3, 31], [3, 33]] as const) {
    const other = Uint8Array.from(bytes)
    other[at] = value
    assert.is(cidFromBytes(other), undefined)
  }
  for (const other of ['', cid.toUpperCase(), `${cid}a`, cid.slice(0, -1), `${cid.slice(0, -1)}b`, `bafkreiz${cid.slice(8)}`, 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', `${cid.slice(0, -2)}/.`]) {
    assert.not.ok(isContentCid(other), other)
  }
})

test.run()
