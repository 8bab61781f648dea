import { defineCommand } from '../command.ts'
import { statusView } from '../views/node.ts'

export const statusCommand = defineCommand({
  name: 'status',
  group: 'node',
  summary: 'Show this node: its id, addresses, peers, what it lends and your jobs',
  options: {},
  positionals: [],
  examples: [{ line: 'status', says: 'a look at everything' }, { line: 'status --json', says: 'for a script' }],
  async run(api, _args, out) {
    const status = await api.status()
    out.result(status, (view) => statusView(status, view))
  }
})
