import { z } from 'zod'
import { documentCodec } from '../../src/codec/document.ts'
import type { DocumentCodec } from '../../src/codec/document.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { bytes } from '../../src/codec/schema.ts'
import type { Ed25519Verifier } from '../keys/index.ts'

const SIGNATURE_BYTES = 64
/** Two keys, two heads and the signature. */
const ENVELOPE_BYTES = 128

export interface SignedCodecInit<T> {
  codec: DocumentCodec<T>
  sign: (message: Uint8Array) => Uint8Array
  verifier: Ed25519Verifier
}

/**
 * An envelope `{body, signature}` around a document: Ed25519 over `hearth:<kind>:1:` and the body's canonical bytes.
 * The author's PeerId, which holds the key, is in the body or known from the stream.
 */
export class SignedCodec<T> {
  readonly #init: SignedCodecInit<T>
  readonly #envelope: DocumentCodec<{ body: Uint8Array, signature: Uint8Array }>
  readonly #separator: Buffer

  constructor(init: SignedCodecInit<T>) {
    this.#init = init
    const { kind, maxBytes } = init.codec
    this.#envelope = documentCodec(`signed ${kind}`, z.strictObject({ body: bytes(maxBytes), signature: bytes(SIGNATURE_BYTES, SIGNATURE_BYTES) }), maxBytes + ENVELOPE_BYTES)
    this.#separator = Buffer.from(`hearth:${kind.replaceAll(' ', '-')}:1:`)
  }

  seal(value: T): Uint8Array {
    const body = this.#init.codec.encode(value)
    return this.#envelope.encode({ body, signature: this.#init.sign(this.#preimage(body)) })
  }

  /** Decodes, runs `check`, and then, as it costs most, checks the signature by the PeerId that `authorOf` names. Refused: E_DOCUMENT_…, E_SIGNATURE. */
  open(raw: Uint8Array, authorOf: (value: T) => string, check?: (value: T) => Refusal | undefined): Result<T> {
    const envelope = this.#envelope.decode(raw)
    if (!envelope.ok) return envelope
    const { body, signature } = envelope.value
    const value = this.#init.codec.decode(body)
    if (!value.ok) return value
    const refusal = check?.(value.value)
    if (refusal !== undefined) return refusal
    const author = authorOf(value.value)
    if (!this.#init.verifier.verify(author, this.#preimage(body), signature)) return refuse('E_SIGNATURE', `${author} did not sign this ${this.#init.codec.kind}`)
    return accept(value.value)
  }

  #preimage(body: Uint8Array): Uint8Array {
    return Buffer.concat([this.#separator, body])
  }
}
