import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import type { Message } from '../../src/documents/message.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { topicOf } from '../../protocols/gossip/index.ts'
import { adFields, createTestNetwork, first, firstAddress, offerOf, testCid, until, withNetworks } from '../helpers/network.ts'
import type { TestNetwork } from '../helpers/network.ts'

const test = suite('network')
const ANY = { engine: 'wasm', hardware: 'cpu', region: 'any' } as const

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (err) {
    return err instanceof HearthError ? err.code : String(err)
  }
}

/** Waits until `node` knows that `peer` listens to a topic. */
async function knowsSubscriber(node: TestNetwork, peer: TestNetwork, topic = topicOf(ANY)): Promise<void> {
  const { pubsub } = node.network.libp2p.services
  await until(() => pubsub.getSubscribers(topic).some((id) => id.toString() === peer.network.peerId), pubsub, ['subscription-change'])
}

test('messages of every protocol arrive at the peer that was named, in order', async () => {
  await withNetworks(2, {}, async ([a, b]) => {
    await a!.network.dial(firstAddress(b!))
    const got: [string, Message][] = []
    const all = first<number>((handler) => { b!.network.onMessage((from, message) => { handler(got.push([from, message])) }) }, (count) => count === 12)
    const decline: Message = { kind: 'decline', decline: { v: 1, job: testCid('job'), round: 0, code: 'E_HOST_BUSY', message: 'busy', unmet: [] } }
    const close: Message = { kind: 'close', agreement: `0x${'ab'.repeat(32)}`, code: 'E_DONE', message: '' }
    const sent = [decline, close, ...Array.from({ length: 10 }, (_, i): Message => ({ kind: 'probe', agreement: `0x${'0'.repeat(63)}${i}` }))]
    await Promise.all(sent.map((message) => a!.network.send(b!.network.peerId, message)))
    await all
    assert.ok(got.every(([from]) => from === a!.network.peerId))
    assert.equal(got.map(([, message]) => message).filter((message) => message.kind === 'probe'), sent.slice(2))
    assert.equal(got.map(([, message]) => message).find((message) => message.kind === 'decline'), decline)
    assert.equal(got.map(([, message]) => message).find((message) => message.kind === 'close'), close)
  })
})

test('a peer that is gone is a coded error within the deadline', async () => {
  await withNetworks(2, {}, async ([a, b]) => {
    const address = firstAddress(b!)
    await a!.network.dial(address)
    const gone = first<{ kind: string }>((handler) => { a!.network.onPeer(handler) }, ({ kind }) => kind === 'disconnected')
    await b!.network.stop()
    await gone
    const closed: Message = { kind: 'closed', agreement: `0x${'00'.repeat(32)}` }
    assert.is(await codeOf(a!.network.send(b!.network.peerId, closed)), 'E_PEER_UNREACHABLE')
    assert.is(await codeOf(a!.network.fetchAd(b!.network.peerId)), 'E_PEER_UNREACHABLE')
    assert.is(await codeOf(a!.network.ping(b!.network.peerId)), 'E_PEER_UNREACHABLE')
    assert.is(await codeOf(a!.network.dial(address)), 'E_PEER_UNREACHABLE')
    assert.is(await codeOf(a!.network.dial('somewhere')), 'E_MULTIADDR')
    assert.is(await codeOf(a!.network.send('somebody', closed)), 'E_PEER_ID')
  })
})

test('a message that was queued when its peer died is told of', async () => {
  await withNetworks(2, {}, async ([a, b]) => {
    await a!.network.dial(firstAddress(b!))
    const lost = first<string>((handler) => { a!.network.onUnreachable(handler) })
    // queued in this turn, while the connection is open for this side; its stream is opened in the next
    const sent = a!.network.send(b!.network.peerId, { kind: 'probe', agreement: `0x${'00'.repeat(32)}` })
    const stopped = b!.network.stop()
    for (const connection of a!.network.libp2p.getConnections()) connection.abort(new Error('the cable is out'))
    await sent
    assert.is(await lost, b!.network.peerId)
    await stopped
  })
})

