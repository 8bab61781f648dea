import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gzipSync } from 'node:zlib'
import { EngineClient } from '../../node/containers/engine-client.ts'
import { ImageStore, type ImageOutcome, type ImageRequest, type ImageStoreOptions, type ReadyImage } from '../../node/containers/images/image-store.ts'
import { GIB, MIB } from '../../src/units.ts'
import { testEngine } from '../helpers/engine.ts'
import { buildImage, buildIndex, dockerArchive, dropNodeImages, ociArchive, rawTar, sha256, type BuiltImage } from '../helpers/images.ts'
import { lacksOwnEngine, OwnEngine } from '../helpers/own-engine.ts'
import { TestRegistry } from '../helpers/registry.ts'

const test = suite('images on the engine')
const root = mkdtempSync(join(tmpdir(), 'hearth-images-'))
/** Digests of this run alone, so that nothing of another run or test is found on the engine. */
const RUN = `${process.pid}-${Date.now()}`
let count = 0

interface Bench { store: ImageStore, options: ImageStoreOptions, registry: TestRegistry, ensure: (image: ImageRequest['image'], changes?: Partial<ImageRequest>) => Promise<ImageOutcome>, close: () => Promise<void> }

const engine = await testEngine(import.meta.filename)

const MARK_BYTES = 20

/** An image of this run, unlike any other; with busybox where it is to run. */
function makeBuilt({ bytes = MARK_BYTES, runs = false, ...plan }: Partial<Parameters<typeof buildImage>[0]> & { bytes?: number, runs?: boolean } = {}): BuiltImage {
  const mark = rawTar([{ name: 'mark', data: `${RUN}-${++count}`.padEnd(bytes, '.') }])
  return buildImage({ architecture: ARCHITECTURE, layers: runs ? [BUSYBOX, mark] : [mark], settings: { Labels: { 'hearth.test': 'images' }, Entrypoint: ['/bin/busybox'], Cmd: ['cat', '/mark'] }, ...plan })
}

const cidOf = (digit: number): string => `bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52z${'abcdefghijklmnopqrstuvwxy'[digit] ?? 'z'}`

async function open(engine: EngineClient, changes: Partial<ImageStoreOptions> = {}): Promise<Bench> {
  const registry = await TestRegistry.open()
  const options = { engine, dir: join(root, String(++count)), node: `images-${RUN}-${count}`, quotaBytes: GIB, registries: { localRegistries: { [registry.host]: 'http' } }, ...changes } as const
  const store = await ImageStore.open(options)
  return {
    store, options, registry,
    ensure: (image, changes = {}) => store.ensure({ image, maxBytes: 64 * MIB, signal: new AbortController().signal, ...changes }),
    close: async () => {
      await store.close()
      await registry.close()
      await dropNodeImages(engine, options.node)
    }
  }
}

async function withBench(engine: EngineClient, work: (bench: Bench) => Promise<void>, changes: Partial<ImageStoreOptions> = {}): Promise<void> {
  const bench = await open(engine, changes)
  try {
    await work(bench)
  } finally {
    await bench.close()
  }
}

