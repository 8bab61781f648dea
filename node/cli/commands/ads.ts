import { defineCommand } from '../command.ts'
import { adsView } from '../views/network.ts'

export const adsCommand = defineCommand({
  name: 'ads',
  group: 'network',
  summary: 'List what others offer now: cores, memory, cards, region',
  options: {},
  positionals: [],
  examples: [{ line: 'ads', says: 'free of all, for each provider' }],
  async run(api, _args, out) {
    const ads = await api.ads()
    out.result(ads, (view) => adsView(ads, view))
  }
})
