import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ImageSource } from '../../node/containers/images/image-source.ts'
import { ImageRefusal } from '../../node/containers/images/refusal.ts'
import { RegistryClient } from '../../node/containers/images/registry-client.ts'
import type { RegistryLogin } from '../../node/containers/images/registry-auth.ts'
import type { RegistryAccess } from '../../node/containers/images/registry-http.ts'
import { pullImage } from '../../node/containers/images/registry-image.ts'
import { placeOf } from '../../node/containers/images/registry-name.ts'
import { KIB, MIB } from '../../src/units.ts'
import { buildImage, buildIndex, rawTar, sha256 } from '../helpers/images.ts'
import { TestRegistry } from '../helpers/registry.ts'

const test = suite('registries of images')
const root = mkdtempSync(join(tmpdir(), 'hearth-registry-'))
const AMD64 = { os: 'linux', architecture: 'amd64' }
const LAYERS = [rawTar([{ name: 'a', data: 'a'.repeat(100_000) }]), rawTar([{ name: 'b', data: 'b' }])]
const IMAGE = buildImage({ layers: LAYERS, settings: { Cmd: ['x'] }, pack: (tar) => tar })
const LAST_LAYER = sha256(LAYERS[0]!)
let pulls = 0
let registry: TestRegistry

test.before.each(async () => { registry = await TestRegistry.open(); registry.push(IMAGE) })
test.after.each(async () => { await registry.close() })
test.after(() => { rmSync(root, { recursive: true, force: true }) })

interface Options { name?: string, login?: RegistryLogin, digest?: string, maxBytes?: number, access?: Partial<RegistryAccess>, signal?: AbortSignal, onBytes?: (done: number, total: number) => void, dir?: string }

async function pull({ name = `${registry.host}/team/tool`, login, digest = IMAGE.digest, maxBytes = MIB, access = {}, signal = new AbortController().signal, onBytes = () => undefined, dir = join(root, String(++pulls)) }: Options = {}): Promise<ImageSource> {
  mkdirSync(dir)
  const client = new RegistryClient(name, login, { localRegistries: { [registry.host]: 'http' }, ...access })
  return await pullImage(client, digest, { dir, maxBytes, platform: AMD64, signal, onBytes })
}

async function refusal(options: Options = {}): Promise<ImageRefusal> {
  try {
    await pull(options)
  } catch (err) {
    if (err instanceof ImageRefusal) return err
    throw err
  }
  throw new Error('it was pulled')
}
const codeOf = async (options: Options = {}): Promise<string> => (await refusal(options)).code

test('names lead where Docker\'s do', () => {
  const hub = { host: 'registry-1.docker.io', repository: 'library/alpine' }
  for (const name of ['alpine', 'docker.io/alpine', 'docker.io/library/alpine', 'index.docker.io/library/alpine', 'library/alpine']) assert.equal(placeOf(name), hub, name)
  assert.equal(placeOf('team/tool'), { host: 'registry-1.docker.io', repository: 'team/tool' })
  assert.equal(placeOf('localhost/tool'), { host: 'localhost', repository: 'tool' })
  assert.equal(placeOf('reg.example:5000/a/b'), { host: 'reg.example:5000', repository: 'a/b' })
})

test('an image is fetched by the digest of its manifest, or of an index', async () => {
  const seen: number[] = []
  const image = await pull({ onBytes: (done, total) => { seen.push(done, total) } })
  assert.equal([image.configDigest, image.facts.command, image.layers.length], [IMAGE.imageId, ['x'], 2])
  const totalBytes = LAYERS.reduce((sum, { length }) => sum + length, 0)
  assert.equal(seen.slice(-2), [totalBytes, totalBytes])
  const index = buildIndex([{ manifest: Buffer.from('{}'), platform: { os: 'linux', architecture: 's390x' } }, { manifest: IMAGE.manifest, platform: AMD64 }])
  registry.put(sha256(index), index)
  assert.is((await pull({ digest: sha256(index) })).configDigest, IMAGE.imageId)
})

test('a layer that is there several times is fetched once', async () => {
  const twice = buildImage({ layers: [LAYERS[0]!, LAYERS[0]!, LAYERS[0]!] })
  registry.push(twice)
  assert.is((await pull({ digest: twice.digest })).layers.length, 3)
  assert.is(registry.paths('/blobs/').length, 2)
})

for (const tokens of ['bearer', 'basic'] as const) {
  test(`a login opens a private repository (${tokens}), a wrong one and none do not`, async () => {
    registry.tokens = tokens
    registry.hide('team/tool')
    assert.is((await pull({ login: registry.login })).configDigest, IMAGE.imageId)
    assert.is(await codeOf({ login: { username: 'anna', password: 'guessed' } }), 'E_IMAGE_LOGIN')
    assert.is(await codeOf(), 'E_IMAGE_LOGIN')
    assert.not.match((await refusal({ login: { username: 'anna', password: 'guessed' } })).message, 'guessed')
  })
}

