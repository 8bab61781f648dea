import { defineCommand } from '../command.ts'
import { resolveJob } from '../ids.ts'
import { billView } from '../views/bill.ts'

export const billCommand = defineCommand({
  name: 'bill',
  group: 'money',
  summary: 'Show what a job cost: each provider\'s work, what it was paid, what is held back and refunded',
  options: {},
  positionals: [{ name: 'job', kind: 'job', help: 'The job\'s id, its beginning, or `last`' }],
  examples: [{ line: 'bill last', says: 'of the newest job' }],
  async run(api, args, out) {
    const bill = await api.bill(await resolveJob(api, args.job))
    out.result(bill, (view) => billView(bill, view))
  }
})
