import { HearthError } from '../../src/errors.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { FundRequest, MoneyMoved, Withdrawal, WithdrawRequest } from '../api/money.ts'
import type { AccountAction, Balances, ChainClient } from '../chain/index.ts'
import { BUCKETS, dueSec } from './wallet.ts'

/** Moves what the request says and waits for the chain; ended by `signal`, what was sent stays sent (E_CHAIN_PENDING). */
export async function fund(chain: ChainClient, { to, amountWei }: FundRequest, signal?: AbortSignal): Promise<MoneyMoved> {
  return await act(chain, { kind: 'add', bucket: BUCKETS[to], amountWei: BigInt(amountWei) }, signal)
}

/** The next step towards having money back. `payee` is where earnings go: this node's own address, or a cold one. */
export async function withdraw(chain: ChainClient, payee: string, { from, amountWei, to }: WithdrawRequest, signal?: AbortSignal): Promise<Withdrawal> {
  const holdings = await chain.accounts.balances()
  const target = to === undefined ? {} : { to }
  if (from === 'earnings') {
    if (amountWei !== undefined) throw new HearthError('E_CHAIN_AMOUNT', 'earnings are paid out whole', 'Leave the amount out')
    const cold = payee === holdings.address ? undefined : await chain.accounts.balances(payee)
    if (cold !== undefined && cold.creditWei > 0n) return await payOutCold(chain, cold, to, signal)
    if (holdings.creditWei === 0n) throw new HearthError('E_CHAIN_INSUFFICIENT', 'there is nothing to pay out', '`tickets` shows winners that the chain has not paid yet')
    return { from, amountWei: holdings.creditWei.toString(), step: 'withdrawn', moved: await act(chain, { kind: 'payout', ...target }, signal) }
  }
  const bucket = BUCKETS[from]
  const unlock = holdings.unlocks[bucket]
  const due = dueSec(holdings, from)
  if (unlock === undefined || due === undefined) {
    const has = { deposit: holdings.depositWei, bond: holdings.bondWei, jobBond: holdings.jobBondWei }[bucket]
    const wanted = amountWei === undefined ? has : BigInt(amountWei)
    if (has === 0n) throw new HearthError('E_CHAIN_INSUFFICIENT', 'there is nothing in it to withdraw', '`wallet` shows what is where')
    if (to !== undefined) throw new HearthError('E_CHAIN_AMOUNT', 'where to is said when the money is due', 'Ask for it now, and give --to when it is withdrawn')
    const moved = await act(chain, { kind: 'request-unlock', bucket, amountWei: wanted }, signal)
    const after = await chain.accounts.balances()
    return { from, amountWei: wanted.toString(), step: 'asked', dueWallMs: (dueSec(after, from) ?? after.block.timeSec + chain.facts.terms.delaySec) * SECOND_MS, moved }
  }
  if (amountWei !== undefined && BigInt(amountWei) !== unlock.amountWei) throw new HearthError('E_CHAIN_AMOUNT', 'another amount is on its way out already', `Withdraw that first: leave the amount out`)
  // the next block's clock is ours, nearly; whether it lets it out is the contract's to say
  const isDue = Math.max(holdings.block.timeSec, Math.floor(Date.now() / SECOND_MS)) > due
  if (!isDue) return { from, amountWei: unlock.amountWei.toString(), step: 'waits', dueWallMs: due * SECOND_MS }
  return { from, amountWei: unlock.amountWei.toString(), step: 'withdrawn', moved: await act(chain, { kind: 'withdraw', bucket, ...target }, signal) }
}

/** What tickets brought to a cold address goes to it and nowhere else; this node pays the gas. What it has itself, such as refunds, comes with the next. */
async function payOutCold(chain: ChainClient, { address, creditWei }: Pick<Balances, 'address' | 'creditWei'>, to: string | undefined, signal: AbortSignal | undefined): Promise<Withdrawal> {
  if (to !== undefined && to.toLowerCase() !== address) throw new HearthError('E_CHAIN_AMOUNT', `these earnings belong to ${address}, and go to it alone`, 'Leave --to out, or call the contract\'s `payout` with the key of that address')
  return { from: 'earnings', amountWei: creditWei.toString(), step: 'withdrawn', moved: await act(chain, { kind: 'payout-for', account: address }, signal) }
}

async function act(chain: ChainClient, action: AccountAction, signal: AbortSignal | undefined): Promise<MoneyMoved> {
  const { words, tx, blockNumber, feeWei } = await chain.accounts.act(action, signal === undefined ? {} : { signal })
  return { words, tx, blockNumber, feeWei: feeWei.toString() }
}
