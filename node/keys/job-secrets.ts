import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const SALT = 'hearth:keys:1'
const LABEL = 'job-secrets'
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Keeps jobs' secrets unreadable on the disk, by a key that derives from the node's seed. */
export interface SecretBox {
  seal(bytes: Uint8Array): Uint8Array
  /** Undefined when the bytes are not what was sealed under this seed. */
  open(sealed: Uint8Array): Uint8Array | undefined
}

export function secretBox(seed: Uint8Array): SecretBox {
  const key = new Uint8Array(hkdfSync('sha256', seed, SALT, LABEL, 32))
  return {
    seal: (bytes) => {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, key, nonce)
      return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
    },
    open: (sealed) => {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
      const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES))
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      try {
        return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
      } catch {
        return undefined
      }
    }
  }
}
