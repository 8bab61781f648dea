import { checkAmount, confirmAmount, readAmount } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { BUCKET_WORDS, movedView } from '../views/wallet.ts'
import type { LockedBucket } from '../../api/money.ts'
import type { NodeApi } from '../../api/contract.ts'
import type { Out } from '../out.ts'

const YES = { kind: 'flag', short: 'y', help: 'Confirm amounts above payment.confirmAbove in advance' } as const
const AMOUNT = { name: 'amount', kind: 'text', help: 'A number and a unit, such as 0.5 eth or 20000 gwei', rest: true } as const

export const fundCommand = defineCommand({
  name: 'fund',
  group: 'money',
  summary: 'Move coin of this node into its deposit, from which providers\' winners are paid',
  details: ['It waits for the chain. Ctrl-C ends the waiting only: what was sent stays sent, and `wallet` shows what it did. To have it back: `withdraw deposit`.'],
  options: { yes: YES },
  positionals: [AMOUNT],
  examples: [{ line: 'fund 0.5 eth', says: 'enough for a while' }, { line: 'fund 20000gwei --yes', says: 'from a script' }],
  async run(api, { amount, yes }, out) {
    await moveIn(api, 'deposit', amount.join(' '), yes, out)
  }
})

export const bondCommand = defineCommand({
  name: 'bond',
  group: 'money',
  summary: 'Move coin into the bond that makes providers trust this node, or with --jobs into the one for work here',
  details: [
    'The payer\'s bond burns if the deposit cannot pay a winner: providers take tickets up to half of it. The job bond stands behind your work for others: the larger it is, the more is paid before a result is revealed. To have either back: `withdraw bond`, `withdraw jobs`.'
  ],
  options: { jobs: { kind: 'flag', help: 'Into the job bond, for those who lend' }, yes: YES },
  positionals: [AMOUNT],
  examples: [{ line: 'bond 0.2 eth', says: 'to pay others' }, { line: 'bond 0.1 eth --jobs', says: 'to earn' }],
  async run(api, { amount, jobs, yes }, out) {
    await moveIn(api, jobs ? 'jobs' : 'bond', amount.join(' '), yes, out)
  }
})

async function moveIn(api: NodeApi, to: LockedBucket, text: string, yes: boolean, out: Out): Promise<void> {
  checkAmount(text)
  const { asset, confirmAboveWei } = await api.wallet()
  const wei = await readAmount({ wallet: () => api.wallet() }, text)
  await confirmAmount(out, { wei, asset, limitWei: confirmAboveWei, yes, what: `Into the ${BUCKET_WORDS[to]}` })
  const drawn = out.progress((view) => [view.paint('dim', 'waiting for the chain …')])
  const moved = await api.fund({ to, amountWei: wei.toString() }, { signal: out.signal }).finally(() => { drawn.end() })
  out.result({ to, amountWei: wei.toString(), ...moved }, (view) => movedView(moved, view))
}
