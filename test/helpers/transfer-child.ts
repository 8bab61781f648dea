/** Fetches content into a store, and is killed by its own hand when enough has come. Arguments: store, source, address, blocks. */
import { multiaddr } from '@multiformats/multiaddr'
import { ContentStore } from '../../node/content/index.ts'
import { Transfer } from '../../protocols/transfer/index.ts'
import { createTestNode } from './libp2p.ts'
import { watched } from './transfer-parties.ts'

const [dir = '', source = '', cid = '', enough = '0'] = process.argv.slice(2)
const node = await createTestNode()
const store = await ContentStore.open({ dir, quotaBytes: 2 ** 30, minFreeDiskBytes: 0 })
const onPut = (count: number): void => { if (count > Number(enough)) process.kill(process.pid, 'SIGKILL') }
const transfer = await Transfer.start({ network: node, store: watched(store, { onPut }), authorize: () => false })
const { remotePeer } = await node.dial(multiaddr(source))
await transfer.fetchContent({ cid, from: [remotePeer], maxBytes: 2 ** 30 })
