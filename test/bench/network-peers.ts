/**
 * Helper process of the network benchmarks: `COUNT` nodes of the network layer that connect to one address, lend something,
 * and answer each probe with the same message. Prints `ready` when all are connected. Ends with its parent.
 *
 *   node network-peers.ts COUNT MULTIADDR
 */
import { marketsOf } from '../../protocols/gossip/index.ts'
import { adFields, createTestNetwork } from '../helpers/network.ts'

const [count, address] = [Number(process.argv[2]), process.argv[3] ?? '']
for (let i = 0; i < count; i++) {
  const { network } = await createTestNetwork()
  network.setAd(() => adFields())
  network.setMarkets(marketsOf('any'))
  network.onMessage((from, message) => { void network.send(from, message) })
  await network.dial(address)
}
console.log('ready')
process.stdin.resume().on('end', () => process.exit())
