/** A machine that slept, or was carried elsewhere: its connections are dead without having been closed, and what it said of itself is old. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { mock } from 'node:test'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Driver } from '../../node/driver/driver.ts'
import { marketKey } from '../../node/network/market-keys.ts'
import { MARKET_EPOCH_MS } from '../../node/network/options.ts'
import type { PeerEvent } from '../../src/core/event.ts'
import { adFields, createTestNetwork, first, firstAddress, until, withNetworks } from '../helpers/network.ts'
import type { TestNetwork } from '../helpers/network.ts'

const test = suite('network wake')
const ANY = { engine: 'wasm', hardware: 'cpu', region: 'any' } as const

/** A way to `node` whose connections can be made to swallow everything, as those of a sleeper do. */
async function swallowingWay(node: TestNetwork): Promise<{ address: string, swallow: () => void, close: () => void }> {
  const port = Number(/tcp\/(\d+)/.exec(firstAddress(node))![1])
  const sockets: Socket[] = []
  const server = createServer((inside) => {
    const outside = connect(port, '127.0.0.1')
    for (const socket of [inside, outside]) sockets.push(socket.on('error', () => undefined))
    inside.pipe(outside)
    outside.pipe(inside)
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return {
    address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}/p2p/${node.network.peerId}`,
    swallow: () => { for (const socket of sockets) socket.unpipe().resume() },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

test('after a sleep a dead connection is dropped, and its peer met again', async () => {
  await withNetworks(1, {}, async ([other]) => {
    // nobody dials in the background: what is met again is met because it was lost
    const sleeper = await createTestNetwork({ minPeers: 0, listen: [] })
    const way = await swallowingWay(other!)
    try {
      await sleeper.network.dial(way.address)
      const events: string[] = []
      const back = first<string>((handler) => { sleeper.network.onPeer(({ kind }) => { events.push(kind); handler(kind) }) }, (kind) => kind === 'connected' && events.includes('disconnected'))
      way.swallow()
      sleeper.network.refresh()
      await back
      assert.ok(await sleeper.network.ping(other!.network.peerId) >= 0)
    } finally {
      await sleeper.network.stop()
      way.close()
    }
  })
})

test('after a sleep a provider announces itself anew, although its addresses are the same', async () => {
  let wallMs = MARKET_EPOCH_MS * 1000.5
  const provider = await createTestNetwork({}, { wallMs: () => wallMs++ })
  const other = await createTestNetwork({}, { wallMs: () => wallMs++ })
  try {
    const dht = provider.network.libp2p.services.dht!
    const provided = new EventTarget()
    const original = dht.provide.bind(dht)
    dht.provide = async function * (key, options) {
      yield * original(key, options)
      provided.dispatchEvent(new Event(key.toString()))
    }
    provider.network.setAd(() => adFields())
    await provider.network.dial(firstAddress(other))
    await until(() => dht.routingTable.size > 0, dht.routingTable, ['peer:add'])
    const announced = (epoch: number): Promise<unknown> => once(provided, marketKey(ANY, epoch).toString())
    const atFirst = announced(1000)
    provider.network.setMarkets([ANY])
    await atFirst
    const { ad: { issuedWallMs } } = await other.network.fetchAd(provider.network.peerId)
    provider.network.refresh()
    assert.ok((await other.network.fetchAd(provider.network.peerId)).ad.issuedWallMs > issuedWallMs, 'an ad is otherwise signed anew when much of its life has passed')
    // what a start brings, such as new addresses, is told together with this
    await announced(1000)
    // the timer of the next epoch slept too
    wallMs += MARKET_EPOCH_MS
    const again = announced(1001)
    provider.network.refresh()
    await again
  } finally {
    await Promise.all([provider, other].map(({ network }) => network.stop()))
  }
})

test('a sleep is noticed by the clocks, and told to the core and to the network', async () => {
  mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_800_000_000_000 })
  const seen: PeerEvent[] = []
  let wakes = 0
  const peer = { handle: (event: PeerEvent) => { seen.push(event); return { writes: [], effects: [] } }, nextTickMonoMs: () => undefined }
  const driver = new Driver({ peer, store: { commit: async () => undefined }, perform: () => undefined, faultPoint: () => undefined, onStoreFailure: () => { assert.unreachable() }, onWake: () => { wakes++ } })
  try {
    for (let i = 0; i < 6; i++) mock.timers.tick(10_000)
    assert.equal([seen.length, wakes], [0, 0])
    mock.timers.setTime(Date.now() + 3_600_000)
    mock.timers.tick(10_000)
    assert.equal([seen, wakes], [[{ kind: 'woke', sleptMs: 3_600_000 }], 1])
    for (let i = 0; i < 6; i++) mock.timers.tick(10_000)
    assert.is(wakes, 1)
  } finally {
    await driver.stop()
    mock.timers.reset()
  }
})

test.run()
