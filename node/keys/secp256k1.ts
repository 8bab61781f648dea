import { createRequire } from 'node:module'
import * as wasm from 'tiny-secp256k1'

/** The few calls of libsecp256k1 that money needs. Signatures are r | s, 64 bytes, low s, with the nonce of RFC 6979. */
export interface Curve {
  readonly name: 'native' | 'wasm'
  isPrivateKey(scalar: Uint8Array): boolean
  /** 65 bytes, uncompressed, first byte 4. */
  publicKey(privateKey: Uint8Array): Uint8Array
  sign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array, recoveryId: number }
  /** The signer's public key, 65 bytes, or undefined where no key gives this signature. */
  recover(digest: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | undefined
}

type Bindings = Pick<typeof import('secp256k1'), 'privateKeyVerify' | 'publicKeyCreate' | 'ecdsaSign' | 'ecdsaRecover'>

/**
 * libsecp256k1 in WebAssembly: the same code and the same bytes at a quarter of the speed, for machines without a prebuilt binding.
 * (The `secp256k1` package would fall back to a curve in JavaScript, much slower and not of constant time.)
 */
export const wasmCurve: Curve = Object.freeze({
  name: 'wasm',
  isPrivateKey: (scalar) => wasm.isPrivate(scalar),
  publicKey(privateKey) {
    const point = wasm.pointFromScalar(privateKey, false)
    if (point === null) throw new Error('unreachable: a checked private key gives no point')
    return point
  },
  sign: (digest, privateKey) => {
    const { signature, recoveryId } = wasm.signRecoverable(digest, privateKey)
    return { signature, recoveryId }
  },
  recover(digest, signature, recoveryId) {
    try {
      return wasm.recover(digest, signature, recoveryId === 0 ? 0 : 1, false) ?? undefined
    } catch {
      return undefined
    }
  }
} satisfies Curve)

function nativeCurve(bindings: Bindings): Curve {
  return Object.freeze({
    name: 'native',
    isPrivateKey: (scalar) => bindings.privateKeyVerify(scalar),
    publicKey: (privateKey) => bindings.publicKeyCreate(privateKey, false),
    sign: (digest, privateKey) => {
      const { signature, recid } = bindings.ecdsaSign(digest, privateKey)
      return { signature, recoveryId: recid }
    },
    recover(digest, signature, recoveryId) {
      try {
        return bindings.ecdsaRecover(signature, recoveryId, digest, false)
      } catch {
        return undefined
      }
    }
  } satisfies Curve)
}

function load(): Curve {
  try {
    const bindings: Bindings = createRequire(import.meta.url)('secp256k1/bindings')
    return nativeCurve(bindings)
  } catch {
    return wasmCurve
  }
}

/** Native where its binding loads, else WebAssembly. */
export const curve: Curve = load()
