/** Many peers come and go: what was kept for them goes with them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AGREEMENT } from '../../protocols/agreement/index.ts'
import { RUN } from '../../protocols/run/index.ts'
import { openFrames } from '../../protocols/wire/index.ts'
import type { MessageProtocol } from '../../protocols/wire/index.ts'
import { agreementMessageCodec, runMessageCodec } from '../../src/documents/message.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import type { TestNode } from '../helpers/libp2p.ts'
import { adFields, createTestNetwork, first, firstAddress, until } from '../helpers/network.ts'
import { multiaddr } from '@multiformats/multiaddr'

const test = suite('network visitors')
const VISITORS = 100
const AT_ONCE = 20
const AGREEMENT_ID: `0x${string}` = `0x${'11'.repeat(32)}`

async function say(visitor: TestNode, host: ReturnType<typeof multiaddr>, { protocolId, limits }: MessageProtocol, message: Uint8Array): Promise<void> {
  const { remotePeer } = await visitor.dial(host)
  const frames = await openFrames(visitor, remotePeer, protocolId, limits, AbortSignal.timeout(20_000))
  await frames.write(message)
}

test('a hundred peers that connect, speak and vanish leave nothing behind', async () => {
  const node = await createTestNetwork()
  const { network } = node
  try {
    network.setAd(() => adFields())
    const host = multiaddr(firstAddress(node))
    const saidBy = (count: number): Promise<unknown> => first<void>((handler) => { network.onMessage((from) => {
      // an answer that may find nobody any more
      network.send(from, { kind: 'probe', agreement: AGREEMENT_ID }).catch(() => undefined)
      if (--count === 0) handler()
    }) })
    let most = 0
    for (let i = 0; i < VISITORS; i += AT_ONCE) {
      const visitors = await Promise.all(Array.from({ length: AT_ONCE }, () => createTestNode()))
      const all = saidBy(2 * AT_ONCE)
      await Promise.all(visitors.map(async (visitor) => {
        await say(visitor, host, RUN, runMessageCodec.encode({ kind: 'probe', agreement: AGREEMENT_ID }))
        await say(visitor, host, AGREEMENT, agreementMessageCodec.encode({ kind: 'closed', agreement: AGREEMENT_ID }))
      }))
      await all
      most = Math.max(most, network.held().channels)
      // half of them say goodbye, the others' cables are pulled
      for (const [at, visitor] of visitors.entries()) if (at % 2 === 0) for (const connection of visitor.getConnections()) connection.abort(new Error('the cable is out'))
      await Promise.all(visitors.map(async (visitor) => { await visitor.stop() }))
    }
    assert.ok(most >= AT_ONCE, `at most ${most} channels: the test looked at nothing`)
    const isEmpty = (): boolean => Object.values(network.held()).every((count) => count === 0)
    await until(isEmpty, network.libp2p, ['peer:disconnect', 'connection:close', 'self:peer:update'])
    assert.ok(isEmpty())
  } finally {
    await network.stop()
  }
})

test.run()
