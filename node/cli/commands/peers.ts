import { defineCommand } from '../command.ts'
import { peersView } from '../views/network.ts'

export const peersCommand = defineCommand({
  name: 'peers',
  group: 'network',
  summary: 'List connected peers and what is known of them',
  options: {},
  positionals: [],
  examples: [{ line: 'peers', says: 'nearest first' }],
  async run(api, _args, out) {
    const peers = await api.peers()
    out.result(peers, (view) => peersView(peers, view))
  }
})
