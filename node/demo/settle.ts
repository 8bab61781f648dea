import { setTimeout as delay } from 'node:timers/promises'
import { SECOND_MS } from '../../src/units.ts'
import { readBooks } from './books.ts'
import type { Books } from './books.ts'
import type { DemoChain } from './demo-chain.ts'

/** Words cross in milliseconds and a redemption is two blocks deep in three seconds; a busy machine may need more. */
const SETTLE_MS = 60 * SECOND_MS
const LOOK_EVERY_MS = 500

export interface Debtor { readonly name: string, readonly address: string, readonly dataDir: string }
export interface Settled { readonly payer: Books, readonly providers: readonly Books[], /** What did not end in time, in words. */ readonly waiting: readonly string[] }

/** Waits until both sides have said their last word on every agreement and the chain has confirmed every winner; not for ever. */
export async function settle(chain: DemoChain, payer: Debtor, providers: readonly Debtor[], signal: AbortSignal): Promise<Settled> {
  const endMonoMs = performance.now() + SETTLE_MS
  for (;;) {
    signal.throwIfAborted()
    const [books, confirmed] = await Promise.all([Promise.all([payer, ...providers].map(({ dataDir }) => readBooks(dataDir))), chain.confirmed()])
    const [own = { paid: [], earned: [] }, ...others] = books
    const open = own.paid.filter(({ state }) => state.kind === 'open' || state.kind === 'closing')
    const waiting = [
      ...open.length === 0 ? [] : [`${open.length} of ${own.paid.length} agreements are not closed`],
      ...providers.flatMap(({ name, address }, i) => {
        const left = (others[i]?.earned ?? []).reduce((sum, { wins }) => sum + wins, 0) - (confirmed.get(address) ?? 0)
        return left === 0 ? [] : [`${left} of ${name}'s winners are not confirmed on the chain`]
      })
    ]
    if (waiting.length === 0 || performance.now() > endMonoMs) return { payer: own, providers: others, waiting }
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}
