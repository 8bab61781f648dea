import { decode, encode } from '@ipld/dag-cbor'
import { isPlausibleCbor } from '../../src/codec/shape.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import { MAX_AGREEMENT_CHARS, MAX_AHEAD_BYTES, MAX_ANSWER_BYTES, MAX_PATH, MAX_POSITION, MAX_REQUEST_BYTES, MAX_WANTED } from './constants.ts'
import { cidFromBytes, cidToBytes } from './content-id.ts'

/**
 * Client to source, canonical DAG-CBOR:
 *
 *     [0, root, agreement, aheadBytes, paced]   "ask": may I read this root? and send so much of it at once
 *     [1, path, positions]                      "want": these children of the node at `path`
 *     [2, bytes]                                "ack": so many bytes of whole parts have come since the last one, or since the root
 *
 * A block is named by where it hangs, not by its address: the source goes down from the root it has allowed, one link at a time, and so
 * serves nothing that does not belong to it, without knowing all that does. Positions count as `stepInto` orders the children.
 */
export type Request =
  | { kind: 'ask', root: string, agreementId: string, aheadBytes: number, paced: boolean }
  | { kind: 'want', path: number[], positions: number[] }
  | { kind: 'ack', bytes: number }

/** Why a source does not serve a root. "Refused" covers what it does not have and what the asker may not know of. */
export type RefusalReason = 'refused' | 'busy' | 'absent'

/**
 * Source to client. The first byte says what follows: a part of a block (0), its last part (1), or canonical DAG-CBOR (2):
 *
 *     [0]            the root may be read; blocks sent ahead follow, in depth-first order, each address once
 *     [1, reason]    it may not: 0 refused, 1 busy, 2 absent
 *     [2]            no more blocks are sent ahead
 *     [3]            instead of a block that was asked for: not here
 *
 * Blocks asked for come in the order of asking.
 */
export type Answer =
  | { kind: 'part', bytes: Uint8Array, isLast: boolean }
  | { kind: 'accepted' }
  | { kind: 'refused', reason: RefusalReason }
  | { kind: 'ahead-end' }
  | { kind: 'not-here' }

const PART = 0
const LAST_PART = 1
const CONTROL = 2
const REASONS: RefusalReason[] = ['refused', 'busy', 'absent']

/** The bytes before a part's own. */
export const PART_HEADER = Uint8Array.of(PART)
export const LAST_PART_HEADER = Uint8Array.of(LAST_PART)

export function encodeRequest(request: Request): Uint8Array {
  switch (request.kind) {
    case 'ask': return encode([0, cidToBytes(request.root), request.agreementId, request.aheadBytes, request.paced])
    case 'want': return encode([1, request.path, request.positions])
    case 'ack': return encode([2, request.bytes])
  }
}

export function encodeControl(answer: Exclude<Answer, { kind: 'part' }>): Uint8Array {
  const body = ((): unknown[] => {
    switch (answer.kind) {
      case 'accepted': return [0]
      case 'refused': return [1, REASONS.indexOf(answer.reason)]
      case 'ahead-end': return [2]
      case 'not-here': return [3]
    }
  })()
  return Uint8Array.from([CONTROL, ...encode(body)])
}

function isNumbers(value: unknown, maxItems: number, limit: number): value is number[] {
  return Array.isArray(value) && value.length <= maxItems && value.every((item) => isUnsigned(item, limit))
}

function isUnsigned(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max && !Object.is(value, -0)
}

/** The items of a list in canonical DAG-CBOR, or undefined. */
function readList(raw: Uint8Array): unknown[] | undefined {
  if (!isPlausibleCbor(raw)) return undefined
  try {
    const value: unknown = decode(raw)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

function shapeRequest(list: unknown[]): Request | undefined {
  const [kind, a, b, c, d] = list
  if (kind === 0 && list.length === 5) {
    const root = a instanceof Uint8Array ? cidFromBytes(a) : undefined
    if (root === undefined || typeof b !== 'string' || b.length > MAX_AGREEMENT_CHARS || !b.isWellFormed()) return undefined
    return isUnsigned(c, MAX_AHEAD_BYTES) && typeof d === 'boolean' ? { kind: 'ask', root, agreementId: b, aheadBytes: c, paced: d } : undefined
  }
  if (kind === 1 && list.length === 3) {
    return isNumbers(a, MAX_PATH, MAX_POSITION) && isNumbers(b, MAX_WANTED, MAX_POSITION) && b.length > 0 ? { kind: 'want', path: a, positions: b } : undefined
  }
  return kind === 2 && list.length === 2 && isUnsigned(a, MAX_ANSWER_BYTES) && a > 0 ? { kind: 'ack', bytes: a } : undefined
}

/** Refuses (E_TRANSFER_MESSAGE) everything but the requests above in their one form. Never throws. */
export function decodeRequest(raw: Uint8Array): Result<Request> {
  const list = raw.byteLength <= MAX_REQUEST_BYTES ? readList(raw) : undefined
  const request = list === undefined ? undefined : shapeRequest(list)
  if (request === undefined || !isSame(encodeRequest(request), raw)) return refuse('E_TRANSFER_MESSAGE', 'A request is not one of the protocol')
  return accept(request)
}

/** A canonical control message is one of these few. */
const CONTROLS: { answer: Answer, raw: Uint8Array }[] = [
  { kind: 'accepted' } as const,
  ...REASONS.map((reason) => ({ kind: 'refused', reason }) as const),
  { kind: 'ahead-end' } as const,
  { kind: 'not-here' } as const
].map((answer) => ({ answer, raw: encodeControl(answer) }))

/** Refuses (E_TRANSFER_MESSAGE) everything but the answers above in their one form. Never throws. */
export function decodeAnswer(raw: Uint8Array): Result<Answer> {
  const kind = raw[0]
  if (kind === PART || kind === LAST_PART) return accept({ kind: 'part', bytes: raw.subarray(1), isLast: kind === LAST_PART })
  const known = CONTROLS.find((control) => isSame(control.raw, raw))
  return known === undefined ? refuse('E_TRANSFER_MESSAGE', 'An answer is not one of the protocol') : accept(known.answer)
}
