import type { Turn } from '../core/turn.ts'
import { MINUTE_MS } from '../units.ts'
import type { Account } from '../documents/account.ts'

/** Addresses of others that are followed at once. */
const MAX_ACCOUNTS = 1024
/** Asked for again after this, so that the chain client may drop what nobody asks for. */
const ASK_EVERY_MS = 5 * MINUTE_MS

/** What this peer knows of accounts on the chain. In memory only: the chain remembers them. */
export class Accounts {
  readonly #known = new Map<string, { account: Account | undefined, askedMonoMs: number }>()

  /** As last confirmed; undefined when it is not known, or too old to rely on. */
  get(address: string): Account | undefined {
    return this.#known.get(address)?.account
  }

  /** Whether the chain has said anything of this address, be it that it cannot be seen. */
  isKnown(address: string): boolean {
    return this.#known.get(address)?.account !== undefined
  }

  /** Follows this address from now on. */
  want(turn: Turn, address: string): void {
    const entry = this.#known.get(address)
    if (entry !== undefined && turn.now.monoMs - entry.askedMonoMs < ASK_EVERY_MS) return
    this.#put(address, { account: entry?.account, askedMonoMs: turn.now.monoMs })
    turn.do({ kind: 'watch-account', address })
  }

  /** The chain's word; undefined: it cannot be seen. Only of addresses that are followed. */
  seen(address: string, account: Account | undefined): void {
    const entry = this.#known.get(address)
    if (entry !== undefined) this.#put(address, { ...entry, account })
  }

  #put(address: string, entry: { account: Account | undefined, askedMonoMs: number }): void {
    this.#known.delete(address)
    this.#known.set(address, entry)
    if (this.#known.size > MAX_ACCOUNTS) this.#known.delete(this.#known.keys().next().value ?? '')
  }
}
