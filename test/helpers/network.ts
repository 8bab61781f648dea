import { randomBytes } from 'node:crypto'
import { createNetwork } from '../../node/network/create-network.ts'
import type { NetworkInit } from '../../node/network/create-network.ts'
import type { AdFields, Network } from '../../node/network/network.ts'
import type { GivenNetworkOptions } from '../../node/network/options.ts'
import { nativeHasher, nodeKeys } from '../../node/keys/index.ts'
import type { NodeKeys } from '../../node/keys/index.ts'
import { domainSeparator } from '../../src/codec/eip712.ts'
import { documentCid } from '../../src/codec/hasher.ts'
import { ZERO_ADDRESS } from '../../src/documents/agreement.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import type { Offer } from '../../src/documents/offer.ts'
import { GIB } from '../../src/units.ts'

export const SEPARATOR = domainSeparator(nativeHasher, { name: 'Hearth', version: '1', chainId: 0n, verifyingContract: ZERO_ADDRESS })

export interface TestNetwork {
  network: Network
  keys: NodeKeys
  /** What this node's core would know. */
  agreements: Map<string, Agreement>
}

/** A real node on loopback, in local scope, that nobody finds by accident. */
export async function createTestNetwork(options: Partial<GivenNetworkOptions> = {}, rest: Partial<NetworkInit> = {}): Promise<TestNetwork> {
  const keys = rest.keys ?? await nodeKeys(new Uint8Array(randomBytes(32)))
  const agreements = new Map<string, Agreement>()
  const network = await createNetwork({
    keys, region: 'any', dataDir: undefined, separator: SEPARATOR, chainId: 0, contract: ZERO_ADDRESS,
    agreementOf: (id) => agreements.get(id),
    ...rest,
    options: { scope: 'local', listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, ...options }
  })
  network.setAd(() => undefined)
  return { network, keys, agreements }
}

/** Runs with `count` nodes and stops them, whatever happens. */
export async function withNetworks(count: number, options: Partial<GivenNetworkOptions>, run: (nodes: TestNetwork[]) => Promise<void>): Promise<void> {
  const nodes = await Promise.all(Array.from({ length: count }, () => createTestNetwork(options)))
  try {
    await run(nodes)
  } finally {
    await Promise.all(nodes.map(({ network }) => network.stop()))
  }
}

export function firstAddress({ network }: TestNetwork): string {
  const address = network.addresses()[0]
  if (address === undefined) throw new Error('the node listens nowhere')
  return address
}

/** Resolves with the first value for which `matches` holds, of a source that takes one callback. Rejects after 20 s: a test that waits longer has failed. */
export function first<T>(subscribe: (handler: (value: T) => void) => void, matches: (value: T) => boolean = () => true): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const timer = setTimeout(() => { reject(new Error('nothing came within 20 s')) }, 20_000)
  subscribe((value) => {
    if (!matches(value)) return
    clearTimeout(timer)
    resolve(value)
  })
  return promise
}

/** Looks again after each event of `emitter` until `holds` does. */
export async function until(holds: () => boolean, emitter: EventTarget, events: readonly string[]): Promise<void> {
  if (holds()) return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => { reject(new Error(`did not come true within 20 s: ${holds.toString()}`)) }, 20_000)
  const look = (): void => { if (holds()) resolve() }
  for (const event of events) emitter.addEventListener(event, look)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    for (const event of events) emitter.removeEventListener(event, look)
  }
}

export const HARDWARE = { cores: 4, memoryBytes: 8 * GIB, diskBytes: 64 * GIB, gpus: [] }

export function adFields(change: Partial<AdFields> = {}): AdFields {
  return { region: 'any', engines: ['wasm'], hardware: HARDWARE, free: { cores: 4, memoryBytes: 8 * GIB, diskBytes: 64 * GIB, gpus: 0 }, open: true, ...change }
}

export function testCid(text: string): string {
  return documentCid(nativeHasher, Buffer.from(text))
}

export function offerOf({ network }: Pick<TestNetwork, 'network'>, change: Partial<Offer> = {}): Offer {
  return {
    v: 1, job: testCid(Math.random().toString()), round: 0, requester: network.peerId, addresses: [],
    market: { engine: 'wasm', hardware: 'cpu', region: 'any' },
    resources: { cores: 1, memoryBytes: GIB, diskBytes: 0 }, tasks: 1, replicas: 1, moduleBytes: 1000, inputBytes: 0, runMs: 1000,
    deadlineWallMs: Date.now() + 60_000, issuedWallMs: Date.now(), declineShare: 65_535, ...change
  }
}
