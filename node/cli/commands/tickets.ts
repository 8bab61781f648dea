import { defineCommand } from '../command.ts'
import { ticketsView } from '../views/tickets.ts'

export const ticketsCommand = defineCommand({
  name: 'tickets',
  group: 'money',
  summary: 'Show payment tickets received and issued, what they won, and whether luck explains it',
  details: ['A ticket is worth its chance to win times its face value. Over many, what is won comes close to that; `tickets` says how close is usual.'],
  options: {},
  positionals: [],
  examples: [{ line: 'tickets', says: 'expected against real' }],
  async run(api, _args, out) {
    const report = await api.tickets()
    out.result(report, (view) => ticketsView(report, view))
  }
})
