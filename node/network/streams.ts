import type { Connection, Libp2p, PeerId } from '@libp2p/interface'

/** What a protocol needs of the node: to answer, and to open streams to peers. */
export type Streams = Pick<Libp2p, 'dialProtocol' | 'handle' | 'unhandle'>

/**
 * Opens streams on a connection that is open, a direct one first. libp2p's own `dialProtocol` never uses a relayed connection again:
 * it dials anew for each stream, which costs five round trips, and races with the end of the duplicate.
 */
export function streamsOf(libp2p: Streams & Pick<Libp2p, 'getConnections'>): Streams {
  return {
    dialProtocol: async (target, protocols, options) => {
      const open = isPeerId(target) ? bestConnection(libp2p.getConnections(target)) : undefined
      return open === undefined ? libp2p.dialProtocol(target, protocols, options) : open.newStream(protocols, options)
    },
    handle: (protocols, handler, options) => libp2p.handle(protocols, handler, options),
    unhandle: (protocols, options) => libp2p.unhandle(protocols, options)
  }
}

/** The open connection to use, if any. */
export function bestConnection(connections: readonly Connection[]): Connection | undefined {
  const open = connections.filter(({ status }) => status === 'open')
  return open.find(({ limits }) => limits === undefined) ?? open[0]
}

function isPeerId(target: unknown): target is PeerId {
  return typeof target === 'object' && target !== null && 'toMultihash' in target
}
