import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { HearthError } from '../errors.ts'
import type { Hasher } from './hasher.ts'

/**
 * EIP-712 for flat structs of fixed-width fields, which is all that our contracts read.
 * Source: https://eips.ethereum.org/EIPS/eip-712. Every field takes one 32-byte word, so no concatenation is ambiguous.
 */
export type FieldType = 'address' | 'bytes32' | 'bool' | `uint${8 | 16 | 32 | 64 | 128 | 256}`
export interface StructType { readonly name: string, readonly fields: readonly (readonly [name: string, type: FieldType])[] }
export type StructValue = Readonly<Record<string, string | bigint | number | boolean>>
export interface Domain { readonly name: string, readonly version: string, readonly chainId: bigint, /** 0x… 20 bytes */ readonly verifyingContract: string }

const WORD_BYTES = 32

function putInteger(word: Uint8Array, value: bigint, bits: number, field: string): void {
  if (value < 0n || value >> BigInt(bits) !== 0n) throw new HearthError('E_EIP712', `${field} does not fit uint${bits}`)
  let rest = value
  for (let i = WORD_BYTES - 1; rest > 0n; i--) { word[i] = Number(rest & 0xffn); rest >>= 8n }
}

function putField(word: Uint8Array, type: FieldType, value: StructValue[string], field: string): void {
  if (type === 'address' || type === 'bytes32') {
    const raw = hexToBytes(String(value).slice(2))
    if (raw.length !== (type === 'address' ? 20 : 32)) throw new HearthError('E_EIP712', `${field} is no ${type}`)
    word.set(raw, WORD_BYTES - raw.length)
  } else if (type === 'bool') {
    word[WORD_BYTES - 1] = value === true ? 1 : 0
  } else {
    putInteger(word, BigInt(value), Number(type.slice(4)), field)
  }
}

const typeHashes = new WeakMap<StructType, Uint8Array>()

function typeHash(hasher: Hasher, type: StructType): Uint8Array {
  let hash = typeHashes.get(type)
  if (hash === undefined) {
    hash = hasher.keccak256(utf8ToBytes(`${type.name}(${type.fields.map(([name, kind]) => `${kind} ${name}`).join(',')})`))
    typeHashes.set(type, hash)
  }
  return hash
}

/** `hashStruct(value)`: 32 bytes. */
export function hashStruct(hasher: Hasher, type: StructType, value: StructValue): Uint8Array {
  const preimage = new Uint8Array(WORD_BYTES * (type.fields.length + 1))
  preimage.set(typeHash(hasher, type))
  type.fields.forEach(([name, kind], i) => {
    const field = value[name]
    if (field === undefined) throw new HearthError('E_EIP712', `${type.name}.${name} is missing`)
    putField(preimage.subarray(WORD_BYTES * (i + 1), WORD_BYTES * (i + 2)), kind, field, `${type.name}.${name}`)
  })
  return hasher.keccak256(preimage)
}

/** The digest that a money key signs: keccak256(0x1901 | domainSeparator | hashStruct). */
export function typedDigest(hasher: Hasher, domainSeparator: Uint8Array, type: StructType, value: StructValue): Uint8Array {
  const preimage = new Uint8Array(2 + 2 * WORD_BYTES)
  preimage[0] = 0x19
  preimage[1] = 0x01
  preimage.set(domainSeparator, 2)
  preimage.set(hashStruct(hasher, type, value), 2 + WORD_BYTES)
  return hasher.keccak256(preimage)
}

/** keccak256 of the domain; compute once a deployment. */
export function domainSeparator(hasher: Hasher, domain: Domain): Uint8Array {
  const type = utf8ToBytes('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)')
  const preimage = new Uint8Array(5 * WORD_BYTES)
  preimage.set(hasher.keccak256(type))
  preimage.set(hasher.keccak256(utf8ToBytes(domain.name)), WORD_BYTES)
  preimage.set(hasher.keccak256(utf8ToBytes(domain.version)), 2 * WORD_BYTES)
  putField(preimage.subarray(3 * WORD_BYTES, 4 * WORD_BYTES), 'uint256', domain.chainId, 'chainId')
  putField(preimage.subarray(4 * WORD_BYTES), 'address', domain.verifyingContract, 'verifyingContract')
  return hasher.keccak256(preimage)
}
