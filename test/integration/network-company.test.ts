import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import type { Message } from '../../src/documents/message.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { nodeKeys, openSeed } from '../../node/keys/index.ts'
import { dialable, ownAddresses } from '../../node/network/addresses.ts'
import { EPOCH_OVERLAP_MS, keysToAsk, marketKey } from '../../node/network/market-keys.ts'
import { DHT_PROTOCOL, MARKET_EPOCH_MS, networkOptions } from '../../node/network/options.ts'
import type { Network } from '../../node/network/network.ts'
import { openPeerStore } from '../../node/network/peer-store.ts'
import { topicOf } from '../../protocols/gossip/index.ts'
import { adFields, createTestNetwork, first, firstAddress, offerOf, until, withNetworks } from '../helpers/network.ts'

const test = suite('network company')
const ANY = { engine: 'wasm', hardware: 'cpu', region: 'any' } as const

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-network-'))
  try {
    await run(dir)
  } finally {
    await rm(dir, { recursive: true })
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (err) {
    return err instanceof HearthError ? err.code : String(err)
  }
}

async function connected(network: Network, peer: string): Promise<void> {
  await until(() => network.peers().some((view) => view.peer === peer), network.libp2p, ['peer:connect'])
}

test('two fresh nodes on one network find each other without any configuration', async () => {
  const tag = `_hearth-${process.pid}._udp.local`
  // the defaults but for a tag, so that nodes of other tests running now stay out
  const options = { mdns: true, mdnsTag: tag, listen: ['/ip4/0.0.0.0/tcp/0'] }
  const a = await createTestNetwork(options)
  const b = await createTestNetwork(options)
  try {
    await Promise.all([connected(a.network, b.network.peerId), connected(b.network, a.network.peerId)])
  } finally {
    await Promise.all([a.network.stop(), b.network.stop()])
  }
})

test('a node dials its bootstrap list, with or without a PeerId in it', async () => {
  await withNetworks(2, {}, async ([a, b]) => {
    const anonymous = firstAddress(b!).replace(/\/p2p\/.*/, '')
    const c = await createTestNetwork({ bootstrap: [firstAddress(a!), anonymous] })
    try {
      await connected(c.network, a!.network.peerId)
      await connected(c.network, b!.network.peerId)
    } finally {
      await c.network.stop()
    }
  })
})

test('a bootstrap peer that is down at the start is met when it is there', async () => {
  await withDir(async (dataDir) => {
    const { seed } = await openSeed({ dataDir })
    const keys = await nodeKeys(seed)
    const late = await createTestNetwork({}, { keys })
    const address = firstAddress(late)
    await late.network.stop()
    const early = await createTestNetwork({ bootstrap: [address] })
    const back = await createTestNetwork({ listen: [address.replace(/\/p2p\/.*/, '')] }, { keys })
    try {
      early.network.refresh()
      await connected(early.network, keys.peerId)
    } finally {
      await Promise.all([early.network.stop(), back.network.stop()])
    }
  })
})

test('after a restart a node is the same peer, and meets those again whom it knew', async () => {
  await withDir(async (dataDir) => {
    const friend = await createTestNetwork()
    try {
      const start = async (): Promise<Network> => (await createTestNetwork({}, { dataDir, keys: await nodeKeys((await openSeed({ dataDir })).seed) })).network
      const before = await start()
      await before.dial(firstAddress(friend))
      await until(() => friend.network.peers().length === 1, friend.network.libp2p, ['peer:connect'])
      // what identify learned is what will be stored
      await first<unknown>((handler) => { before.libp2p.addEventListener('peer:identify', handler) })
      await before.stop()
      const after = await start()
      assert.is(after.peerId, before.peerId)
      await connected(after, friend.network.peerId)
      await after.stop()
    } finally {
      await friend.network.stop()
    }
  })
})

test('one folder serves one node at a time, and says so', async () => {
  await withDir(async (dataDir) => {
    const first = await createTestNetwork({}, { dataDir })
    assert.is(await codeOf(createTestNetwork({}, { dataDir })), 'E_PEERS_OPEN')
    await first.network.stop()
    const again = await createTestNetwork({}, { dataDir })
    await again.network.stop()
  })
})

