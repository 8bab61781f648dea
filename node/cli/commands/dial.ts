import { defineCommand } from '../command.ts'
import { shortId } from '../ids.ts'
import { remark } from '../views/remark.ts'
import { UsageError } from '../usage-error.ts'

export const dialCommand = defineCommand({
  name: 'dial',
  group: 'network',
  summary: 'Connect to a node by its address',
  details: ['`status` on the other PC prints its addresses.'],
  options: {},
  positionals: [{ name: 'address', kind: 'text', help: 'A multiaddr, such as /ip4/192.168.1.20/tcp/4001' }],
  examples: [{ line: 'dial /ip4/192.168.1.20/tcp/4001', says: 'a PC on the same network' }],
  async run(api, { address }, out) {
    if (!/^(\/[\w.:%-]+){2,}$/.test(address) || address.length > 512) throw new UsageError('E_ARGUMENT_VALUE', `"${address.slice(0, 100)}" is not an address`, 'Write it as `status` prints it, such as /ip4/192.168.1.20/tcp/4001')
    const progress = out.progress(() => [`dialling ${address}`])
    const { peer } = await api.dial(address).finally(() => progress.end())
    out.result({ peer }, (view) => [`connected to ${view.paint('cyan', shortId(peer))}`, ...remark(peer, view)])
  }
})
