import { toHex } from '../../src/codec/hasher.ts'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import { TicketHasher } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { recoverMoney } from './money.ts'
import { nativeHasher } from './native-hasher.ts'

/** Signs and checks tickets of one chain and contract: the hot path, without ethers. */
export class TicketChecker {
  readonly #hasher: TicketHasher

  constructor(separator: Uint8Array) {
    this.#hasher = new TicketHasher(nativeHasher, separator)
  }

  digest(ticket: Ticket): Uint8Array {
    return this.#hasher.digest(ticket)
  }

  /** 65 bytes, 0x…; the same ticket always gets the same signature, so a repetition is the same bytes. */
  sign(ticket: Ticket, signMoney: (digest: Uint8Array) => string): string {
    return signMoney(this.#hasher.digest(ticket))
  }

  /**
   * The ticket's digest when `signer` (by default its payer; a registered hot key else) signed it. `digest` is the ticket's own where it
   * is known already. Refused: E_SIGNATURE_MISSING, E_SIGNATURE_FORM, E_SIGNATURE. Dearest check of all: make the others first.
   */
  check(ticket: Ticket, signature: string | undefined, signer: string = ticket.payer, digest: Uint8Array = this.#hasher.digest(ticket)): Result<Uint8Array> {
    if (signature === undefined) return refuse('E_SIGNATURE_MISSING', 'the ticket is not signed')
    const recovered = recoverMoney(digest, signature)
    if (!recovered.ok) return recovered
    return recovered.value === signer ? accept(digest) : refuse('E_SIGNATURE', `the ticket is signed by ${recovered.value}, not by ${signer} (digest ${toHex(digest).slice(0, 18)}…)`)
  }
}
