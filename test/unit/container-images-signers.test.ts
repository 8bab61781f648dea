import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Ed25519Verifier, nodeKeys } from '../../node/keys/index.ts'
import { imageSignersRefusal, signImage } from '../../node/network/image-signers.ts'
import { imageKey } from '../../src/documents/image.ts'
import type { ContainerImage, ImageSignature } from '../../src/documents/image.ts'

const test = suite('image signers')
const IMAGE: ContainerImage = { from: 'registry', name: 'example.org/tool', digest: `sha256:${'a'.repeat(64)}` }
const OTHER: ContainerImage = { ...IMAGE, digest: `sha256:${'b'.repeat(64)}` }
const author = await nodeKeys(new Uint8Array(32).fill(1))
const validator = await nodeKeys(new Uint8Array(32).fill(2))
const verifier = new Ed25519Verifier()

function refusalOf(image: ContainerImage, signatures?: ImageSignature[]): string | undefined {
  return imageSignersRefusal({ container: { image, ...signatures === undefined ? {} : { signatures } } }, verifier)?.code
}

test('an image that its author and a validator signed passes, and so does one without signatures', () => {
  assert.is(refusalOf(IMAGE, [signImage(author, imageKey(IMAGE)), signImage(validator, imageKey(IMAGE))]), undefined)
  assert.is(refusalOf(IMAGE), undefined)
  assert.is(imageSignersRefusal({}, verifier), undefined)
})

test('the same image under another name is the same image: what it is was signed', () => {
  assert.is(refusalOf({ ...IMAGE, name: 'mirror.example/tool' }, [signImage(author, imageKey(IMAGE))]), undefined)
})

test('a signature of another image vouches for nothing', () => {
  assert.is(refusalOf(OTHER, [signImage(author, imageKey(IMAGE))]), 'E_IMAGE_SIGNATURE')
})

test('a name under somebody else\'s signature vouches for nothing', () => {
  assert.is(refusalOf(IMAGE, [{ ...signImage(validator, imageKey(IMAGE)), signer: author.peerId }]), 'E_IMAGE_SIGNATURE')
})

test('a signature over the bare key, without the words that keep it apart, vouches for nothing', () => {
  const signature = author.signEd25519(new TextEncoder().encode(imageKey(IMAGE)))
  assert.is(refusalOf(IMAGE, [{ signer: author.peerId, signature }]), 'E_IMAGE_SIGNATURE')
})

test('one wrong signature among right ones refuses the offer: hosts go by names', () => {
  const right = signImage(validator, imageKey(IMAGE))
  const wrong = { signer: author.peerId, signature: new Uint8Array(64) }
  assert.is(refusalOf(IMAGE, [right, wrong]), 'E_IMAGE_SIGNATURE')
  assert.is(refusalOf(IMAGE, [wrong, right]), 'E_IMAGE_SIGNATURE')
})

test('more signatures than an offer may have are refused before any is checked', () => {
  let checks = 0
  const counting = { verify: (): boolean => { checks++; return true } }
  const signatures = Array.from({ length: 5 }, () => signImage(author, imageKey(IMAGE)))
  assert.is(imageSignersRefusal({ container: { image: IMAGE, signatures } }, counting)?.code, 'E_IMAGE_SIGNATURE')
  assert.is(checks, 0)
})

test('a signer whose PeerId holds no Ed25519 key is refused, not thrown over', () => {
  assert.is(refusalOf(IMAGE, [{ ...signImage(author, imageKey(IMAGE)), signer: '16Uiu2HAmPeerWithoutKey' }]), 'E_IMAGE_SIGNATURE')
})

test.run()
