import { defineCommand } from '../command.ts'
import { earningsView } from '../views/tickets.ts'

export const earningsCommand = defineCommand({
  name: 'earnings',
  group: 'money',
  summary: 'Show what this PC earned by day or by job, and what next week may bring',
  details: ['"On average" is what the tickets of the day are worth; "won" is what luck made of it. Days are those of UTC.'],
  options: { by: { kind: 'choice', of: ['day', 'job'], help: 'A row a day (when not given) or a job' } },
  positionals: [],
  examples: [{ line: 'earnings', says: 'by day, with a forecast' }, { line: 'earnings --by job', says: 'who paid for what' }],
  async run(api, { by = 'day' }, out) {
    const report = await api.earnings()
    out.result(report, (view) => earningsView(report, by, view))
  }
})
