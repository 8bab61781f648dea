/** Clocks compared over the real ads protocol, between nodes of which one has a wrong clock. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { judgeClocks, lookAtPeers } from '../../node/service/clocks.ts'
import { GIB } from '../../src/units.ts'
import { createTestNetwork, firstAddress } from '../helpers/network.ts'
import type { TestNetwork } from '../helpers/network.ts'
import type { PeerLook } from '../../node/service/clocks.ts'

const hardware = { cores: 2, memoryBytes: GIB, diskBytes: GIB, gpus: [] }

/** What a node on time sees of peers whose clocks are off by these many seconds. */
async function look(...offsetsS: number[]): Promise<PeerLook> {
  const nodes: TestNetwork[] = [await createTestNetwork()]
  try {
    const [own] = nodes
    for (const offsetS of offsetsS) {
      const other = await createTestNetwork({}, { wallMs: () => Date.now() + offsetS * 1000 })
      nodes.push(other)
      other.network.setAd(() => ({ region: 'any', engines: ['wasm'], hardware, free: { cores: 2, memoryBytes: GIB, diskBytes: GIB, gpus: 0 }, open: true }))
      await own!.network.dial(firstAddress(other))
    }
    return await lookAtPeers(own!.network.peers().map(({ peer }) => peer), (peer, signal) => own!.network.fetchAd(peer, signal), () => Date.now())
  } finally {
    await Promise.all(nodes.map(({ network }) => network.stop()))
  }
}

test('peers on time agree', async () => {
  const { aheadMs, asked, open } = await look(0, 5)
  assert.is(asked, 2)
  assert.is(open, 2)
  assert.is(judgeClocks(aheadMs).state, 'ok')
})

test('a difference of a minute is a warning, its direction known', async () => {
  const { aheadMs } = await look(60, 62)
  const { state, whose, oursMs } = judgeClocks(aheadMs)
  assert.is(state, 'warn')
  assert.is(whose, 'ours')
  assert.ok(oursMs < -55_000 && oursMs > -65_000, String(oursMs))
})

test('peers so far off that their ads are refused are seen all the same', async () => {
  const ahead = judgeClocks((await look(400, 400)).aheadMs)
  assert.is(ahead.state, 'fail')
  assert.ok(ahead.oursMs < 0)
  const behind = judgeClocks((await look(-400)).aheadMs)
  assert.equal([behind.state, behind.whose], ['fail', 'unknown'])
  assert.ok(behind.oursMs > 0)
})

test.run()
