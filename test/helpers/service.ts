/** The rooms around a node's service, of a node without a network: a real core that runs nothing; a test gives the rooms that it looks at. */
import { nativeHasher } from '../../node/keys/index.ts'
import { Notices } from '../../node/driver/notices.ts'
import type { ServiceParts } from '../../node/service/service.ts'
import { ZERO_ADDRESS, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import { Peer } from '../../src/peer.ts'
import { HOUR_MS } from '../../src/units.ts'
import { FakeApi, PEERS, POLICY } from './fake-api.ts'

const HARDWARE = { cores: 4, memoryBytes: POLICY.memoryBytes, diskBytes: POLICY.diskBytes, gpus: [] }

function notHere(): never {
  throw new Error('this test has no such room')
}

export function idlePeer(): Peer {
  const identity = { peer: PEERS[0], address: ZERO_ADDRESS, payee: ZERO_ADDRESS, peerSignature: new Uint8Array(64), moneySignature: '' }
  return new Peer({
    self: { identity, separator: new Uint8Array(32), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32 },
    hasher: nativeHasher, policy: POLICY, hardware: HARDWARE, requester: { bidWindowMs: 2000, maxProviders: 16 }, free: { allow: [], coreMsADay: HOUR_MS }
  })
}

export function serviceParts(rooms: Partial<ServiceParts>): ServiceParts {
  const api = new FakeApi()
  return {
    peer: idlePeer(), peerId: PEERS[0], address: ZERO_ADDRESS, mode: 'free', version: '0.0.0', dataDir: '',
    notices: new Notices({ appendTimeline: async () => undefined, timeline: async () => [] }),
    money: Object.assign(api, { checks: async () => [], cost: () => undefined, checkCost: () => undefined, hasLimit: false }),
    images: api, quotes: { ask: async () => [] }, dispatch: notHere, settled: async () => undefined, prepare: notHere, draft: notHere, exportContent: notHere, peek: notHere,
    logs: { followLive: notHere, readFile: notHere },
    network: { addresses: () => [], peers: () => [], dial: notHere, publicAddress: () => false, send: notHere, fetchAd: notHere },
    ads: () => [], askForAds: async () => undefined, share: { get: () => POLICY, set: notHere }, running: () => 0, containers: () => ({ engine: undefined, cards: [], problems: [], images: [] }), storeUsage: () => ({ bytes: 0, quotaBytes: 0 }), stop: async () => undefined,
    ...rooms
  }
}
