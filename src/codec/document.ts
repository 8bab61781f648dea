import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { HearthError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { accept, refuse } from './result.ts'
import type { Result } from './result.ts'
import { isPlausibleCbor } from './shape.ts'

/**
 * A kind of document: a schema, a size cap and the canonical DAG-CBOR form. Two encoders always agree on the bytes,
 * so a document's CID and its signature are facts about its content.
 */
export interface DocumentCodec<T> {
  readonly kind: string
  readonly maxBytes: number
  /** Throws `E_DOCUMENT` when `value` breaks its own schema or cap: our defect or our user's input, never a peer's. */
  encode(value: T): Uint8Array
  /** Refuses oversize, trailing bytes, unknown fields, wrong types and every non-canonical spelling. Never throws. */
  decode(raw: Uint8Array): Result<T>
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue === undefined ? 'does not match its schema' : `${issue.path.map(String).join('.') || 'document'}: ${issue.message}`
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** DAG-CBOR has no undefined: an absent optional field is an absent key. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => [k, withoutUndefined(v)]))
}

export function documentCodec<S extends z.ZodType>(kind: string, schema: S, maxBytes: number): DocumentCodec<z.output<S>> {
  const badSize: ErrorCode = 'E_DOCUMENT_SIZE'
  return {
    kind,
    maxBytes,
    encode(value) {
      const wire = z.safeEncode(schema, value)
      if (!wire.success) throw new HearthError('E_DOCUMENT', `${kind} ${describe(wire.error)}`, 'Change that field and try again')
      const raw = encode(withoutUndefined(wire.data))
      if (raw.length > maxBytes) throw new HearthError(badSize, `${kind} has ${raw.length} bytes, its cap is ${maxBytes}`, 'Make it smaller')
      return raw
    },
    decode(raw) {
      if (raw.length > maxBytes) return refuse(badSize, `${kind} has ${raw.length} bytes, its cap is ${maxBytes}`)
      if (!isPlausibleCbor(raw)) return refuse('E_DOCUMENT_CBOR', `${kind} is not DAG-CBOR of a bounded shape`)
      let wire: unknown
      try {
        wire = decode(raw)
      } catch {
        return refuse('E_DOCUMENT_CBOR', `${kind} is not DAG-CBOR`)
      }
      const parsed = schema.safeParse(wire)
      if (!parsed.success) return refuse('E_DOCUMENT_SCHEMA', `${kind} ${describe(parsed.error)}`)
      // What the value encodes to is compared, not what the wire form does: a byte string of length 0 passes for an object
      // whose fields are all optional, and would give one document two CIDs.
      const canonical = z.safeEncode(schema, parsed.data)
      const isCanonical = canonical.success && equalBytes(encode(withoutUndefined(canonical.data)), raw)
      return isCanonical ? accept(parsed.data) : refuse('E_DOCUMENT_CANONICAL', `${kind} is not in canonical form`)
    }
  }
}
