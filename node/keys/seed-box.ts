import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { z } from 'zod'
import { HearthError } from '../../src/errors.ts'
import { SEED_BYTES } from './node-keys.ts'
import { exportSeed, parseSeed } from './seed-text.ts'

/**
 * The seed file's content: one line of JSON, plain or sealed with a passphrase (scrypt, then AES-256-GCM).
 * The version and the parameters are authenticated with the seed.
 */

/** 32 MiB and about a quarter of a second: the OWASP choice for what a home PC unlocks at each start. */
const SCRYPT = { cost: 2 ** 15, blockSize: 8, parallelization: 3 } as const
/** What reading accepts, so that a damaged file cannot ask for all memory or an hour. */
const MAX_SCRYPT_MEMORY_BYTES = 256 * 1024 ** 2
const SALT_BYTES = 16
const IV_BYTES = 12
const TAG_BYTES = 16

const hex = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const plainBox = z.strictObject({ v: z.literal(1), kind: z.literal('plain'), seed: z.string() })
const sealedBox = z.strictObject({
  v: z.literal(1),
  kind: z.literal('scrypt-aes-256-gcm'),
  cost: z.number().int().min(2 ** 12).max(2 ** 18),
  blockSize: z.number().int().min(1).max(32),
  parallelization: z.number().int().min(1).max(16),
  salt: hex(SALT_BYTES),
  iv: hex(IV_BYTES),
  sealed: hex(SEED_BYTES + TAG_BYTES)
})
const box = z.discriminatedUnion('kind', [plainBox, sealedBox])
type SealedBox = z.output<typeof sealedBox>

function stretch(passphrase: string, salt: Uint8Array, params: Pick<SealedBox, 'cost' | 'blockSize' | 'parallelization'>): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const options = { cost: params.cost, blockSize: params.blockSize, parallelization: params.parallelization, maxmem: MAX_SCRYPT_MEMORY_BYTES }
  // the same words typed on two keyboards must be the same bytes
  scrypt(passphrase.normalize('NFKC'), salt, 32, options, (err, key) => { if (err === null) resolve(key); else reject(err) })
  return promise
}

function authenticated({ v, kind, cost, blockSize, parallelization, salt }: Omit<SealedBox, 'iv' | 'sealed'>): Buffer {
  return Buffer.from(`hearth:seed:${v}:${kind}:${cost}:${blockSize}:${parallelization}:${salt}`)
}

/** Writes the box; sealed when a passphrase is given. */
export async function boxSeed(seed: Uint8Array, passphrase?: string): Promise<string> {
  if (passphrase === undefined) return `${JSON.stringify({ v: 1, kind: 'plain', seed: exportSeed(seed) })}\n`
  const salt = randomBytes(SALT_BYTES)
  const iv = randomBytes(IV_BYTES)
  const head = { v: 1, kind: 'scrypt-aes-256-gcm', ...SCRYPT, salt: salt.toString('hex') } as const
  const cipher = createCipheriv('aes-256-gcm', await stretch(passphrase, salt, head), iv).setAAD(authenticated(head))
  const sealed = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()])
  return `${JSON.stringify({ ...head, iv: iv.toString('hex'), sealed: sealed.toString('hex') } satisfies SealedBox)}\n`
}

function parseBox(text: string): z.output<typeof box> {
  const broken = (message: string): HearthError => new HearthError('E_KEY_FILE', message, 'Restore the file from a backup, or move it away and import the exported key')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw broken('The seed file is not what Hearth writes')
  }
  if (typeof value === 'object' && value !== null && 'v' in value && typeof value.v === 'number' && value.v > 1) {
    throw new HearthError('E_KEY_FILE', `The seed file has version ${value.v}, this program knows 1`, 'Use the newer Hearth that wrote it')
  }
  const parsed = box.safeParse(value)
  if (!parsed.success) throw broken('The seed file is damaged')
  return parsed.data
}

/** Whether the box needs a passphrase. Throws E_KEY_FILE. */
export function isSealed(text: string): boolean {
  return parseBox(text).kind !== 'plain'
}

/** Opens a box. Throws E_KEY_FILE when it is damaged, E_KEY_PASSPHRASE when the passphrase is wrong, missing, or given for a plain seed. */
export async function unboxSeed(text: string, passphrase?: string): Promise<Uint8Array> {
  const parsed = parseBox(text)
  if (parsed.kind === 'plain') {
    // its owner believes it is protected: going on would leave that belief standing
    if (passphrase !== undefined) throw new HearthError('E_KEY_PASSPHRASE', 'A passphrase was given, but the stored seed has none', '`hearth key protect` seals the key with it; to go on without one, take passphraseFile out of the configuration')
    return parseSeed(parsed.seed)
  }
  if (passphrase === undefined) throw new HearthError('E_KEY_PASSPHRASE', 'The stored seed is protected by a passphrase', 'Run it on a terminal, where it is asked for, or name a file that holds it as passphraseFile in the configuration')
  const sealed = Buffer.from(parsed.sealed, 'hex')
  const key = await stretch(passphrase, Buffer.from(parsed.salt, 'hex'), parsed)
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(parsed.iv, 'hex'), { authTagLength: TAG_BYTES })
    .setAAD(authenticated(parsed)).setAuthTag(sealed.subarray(SEED_BYTES))
  try {
    return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, SEED_BYTES)), decipher.final()]))
  } catch {
    throw new HearthError('E_KEY_PASSPHRASE', 'The passphrase is wrong', 'Try again, or check the file that passphraseFile names; without it only an exported key brings the node back')
  }
}
