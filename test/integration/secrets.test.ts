/** Secrets of a job reach the provider that holds its lease, over a real connection, and nobody else; on the disk they are sealed. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { secretBox } from '../../node/keys/index.ts'
import { SecretStore } from '../../node/service/secret-store.ts'
import { SECRET_PROTOCOL, SecretProtocol } from '../../protocols/secret/index.ts'
import type { SecretSource } from '../../protocols/secret/index.ts'
import { openFrames } from '../../protocols/wire/index.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal } from '../../src/codec/result.ts'
import { MAX_SECRETS } from '../../src/documents/job.ts'
import { MAX_SECRET_BYTES, secretListCodec } from '../../src/documents/secrets.ts'
import type { Secret } from '../../src/documents/secrets.ts'
import { createTestNodes, stopNodes } from '../helpers/libp2p.ts'
import type { TestNode } from '../helpers/libp2p.ts'

const REQUEST = { v: 1 as const, agreement: `0x${'11'.repeat(32)}`, task: 3, attempt: 1 }
const TOKEN: Secret = { name: 'token', bytes: new Uint8Array(Buffer.from('correct horse battery staple')) }
const JOB = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

/** A requester that gives to the second node alone, for one lease. */
async function withNodes(run: (parts: { requester: TestNode, provider: TestNode, stranger: TestNode, refused: [string, Refusal][], secrets: Secret[] }) => Promise<void>): Promise<void> {
  const [requester, provider, stranger] = await createTestNodes(3) as [TestNode, TestNode, TestNode]
  const refused: [string, Refusal][] = []
  const secrets: Secret[] = [TOKEN]
  const source: SecretSource = async (peer, request) => peer === provider.peerId.toString() && request.task === REQUEST.task ? accept(secrets) : refuse('E_SECRET_REFUSED', 'no such lease')
  const protocol = new SecretProtocol({ network: requester, source, onRefused: (from, refusal) => { refused.push([from, refusal]) } })
  await protocol.start()
  try {
    await run({ requester, provider, stranger, refused, secrets })
  } finally {
    await protocol.stop()
    await stopNodes([requester, provider, stranger])
  }
}

const asker = (network: TestNode): SecretProtocol => new SecretProtocol({ network, source: async () => refuse('E_SECRET_REFUSED', ''), onRefused: () => undefined })
const codeOf = async (asking: Promise<unknown>): Promise<string> => await asking.then(() => 'given', (err: { code: string }) => err.code)

test('the provider of the lease gets them, another peer and another lease get nothing and no reason', async () => {
  await withNodes(async ({ requester, provider, stranger, refused }) => {
    const signal = AbortSignal.timeout(20_000)
    assert.equal(await asker(provider).ask(requester.peerId, REQUEST, signal), [TOKEN])
    assert.is(await codeOf(asker(stranger).ask(requester.peerId, REQUEST, signal)), 'E_SECRET_REFUSED')
    assert.is(await codeOf(asker(provider).ask(requester.peerId, { ...REQUEST, task: 4 }, signal)), 'E_SECRET_REFUSED')
    assert.equal(refused, [])
  })
})

test('as many and as large as a job may have arrive whole', async () => {
  await withNodes(async ({ requester, provider, secrets }) => {
    secrets.splice(0, 1, ...Array.from({ length: MAX_SECRETS }, (_, i) => ({ name: `s${i}`, bytes: new Uint8Array(randomBytes(MAX_SECRET_BYTES)) })))
    assert.equal(await asker(provider).ask(requester.peerId, REQUEST, AbortSignal.timeout(20_000)), secrets)
  })
})

test('garbage is refused and told of', async () => {
  await withNodes(async ({ requester, provider, refused }) => {
    const frames = await openFrames(provider, requester.peerId, SECRET_PROTOCOL, { maxFrameBytes: 1000, readTimeoutMs: 10_000, writeTimeoutMs: 10_000 }, AbortSignal.timeout(20_000))
    await frames.write(randomBytes(100))
    assert.equal([...await frames.read() ?? []], [0])
    await frames.close()
    assert.equal(refused.map(([from]) => from), [provider.peerId.toString()])
  })
})

test('on the disk they are sealed under the node\'s seed, and gone when their job is', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hearth-secrets-'))
  const dir = join(home, 'secrets')
  const box = secretBox(new Uint8Array(32).fill(1))
  const store = await SecretStore.open(dir, box, () => true)
  await store.keep(JOB, [TOKEN])
  const sealed = await readFile(join(dir, JOB))
  assert.not.ok(sealed.includes(Buffer.from(TOKEN.bytes)))
  assert.not.ok(sealed.includes('token'))
  assert.is((await stat(join(dir, JOB))).mode & 0o777, 0o600)
  const opened = box.open(sealed)
  assert.ok(opened !== undefined)
  assert.equal(secretListCodec.decode(opened), accept({ v: 1 as const, secrets: [TOKEN] }))
  assert.is(secretBox(new Uint8Array(32).fill(2)).open(sealed), undefined)
  sealed[20]! ^= 1
  assert.is(box.open(sealed), undefined)
  await store.forget(JOB)
  assert.equal(await readdir(dir), [])
  await store.keep(JOB, [TOKEN])
  await writeFile(join(dir, `${JOB}.new`), 'what a crash left')
  await SecretStore.open(dir, box, () => false)
  assert.equal(await readdir(dir), [])
  await rm(home, { recursive: true })
})

test.run()
