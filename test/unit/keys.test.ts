import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import { Ed25519Verifier, exportSeed, IdentityVerifier, Lru, nativeHasher, nodeKeys, openSeed, parseSeed, protectSeed, readSeed, recoverMoney, storeSeed } from '../../node/keys/index.ts'
import { moneyAddress, signDigest } from '../../node/keys/money.ts'
import { unboxSeed } from '../../node/keys/seed-box.ts'

const test = suite('keys')
const SEED = Uint8Array.from({ length: 32 }, (_, i) => i)
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
const ORDER = 2n * HALF_ORDER + 1n

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-keys-'))
  try {
    await run(dir)
  } finally {
    await rm(dir, { recursive: true })
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (err) {
    return err instanceof HearthError ? err.code : String(err)
  }
}

/** Mulberry32: the run can be repeated. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const word = (value: bigint): string => value.toString(16).padStart(64, '0')

test('a seed always gives the same PeerId and address', async () => {
  const keys = await nodeKeys(SEED)
  // changing these loses every node's identity and money
  assert.is(keys.peerId, '12D3KooWEp96zuEBq6PkeCADDfjEUA3QxnjCuERH4g7ndFPsDwsV')
  assert.is(keys.address, '0xcdbfe491b58d6a50f9398f5bb04194ca6c76dfd9')
  assert.is(keys.identity.payee, keys.address)
  const cold = await nodeKeys(SEED, '0x00000000000000000000000000000000000000AA')
  assert.is(cold.identity.payee, '0x00000000000000000000000000000000000000aa')
})

test('the address of a private key is the one that the EVM computes', () => {
  const one = new Uint8Array(32)
  one[31] = 1
  assert.is(moneyAddress(one), '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf')
})

test('a money signature is deterministic, low in s, and recovers in another implementation', async () => {
  const keys = await nodeKeys(SEED)
  for (let i = 0; i < 200; i++) {
    const digest = nativeHasher.sha256(Uint8Array.of(i))
    const signature = keys.signMoney(digest)
    assert.is(signature, keys.signMoney(digest))
    assert.match(signature, /^0x[0-9a-f]{128}1[bc]$/)
    assert.ok(BigInt(`0x${signature.slice(66, 130)}`) <= HALF_ORDER)
    assert.equal(recoverMoney(digest, signature), { ok: true, value: keys.address })
    const recovered = secp256k1.Signature.fromBytes(Buffer.from(signature.slice(2, 130), 'hex')).addRecoveryBit(Number.parseInt(signature.slice(130), 16) - 27).recoverPublicKey(digest)
    assert.is(`0x${Buffer.from(nativeHasher.keccak256(recovered.toBytes(false).subarray(1)).subarray(12)).toString('hex')}`, keys.address)
  }
})

test('a respelled or malformed money signature is refused', async () => {
  const keys = await nodeKeys(SEED)
  const digest = nativeHasher.sha256(SEED)
  const signature = keys.signMoney(digest)
  const r = signature.slice(2, 66)
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const v = Number.parseInt(signature.slice(130), 16)
  const flipped = v === 27 ? '1c' : '1b'
  const refused = (text: string): string => {
    const result = recoverMoney(digest, text)
    return result.ok ? 'accepted' : result.code
  }
  assert.is(refused(`0x${r}${word(ORDER - s)}${flipped}`), 'E_SIGNATURE_FORM', 'high s')
  assert.is(refused(`0x${r}${word(HALF_ORDER + 1n)}${flipped}`), 'E_SIGNATURE_FORM', 'the smallest high s')
  for (const odd of ['00', '01', '1a', '1d', 'ff']) assert.is(refused(`0x${r}${word(s)}${odd}`), 'E_SIGNATURE_FORM', `v ${odd}`)
  assert.is(refused(`0x${word(0n)}${word(s)}1b`), 'E_SIGNATURE_FORM', 'zero r')
  assert.is(refused(`0x${r}${word(0n)}1b`), 'E_SIGNATURE_FORM', 'zero s')
  assert.is(refused(`0x${word(ORDER)}${word(s)}1b`), 'E_SIGNATURE', 'r not below the order')
  for (const text of ['', '0x', signature.slice(2), signature.slice(0, -2), `${signature}00`, signature.toUpperCase(), signature.replace('0x', '0X')]) assert.is(refused(text), 'E_SIGNATURE_FORM', text)
  assert.is(recoverMoney(digest.subarray(1), signature).ok, false)
  const other = recoverMoney(digest, `0x${r}${word(s)}${flipped}`)
  assert.ok(!other.ok || other.value !== keys.address)
})

test('signing what is no digest is a defect of ours and throws', () => {
  assert.throws(() => signDigest(SEED, new Uint8Array(31)), /digest/)
})

test('mutated money signatures never recover to the signer and never throw', async () => {
  const keys = await nodeKeys(SEED)
  const random = generator(1)
  const digest = nativeHasher.sha256(SEED)
  const raw = Buffer.from(keys.signMoney(digest).slice(2), 'hex')
  for (let i = 0; i < 3000; i++) {
    const mutated = Buffer.from(raw)
    mutated[Math.floor(random() * 65)]! ^= 1 + Math.floor(random() * 255)
    const result = recoverMoney(digest, `0x${mutated.toString('hex')}`)
    assert.ok(!result.ok || result.value !== keys.address)
  }
})

test('an identity holds only as its two keys signed it', async () => {
  const keys = await nodeKeys(SEED)
  const other = await nodeKeys(SEED.map((byte) => byte + 1))
  const verifier = new IdentityVerifier(new Ed25519Verifier())
  const { identity } = keys
  assert.ok(verifier.check(identity).ok)
  assert.ok(verifier.check(identity, keys.peerId).ok)
  const refused = (forged: typeof identity, peer?: string): string => {
    const result = verifier.check(forged, peer)
    return result.ok ? 'accepted' : result.code
  }
  assert.is(refused(identity, other.peerId), 'E_IDENTITY_PEER', 'another peer sent it')
  assert.is(refused({ ...identity, peer: other.peerId }), 'E_IDENTITY')
  assert.is(refused({ ...identity, address: other.address }), 'E_IDENTITY', 'another peer\'s money address')
  assert.is(refused({ ...identity, payee: other.address }), 'E_IDENTITY', 'earnings led elsewhere')
  assert.is(refused({ ...identity, peerSignature: other.identity.peerSignature }), 'E_IDENTITY')
  assert.is(refused({ ...identity, moneySignature: other.identity.moneySignature }), 'E_IDENTITY')
  assert.is(refused({ ...identity, moneySignature: `0x${'00'.repeat(65)}` }), 'E_SIGNATURE_FORM')
  // each key signs only one half of a pair that the other never agreed to
  const halfPeer = { ...identity, address: other.address, moneySignature: other.identity.moneySignature }
  assert.is(refused(halfPeer), 'E_IDENTITY')
  assert.ok(verifier.check(identity, keys.peerId).ok, 'refusals leave the good one as it was')
})

test('an Ed25519 signature is believed only with the right key, message and length', async () => {
  const keys = await nodeKeys(SEED)
  const other = await nodeKeys(SEED.map((byte) => byte + 1))
  const verifier = new Ed25519Verifier()
  const message = Buffer.from('hearth:test:1:hello')
  const signature = keys.signEd25519(message)
  assert.ok(verifier.verify(keys.peerId, message, signature))
  assert.ok(await keys.libp2pKey.publicKey.verify(message, signature), 'libp2p agrees')
  assert.not(verifier.verify(other.peerId, message, signature))
  assert.not(verifier.verify(keys.peerId, Buffer.from('hearth:test:1:hallo'), signature))
  assert.not(verifier.verify(keys.peerId, message, signature.subarray(1)))
  assert.not(verifier.verify('12D3KooW', message, signature))
  assert.not(verifier.verify('QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', message, signature))
})

test('the seed is stored for its owner alone, read back, and never overwritten', async () => {
  await withDir(async (dir) => {
    const dataDir = join(dir, 'data')
    const first = await openSeed({ dataDir })
    assert.ok(first.created)
    assert.is((await stat(join(dataDir, 'seed'))).mode & 0o777, 0o600)
    assert.is((await stat(dataDir)).mode & 0o777, 0o700)
    assert.equal(await openSeed({ dataDir }), { seed: first.seed, created: false })
    assert.is(await codeOf(storeSeed(SEED, { dataDir })), 'E_KEY_EXISTS')
    assert.equal(await readSeed({ dataDir }), first.seed)
    assert.equal(await readdir(dataDir), ['seed'], 'nothing else is left behind')
  })
})

test('of many processes that start at once, all use one seed', async () => {
  await withDir(async (dataDir) => {
    const seeds = await Promise.all(Array.from({ length: 8 }, () => openSeed({ dataDir })))
    assert.is(seeds.filter((seed) => seed.created).length, 1)
    assert.is(new Set(seeds.map((seed) => exportSeed(seed.seed))).size, 1)
  })
})

test('a seed that others may read, a link, a folder or a large file is refused', async () => {
  await withDir(async (dataDir) => {
    await storeSeed(SEED, { dataDir })
    const path = join(dataDir, 'seed')
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o666]) {
      await chmod(path, mode)
      assert.is(await codeOf(readSeed({ dataDir })), 'E_KEY_PERMISSIONS', mode.toString(8))
    }
    await chmod(path, 0o600)
    assert.equal(await readSeed({ dataDir }), SEED)
    await writeFile(path, 'x'.repeat(5000))
    assert.is(await codeOf(readSeed({ dataDir })), 'E_KEY_FILE')
    await rm(path)
    await symlink('/etc/hostname', path)
    assert.is(await codeOf(readSeed({ dataDir })), 'E_KEY_FILE')
  })
})

test('a passphrase seals the seed, and nothing but it opens it', async () => {
  await withDir(async (dataDir) => {
    await storeSeed(SEED, { dataDir, passphrase: 'correct horse' })
    const text = await readFile(join(dataDir, 'seed'), 'utf8')
    assert.not(text.includes(Buffer.from(SEED).toString('hex')))
    assert.equal(await readSeed({ dataDir, passphrase: 'correct horse' }), SEED)
    assert.is(await codeOf(readSeed({ dataDir, passphrase: 'wrong horse' })), 'E_KEY_PASSPHRASE')
    assert.is(await codeOf(readSeed({ dataDir, passphrase: '' })), 'E_KEY_PASSPHRASE')
    assert.is(await codeOf(readSeed({ dataDir })), 'E_KEY_PASSPHRASE')
    await protectSeed({ dataDir, passphrase: 'correct horse', next: undefined })
    assert.is(await codeOf(readSeed({ dataDir, passphrase: 'correct horse' })), 'E_KEY_PASSPHRASE', 'a plain seed is not passed off as protected')
    assert.equal(await readSeed({ dataDir }), SEED)
    await protectSeed({ dataDir, next: 'caf\u00e9' })
    assert.equal(await readSeed({ dataDir, passphrase: 'cafe\u0301' }), SEED, 'the same letters typed on another system')
    assert.is((await stat(join(dataDir, 'seed'))).mode & 0o777, 0o600)
  })
})

test('a sealed seed whose parameters were changed is refused', async () => {
  await withDir(async (dataDir) => {
    await storeSeed(SEED, { dataDir, passphrase: 'p' })
    const text = await readFile(join(dataDir, 'seed'), 'utf8')
    const box = JSON.parse(text) as Record<string, unknown>
    assert.is(await codeOf(unboxSeed(JSON.stringify({ ...box, cost: 2 ** 30 }), 'p')), 'E_KEY_FILE', 'would take all memory')
    assert.is(await codeOf(unboxSeed(JSON.stringify({ ...box, cost: 4096 }), 'p')), 'E_KEY_PASSPHRASE')
    assert.is(await codeOf(unboxSeed(JSON.stringify({ ...box, v: 2 }), 'p')), 'E_KEY_FILE')
    assert.is(await codeOf(unboxSeed(JSON.stringify({ ...box, sealed: `00${String(box['sealed']).slice(2)}` }), 'p')), 'E_KEY_PASSPHRASE')
    assert.is(await codeOf(unboxSeed(JSON.stringify({ ...box, extra: 1 }), 'p')), 'E_KEY_FILE')
  })
})

test('damaged seed files are refused with a code, whatever they hold', async () => {
  const random = generator(2)
  const text = Buffer.from(`${JSON.stringify({ v: 1, kind: 'plain', seed: exportSeed(SEED) })}\n`)
  let survived = 0
  for (let i = 0; i < 5000; i++) {
    const mutated = Buffer.from(text)
    for (let n = 0; n <= random() * 3; n++) mutated[Math.floor(random() * mutated.length)] = Math.floor(random() * 256)
    try {
      assert.equal(await unboxSeed(mutated.subarray(0, random() < 0.2 ? Math.floor(random() * mutated.length) : undefined).toString('latin1')), SEED, 'damage went unseen')
      survived++
    } catch (err) {
      if (!(err instanceof HearthError)) throw err
      assert.match(err.code, /^E_KEY_(FILE|TEXT|PASSPHRASE)$/)
    }
  }
  assert.ok(survived < 1000)
})

test('an exported key is read back, and a slip in it is seen', () => {
  const text = exportSeed(SEED)
  assert.equal(parseSeed(`  ${text.toUpperCase()}\n`), SEED)
  for (let i = 0; i < text.length; i++) {
    const slip = `${text.slice(0, i)}${text[i] === '7' ? '8' : '7'}${text.slice(i + 1)}`
    assert.throws(() => parseSeed(slip), (err: unknown) => err instanceof HearthError && err.code === 'E_KEY_TEXT' && !err.message.includes(slip.slice(0, 16)))
  }
  for (const bad of ['', '-', text.slice(1), `${text}0`, text.replace('-', '')]) assert.throws(() => parseSeed(bad))
})

test('the least recently used entry is forgotten first', () => {
  const lru = new Lru<number>(2)
  lru.set('a', 1)
  lru.set('b', 2)
  assert.is(lru.get('a'), 1)
  lru.set('c', 3)
  assert.is(lru.get('b'), undefined)
  assert.is(lru.get('a'), 1)
  assert.is(lru.size, 2)
})

test('the native hasher gives the known digests', () => {
  assert.is(Buffer.from(nativeHasher.sha256(Buffer.from('abc'))).toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.is(Buffer.from(nativeHasher.keccak256(new Uint8Array())).toString('hex'), 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470')
})

test.run()
