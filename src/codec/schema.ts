import { CID } from 'multiformats/cid'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { z } from 'zod'

/** Building blocks for documents. Each has a bound; each maps a memory form to the one canonical DAG-CBOR form. */

const MAX_CID_TEXT = 128
/** Version, codec (a varint) and a multihash of exactly `MULTIHASH_BYTES`. */
const MAX_CID_BYTES = 40
/** SHA-256, 32, and the digest: a shorter digest would break every fixed-width preimage made of it. */
const MULTIHASH_BYTES = 34
/** Wei amounts are unsigned 128-bit, as in the contracts. */
const MAX_WEI_BYTES = 16

export function text(maxChars: number, minChars = 0): z.ZodString {
  return z.string().min(minChars).max(maxChars).refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
}

export function int(min: number, max: number): z.ZodNumber {
  return z.number().int().min(min).max(max)
}

/** A number with a fraction, finite. */
export function real(min: number, max: number): z.ZodNumber {
  return z.number().min(min).max(max)
}

export function list<T extends z.ZodType>(item: T, maxItems: number): z.ZodArray<T> {
  return z.array(item).max(maxItems)
}

/** libp2p PeerId of an Ed25519 key, base58: `12D3KooW…`. */
export const peerId = z.string().regex(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/, 'must be the PeerId of an Ed25519 key')

/** EVM address, lower-case hex: `0x…`, 20 bytes on the wire. */
export const address = fixedHex(20)

/** 32 bytes; `0x…` hex in memory. */
export const bytes32 = fixedHex(32)

/** A 65-byte secp256k1 signature r | s | v, low s, v 27 or 28. */
export const signature65 = fixedHex(65)

function fixedHex(length: number): z.ZodCodec<z.ZodType<Uint8Array, Uint8Array>, z.ZodString> {
  return z.codec(
    z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, `must be ${length} bytes`),
    z.string().regex(new RegExp(`^0x[0-9a-f]{${length * 2}}$`)),
    { decode: (bytes) => `0x${bytesToHex(bytes)}`, encode: (hex) => hexToBytes(hex.slice(2)) }
  )
}

/** Bytes of any length up to a cap, kept as they are. */
export function bytes(maxBytes: number, minBytes = 0): z.ZodType<Uint8Array, Uint8Array> {
  return z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= maxBytes && value.length >= minBytes, `must be ${minBytes} to ${maxBytes} bytes`)
}

function isOurCid(link: CID): boolean {
  return link.version === 1 && link.multihash.code === 0x12 && link.multihash.bytes.length === MULTIHASH_BYTES && link.bytes.length <= MAX_CID_BYTES
}

/** Reads a base32 CIDv1 with a whole SHA-256 digest; undefined for anything else. Base32 has one spelling: stray bits are refused. */
export function parseCid(text: string): CID | undefined {
  if (text.length > MAX_CID_TEXT || !/^b[a-z2-7]+$/.test(text)) return undefined
  try {
    const link = CID.parse(text)
    return isOurCid(link) ? link : undefined
  } catch {
    return undefined
  }
}

/** CIDv1 with SHA-256; base32 text in memory, a link (tag 42) on the wire, so that other IPLD tools can follow it. */
export const cid = z.codec(
  z.custom<CID>((value) => value instanceof CID && isOurCid(value), 'must be a CIDv1 with SHA-256'),
  z.string().max(MAX_CID_TEXT).regex(/^b[a-z2-7]+$/, 'must be a base32 CIDv1'),
  {
    decode: (link) => link.toString(),
    encode: (value, context) => {
      const link = parseCid(value)
      if (link !== undefined) return link
      context.issues.push({ code: 'custom', input: value, message: 'must be a CIDv1 with SHA-256' })
      return z.NEVER
    }
  }
)

/** Wei, non-negative, minimal big-endian bytes on the wire (zero is empty). */
export const wei = z.codec(
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= MAX_WEI_BYTES && value[0] !== 0, 'must be minimal big-endian bytes'),
  z.bigint().min(0n).max((1n << 128n) - 1n),
  {
    decode: (raw) => raw.length === 0 ? 0n : BigInt(`0x${bytesToHex(raw)}`),
    encode: (value) => {
      if (value === 0n) return new Uint8Array()
      const hex = value.toString(16)
      return hexToBytes(hex.length % 2 === 0 ? hex : `0${hex}`)
    }
  }
)

/** A multiaddr in text form. */
export const multiaddrText = text(256, 1).startsWith('/')

/** `E_…` codes from a peer are shown, compared and stored, so their alphabet is small. */
export const errorCode = z.string().regex(/^E_[A-Z0-9_]{1,40}$/) as z.ZodType<`E_${string}`, `E_${string}`>

/** Milliseconds since 1970, up to the year 2255: fits a double exactly. */
export const wallMs = int(0, 9_000_000_000_000)
