import { hkdfSync } from 'node:crypto'
import { hmacDraws } from '../../src/payment/draws.ts'
import type { Secrets } from '../../src/payment/draws.ts'
import { nativeHasher } from './native-hasher.ts'

const SALT = 'hearth:keys:1'
/** Changing it makes every winner that is not redeemed yet worthless. */
const LABEL = 'ticket-rand'

/** The secrets behind a payee's commits, derived from the node's seed and kept inside: give the core no more than its `Draws`. */
export function ticketSecrets(seed: Uint8Array): Secrets {
  return hmacDraws(nativeHasher, new Uint8Array(hkdfSync('sha256', seed, SALT, LABEL, 32)))
}
