import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { yamuxOptions } from '../../protocols/wire/index.ts'
import type { Identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import type { Ping } from '@libp2p/ping'
import type { YamuxMuxerInit } from '@libp2p/yamux'

export type TestNode = Libp2p<{ identify: Identify, ping: Ping }>

/** A libp2p node on loopback: TCP, noise, yamux, as the running node has them. */
export async function createTestNode(muxer: YamuxMuxerInit = yamuxOptions): Promise<TestNode> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(muxer)],
    connectionManager: { inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 200 },
    services: { identify: identify(), ping: ping() }
  })
}

/** `count` nodes, each connected to every other. */
export async function createTestNodes(count: number, muxer: YamuxMuxerInit = yamuxOptions): Promise<TestNode[]> {
  const nodes = await Promise.all(Array.from({ length: count }, () => createTestNode(muxer)))
  for (const [i, node] of nodes.entries()) {
    for (const other of nodes.slice(i + 1)) await node.dial(other.getMultiaddrs())
  }
  return nodes
}

export async function stopNodes(nodes: readonly Libp2p[]): Promise<void> {
  await Promise.all(nodes.map(async (node) => { await node.stop() }))
}