test('where a registry leads to another host, the login does not go along', async () => {
  const other = await TestRegistry.open()
  try {
    other.push(IMAGE)
    registry.tokens = 'basic'
    registry.hide('team/tool')
    registry.answer = (path, response, { headers }) => {
      if (!path.includes('/blobs/') || headers.authorization === undefined) return false
      response.writeHead(307, { location: `http://${other.host}${path}` }).end()
      return true
    }
    const image = await pull({ login: registry.login, access: { localRegistries: { [registry.host]: 'http', [other.host]: 'http' } } })
    assert.is(image.configDigest, IMAGE.imageId)
    assert.ok(other.requests.length > 0)
    assert.ok(other.requests.every(({ authorization }) => authorization === undefined))
  } finally {
    await other.close()
  }
})

test('what a registry lacks, what it refuses, and that it is not there are told apart', async () => {
  assert.is(await codeOf({ digest: sha256(Buffer.from('none')) }), 'E_IMAGE_NOT_FOUND')
  for (const [status, code] of [[403, 'E_IMAGE_LOGIN'], [401, 'E_IMAGE_LOGIN'], [429, 'E_IMAGE_REGISTRY'], [500, 'E_IMAGE_REGISTRY']] as const) {
    registry.answer = (_, response) => { response.writeHead(status).end(); return true }
    assert.is(await codeOf(), code, String(status))
  }
  const gone = await TestRegistry.open()
  const { host } = gone
  await gone.close()
  assert.is(await codeOf({ name: `${host}/x`, access: { localRegistries: { [host]: 'http' } } }), 'E_IMAGE_REGISTRY')
})

test('a registry that gives other bytes than asked for is found out', async () => {
  registry.put(IMAGE.digest, Buffer.from(IMAGE.manifest.toString().replace('"schemaVersion":2', '"schemaVersion": 2')))
  assert.is(await codeOf(), 'E_IMAGE_DIGEST')
  for (const [digest, bytes] of IMAGE.blobs) {
    registry.push(IMAGE)
    const evil = Buffer.from(bytes)
    evil[evil.length - 2] = 0x7e
    registry.put(digest, evil)
    assert.is(await codeOf(), 'E_IMAGE_DIGEST', digest)
    registry.put(digest, bytes.subarray(0, bytes.length - 1))
    assert.is(await codeOf(), 'E_IMAGE_DIGEST', digest)
  }
})

test('a blob without end ends at the size that the manifest names', async () => {
  const ended = Promise.withResolvers<void>()
  registry.answer = (path, response) => {
    if (!path.includes(LAST_LAYER)) return false
    response.writeHead(200)
    const more = (): void => { while (response.write(Buffer.alloc(64 * KIB))) { /* as fast as it is read */ } }
    response.on('drain', more).on('close', () => { ended.resolve() })
    more()
    return true
  }
  const dir = join(root, 'endless')
  assert.is(await codeOf({ dir }), 'E_IMAGE_DIGEST')
  await ended.promise
  for (const name of readdirSync(dir)) assert.ok(statSync(join(dir, name)).size <= LAYERS[0]!.length)
})

test('a manifest and a token without end are bounded', async () => {
  const endless = (part: string): TestRegistry['answer'] => (path, response) => {
    if (!path.includes(part)) return false
    response.writeHead(200)
    const more = (): void => { while (response.write(Buffer.alloc(64 * KIB, 0x20))) { /* as fast as it is read */ } }
    response.on('drain', more)
    more()
    return true
  }
  registry.answer = endless('/manifests/')
  assert.is(await codeOf(), 'E_IMAGE_MALFORMED')
  registry.hide('team/tool')
  registry.answer = endless('/token')
  assert.is(await codeOf({ login: registry.login }), 'E_IMAGE_MALFORMED')
})

test('a registry that falls silent is given up, in the head and in the middle of a layer', async () => {
  registry.answer = () => true
  assert.is(await codeOf({ access: { stallMs: 50 } }), 'E_IMAGE_REGISTRY')
  registry.answer = (path, response) => {
    if (!path.includes(LAST_LAYER)) return false
    response.writeHead(200).write('some')
    return true
  }
  assert.is(await codeOf({ access: { stallMs: 50 } }), 'E_IMAGE_REGISTRY')
})

test('an image too large even packed is refused before a layer is asked for', async () => {
  assert.is(await codeOf({ maxBytes: 50_000 }), 'E_IMAGE_SIZE')
  assert.equal(registry.paths('/blobs/'), [])
})

test('an image that this host\'s own disk has no room to fetch is refused before a layer is asked for', async () => {
  const manifest = JSON.parse(IMAGE.manifest.toString()) as { layers: { size: number }[] }
  const huge = Buffer.from(JSON.stringify({ ...manifest, layers: manifest.layers.map((layer) => ({ ...layer, size: 2 ** 50 })) }))
  registry.put(sha256(huge), huge)
  assert.is(await codeOf({ digest: sha256(huge), maxBytes: 2 ** 52 }), 'E_IMAGE_ROOM')
  assert.equal(registry.paths('/blobs/'), [`/v2/team/tool/blobs/${IMAGE.imageId}`])
})