test('the peer store gives back what was written last, and keeps no records of the DHT', async () => {
  await withDir(async (dataDir) => {
    const store = await openPeerStore(dataDir)
    // keys of the kind that libp2p uses; the class is not a dependency of ours
    const { Key } = await import('interface-datastore') as { Key: new (text: string) => Parameters<typeof store.get>[0] }
    const [peer, record] = [new Key('/peers/a'), new Key('/dht/provider/b')]
    await store.put(peer, Uint8Array.of(1))
    await store.put(record, Uint8Array.of(2))
    await store.close()
    const again = await openPeerStore(dataDir)
    // the old value is on its way from the disk while the new one is written: it must not stay
    await Promise.all([again.get(peer), again.put(peer, Uint8Array.of(3))])
    assert.equal([...await again.get(peer)], [3])
    assert.is(await again.has(record), false)
    await again.delete(peer)
    assert.is(await again.get(peer).then(() => 'found', () => 'gone'), 'gone')
    await again.close()
  })
})

test('a port in use is an error with a hint, and leaves nothing open', async () => {
  await withDir(async (dataDir) => {
    const server = createServer()
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    const { port } = server.address() as AddressInfo
    assert.is(await codeOf(createTestNetwork({ listen: [`/ip4/127.0.0.1/tcp/${port}`] }, { dataDir })), 'E_LISTEN')
    await new Promise((resolve) => { server.close(resolve) })
    const node = await createTestNetwork({ listen: [`/ip4/127.0.0.1/tcp/${port}`, '/ip6/::1/tcp/0'] }, { dataDir })
    assert.ok(node.network.addresses().some((address) => address.includes(`/tcp/${port}/`)))
    await node.network.stop()
    assert.is(await codeOf(createTestNetwork({ listen: ['/ip4/127.0.0.1/tcp'] })), 'E_MULTIADDR')
    assert.is(await codeOf(createTestNetwork({ bootstrap: ['nowhere'] })), 'E_MULTIADDR')
  })
})

test('two nodes that cannot dial each other exchange messages, offers and ads over a relay', async () => {
  const relay = await createTestNetwork({ relay: { server: true } })
  const hidden = await createTestNetwork({ listen: [], relay: { client: true }, bootstrap: [firstAddress(relay)] })
  const other = await createTestNetwork({ listen: [], relay: { client: true }, bootstrap: [firstAddress(relay)] })
  try {
    await until(() => hidden.network.addresses().length > 0, hidden.network.libp2p, ['self:peer:update'])
    hidden.network.setAd(() => adFields())
    hidden.network.setMarkets([ANY])
    const address = hidden.network.addresses()[0]!
    assert.ok(address.includes('/p2p-circuit'), address)
    await connected(other.network, relay.network.peerId)
    assert.is(await other.network.dial(address), hidden.network.peerId)
    const view = other.network.peers().find(({ peer }) => peer === hidden.network.peerId)!
    assert.ok(view.relayed)
    assert.is(other.network.standing(hidden.network.peerId), 'relayed')
    assert.is(other.network.standing(relay.network.peerId), 'local')
    const message: Message = { kind: 'probe', agreement: `0x${'11'.repeat(32)}` }
    const heard = first<Message>((handler) => { hidden.network.onMessage((_, got) => { handler(got) }) })
    await other.network.send(hidden.network.peerId, message)
    assert.equal(await heard, message)
    assert.is(hidden.network.standing(other.network.peerId), 'relayed')
    assert.is((await other.network.fetchAd(hidden.network.peerId)).ad.addresses[0], address)
    const { pubsub } = other.network.libp2p.services
    await until(() => pubsub.getSubscribers(topicOf(ANY)).some((id) => id.toString() === hidden.network.peerId), pubsub, ['subscription-change'])
    const offered = first<Offer>((handler) => { hidden.network.onOffer(handler) })
    await other.network.publishOffer(offerOf(other))
    assert.is((await offered).requester, other.network.peerId)
  } finally {
    await Promise.all([relay, hidden, other].map(({ network }) => network.stop()))
  }
})

test('when addresses change, what peers ask for names the new ones', async () => {
  await withNetworks(2, {}, async ([provider, requester]) => {
    provider!.network.setAd(() => adFields())
    await requester!.network.dial(firstAddress(provider!))
    const before = (await requester!.network.fetchAd(provider!.network.peerId)).ad
    const changed = first<unknown>((handler) => { provider!.network.libp2p.addEventListener('self:peer:update', handler) })
    const pushed = first<unknown>((handler) => { requester!.network.libp2p.addEventListener('peer:update', handler) })
    // another way in, as a router's forwarded port would be
    const { libp2p } = provider!.network
    const port = Number(/tcp\/(\d+)/.exec(firstAddress(provider!))![1])
    // libp2p has no public way to say what a router would: the one place where a test reaches into it
    const inside = libp2p as unknown as { components: { addressManager: { addPublicAddressMapping: (...args: unknown[]) => void, confirmObservedAddr: (address: unknown) => void } } }
    inside.components.addressManager.addPublicAddressMapping('127.0.0.1', port, '93.184.216.34', 4001)
    inside.components.addressManager.confirmObservedAddr((await import('@multiformats/multiaddr')).multiaddr('/ip4/93.184.216.34/tcp/4001'))
    provider!.network.refresh()
    await Promise.all([changed, pushed])
    const after = (await requester!.network.fetchAd(provider!.network.peerId)).ad
    assert.not.equal(after.addresses, before.addresses)
    assert.ok(after.addresses.some((address) => address.startsWith('/ip4/93.184.216.34/tcp/4001')))
  })
})

