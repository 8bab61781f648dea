import type { Exposed, LockedBucket, MoneyMoved, RefundsReport, Wallet, Withdrawal } from '../../api/money.ts'
import { shortId } from '../ids.ts'
import { fields, table } from '../term/table.ts'
import { clean, plural, truncate, wrap } from '../term/text.ts'
import { duration } from '../term/time.ts'
import { amount } from './money.ts'
import { remark } from './remark.ts'
import type { Cell } from '../term/table.ts'
import type { View } from '../term/view.ts'

export const BUCKET_WORDS: Readonly<Record<LockedBucket | 'earnings', string>> = { deposit: 'deposit', bond: 'bond', jobs: 'job bond', earnings: 'earnings' }

/** `in 2 h (2026-01-15 14:00 UTC)` */
export function due(wallMs: number, view: View): string {
  const when = new Date(wallMs).toISOString().slice(0, 16).replace('T', ' ')
  return wallMs > view.nowWallMs ? `in ${duration(wallMs - view.nowWallMs)} (${when} UTC)` : `since ${when} UTC`
}

export function walletView(wallet: Wallet, view: View): string[] {
  const { asset, balances, chain } = wallet
  const money = (wei: string): string => amount(wei, asset)
  const state: Cell = chain.state === 'up' ? { text: `seen, block ${chain.blockNumber}`, style: 'green' } : { text: clean(`not seen (${chain.code}): ${chain.message}`), style: 'red' }
  const rows: [string, Cell][] = [['address', { text: wallet.address, style: 'cyan' }]]
  if (wallet.payee !== wallet.address) rows.push(['earnings go to', wallet.payee])
  rows.push(['chain', `${wallet.mode}, id ${wallet.chainId}, broker ${wallet.contract}`], ['', state])
  if (balances !== undefined) {
    rows.push(
      ['coin', `${wallet.stale ? 'unknown now' : amount(balances.coin)}, free: it pays gas${balances.tokens === undefined ? ' and what you fund' : ''}`],
      ...balances.tokens === undefined ? [] : [['tokens', money(balances.tokens)] as [string, Cell]],
      ['deposit', `${money(balances.deposit)}, winners of providers are paid from it`],
      ['bond', `${money(balances.bond)}, burns if the deposit cannot pay a winner`],
      ['job bond', `${money(balances.jobs)}, stands behind work here; ${money(wallet.exposed.bondBehindWei)} of it behind running agreements${balances.reserved === '0' ? '' : `, ${money(balances.reserved)} reserved for refunds`}`],
      ['earnings', `${money(balances.credit)}, to withdraw`]
    )
  }
  const { winners, winnersWei, transactions } = wallet.pending
  if (winners > 0) rows.push(['on the way', `${money(winnersWei)} in ${plural(winners, 'winner')} that the chain has not paid yet`])
  if (transactions > 0) rows.push(['', `${plural(transactions, 'transaction')} under way`])
  for (const unlock of wallet.unlocks) rows.push(['unlocking', unlock.due ? { text: `${money(unlock.amountWei)} of the ${BUCKET_WORDS[unlock.from]} can be withdrawn: withdraw ${unlock.from}`, style: 'green' } : `${money(unlock.amountWei)} of the ${BUCKET_WORDS[unlock.from]}, ${due(unlock.dueWallMs, view)}`])
  rows.push(['at risk now', exposed(wallet.exposed.toProviders, 'paid ahead to', 'provider', money)], ['', exposed(wallet.exposed.fromRequesters, 'worked ahead for', 'requester', money)])
  return [
    ...fields(rows, view),
    ...balances === undefined ? ['', ...wrap('The chain was not seen since the node started, so what is on it is not known.', view.width).map((line) => view.paint('red', line))] : [],
    ...wallet.stale && balances !== undefined ? ['', ...wrap('These are not the balances of now: the chain does not answer. Nothing new is signed until it does.', view.width).map((line) => view.paint('yellow', line))] : [],
    ...balances !== undefined && balances.deposit === '0' && balances.credit === '0' ? remark('to pay others: fund 0.1 eth, and bond 0.1 eth. `help money` explains both', view) : []
  ]
}

function exposed({ agreements, expectedWei, worstWei }: Exposed, words: string, who: string, money: (wei: string) => string): string {
  if (agreements === 0) return `nothing ${words} any ${who}`
  return `${money(expectedWei)} ${words} ${plural(agreements, who)} on average; ${money(worstWei)} if all luck is against you`
}

export function movedView({ words, tx, blockNumber, feeWei }: MoneyMoved, view: View): string[] {
  return [
    ...wrap(`✓ ${clean(words)}`, view.width, '  ').map((line) => view.paint('green', line)),
    view.paint('dim', truncate(`  in block ${blockNumber}, for ${amount(feeWei)} of gas`, view.width)),
    // whole where it fits: it is there to be copied
    view.paint('dim', truncate(`  ${clean(tx)}`, view.width, 'middle'))
  ]
}

export function withdrawalView(withdrawal: Withdrawal, asset: Wallet['asset'], view: View): string[] {
  const { from, amountWei } = withdrawal
  const what = `${amount(amountWei, asset)} of the ${BUCKET_WORDS[from]}`
  switch (withdrawal.step) {
    case 'asked': return [...movedView(withdrawal.moved, view), ...remark(`withdraw ${from} again ${due(withdrawal.dueWallMs, view)}: then it comes`, view)]
    case 'waits': return wrap(`${what} can be withdrawn ${due(withdrawal.dueWallMs, view)}`, view.width)
    case 'withdrawn': return movedView(withdrawal.moved, view)
  }
}

const REFUND_SAYS: Readonly<Record<RefundsReport['refunds'][number]['step'], string>> = { claimed: 'claimed: it waits now', waits: 'waits', collected: 'came to the earnings', left: 'left' }

export function refundsView({ asset, refunds }: RefundsReport, view: View): string[] {
  if (refunds.length === 0) return wrap('no provider has signed a refund that is still kept', view.width)
  return table([{ title: 'from' }, { title: 'job', keep: 1 }, { title: 'refund', align: 'right' }, { title: 'now', min: 8 }], refunds.map(({ peer, job, amountWei, step, code }) => [
    { text: shortId(peer), style: 'cyan' }, shortId(job), amount(amountWei, asset), `${REFUND_SAYS[step]}${code === undefined ? '' : ` (${code === 'E_CHAIN_GAS' ? 'less than its gas' : code})`}`
  ]), view)
}