test('an image of another kind, or with a VOLUME, is refused before a layer is asked for', async () => {
  const volume = buildImage({ layers: LAYERS, settings: { Volumes: { '/v': {} } } })
  registry.push(volume)
  assert.is(await codeOf({ digest: volume.digest }), 'E_IMAGE_VOLUME')
  assert.equal(registry.paths('/blobs/'), [`/v2/team/tool/blobs/${volume.imageId}`])
  const both = Buffer.from(IMAGE.manifest.toString().replace('{', '{"manifests":[],'))
  registry.put(sha256(both), both)
  assert.is(await codeOf({ digest: sha256(both) }), 'E_IMAGE_MALFORMED')
})

test('a job cannot send this host to addresses of its own network, however they are spelled', async () => {
  const port = registry.host.split(':')[1] ?? ''
  for (const host of ['127.0.0.1', '0x7f.0.0.1', '127.1', '2130706433', '169.254.169.254', '192.168.1.1', '10.0.0.1', '100.64.0.1']) {
    assert.is(await codeOf({ name: `${host}:${port}/team/tool`, access: { localRegistries: {} } }), 'E_IMAGE_REGISTRY_ADDRESS', host)
  }
  for (const address of ['127.0.0.1', '192.168.1.1', '::1', 'fe80::1', '::ffff:127.0.0.1']) {
    assert.is(await codeOf({ name: `rebound.example:${port}/x`, access: { localRegistries: {}, resolve: () => Promise.resolve([address]) } }), 'E_IMAGE_REGISTRY_ADDRESS', address)
  }
  assert.is(await codeOf({ name: `nowhere.example:${port}/x`, access: { localRegistries: {}, resolve: () => Promise.resolve([]) } }), 'E_IMAGE_REGISTRY')
  assert.equal(registry.requests, [])
})

test('a job cannot send this host to the owner\'s own public addresses either', async () => {
  const access = { localRegistries: {}, ownAddresses: () => ['81.3.0.1'], resolve: () => Promise.resolve(['81.3.0.1']), stallMs: 1 }
  for (const name of ['81.3.0.1:1/team/tool', 'router.example:1/team/tool']) assert.is(await codeOf({ name, access }), 'E_IMAGE_REGISTRY_ADDRESS')
})

test('a registry cannot lead this host to addresses of its own network', async () => {
  for (const location of ['https://192.168.1.1/', 'https://[::1]/', 'https://169.254.169.254/latest']) {
    registry.answer = (_, response) => { response.writeHead(302, { location }).end(); return true }
    assert.is(await codeOf(), 'E_IMAGE_REGISTRY_ADDRESS', location)
    registry.answer = (_, response) => { response.writeHead(401, { 'www-authenticate': `Bearer realm="${location}"` }).end(); return true }
    assert.is(await codeOf({ login: registry.login }), 'E_IMAGE_REGISTRY_ADDRESS', location)
  }
})

test('nobody is led from TLS to plain text, to files, or around for ever', async () => {
  for (const location of ['http://registry.example/', 'file:///etc/passwd', 'nothing://x', `http://${registry.host}/again`]) {
    registry.answer = (_, response) => { response.writeHead(302, { location }).end(); return true }
    assert.is(await codeOf(), 'E_IMAGE_MALFORMED', location)
  }
})

test('a challenge that makes no sense is a refusal', async () => {
  registry.hide('team/tool')
  for (const challenge of ['', 'Bearer', 'Bearer realm="nonsense"', 'Digest realm="x"', `Bearer realm="${'x'.repeat(10_000)}"`]) {
    registry.answer = (path, response) => { response.writeHead(401, { 'www-authenticate': challenge }).end(path); return true }
    assert.match(await codeOf({ login: registry.login }), /^E_IMAGE_(?:LOGIN|MALFORMED)$/)
  }
  registry.answer = (path, response) => { if (!path.startsWith('/token')) return false; response.end('{"token":"two\\r\\nheaders: yes"}'); return true }
  assert.is(await codeOf({ login: registry.login }), 'E_IMAGE_MALFORMED')
})

test('a pull that is cancelled ends, and so does the connection', async () => {
  const stop = new AbortController()
  const asked = Promise.withResolvers<{ closing: Promise<unknown> }>()
  registry.answer = (path, response) => {
    if (!path.includes(LAST_LAYER)) return false
    response.writeHead(200).write('some')
    asked.resolve({ closing: once(response, 'close') })
    return true
  }
  const pulling = codeOf({ signal: stop.signal })
  const { closing } = await asked.promise
  stop.abort(new ImageRefusal('E_IMAGE_CANCELLED', 'enough'))
  assert.is(await pulling, 'E_IMAGE_CANCELLED')
  await closing
})

test.run()