function ready(outcome: ImageOutcome): ReadyImage {
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`)
  return outcome.value
}
const codeOf = (outcome: ImageOutcome): string => outcome.ok ? 'ready' : outcome.code

function pushed({ registry }: Bench, built: BuiltImage, repository = 'team/tool'): ImageRequest['image'] & { from: 'registry' } {
  registry.push(built)
  return { from: 'registry', name: `${registry.host}/${repository}`, digest: built.digest }
}

function file(bytes: Buffer): string {
  const path = join(root, `${++count}.tar`)
  writeFileSync(path, bytes)
  return path
}

/** What a container of the image does, without anything of ours around it. */
async function exitOf(engine: EngineClient, imageId: string, changes: object = {}): Promise<number> {
  const { id } = await engine.createContainer(`images-${RUN}-${++count}`, { Image: imageId, Labels: { 'hearth.test': 'images' }, HostConfig: { NetworkMode: 'none' }, ...changes })
  try {
    const exit = engine.nextExit(id, AbortSignal.timeout(20_000))
    await engine.start(id)
    return await exit
  } finally {
    await engine.remove(id)
  }
}

async function isThere(engine: EngineClient, reference: string): Promise<boolean> {
  return await engine.image(reference).then(() => true, () => false)
}

const ARCHITECTURE = engine === undefined ? '' : (await engine.version()).Arch ?? ''
const BUSYBOX = rawTar([{ name: 'bin/', type: '5' }, ...['/bin/busybox', '/usr/bin/busybox'].filter((path) => existsSync(path)).slice(0, 1).map((path) => ({ name: 'bin/busybox', data: readFileSync(path) }))])
const PLATFORM = { os: 'linux', architecture: ARCHITECTURE }

test.after(() => { rmSync(root, { recursive: true, force: true }) })

if (engine !== undefined) {
  test('an image of a registry runs, is cached, and leaves when nobody uses it', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt({ runs: true })
      const image = pushed(bench, built)
      const phases: string[] = []
      const first = ready(await bench.ensure(image, { onProgress: ({ phase, doneBytes, totalBytes }) => { if (doneBytes === totalBytes) phases.push(phase) } }))
      assert.equal([first.imageId, first.entrypoint, first.command], [built.imageId, ['/bin/busybox'], ['cat', '/mark']])
      assert.equal(phases, ['fetch', 'load'])
      assert.is(await exitOf(engine, first.imageId), 0)
      assert.equal(readdirSync(join(bench.options.dir, 'staging')), [])
      const { requests: { length } } = bench.registry
      const again = ready(await bench.ensure(image))
      assert.is(bench.registry.requests.length, length)
      first.release()
      first.release()
      assert.equal(bench.store.list().map(({ key, isInUse }) => [key, isInUse]), [[built.digest, true]])
      assert.is(await bench.store.remove(built.digest), 'used')
      again.release()
      assert.is(await bench.store.remove(built.digest), 'removed')
      assert.is(await bench.store.remove(built.digest), 'absent')
      assert.not.ok(await isThere(engine, built.imageId))
    })
  })

  test('many that want one image at the same time are one pull, and it survives those that leave', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt()
      const image = pushed(bench, built)
      const stop = new AbortController()
      const asked = Promise.withResolvers<void>()
      const go = Promise.withResolvers<void>()
      bench.registry.answer = async (path) => { if (path.includes('/blobs/')) { asked.resolve(); await go.promise } return false }
      const leaving = bench.ensure(image, { signal: stop.signal })
      const staying = [1, 2, 3, 4].map(async () => await bench.ensure(image))
      await asked.promise
      stop.abort()
      assert.is(codeOf(await leaving), 'E_IMAGE_CANCELLED')
      go.resolve()
      const outcomes = await Promise.all(staying)
      assert.equal(outcomes.map((each) => ready(each).imageId), Array.from({ length: 4 }, () => built.imageId))
      assert.is(bench.registry.paths('/manifests/').length, 1)
      assert.is(bench.registry.paths('/blobs/').length, 2)
      for (const outcome of outcomes) ready(outcome).release()
      assert.is(bench.store.list()[0]?.isInUse, false)
    })
  })

  test('a pull that all have left ends, leaves nothing, and holds nothing', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt()
      const image = pushed(bench, built)
      const stop = new AbortController()
      const asked = Promise.withResolvers<{ closing: Promise<unknown> }>()
      bench.registry.answer = (path, response) => { if (path.includes('/blobs/')) { asked.resolve({ closing: once(response, 'close') }); return true } return false }
      const outcome = bench.ensure(image, { signal: stop.signal })
      const { closing } = await asked.promise
      stop.abort()
      assert.is(codeOf(await outcome), 'E_IMAGE_CANCELLED')
      await closing
      await bench.store.close()
      assert.equal(readdirSync(join(bench.options.dir, 'staging')), [])
      assert.equal(bench.store.list(), [])
      assert.is(codeOf(await bench.ensure(image, { signal: stop.signal })), 'E_IMAGE_CANCELLED')
    })
  })

  test('a pull that is cancelled while the engine loads leaves nothing there', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt({ bytes: 12 * MIB })
      const stop = new AbortController()
      const outcome = await bench.ensure(pushed(bench, built), { signal: stop.signal, onProgress: ({ phase, doneBytes }) => { if (phase === 'load' && doneBytes > 0) stop.abort() } })
      assert.is(codeOf(outcome), 'E_IMAGE_CANCELLED')
      await bench.store.close()
      assert.not.ok(await isThere(engine, built.imageId))
    })
  })

  test('archives and root file systems become images that run', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt({ runs: true })
      const index = buildIndex([{ manifest: built.manifest, platform: PLATFORM }])
      const archives = [dockerArchive(built), ociArchive(built, index), gzipSync(ociArchive(built, index), { level: 1 })]
      for (const [i, bytes] of archives.entries()) {
        const image = ready(await bench.ensure({ from: 'content', cid: cidOf(i), sizeBytes: bytes.length }, { archivePath: file(bytes) }))
        assert.is(image.imageId, built.imageId)
      }
      assert.is(await exitOf(engine, built.imageId), 0)
      const tree = gzipSync(built.layers[0]!, { level: 1 })
      const rootfs = ready(await bench.ensure({ from: 'content', cid: cidOf(9), sizeBytes: tree.length }, { archivePath: file(tree) }))
      assert.equal([rootfs.entrypoint, rootfs.command, rootfs.env], [[], [], []])
      assert.is(await exitOf(engine, rootfs.imageId, { Cmd: ['/bin/busybox', 'true'] }), 0)
    })
  })

  test('a stranger\'s archive that names itself as an image of the host leaves that name where it is', async () => {
    await withBench(engine, async (bench) => {
      const own = makeBuilt()
      const tag = `hearth-test:own-${process.pid}`
      const load = async (archive: Buffer): Promise<unknown> => await engine.call({ method: 'POST', path: '/images/load', query: { quiet: true }, file: archive, deadlineMs: 20_000 })
      await load(dockerArchive(own, [tag]))
      try {
        const stranger = makeBuilt()
        const archive = dockerArchive(stranger, [tag, 'alpine:latest'])
        ready(await bench.ensure({ from: 'content', cid: cidOf(0), sizeBytes: archive.length }, { archivePath: file(archive) }))
        assert.is((await engine.image(tag)).Id, own.imageId)
        assert.not.ok(await isThere(engine, 'alpine:latest'))
        // the same archive, given to the engine as it is: the attack works
        await load(dockerArchive(stranger, [tag]))
        assert.is((await engine.image(tag)).Id, stranger.imageId)
      } finally {
        await engine.call({ method: 'DELETE', path: `/images/${tag}` })
        await engine.call({ method: 'DELETE', path: `/images/${own.imageId}` }).catch(() => undefined)
      }
    })
  })

  test('an image that the owner has is used, counts for no quota, and stays', async () => {
    await withBench(engine, async (bench) => {
      for (const tag of [`hearth-test:owner-${process.pid}`, undefined]) {
        const built = makeBuilt()
        await engine.call({ method: 'POST', path: '/images/load', query: { quiet: true }, file: dockerArchive(built, tag === undefined ? null : [tag]), deadlineMs: 20_000 })
        try {
          const image = ready(await bench.ensure(pushed(bench, built)))
          assert.is(image.imageId, built.imageId)
          assert.is(bench.store.list()[0]?.isOwners, true)
          image.release()
          assert.is(await bench.store.prune(), 0)
          assert.equal(bench.store.list(), [])
          assert.ok(await isThere(engine, built.imageId))
        } finally {
          await engine.call({ method: 'DELETE', path: `/images/${tag ?? built.imageId}` })
        }
      }
    })
  })

  test('two nodes with one engine each keep what they use', async () => {
    await withBench(engine, async (one) => {
      await withBench(engine, async (two) => {
        const built = makeBuilt()
        ready(await one.ensure(pushed(one, built))).release()
        const image = ready(await two.ensure(pushed(two, built)))
        assert.is(await one.store.remove(built.digest), 'removed')
        assert.ok(await isThere(engine, built.imageId))
        image.release()
        assert.is(await two.store.remove(built.digest), 'removed')
        assert.not.ok(await isThere(engine, built.imageId))
      })
    })
  })

  test('what one login fetched, nobody gets without the registry\'s word', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt()
      const image = pushed(bench, built)
      bench.registry.hide('team/tool')
      ready(await bench.ensure(image, { login: bench.registry.login })).release()
      assert.is(codeOf(await bench.ensure(image)), 'E_IMAGE_LOGIN')
      assert.is(codeOf(await bench.ensure(image, { login: { username: 'eve', password: 'guess' } })), 'E_IMAGE_LOGIN')
      // somebody who knows the manifest, too, shows it under another name: the layers have to come from there
      bench.registry.answer = (path, response) => { if (!/eve.*blobs/.test(path)) return false; response.writeHead(404).end(); return true }
      assert.is(codeOf(await bench.ensure({ ...image, name: `${bench.registry.host}/eve/tool` })), 'E_IMAGE_NOT_FOUND')
      const blobs = bench.registry.paths('/blobs/').length
      ready(await bench.ensure(image, { login: bench.registry.login })).release()
      assert.is(bench.registry.paths('/blobs/').length, blobs)
    })
  })

  test('an image of the host is nobody\'s for its configuration alone', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt()
      ready(await bench.ensure(pushed(bench, built))).release()
      // the manifest and the configuration are known, the layers are not
      const fake = makeBuilt()
      const manifest = Buffer.from(JSON.stringify({ ...JSON.parse(fake.manifest.toString()), config: JSON.parse(built.manifest.toString()).config }))
      bench.registry.push({ blobs: new Map([...fake.blobs, [sha256(manifest), manifest]]) })
      assert.is(codeOf(await bench.ensure({ from: 'registry', name: `${bench.registry.host}/x`, digest: sha256(manifest) })), 'E_IMAGE_DIGEST')
    })
  })

  test('an image with a VOLUME is refused; the engine alone would give it a place on the disk (C21)', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt({ settings: { Labels: { 'hearth.test': 'images' }, Cmd: ['/bin/busybox', 'true'], Volumes: { '/data': {} } } })
      assert.is(codeOf(await bench.ensure(pushed(bench, built))), 'E_IMAGE_VOLUME')
      assert.not.ok(await isThere(engine, built.imageId))
      // spelled so that only the engine knows it
      const config = Buffer.from(built.config.toString().replace('"Volumes"', '"volumes"'))
      const spelled = { config, layers: built.layers }
      const archive = dockerArchive(spelled)
      assert.is(codeOf(await bench.ensure({ from: 'content', cid: cidOf(0), sizeBytes: archive.length }, { archivePath: file(archive) })), 'E_IMAGE_MALFORMED')
      await engine.call({ method: 'POST', path: '/images/load', query: { quiet: true }, file: archive, deadlineMs: 20_000 })
      try {
        assert.equal(Object.keys((await engine.image(sha256(config))).Config?.Volumes ?? {}), ['/data'])
      } finally {
        await engine.call({ method: 'DELETE', path: `/images/${sha256(config)}` })
      }
    })
  })

  test('an image that expands never reaches the engine, which alone would write all of it (C22)', async () => {
    await withBench(engine, async (bench) => {
      const zeros = rawTar([{ name: `zeros-${RUN}`, data: Buffer.alloc(48 * MIB) }])
      const bomb = buildImage({ architecture: ARCHITECTURE, layers: [zeros] })
      assert.ok([...bomb.blobs.values()].reduce((sum, { length }) => sum + length, 0) < MIB)
      assert.is(codeOf(await bench.ensure(pushed(bench, bomb), { maxBytes: 32 * MIB })), 'E_IMAGE_SIZE')
      const archive = gzipSync(zeros, { level: 1 })
      assert.is(codeOf(await bench.ensure({ from: 'content', cid: cidOf(0), sizeBytes: archive.length }, { archivePath: file(archive), maxBytes: 32 * MIB })), 'E_IMAGE_SIZE')
      assert.not.ok(await isThere(engine, bomb.imageId))
      assert.equal(readdirSync(join(bench.options.dir, 'staging')), [])
      // without the bound the engine takes it: 48 times what came
      const image = ready(await bench.ensure(pushed(bench, bomb)))
      assert.ok((await engine.image(image.imageId)).Size >= 48 * MIB)
      // and cached, it is still too large for an owner who allows less
      assert.is(codeOf(await bench.ensure(pushed(bench, bomb), { maxBytes: 32 * MIB })), 'E_IMAGE_SIZE')
    })
  })

  test('a quota is kept by the images that were unused for longest, and never by one in use', async () => {
    await withBench(engine, async (bench) => {
      const [own, a, b, c, d] = [makeBuilt({ bytes: MIB }), makeBuilt({ bytes: MIB }), makeBuilt({ bytes: MIB }), makeBuilt({ bytes: MIB }), makeBuilt({ bytes: MIB })] as const
      const keys = (): string[] => bench.store.list().map(({ key }) => key)
      const tag = `hearth-test:quota-${process.pid}`
      await engine.call({ method: 'POST', path: '/images/load', query: { quiet: true }, file: dockerArchive(own, [tag]), deadlineMs: 20_000 })
      try {
        for (const built of [own, a, b, a]) ready(await bench.ensure(pushed(bench, built))).release()
        const last = ready(await bench.ensure(pushed(bench, c)))
        // b leaves: own frees nothing, and a was used since
        assert.equal(keys(), [c.digest, a.digest, own.digest])
        assert.not.ok(await isThere(engine, b.imageId))
        const first = ready(await bench.ensure(pushed(bench, a)))
        // both are in use now
        assert.is(codeOf(await bench.ensure(pushed(bench, d))), 'E_IMAGE_ROOM')
        last.release()
        assert.is(codeOf(await bench.ensure(pushed(bench, d))), 'ready')
        assert.equal(keys(), [d.digest, a.digest, own.digest])
        first.release()
        assert.is(codeOf(await bench.ensure(pushed(bench, makeBuilt({ bytes: 7 * MIB })))), 'E_IMAGE_ROOM')
      } finally {
        await engine.call({ method: 'DELETE', path: `/images/${tag}` })
      }
    }, { quotaBytes: 2.5 * MIB })
  })

  test('an engine\'s disk that runs low is relieved of images, and takes none that would fill it', async () => {
    let freeBytes = 100 * MIB
    await withBench(engine, async (bench) => {
      const a = makeBuilt({ bytes: MIB })
      ready(await bench.ensure(pushed(bench, a))).release()
      freeBytes = 11 * MIB
      assert.is(codeOf(await bench.ensure(pushed(bench, makeBuilt({ bytes: MIB })))), 'E_IMAGE_ROOM')
      assert.equal(bench.store.list(), [])
      assert.not.ok(await isThere(engine, a.imageId))
      freeBytes = 100 * MIB
      ready(await bench.ensure(pushed(bench, makeBuilt({ bytes: MIB })))).release()
      freeBytes = 9 * MIB
      assert.ok(await bench.store.tidy() > 0)
      assert.equal(bench.store.list(), [])
    }, { freeBytes: () => Promise.resolve(freeBytes), reserveBytes: 10 * MIB })
  })

  test('after a crash the next life removes what was half done, and knows what it has', async () => {
    await withBench(engine, async (bench) => {
      const [kept, half, vanished] = [makeBuilt(), makeBuilt(), makeBuilt()] as const
      for (const built of [kept, half, vanished]) ready(await bench.ensure(pushed(bench, built)))
      const path = join(bench.options.dir, 'images.json')
      // as if the node had died before it wrote the second down, and somebody had removed the third by hand
      const catalog = JSON.parse(readFileSync(path, 'utf8')) as { images: { key: string, tag: string }[] }
      writeFileSync(path, JSON.stringify({ ...catalog, images: catalog.images.filter(({ key }) => key !== half.digest) }))
      writeFileSync(join(bench.options.dir, 'staging', 'half'), 'x')
      await engine.call({ method: 'DELETE', path: `/images/${encodeURIComponent(catalog.images.find(({ key }) => key === vanished.digest)?.tag ?? '')}` })
      const next = await ImageStore.open(bench.options)
      assert.equal(next.list().map(({ key }) => key), [kept.digest])
      assert.not.ok(await isThere(engine, half.imageId))
      assert.equal(readdirSync(join(bench.options.dir, 'staging')), [])
      // a catalog that is nonsense is a cache lost, and no more
      writeFileSync(path, '{"v":1,"images":[{"key":"nonsense"}]}')
      assert.equal((await ImageStore.open(bench.options)).list(), [])
      assert.not.ok(await isThere(engine, kept.imageId))
    })
  })

  test('an image removed behind our back is fetched again', async () => {
    await withBench(engine, async (bench) => {
      const built = makeBuilt()
      ready(await bench.ensure(pushed(bench, built))).release()
      await engine.call({ method: 'DELETE', path: `/images/${built.imageId}`, query: { force: true } })
      ready(await bench.ensure(pushed(bench, built)))
      assert.ok(await isThere(engine, built.imageId))
    })
  })

  test('an engine that is away is a refusal of this host\'s, and no crash', async () => {
    const nobody = new EngineClient(join(root, 'nobody.sock'))
    const store = await ImageStore.open({ engine: nobody, dir: join(root, 'away'), node: 'away', quotaBytes: GIB, registries: { localRegistries: {} } })
    const outcome = await store.ensure({ image: { from: 'content', cid: cidOf(0), sizeBytes: 1 }, archivePath: file(rawTar([])), maxBytes: MIB, signal: new AbortController().signal })
    assert.equal(outcome.ok ? [] : [outcome.code, outcome.fault], ['E_IMAGE_ENGINE', 'host'])
    await store.close()
  })

  test('a symbolic link in a layer leads nowhere on the host', async () => {
    await withBench(engine, async (bench) => {
      const target = join(root, 'target')
      const evil = rawTar([{ name: 'out', type: '2', linkTo: root }, { name: 'out/target', data: 'written' }])
      const outcome = await bench.ensure({ from: 'content', cid: cidOf(0), sizeBytes: evil.length }, { archivePath: file(evil) })
      assert.match(codeOf(outcome), /^(?:ready|E_IMAGE_MALFORMED)$/)
      assert.not.ok(readdirSync(root).includes('target'), target)
    })
  })

  const lacks = lacksOwnEngine()
  if (lacks === undefined) {
    test('a disk that runs full, and an engine killed while it loads, leave nothing and end in a refusal of this host\'s', async () => {
      const own = await OwnEngine.start(64)
      try {
        const archives = [10, 40].map((mib) => rawTar([{ name: 'random', data: randomBytes(mib * MIB) }]))
        const paths = archives.map(file)
        const ensure = async ({ store }: Bench, i: number, onProgress: NonNullable<ImageRequest['onProgress']> = () => undefined): Promise<ImageOutcome> => await store.ensure({ image: { from: 'content', cid: cidOf(i), sizeBytes: archives[i]!.length }, archivePath: paths[i]!, maxBytes: GIB, signal: new AbortController().signal, onProgress })
        const images = async (): Promise<unknown[]> => await own.client.call<unknown[]>({ method: 'GET', path: '/images/json', query: { all: true } })
        await withBench(own.client, async (bench) => {
          ready(await ensure(bench, 0)).release()
          // looked for first
          assert.is(codeOf(await ensure(bench, 1)), 'E_IMAGE_ROOM')
          assert.equal(await images(), [])
          let isKilled = false
          const died = await ensure(bench, 0, ({ phase }) => { if (phase === 'load' && !isKilled) { isKilled = true; void own.kill() } })
          assert.equal(died.ok ? [] : [died.code, died.fault], ['E_IMAGE_ENGINE', 'host'])
          await own.start()
          assert.equal(await images(), [])
          ready(await ensure(bench, 0)).release()
        }, { reserveBytes: 0 })
        await withBench(own.client, async (bench) => {
          // nobody can tell how full it is: the engine finds out
          assert.is(codeOf(await ensure(bench, 1)), 'E_IMAGE_ROOM')
          assert.equal(await images(), [])
          assert.equal(bench.store.list(), [])
        }, { freeBytes: () => Promise.resolve(undefined) })
      } finally {
        await own.close()
      }
    })
  } else {
    console.log(`NOT RUN: images on an engine that is killed: ${lacks}`)
  }

  if (spawnSync('docker-registry', ['--version']).error === undefined) {
    test('the registry that Debian ships gives an image', async () => {
      const probe = createServer().listen(0, '127.0.0.1')
      await once(probe, 'listening')
      const { port } = probe.address() as { port: number }
      probe.close()
      await once(probe, 'close')
      const config = join(root, 'registry.yml')
      writeFileSync(config, `version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: ${join(root, 'registry')}}}\nhttp: {addr: '127.0.0.1:${port}'}\n`)
      const server = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] })
      try {
        for (let log = ''; !log.includes('listening on');) log += String((await once(server.stderr, 'data'))[0])
        server.stderr.resume()
        const built = makeBuilt()
        const base = `http://127.0.0.1:${port}/v2/team/tool`
        for (const [digest, bytes] of built.blobs) {
          if (digest === built.digest) continue
          const { headers } = await fetch(`${base}/blobs/uploads/`, { method: 'POST' })
          const to = new URL(headers.get('location') ?? '', base)
          to.searchParams.set('digest', digest)
          assert.is((await fetch(to, { method: 'PUT', body: new Uint8Array(bytes), headers: { 'content-type': 'application/octet-stream' } })).status, 201)
        }
        assert.is((await fetch(`${base}/manifests/${built.digest}`, { method: 'PUT', body: new Uint8Array(built.manifest), headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' } })).status, 201)
        await withBench(engine, async (bench) => {
          const image = ready(await bench.ensure({ from: 'registry', name: `127.0.0.1:${port}/team/tool`, digest: built.digest }))
          assert.is(image.imageId, built.imageId)
          assert.is(codeOf(await bench.ensure({ from: 'registry', name: `127.0.0.1:${port}/team/tool`, digest: sha256(Buffer.from('x')) })), 'E_IMAGE_NOT_FOUND')
        }, { registries: { localRegistries: { [`127.0.0.1:${port}`]: 'http' } } })
      } finally {
        server.kill('SIGKILL')
        if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
      }
    })
  } else {
    console.log('NOT RUN: an image of a real registry: docker-registry is not installed')
  }
}

test.run()
