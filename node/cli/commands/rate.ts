import { defineCommand } from '../command.ts'
import { checkId, resolvePeer, shortId } from '../ids.ts'
import { UsageError } from '../usage-error.ts'

const MAX_STARS = 5

export const rateCommand = defineCommand({
  name: 'rate',
  group: 'network',
  summary: 'Rate a peer from experience: 1 (bad) to 5 (good)',
  details: ['Ratings are your own and stay here: they weigh in when your node chooses among providers.'],
  options: {},
  positionals: [
    { name: 'peer', kind: 'peer', help: 'The peer\'s id or a beginning of it' },
    { name: 'stars', kind: 'text', help: 'A whole number from 1 to 5' }
  ],
  examples: [{ line: 'rate QmXf 5', says: 'choose it more often' }],
  async run(api, args, out) {
    const stars = Number(args.stars)
    if (!/^\d$/.test(args.stars) || stars < 1 || stars > MAX_STARS) throw new UsageError('E_ARGUMENT_VALUE', `"${args.stars}" is not a rating`, `A whole number from 1 to ${MAX_STARS}`)
    checkId(args.peer, 'peer')
    const peer = await resolvePeer(api, args.peer)
    await api.rate({ peer, stars })
    out.result({ peer, stars }, (view) => [`${shortId(peer)}  ${view.paint('yellow', '★'.repeat(stars))}${view.paint('dim', '☆'.repeat(MAX_STARS - stars))}`])
  }
})