test('an offer reaches the subscribers of its topic alone, and its publisher knows who they are', async () => {
  await withNetworks(4, {}, async ([requester, cpu, gpu, north]) => {
    cpu!.network.setMarkets([ANY])
    gpu!.network.setMarkets([{ ...ANY, hardware: 'gpu' }])
    north!.network.setMarkets([{ ...ANY, region: 'north' }, ANY])
    for (const node of [cpu, gpu, north]) await requester!.network.dial(firstAddress(node!))
    await knowsSubscriber(requester!, cpu!)
    await knowsSubscriber(requester!, north!)
    await knowsSubscriber(requester!, north!, topicOf({ ...ANY, region: 'north' }))
    const heard = new Map<string, Offer[]>()
    const done = [cpu!, north!].map((node) => first<Offer>((handler) => {
      node.network.onOffer((offer) => { heard.set(node.network.peerId, [...heard.get(node.network.peerId) ?? [], offer]); handler(offer) })
    }, (offer) => offer.round === 2))
    gpu!.network.onOffer(() => { assert.unreachable('another market heard the offer') })
    const offer = offerOf(requester!)
    const { recipients } = await requester!.network.publishOffer(offer)
    assert.equal([...recipients].sort(), [cpu!, north!].map((node) => node.network.peerId).sort())
    assert.equal((await requester!.network.publishOffer(offerOf(requester!, { round: 1, market: { ...ANY, region: 'north' } }))).recipients, [north!.network.peerId])
    await requester!.network.publishOffer(offerOf(requester!, { round: 2 }))
    await Promise.all(done)
    assert.equal(heard.get(cpu!.network.peerId)!.map(({ round }) => round), [0, 2])
    assert.equal(new Set(heard.get(north!.network.peerId)!.map(({ round }) => round)), new Set([0, 1, 2]))
    const received = heard.get(cpu!.network.peerId)![0]!
    assert.equal({ ...received, addresses: [] }, offer)
    assert.equal(received.addresses, requester!.network.addresses(), 'the requester can be dialled back')
  })
})

test('an offer spreads to providers that its requester is not connected to, who can then answer', async () => {
  await withNetworks(3, {}, async ([requester, near, far]) => {
    near!.network.setMarkets([ANY])
    far!.network.setMarkets([ANY])
    await near!.network.dial(firstAddress(far!))
    await knowsSubscriber(near!, far!)
    await requester!.network.dial(firstAddress(near!))
    await knowsSubscriber(requester!, near!)
    const heard = first<Offer>((handler) => { far!.network.onOffer(handler) })
    await requester!.network.publishOffer(offerOf(requester!))
    const { requester: from } = await heard
    const answered = first<[string, Message]>((handler) => { requester!.network.onMessage((peer, message) => { handler([peer, message]) }) })
    await far!.network.send(from, { kind: 'decline', decline: { v: 1, job: testCid('x'), round: 0, code: 'E_HOST_BUSY', message: '', unmet: [] } })
    assert.is((await answered)[0], far!.network.peerId)
  })
})

test('an offer can be sent to chosen peers, connected or not, and unreachable ones are not counted', async () => {
  await withNetworks(3, {}, async ([a, b, c]) => {
    await a!.network.dial(firstAddress(b!))
    const heard = first<Offer>((handler) => { b!.network.onOffer(handler) })
    const stranger = c!.network.peerId
    await c!.network.stop()
    const { recipients } = await a!.network.probeOffer(offerOf(a!), [b!.network.peerId, stranger])
    assert.equal(recipients, [b!.network.peerId])
    assert.is((await heard).requester, a!.network.peerId)
  })
})

test('what a provider lends is fetched when it connects, and anew when it changes', async () => {
  await withNetworks(2, {}, async ([requester, provider]) => {
    provider!.network.setAd(() => adFields())
    const seen = first<{ ad: { identity: { peer: string } } }>((handler) => { requester!.network.onAd(handler) })
    await requester!.network.dial(firstAddress(provider!))
    assert.is((await seen).ad.identity.peer, provider!.network.peerId)
    const { ad, latencyMs } = await requester!.network.fetchAd(provider!.network.peerId)
    assert.ok(latencyMs > 0)
    assert.is(ad.open, true)
    assert.equal(ad.addresses, provider!.network.addresses())
    provider!.network.setAd(() => adFields({ open: false }))
    provider!.network.refreshAd()
    assert.is((await requester!.network.fetchAd(provider!.network.peerId)).ad.open, false)
    assert.is(await codeOf(provider!.network.fetchAd(requester!.network.peerId)), 'E_AD_NONE')
  })
})

test('a third node finds a provider by its class key in the DHT', async () => {
  await withNetworks(3, {}, async ([meeting, provider, requester]) => {
    provider!.network.setAd(() => adFields({ region: 'north' }))
    const dht = provider!.network.libp2p.services.dht!
    const provided = Promise.withResolvers<void>()
    const original = dht.provide.bind(dht)
    dht.provide = async function * (key, options) {
      for await (const event of original(key, options)) {
        yield event
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') provided.resolve()
      }
    }
    await provider!.network.dial(firstAddress(meeting!))
    provider!.network.setMarkets([{ ...ANY, region: 'north' }])
    await provided.promise
    await requester!.network.dial(firstAddress(meeting!))
    const found: string[] = []
    for await (const { ad } of requester!.network.findAds({ engine: 'wasm', hardware: 'cpu', regions: ['north'] }, { max: 5, signal: AbortSignal.timeout(20_000) })) found.push(ad.identity.peer)
    assert.equal(found, [provider!.network.peerId])
    const none: string[] = []
    for await (const { ad } of meeting!.network.findAds({ engine: 'container', hardware: 'gpu', regions: ['south'] }, { max: 1, signal: AbortSignal.timeout(20_000) })) none.push(ad.identity.peer)
    assert.equal(none, [provider!.network.peerId], 'a connected provider that does not fit is shown too')
  })
})

