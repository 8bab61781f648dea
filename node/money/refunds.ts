import type { Payment, SignedRefund } from '../../src/payment/sender.ts'
import { SECOND_MS } from '../../src/units.ts'
import { HearthError } from '../../src/errors.ts'
import type { RefundRow, RefundsReport } from '../api/money.ts'
import type { AccountAction, ChainClient } from '../chain/index.ts'

/** Transactions of one call: a person waits, and the next call goes on. */
const MAX_DEEDS = 32

/** What a payer holds of a provider's word that it gives money back. */
export interface RefundHolder { payment: Pick<Payment, 'agreement' | 'job' | 'provider' | 'providerAddress' | 'payer'>, refund: SignedRefund | undefined }

/**
 * One step for each refund that a provider signed: claims it, so that it is reserved in the provider's job bond, or collects
 * it when it has waited. What the chain refuses is left, with its reason; so is what is worth less than its gas.
 */
export async function claimRefunds(chain: ChainClient, senders: Iterable<RefundHolder>, signal?: AbortSignal): Promise<Omit<RefundsReport, 'asset'>> {
  const rows: RefundRow[] = []
  let deeds = 0
  for (const { payment, refund } of senders) {
    if (refund === undefined || refund.amountWei === 0n) continue
    const row = { peer: payment.provider, job: payment.job, agreement: payment.agreement, amountWei: refund.amountWei.toString() }
    if (deeds >= MAX_DEEDS) { rows.push({ ...row, step: 'left', code: 'E_CHAIN_BUSY' }); continue }
    const collected = await tried(chain, { kind: 'collect-refund', agreement: payment.agreement, provider: payment.providerAddress }, refund.amountWei, signal)
    const claim = claimOf(payment, refund)
    const claimed = claim === undefined ? 'E_CHAIN_REFUND' : await tried(chain, claim, refund.amountWei, signal)
    if (claimed === undefined || collected === undefined) deeds++
    rows.push({ ...row, ...claimed === undefined ? { step: 'claimed' as const } : collected === undefined ? { step: 'collected' as const } : collected === 'E_CHAIN_LOCKED' ? { step: 'waits' as const } : { step: 'left' as const, code: claimed } })
  }
  return { refunds: rows }
}

function claimOf({ agreement, providerAddress, payer }: RefundHolder['payment'], { sequence, paidWei, amountWei, expirySec, refundSignature, statementSignature }: SignedRefund): AccountAction | undefined {
  if (refundSignature === undefined || statementSignature === undefined || expirySec * SECOND_MS < Date.now()) return undefined
  const parties = { agreement, provider: providerAddress, requester: payer }
  return { kind: 'claim-refund', refund: { ...parties, amount: amountWei, expiry: expirySec }, refundSignature, statement: { ...parties, sequence, paid: paidWei }, statementSignature }
}

/** Undefined when it was done; else why not. Throws what is no answer to this one: a chain that is down, no coin for gas. */
async function tried(chain: ChainClient, action: AccountAction, worthWei: bigint, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { feeWei } = await chain.accounts.estimate(action)
    if (chain.facts.terms.token === undefined && feeWei >= worthWei) return 'E_CHAIN_GAS'
    await chain.accounts.act(action, signal === undefined ? {} : { signal })
    return undefined
  } catch (err) {
    if (err instanceof HearthError && ['E_CHAIN_REFUND', 'E_CHAIN_LOCKED', 'E_CHAIN_INSUFFICIENT', 'E_CHAIN_REVERTED'].includes(err.code)) return err.code
    throw err
  }
}
