import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { readArchive, type ReadArchive } from '../../node/containers/images/archive.ts'
import { describeArchive, ownPlatform } from '../../node/containers/images/describe.ts'
import { ImageRefusal } from '../../node/containers/images/refusal.ts'
import { TarWalk, type TarEntry } from '../../node/containers/images/tar-walk.ts'
import { MIB } from '../../src/units.ts'
import { buildImage, buildIndex, dockerArchive, ociArchive, pax, rawTar, sha256, tarHeader, type ImagePlan, type RawEntry } from '../helpers/images.ts'

const test = suite('images of containers')
const dir = mkdtempSync(join(tmpdir(), 'hearth-images-'))
const AMD64 = { os: 'linux', architecture: 'amd64' }
let files = 0

test.after(() => { rmSync(dir, { recursive: true, force: true }) })

function file(bytes: Buffer): string {
  const path = join(dir, `${++files}.tar`)
  writeFileSync(path, bytes)
  return path
}

async function read(bytes: Buffer, maxBytes = 8 * MIB): Promise<ReadArchive> {
  return await readArchive(file(bytes), { spoolPath: join(dir, `${++files}.spool`), maxBytes, platform: AMD64, signal: new AbortController().signal })
}

/** The code of a refusal; 'read' when there was none. */
async function codeOf(bytes: Buffer, maxBytes?: number): Promise<string> {
  try {
    await read(bytes, maxBytes)
    return 'read'
  } catch (err) {
    if (err instanceof ImageRefusal) return err.code
    throw err
  }
}

function walk(tar: Buffer, step = tar.length): TarEntry[] {
  const entries: TarEntry[] = []
  const walking = new TarWalk((entry) => { entries.push(entry); return undefined })
  for (let at = 0; at < tar.length; at += step) walking.push(tar.subarray(at, at + step))
  walking.end()
  return entries
}

const FILE: RawEntry = { name: 'etc/mark', data: 'mark' }
const LAYER = rawTar([{ name: 'etc/', type: '5' }, FILE])
const archiveOf = (plan: Partial<ImagePlan>): Buffer => dockerArchive(buildImage({ layers: [LAYER], ...plan }))

test('a tar of the system\'s own tar is read, whatever pieces it comes in', () => {
  const tree = join(dir, 'tree')
  execFileSync('sh', ['-c', `mkdir -p ${tree}/a/${'d'.repeat(90)} && cd ${tree} && echo x > a/${'d'.repeat(90)}/${'f'.repeat(90)} && ln -s ../x a/link && ln a/link a/hard && mkfifo a/fifo`])
  for (const format of ['gnu', 'pax', 'ustar']) {
    const tar = execFileSync('tar', ['-C', tree, `--format=${format}`, '-cf', '-', '.'])
    const entries = walk(tar)
    assert.equal(entries.map(({ type }) => type).sort(), ['dir', 'dir', 'dir', 'fifo', 'file', 'link', 'symlink'], format)
    assert.is(entries.find(({ type }) => type === 'file')?.path, `a/${'d'.repeat(90)}/${'f'.repeat(90)}`)
    for (const step of [1, 511, 513]) assert.equal(walk(tar, step), entries)
  }
})

