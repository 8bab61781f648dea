import { z } from 'zod'
import { typedDigest } from '../codec/eip712.ts'
import type { StructType } from '../codec/eip712.ts'
import type { Hasher } from '../codec/hasher.ts'
import { bytes32, int } from '../codec/schema.ts'
import { MAX_TICKETS } from './terms.ts'
import { toWei } from './ticket.ts'

/** `uint256`, as it is signed. */
const EXPECTED_BYTES = 32

/** Minimal big-endian bytes on the wire; zero is empty. */
export const expectedValue = z.codec(
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= EXPECTED_BYTES && value[0] !== 0, 'must be minimal big-endian bytes'),
  z.bigint().min(0n).max((1n << BigInt(8 * EXPECTED_BYTES)) - 1n),
  {
    decode: (raw) => raw.reduce((value, byte) => value << 8n | BigInt(byte), 0n),
    encode: (value) => {
      const raw: number[] = []
      for (let rest = value; rest > 0n; rest >>= 8n) raw.unshift(Number(rest & 0xffn))
      return Uint8Array.from(raw)
    }
  }
)

/**
 * Where an agreement's payments stand, cumulative, so that a lost message is made good by the next. The provider signs
 * one with every acknowledgement, the payer one on every reconnect and on close.
 */
export const paymentStateSchema = z.strictObject({
  agreement: bytes32,
  /** Grows with every change that its signer knows of; of two, the higher one counts. */
  sequence: int(0, Number.MAX_SAFE_INTEGER),
  tickets: int(0, MAX_TICKETS),
  expectedPaid: expectedValue,
  heldBack: expectedValue,
  refunded: expectedValue
})
export type PaymentState = z.output<typeof paymentStateSchema>

const STATE_TYPE: StructType = {
  name: 'PaymentState',
  fields: [['agreement', 'bytes32'], ['sequence', 'uint64'], ['tickets', 'uint64'], ['expectedPaid', 'uint256'], ['heldBack', 'uint256'], ['refunded', 'uint256']]
}

/** The 32 bytes that the money key of either side signs. */
export function stateDigest(hasher: Hasher, separator: Uint8Array, state: PaymentState): Uint8Array {
  return typedDigest(hasher, separator, STATE_TYPE, state)
}

/** The parties of an agreement by their money keys. */
export interface Parties { agreement: string, provider: string, requester: string }

/** What the contract reads of a state: the most that a refund can be. `paid` is whole wei, rounded down. */
export interface Statement extends Parties { sequence: number, paid: bigint }
/** A refund that a provider signs: the amount in all for the agreement, whole wei. */
export interface Refund extends Parties { amount: bigint, expiry: number }

const STATEMENT_TYPE: StructType = {
  name: 'Statement',
  fields: [['agreement', 'bytes32'], ['provider', 'address'], ['requester', 'address'], ['sequence', 'uint64'], ['paid', 'uint128']]
}
const REFUND_TYPE: StructType = {
  name: 'Refund',
  fields: [['agreement', 'bytes32'], ['provider', 'address'], ['requester', 'address'], ['amount', 'uint128'], ['expiry', 'uint64']]
}

export function statementOf(parties: Parties, { sequence, expectedPaid }: PaymentState): Statement {
  return { ...parties, sequence, paid: toWei(expectedPaid) }
}

export function refundOf(parties: Parties, { refunded }: PaymentState, expirySec: number): Refund {
  return { ...parties, amount: toWei(refunded), expiry: expirySec }
}

export function statementDigest(hasher: Hasher, separator: Uint8Array, statement: Statement): Uint8Array {
  return typedDigest(hasher, separator, STATEMENT_TYPE, { ...statement })
}

export function refundDigest(hasher: Hasher, separator: Uint8Array, refund: Refund): Uint8Array {
  return typedDigest(hasher, separator, REFUND_TYPE, { ...refund })
}
