import { HearthError } from '../../src/errors.ts'
import { nativeHasher } from './native-hasher.ts'
import { SEED_BYTES } from './node-keys.ts'

const CHECKSUM_BYTES = 4
const TEXT_PATTERN = /^([0-9a-f]{64})-([0-9a-f]{8})$/

function checksum(seed: Uint8Array): string {
  const digest = nativeHasher.sha256(Buffer.concat([Buffer.from('hearth:seed:1:'), seed]))
  return Buffer.from(digest.subarray(0, CHECKSUM_BYTES)).toString('hex')
}

/** The one thing to back up, as people copy it: 64 hex digits, a dash, 8 more that catch a slip. */
export function exportSeed(seed: Uint8Array): string {
  return `${Buffer.from(seed).toString('hex')}-${checksum(seed)}`
}

/** Reads what `exportSeed` wrote; case and surrounding space do not matter. Throws E_KEY_TEXT. The message never repeats the text: it may be all but right. */
export function parseSeed(text: string): Uint8Array {
  const match = TEXT_PATTERN.exec(text.trim().toLowerCase())
  if (match?.[1] === undefined) throw new HearthError('E_KEY_TEXT', 'That is not an exported key', 'It is 64 hexadecimal digits, a dash and 8 more, as "hearth key export" prints it')
  const seed = new Uint8Array(Buffer.from(match[1], 'hex'))
  if (seed.length !== SEED_BYTES || checksum(seed) !== match[2]) throw new HearthError('E_KEY_TEXT', 'The key\'s check digits do not match the rest', 'Compare it with the copy, digit by digit')
  return seed
}