const BAD_TARS: Record<string, Buffer> = {
  'a sparse file of GNU': rawTar([{ name: 'big', type: 'S', data: 'x' }]),
  'a sparse file in an extended header': rawTar([{ name: 'p', type: 'x', data: pax({ 'GNU.sparse.major': '1', 'GNU.sparse.realsize': '1099511627776' }) }, FILE]),
  'a size for all entries': rawTar([{ name: 'g', type: 'g', data: pax({ size: '0' }) }, FILE]),
  'two extended headers for one entry': rawTar([{ name: 'p', type: 'x', data: pax({ path: 'a' }) }, { name: 'p', type: 'x', data: pax({ path: 'b' }) }, FILE]),
  'a key twice in one extended header': rawTar([{ name: 'p', type: 'x', data: pax({ path: 'a' }) + pax({ path: 'b' }) }, FILE]),
  'a size that is no number': rawTar([{ name: 'p', type: 'x', data: pax({ size: '-1' }) }, FILE]),
  'an extended header whose length lies': rawTar([{ name: 'p', type: 'x', data: '99 path=a\n' }, FILE]),
  'an extended header without end': rawTar([{ ...FILE, name: 'p', type: 'x', size: 2 * MIB }]),
  'digits that some tools skip in the size': rawTar([{ ...FILE, sizeField: Buffer.from('4\x00 000000000') }]),
  'a negative size': rawTar([{ ...FILE, sizeField: Buffer.alloc(12, 0xff) }]),
  'a size beyond all numbers': rawTar([{ ...FILE, sizeField: Buffer.concat([Buffer.from([0x80]), Buffer.alloc(11, 0xff)]) }]),
  'a directory with bytes': rawTar([{ name: 'd/', type: '5', data: 'x' }]),
  'a file named as a directory, with bytes': rawTar([{ name: 'd/', data: 'x' }]),
  'a link with bytes': rawTar([{ name: 'l', type: '1', linkTo: 'x', data: 'x' }]),
  'a name that steps out': rawTar([{ ...FILE, name: '../../etc/cron.d/x' }]),
  'a hard link that steps out': rawTar([{ name: 'l', type: '1', linkTo: '../../../etc/shadow' }]),
  'a name that is too long': rawTar([{ name: 'L', type: 'L', data: 'n'.repeat(300) }, FILE]),
  'an unknown type': rawTar([{ ...FILE, type: 'V' }]),
  'more after the end': Buffer.concat([rawTar([FILE]), rawTar([FILE])]),
  'a wrong checksum': (() => { const tar = rawTar([FILE]); tar[0] = 0x58; return tar })(),
  'an end in the middle of a file': rawTar([{ ...FILE, size: 4096 }], Buffer.alloc(0)),
  'an end in the middle of a header': tarHeader(FILE).subarray(0, 300),
  'a long name for nothing': rawTar([FILE, { name: 'L', type: 'L', data: 'name' }])
}
for (const [what, tar] of Object.entries(BAD_TARS)) {
  test(`a tar with ${what} is refused`, async () => {
    assert.is(await codeOf(tar), 'E_IMAGE_MALFORMED')
    // and as a layer
    assert.is(await codeOf(archiveOf({ layers: [tar] })), 'E_IMAGE_MALFORMED')
  })
}

test('devices of a host are refused, those of every system are not', async () => {
  assert.is(await codeOf(rawTar([{ name: 'dev/sda', type: '4', major: 8 }, FILE])), 'E_IMAGE_MALFORMED')
  assert.is(await codeOf(rawTar([{ name: 'dev/mem', type: '3', major: 1, minor: 1 }, FILE])), 'E_IMAGE_MALFORMED')
  assert.is(await codeOf(rawTar([{ name: 'dev/null', type: '3', major: 1, minor: 3 }, FILE])), 'read')
})

test('the three kinds of archive are told apart, plain and packed, and give the same image each time', async () => {
  const built = buildImage({ layers: [LAYER], settings: { Cmd: ['x'] } })
  const index = buildIndex([{ manifest: built.manifest, platform: AMD64 }])
  for (const pack of [(bytes: Buffer) => bytes, (bytes: Buffer) => gzipSync(bytes), (bytes: Buffer) => zstdCompressSync(bytes)]) {
    const docker = await read(pack(dockerArchive(built)))
    assert.equal([docker.kind, docker.image.configDigest, docker.image.facts.command], ['docker', built.imageId, ['x']])
    const oci = await read(pack(ociArchive(built, index)))
    assert.equal([oci.kind, oci.image.configDigest], ['oci', built.imageId])
    const rootfs = await read(pack(LAYER))
    assert.equal([rootfs.kind, rootfs.image.layers[0]?.diffId, rootfs.image.facts.command], ['rootfs', sha256(LAYER), []])
    assert.is((await read(pack(LAYER))).image.configDigest, rootfs.image.configDigest)
  }
})

test('a root file system may hold files named as those of archives', async () => {
  assert.is((await read(rawTar([{ name: 'manifest.json', data: '{"name":"app"}' }, { name: 'index.json', data: '{}' }]))).kind, 'rootfs')
})

test('layers that are links to each other are found, links that lead nowhere or in circles are refused', async () => {
  const config = buildImage({ layers: [LAYER, LAYER] }).config
  const archive = (entries: RawEntry[]): Buffer => rawTar([{ name: 'c.json', data: config }, ...entries, { name: 'manifest.json', data: JSON.stringify([{ Config: 'c.json', Layers: ['a/layer.tar', 'b/layer.tar'] }]) }])
  assert.is(await codeOf(archive([{ name: 'a/layer.tar', data: LAYER }, { name: 'b/layer.tar', type: '2', linkTo: '../a/layer.tar' }])), 'read')
  assert.is(await codeOf(archive([{ name: 'a/layer.tar', data: LAYER }, { name: 'b/layer.tar', type: '2', linkTo: '../../../../etc/passwd' }])), 'E_IMAGE_MALFORMED')
  assert.is(await codeOf(archive([{ name: 'a/layer.tar', type: '2', linkTo: '../b/layer.tar' }, { name: 'b/layer.tar', type: '2', linkTo: '../a/layer.tar' }])), 'E_IMAGE_MALFORMED')
})

