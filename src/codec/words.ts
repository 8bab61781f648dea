import { invariant } from '../errors.ts'

/** Fixed-width preimages: each value takes a whole number of 32-byte words at a known place, so nothing concatenated is ambiguous. */
export const WORD_BYTES = 32

/** Value of a hex digit by its character code; 255 for any other character. */
const DIGITS = new Uint8Array(128).fill(255)
for (let i = 0; i < 16; i++) DIGITS['0123456789abcdef'.charCodeAt(i)] = i

/** Writes `0x…` of exactly `bytes` bytes, lower-case, at `offset`. Throws E_INVARIANT for anything else: schemas let nothing else in. */
export function putHex(out: Uint8Array, offset: number, hex: string, bytes: number): void {
  invariant(hex.length === 2 + 2 * bytes, `${hex.length} characters of hex for ${bytes} bytes`)
  let seen = 0
  for (let i = 0; i < bytes; i++) {
    const high = DIGITS[hex.charCodeAt(2 + 2 * i)] ?? 255
    const low = DIGITS[hex.charCodeAt(3 + 2 * i)] ?? 255
    seen |= high | low
    out[offset + i] = high << 4 | low
  }
  invariant(seen < 16, 'not lower-case hex')
}

/** Writes a `uint64` right-aligned in the word at `offset`, whose other bytes must be zero already. */
export function putUint64(view: DataView, offset: number, value: bigint): void {
  invariant(value >= 0n && value >> 64n === 0n, 'a number does not fit 64 bits')
  view.setBigUint64(offset + 24, value)
}

/** The same for a `uint128`. */
export function putUint128(view: DataView, offset: number, value: bigint): void {
  invariant(value >= 0n && value >> 128n === 0n, 'a number does not fit 128 bits')
  view.setBigUint64(offset + 16, value >> 64n)
  view.setBigUint64(offset + 24, BigInt.asUintN(64, value))
}
