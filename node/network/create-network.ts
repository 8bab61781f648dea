import { createLibp2p } from './create-libp2p.ts'
import { LibNetwork } from './lib-network.ts'
import type { NetworkInit } from './lib-network.ts'
import { parseMultiaddr } from './addresses.ts'
import { Misconduct } from './misconduct.ts'
import type { Network } from './network.ts'
import { networkOptions } from './options.ts'
import { openPeerStore } from './peer-store.ts'
import type { Refusal } from '../../src/codec/result.ts'

export type { NetworkInit } from './lib-network.ts'

/** Opens the peer store, starts libp2p and every protocol. Throws E_PEERS_OPEN, E_LISTEN, E_MULTIADDR. */
export async function createNetwork(init: NetworkInit): Promise<Network> {
  const options = networkOptions(init.options)
  for (const text of [...options.listen, ...options.announce, ...options.bootstrap]) parseMultiaddr(text)
  const peerStore = init.dataDir === undefined ? undefined : await openPeerStore(init.dataDir)
  const { monoMs = () => performance.now() } = init
  // what bans a peer needs libp2p, which needs to know who is banned
  let cutOff = (_peer: string, _last: Refusal): void => undefined
  const misconduct = new Misconduct({ monoMs, onBanned: (peer, last) => { cutOff(peer, last) } })
  try {
    const libp2p = await createLibp2p({
      keys: init.keys, options, region: init.region, peerStore,
      isBanned: (peer) => misconduct.isBanned(peer), faultsOf: (peer) => misconduct.faultsOf(peer),
      onDiscovered: (peer) => { network.found(peer) }
    })
    const network = new LibNetwork({ ...init, options, misconduct, libp2p, peerStore })
    cutOff = (peer, last) => { network.cutOff(peer, last) }
    await network.start()
    return network
  } catch (err) {
    await peerStore?.close()
    throw err
  }
}

