import { checkAmount, readAmount, readPairs } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { CAP_KEYS, NO_CAP } from '../money-keys.ts'
import { capsView } from '../views/bill.ts'
import type { CapsChange } from '../../api/money.ts'

const EXAMPLE = 'caps day=0.1eth'
const FIELDS = { job: 'jobWei', day: 'dayWei', peer: 'peerDayWei' } as const satisfies Record<typeof CAP_KEYS[number], keyof CapsChange>

export const capsCommand = defineCommand({
  name: 'caps',
  group: 'money',
  summary: 'Show or change the most that this node spends on a job, in a day, and on one provider in a day',
  details: ['A cap counts what tickets cost on average, also over restarts; what luck makes of it may be more. A job that reaches one ends with E_BUDGET_…; a job file\'s priceCap may be lower than `job`, never higher. Changes hold at once and are kept.'],
  options: {},
  positionals: [{ name: 'changes', kind: 'text', help: `KEY=AMOUNT or KEY=${NO_CAP}; keys are ${CAP_KEYS.join(', ')}`, rest: true, optional: true }],
  examples: [{ line: 'caps', says: 'the caps, and what today cost' }, { line: EXAMPLE, says: 'never more in a day' }, { line: 'caps job=none', says: 'no cap of your own on a job' }],
  async run(api, { changes }, out) {
    const pairs = readPairs('caps', CAP_KEYS, changes, EXAMPLE)
    for (const text of pairs.values()) if (text !== NO_CAP) checkAmount(text)
    const change: CapsChange = {}
    for (const [key, text] of pairs) change[FIELDS[key]] = text === NO_CAP ? null : (await readAmount(api, text)).toString()
    const report = pairs.size === 0 ? await api.caps() : await api.setCaps(change)
    out.result(report, (view) => capsView(report, view))
  }
})