test('an archive of several images, or with a name twice, is refused', async () => {
  const built = buildImage({ layers: [LAYER] })
  assert.is(await codeOf(dockerArchive(built, null, [{ Config: 'x', Layers: ['x'] }])), 'E_IMAGE_MALFORMED')
  const other = buildImage({ layers: [LAYER], settings: { Cmd: ['other'] } })
  const both = { blobs: new Map([...built.blobs, ...other.blobs]) }
  assert.is(await codeOf(ociArchive(both, buildIndex([{ manifest: built.manifest }, { manifest: other.manifest }]))), 'E_IMAGE_MALFORMED')
  assert.is(await codeOf(rawTar([{ name: 'c.json', data: built.config }, { name: 'l.tar', data: LAYER }, { name: 'l.tar', data: LAYER }, { name: 'manifest.json', data: JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }]) }])), 'E_IMAGE_MALFORMED')
})

test('of an index the image for this host is taken, and where there is none the refusal says what there is', async () => {
  const amd = buildImage({ layers: [LAYER] })
  const arm = buildImage({ layers: [LAYER], architecture: 'arm64' })
  const both = { blobs: new Map([...arm.blobs, ...amd.blobs]) }
  const attestation = { manifest: amd.config, platform: { os: 'unknown', architecture: 'unknown' } }
  const found = await read(ociArchive(both, buildIndex([{ manifest: arm.manifest, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }, { manifest: amd.manifest, platform: AMD64 }, attestation])))
  assert.is(found.image.configDigest, amd.imageId)
  const only = ociArchive(arm, buildIndex([{ manifest: arm.manifest, platform: { os: 'linux', architecture: 'arm64' } }]))
  try {
    await read(only)
    assert.unreachable()
  } catch (err) {
    assert.ok(err instanceof ImageRefusal)
    assert.is(err.code, 'E_IMAGE_PLATFORM')
    assert.match(err.message, 'linux/arm64')
  }
  // an index that lies about its image
  assert.is(await codeOf(ociArchive(arm, buildIndex([{ manifest: arm.manifest, platform: AMD64 }]))), 'E_IMAGE_PLATFORM')
})

test('a root file system of another processor is told by its programs', async () => {
  const elf = (machine: number): Buffer => { const head = Buffer.alloc(64); head.write('\x7fELF\x02\x01', 'latin1'); head.writeUInt16LE(machine, 18); return head }
  assert.is(await codeOf(rawTar([{ name: 'bin/sh', data: elf(183) }])), 'E_IMAGE_PLATFORM')
  // firmware and cross libraries stand beside the right ones
  assert.is(await codeOf(rawTar([{ name: 'lib/other.so', data: elf(183) }, { name: 'bin/sh', data: elf(62) }])), 'read')
})

const CONFIGS: [string, Partial<ImagePlan>, string][] = [
  ['a VOLUME', { settings: { Volumes: { '/data': {} } } }, 'E_IMAGE_VOLUME'],
  ['a VOLUME in letters that engines take, too', { settings: { volumes: { '/data': {} } } }, 'E_IMAGE_MALFORMED'],
  ['all settings in other letters', { over: { CONFIG: { Volumes: { '/data': {} } } } }, 'E_IMAGE_MALFORMED'],
  ['no VOLUME after all', { settings: { Volumes: {} } }, 'read'],
  ['another system', { over: { os: 'windows' } }, 'E_IMAGE_PLATFORM'],
  ['another processor', { architecture: 'riscv64' }, 'E_IMAGE_PLATFORM'],
  ['128 layers', { layers: Array.from({ length: 128 }, () => LAYER) }, 'E_IMAGE_MALFORMED'],
  ['127 layers', { layers: Array.from({ length: 127 }, () => LAYER) }, 'read'],
  ['1,001 variables', { settings: { Env: Array.from({ length: 1001 }, (_, i) => `A${i}=1`) } }, 'E_IMAGE_MALFORMED'],
  ['a configuration of over 1 MiB', { over: { history: 'h'.repeat(MIB) } }, 'E_IMAGE_MALFORMED'],
  ['more layers than its configuration names', { over: { rootfs: { type: 'layers', diff_ids: [sha256(LAYER), sha256(LAYER)] } } }, 'E_IMAGE_MALFORMED'],
  ['another layer than its configuration names', { over: { rootfs: { type: 'layers', diff_ids: [sha256(Buffer.from('x'))] } } }, 'E_IMAGE_DIGEST'],
  ['settings that the runner makes its own', { settings: { Healthcheck: { Test: ['CMD', 'x'] }, OnBuild: ['RUN x'], User: 'root', WorkingDir: '/proc/self/fd/8', StopSignal: 'SIGTERM' } }, 'read']
]
for (const [what, plan, code] of CONFIGS) test(`an image with ${what}: ${code}`, async () => { assert.is(await codeOf(archiveOf(plan)), code) })