test('who keeps records of the DHT is as configured, and in auto mode who can be reached', async () => {
  const hidden = { scope: 'public', upnp: false, autonat: false, relay: { client: false } } as const
  const modeOf = async (options: Parameters<typeof createTestNetwork>[0]): Promise<string> => {
    const { network } = await createTestNetwork(options)
    const { dht } = network.libp2p.services
    try {
      // libp2p tells itself of its own addresses in a later turn
      if (options?.announce !== undefined) await until(() => network.libp2p.getProtocols().includes(DHT_PROTOCOL), network.libp2p, ['self:peer:update'])
      assert.is(dht === undefined || dht.getMode() === 'client', !network.libp2p.getProtocols().includes(DHT_PROTOCOL))
      return dht?.getMode() ?? 'off'
    } finally {
      await network.stop()
    }
  }
  assert.is(await modeOf({}), 'server')
  assert.is(await modeOf({ dht: 'client' }), 'client')
  assert.is(await modeOf({ dht: 'off' }), 'off')
  assert.is(await modeOf(hidden), 'client')
  assert.is(await modeOf({ ...hidden, announce: ['/ip4/93.184.216.34/tcp/4001'] }), 'server')
  assert.is(await modeOf({ ...hidden, dht: 'server' }), 'server')
})

test('a refresh drops connections that no longer answer, and keeps those that do', async () => {
  await withNetworks(2, {}, async ([a, b]) => {
    await a!.network.dial(firstAddress(b!))
    await connected(b!.network, a!.network.peerId)
    a!.network.refresh()
    assert.ok(await a!.network.ping(b!.network.peerId) >= 0)
    assert.is(a!.network.peers().length, 1)
    assert.is(a!.network.peers()[0]!.direction, 'outbound')
  })
})

test('of a stranger\'s addresses only its own are dialled, and in the public scope no private ones', () => {
  const me = '12D3KooWEp96zuEBq6PkeCADDfjEUA3QxnjCuERH4g7ndFPsDwsV'
  const other = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'
  const claimed = ['/ip4/192.168.1.1/tcp/80', '/ip4/93.184.216.34/tcp/4001', `/ip4/93.184.216.34/tcp/4001/p2p/${me}`, `/ip4/93.184.216.34/tcp/4001/p2p/${other}`, `/ip4/93.184.216.34/tcp/4001/p2p/${other}/p2p-circuit/p2p/${me}`, '/ip4/93.184.216.34/udp/53', '/nonsense', '/ip4/127.0.0.1/tcp/22']
  assert.equal(dialable(claimed, me, 'public'), [claimed[1], claimed[2], claimed[4]])
  assert.equal(dialable(claimed, me, 'local'), [claimed[0], claimed[1], claimed[2], claimed[4], claimed[7]])
  assert.equal(ownAddresses(['/ip4/127.0.0.1/tcp/1', '/ip4/93.184.216.34/tcp/1'], 'public')[0], '/ip4/93.184.216.34/tcp/1')
  assert.is(ownAddresses(Array.from({ length: 20 }, (_, i) => `/ip4/93.184.216.34/tcp/${i + 1}`), 'local').length, 8)
})

test('class keys change with each epoch, and early in one the last is asked for too', () => {
  const start = MARKET_EPOCH_MS * 1000
  assert.equal(keysToAsk([ANY], start + EPOCH_OVERLAP_MS).map(String), [marketKey(ANY, 1000).toString()])
  assert.equal(keysToAsk([ANY], start + 1).map(String), [marketKey(ANY, 1000).toString(), marketKey(ANY, 999).toString()])
  assert.is.not(marketKey(ANY, 1).toString(), marketKey({ ...ANY, region: 'north' }, 1).toString())
})

test('options are the defaults of the scope, and what is given', () => {
  assert.is(networkOptions({ scope: 'public' }).upnp, true)
  assert.is(networkOptions({ scope: 'local' }).upnp, false)
  const given = networkOptions({ scope: 'local', upnp: true, mdns: undefined, relay: { server: true, client: undefined } })
  assert.is(given.upnp, true)
  assert.is(given.mdns, true)
  assert.is(given.relay.server, true)
  assert.is(given.relay.client, false)
})

test.run()
