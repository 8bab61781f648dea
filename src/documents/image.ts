import { utf8ToBytes } from '@noble/hashes/utils.js'
import { z } from 'zod'
import { bytes, cid, int, parseCid, peerId, text } from '../codec/schema.ts'
import { PARAMS } from '../params.ts'

/** What a container's file system comes from, and who vouches for it. */

/** `registry.example.org:5000/team/tool`: a host with a dot or a port, and lower-case path components, as the OCI distribution specification has them. */
const IMAGE_NAME = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const DIGEST = /^sha256:[0-9a-f]{64}$/
const MAX_IMAGE_NAME = 255
/** An author and a few who checked its work. */
const MAX_IMAGE_SIGNATURES = 4
const ED25519_SIGNATURE_BYTES = 64

export const imageDigest = z.string().regex(DIGEST, 'must be sha256: and 64 hex digits')

export const containerImage = z.discriminatedUnion('from', [
  /** Each host pulls it from its registry. By digest, because what a tag names may change between two replicas. */
  z.strictObject({ from: z.literal('registry'), name: text(MAX_IMAGE_NAME, 1).regex(IMAGE_NAME, 'must be the name of an image, without tag or digest'), digest: imageDigest }),
  /** Fetched from peers: an OCI or `docker save` archive, or the tar of a root file system. */
  z.strictObject({ from: z.literal('content'), cid, sizeBytes: int(1, PARAMS.maxInputBytes) })
])
export type ContainerImage = z.output<typeof containerImage>

/** What hosts' lists name an image by: the digest of its manifest, or its content address, whatever it is called. */
export function imageKey(image: ContainerImage): string {
  return image.from === 'registry' ? image.digest : image.cid
}

/** The official alpine 3.20: small, with a shell, and on the list that ships with the configuration. */
export const DEFAULT_IMAGE: ContainerImage = { from: 'registry', name: 'docker.io/library/alpine', digest: 'sha256:d9e853e87e55526f6b2917df91a2115c36dd7c696a35be12163d44e6e2a4b6bc' }

/** An image in a host's list. */
export const imageKeyText = z.string().refine((key) => DIGEST.test(key) || parseCid(key) !== undefined, 'must be a digest sha256:… or a CID')

/** As people write it: `alpine@sha256:…` or `cid:bafy…`. */
export function imageText(image: ContainerImage): string {
  return image.from === 'registry' ? `${image.name}@${image.digest}` : `cid:${image.cid}`
}

/** Somebody with a node's identity vouches for an image: who made it, or who looked at it. */
export const imageSignature = z.strictObject({ signer: peerId, signature: bytes(ED25519_SIGNATURE_BYTES, ED25519_SIGNATURE_BYTES) })
export type ImageSignature = z.output<typeof imageSignature>
export const imageSignatures = z.array(imageSignature).min(1).max(MAX_IMAGE_SIGNATURES)

/** What a signer's Ed25519 identity key signs. The prefix keeps it apart from everything else that this key signs. */
export function imageStatement(key: string): Uint8Array {
  return utf8ToBytes(`hearth image 1\n${key}\n`)
}

export type ReadImage = { kind: 'registry', image: ContainerImage } | { kind: 'source', path: string } | { kind: 'wrong', message: string, hint: string }

/** Reads what a person wrote for an image: `name@sha256:…`, or a source as elsewhere: `cid:…`, or the path of an archive. */
export function readImage(written: string): ReadImage {
  if (/^(?:cid:|[./~])|\.(?:tar|tgz|tar\.\w+)$/.test(written)) return { kind: 'source', path: written }
  const [reference = '', digest] = written.split('@')
  const name = reference.replace(/:[^:/]*$/, '')
  if (digest === undefined) {
    return { kind: 'wrong', message: `"${written}" may be another image tomorrow`, hint: `Add its digest: ${name}@sha256:… (docker inspect --format '{{index .RepoDigests 0}}' ${reference} shows it), or send an archive: docker save -o image.tar ${reference}` }
  }
  const parsed = containerImage.safeParse({ from: 'registry', name, digest })
  if (parsed.success) return { kind: 'registry', image: parsed.data }
  return DIGEST.test(digest)
    ? { kind: 'wrong', message: `"${reference}" is not the name of an image`, hint: 'Write it as registries do, in lower case, such as docker.io/library/alpine' }
    : { kind: 'wrong', message: `"${digest}" is not a digest`, hint: 'A digest is sha256: and 64 hex digits' }
}
