import { checkAmount, confirmAmount, readAmount } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { clean } from '../term/text.ts'
import { UsageError } from '../usage-error.ts'
import { BUCKET_WORDS, refundsView, withdrawalView } from '../views/wallet.ts'
import type { WithdrawRequest } from '../../api/money.ts'

const FROM = ['earnings', 'deposit', 'bond', 'jobs', 'refunds'] as const

export const withdrawCommand = defineCommand({
  name: 'withdraw',
  group: 'money',
  summary: 'Pay out earnings, or take deposit, bond or job bond back in two steps',
  details: [
    'Earnings are paid out at once; where they go to another address (payment.payee), to that address alone. A deposit or a bond must first be asked for: providers rely on it until every ticket that it stands behind is over. The first `withdraw deposit` asks, and says when it is due; the same again, then, brings it.',
    'Refunds are what providers signed over for work that failed: they are claimed from their job bonds, wait for the delay, and then come to the earnings.'
  ],
  options: {
    to: { kind: 'text', value: 'ADDRESS', help: 'Another address than this node\'s own, when it is paid' },
    yes: { kind: 'flag', short: 'y', help: 'Confirm amounts above payment.confirmAbove in advance' }
  },
  positionals: [
    { name: 'from', kind: 'text', of: FROM, help: 'earnings (when not given), deposit, bond, jobs or refunds', optional: true },
    { name: 'amount', kind: 'text', help: 'Part of it; all when not given', rest: true, optional: true }
  ],
  examples: [
    { line: 'withdraw', says: 'what tickets brought' },
    { line: 'withdraw deposit 0.2 eth', says: 'ask for a part of the deposit' },
    { line: 'withdraw deposit --to 0x7099…', says: 'when it is due' }
  ],
  async run(api, { from: typed, amount: words, to, yes }, out) {
    const from = FROM.find((one) => one === typed) ?? 'earnings'
    const text = words.length === 0 ? undefined : checkAmount(words.join(' '))
    if (from === 'refunds' && (text !== undefined || to !== undefined)) throw new UsageError('E_ARGUMENT_EXTRA', 'Refunds come whole, and to this node', 'Write `withdraw refunds` alone')
    if (from === 'earnings' && text !== undefined) throw new UsageError('E_ARGUMENT_EXTRA', 'Earnings are paid out whole', 'Leave the amount out')
    if (to !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(to)) throw new UsageError('E_OPTION_VALUE', `--to: "${clean(to)}" is not an address`, 'It has 0x and 40 hexadecimal digits')
    if (from === 'refunds') {
      const drawn = out.progress((view) => [view.paint('dim', 'waiting for the chain …')])
      const report = await api.claimRefunds().finally(() => { drawn.end() })
      out.result(report, (view) => refundsView(report, view))
      return
    }
    const { asset, confirmAboveWei, balances, unlocks } = await api.wallet()
    const wei = text === undefined ? undefined : await readAmount(api, text)
    const all = from === 'earnings' ? balances?.credit : unlocks.find((one) => one.from === from)?.amountWei ?? balances?.[from]
    await confirmAmount(out, { wei: wei ?? BigInt(all ?? 0), asset, limitWei: confirmAboveWei, yes, what: `Out of the ${BUCKET_WORDS[from]}${to === undefined ? '' : ` to ${to}`}` })
    const request: WithdrawRequest = { from, ...wei === undefined ? {} : { amountWei: wei.toString() }, ...to === undefined ? {} : { to } }
    const drawn = out.progress((view) => [view.paint('dim', 'waiting for the chain …')])
    const withdrawal = await api.withdraw(request, { signal: out.signal }).finally(() => { drawn.end() })
    out.result(withdrawal, (view) => withdrawalView(withdrawal, asset, view))
  }
})