test('bytes under a digest that is not theirs are refused', async () => {
  const built = buildImage({ layers: [LAYER] })
  const index = buildIndex([{ manifest: built.manifest }])
  const layer = [...built.blobs].at(-1)!
  assert.is(await codeOf(ociArchive({ blobs: new Map([...built.blobs, [layer[0], gzipSync(rawTar([{ ...FILE, data: 'evil' }]))]]) }, index)), 'E_IMAGE_DIGEST')
  assert.is(await codeOf(ociArchive({ blobs: new Map([...built.blobs, [built.digest, Buffer.from('{}')]]) }, index)), 'E_IMAGE_DIGEST')
})

test('an image that expands is left with the first byte over the bound, however it is packed (C22)', async () => {
  // 24 MiB of zeros in 24 KiB
  const bomb = rawTar([{ name: 'zeros', data: Buffer.alloc(24 * MIB) }])
  for (const pack of [(bytes: Buffer) => gzipSync(bytes), (bytes: Buffer) => zstdCompressSync(bytes)]) {
    assert.is(await codeOf(pack(bomb), 23 * MIB), 'E_IMAGE_SIZE')
    const built = buildImage({ layers: [bomb], pack })
    assert.is(await codeOf(ociArchive(built, buildIndex([{ manifest: built.manifest }])), 23 * MIB), 'E_IMAGE_SIZE')
    assert.is(await codeOf(pack(ociArchive(built, buildIndex([{ manifest: built.manifest }]))), 23 * MIB), 'E_IMAGE_SIZE')
    assert.is(await codeOf(pack(bomb), 24 * MIB), 'read')
  }
  // many small layers together
  const part = rawTar([{ name: 'zeros', data: Buffer.alloc(3 * MIB) }])
  const many = buildImage({ layers: Array.from({ length: 8 }, () => part) })
  assert.is(await codeOf(ociArchive(many, buildIndex([{ manifest: many.manifest }])), 23 * MIB), 'E_IMAGE_SIZE')
})

test('zeros without end after a tar are counted, and files of one byte as the blocks that they take', async () => {
  assert.is(await codeOf(gzipSync(rawTar([FILE], Buffer.alloc(100 * MIB))), 8 * MIB), 'E_IMAGE_SIZE')
  const small = rawTar(Array.from({ length: 600 }, (_, i) => ({ name: `f${i}`, data: 'x' })))
  assert.is(await codeOf(small, 2 * MIB), 'E_IMAGE_SIZE')
  assert.is(await codeOf(small, 3 * MIB), 'read')
})

test('damaged packing, unknown packing and no tar at all are refused', async () => {
  const packed = gzipSync(LAYER)
  packed[40] = 0xff ^ (packed[40] ?? 0)
  assert.is(await codeOf(packed), 'E_IMAGE_MALFORMED')
  assert.is(await codeOf(gzipSync(LAYER).subarray(0, 60)), 'E_IMAGE_MALFORMED')
  for (const bytes of [Buffer.from('fd377a585a00', 'hex'), Buffer.from('425a6839', 'hex'), Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(10_240)]) assert.is(await codeOf(bytes), 'E_IMAGE_MALFORMED')
})

test('a person is told what hosts will make of an archive', async () => {
  const platform = ownPlatform()
  const good = file(dockerArchive(buildImage({ layers: [LAYER], settings: { Entrypoint: ['/run'] }, architecture: platform.architecture })))
  const signal = new AbortController().signal
  const described = await describeArchive(good, { tempDir: dir, maxBytes: MIB, signal })
  assert.ok(described.ok)
  assert.equal([described.value.kind, described.value.layers, described.value.entrypoint, described.value.diskBytes], ['docker', 1, ['/run'], 8192])
  const bad = await describeArchive(file(archiveOf({ settings: { Volumes: { '/v': {} } } })), { tempDir: dir, maxBytes: MIB, platform: AMD64, signal })
  assert.is(bad.ok ? '' : bad.code, 'E_IMAGE_VOLUME')
  const none = await describeArchive(join(dir, 'nowhere.tar'), { tempDir: dir, maxBytes: MIB, signal })
  assert.is(none.ok ? '' : none.code, 'E_IMAGE_DISK')
})

test('reading ends when it is cancelled', async () => {
  const stop = new AbortController()
  const reading = readArchive(file(rawTar([{ name: 'zeros', data: Buffer.alloc(32 * MIB) }])), { spoolPath: join(dir, 'never'), maxBytes: 64 * MIB, platform: AMD64, signal: stop.signal })
  stop.abort(new ImageRefusal('E_IMAGE_CANCELLED', 'enough'))
  try {
    await reading
    assert.unreachable()
  } catch (err) {
    assert.is(err instanceof ImageRefusal && err.code, 'E_IMAGE_CANCELLED')
  }
})

test.run()
