import { refuse } from '../../src/codec/result.ts'
import type { Refusal } from '../../src/codec/result.ts'
import { imageKey, imageStatement } from '../../src/documents/image.ts'
import type { ImageSignature } from '../../src/documents/image.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { invariant } from '../../src/errors.ts'
import type { Ed25519Verifier, NodeKeys } from '../keys/index.ts'

/** The schema of an offer bounds them, too; each costs a verification (60 µs), and offers are gossiped. */
const MAX_IMAGE_SIGNATURES = 4

/**
 * Why an offer's image is not vouched for by those whom it names. Every signature must hold, not one of them: hosts
 * decide by the names alone, so a name that did not sign must never reach them. Refused: E_IMAGE_SIGNATURE.
 */
export function imageSignersRefusal(offer: Pick<Offer, 'container'>, verifier: Pick<Ed25519Verifier, 'verify'>): Refusal | undefined {
  const { image, signatures = [] } = offer.container ?? {}
  if (image === undefined || signatures.length === 0) return undefined
  if (signatures.length > MAX_IMAGE_SIGNATURES) return refuse('E_IMAGE_SIGNATURE', `${signatures.length} signatures of an image are more than ${MAX_IMAGE_SIGNATURES}`)
  const statement = imageStatement(imageKey(image))
  const wrong = signatures.find(({ signer, signature }) => !verifier.verify(signer, statement, signature))
  return wrong === undefined ? undefined : refuse('E_IMAGE_SIGNATURE', `${wrong.signer} did not sign the image ${imageKey(image)}`)
}

/** Vouches for an image with a node's identity. `key` is what `imageKey` gives: a digest or a CID. */
export function signImage(keys: Pick<NodeKeys, 'peerId' | 'signEd25519'>, key: string): ImageSignature {
  invariant(key !== '' && !key.includes('\n'), 'an image to sign has no key of one line')
  return { signer: keys.peerId, signature: keys.signEd25519(imageStatement(key)) }
}