test('a peer that dialled from this machine is on the own network, and one that left stands nowhere', async () => {
  await withNetworks(2, {}, async ([a, b]) => {
    assert.is(a!.network.standing(b!.network.peerId), undefined)
    await a!.network.dial(firstAddress(b!))
    await until(() => b!.network.peers().length === 1, b!.network.libp2p, ['peer:connect'])
    assert.equal([a!.network.standing(b!.network.peerId), b!.network.standing(a!.network.peerId)], ['local', 'local'])
    const gone = first<{ kind: string }>((handler) => { a!.network.onPeer(handler) }, ({ kind }) => kind === 'disconnected')
    for (const connection of b!.network.libp2p.getConnections()) await connection.close()
    await gone
    assert.is(a!.network.standing(b!.network.peerId), undefined)
    assert.throws(() => a!.network.standing('somebody'), (err: unknown) => err instanceof HearthError && err.code === 'E_PEER_ID')
  })
})

test('thirty nodes dial one at once, and all get through', async () => {
  const hub = await createTestNetwork()
  const nodes = await Promise.all(Array.from({ length: 30 }, () => createTestNetwork({ dht: 'off' })))
  try {
    const peers = await Promise.all(nodes.map(({ network }) => network.dial(firstAddress(hub))))
    assert.ok(peers.every((peer) => peer === hub.network.peerId))
    await until(() => hub.network.peers().length === 30, hub.network.libp2p, ['peer:connect'])
  } finally {
    await Promise.all([hub, ...nodes].map(({ network }) => network.stop()))
  }
})

test('logs are followed live to their end, and only by whom the source allows', async () => {
  await withNetworks(3, {}, async ([provider, requester, stranger]) => {
    for (const node of [requester, stranger]) await node!.network.dial(firstAddress(provider!))
    const lease = { v: 1, agreement: `0x${'01'.repeat(32)}`, task: 0, attempt: 0, follow: 'both', fromByte: 0 } as const
    const ended = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    provider!.network.serveLogs((peer, _request, signal) => {
      if (peer !== requester!.network.peerId) return { ok: false, code: 'E_LOG_DENIED', message: 'the job is another\'s' }
      signal.addEventListener('abort', () => { ended.resolve() })
      return {
        ok: true,
        value: (async function * () {
          yield { stream: 'stdout' as const, bytes: new Uint8Array(100_000).fill(65) }
          await goOn.promise
          yield { stream: 'stderr' as const, bytes: Buffer.from('oops') }
        })()
      }
    })
    const collected = { stdout: 0, stderr: '' }
    for await (const { stream, bytes } of requester!.network.followLogs(provider!.network.peerId, lease, new AbortController().signal)) {
      if (stream === 'stdout') collected.stdout += bytes.length
      else collected.stderr += Buffer.from(bytes).toString()
      if (collected.stdout === 100_000) goOn.resolve()
    }
    assert.equal(collected, { stdout: 100_000, stderr: 'oops' })
    await ended.promise
    const denied = async (): Promise<void> => { for await (const _ of stranger!.network.followLogs(provider!.network.peerId, lease, new AbortController().signal)) assert.unreachable() }
    assert.is(await codeOf(denied()), 'E_LOG_DENIED')
  })
})

test('a follower that leaves stops the source', async () => {
  await withNetworks(2, {}, async ([provider, requester]) => {
    await requester!.network.dial(firstAddress(provider!))
    const stopped = Promise.withResolvers<void>()
    provider!.network.serveLogs((_peer, _request, signal) => ({
      ok: true,
      value: (async function * () {
        yield { stream: 'stdout' as const, bytes: Buffer.from('tick') }
        await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }) })
        stopped.resolve()
      })()
    }))
    const request = { v: 1, agreement: `0x${'01'.repeat(32)}`, task: 0, attempt: 0, follow: 'stdout', fromByte: 0 } as const
    for await (const { bytes } of requester!.network.followLogs(provider!.network.peerId, request, new AbortController().signal)) {
      assert.is(Buffer.from(bytes).toString(), 'tick')
      break
    }
    await stopped.promise
  })
})

test.run()
