/** The market's rules: who fits, who declines and why, who is chosen. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { HostState } from '../../src/core/event.ts'
import type { Bid } from '../../src/documents/bid.ts'
import type { Offer } from '../../src/documents/offer.ts'
import type { Hardware } from '../../src/documents/resources.ts'
import { imageUnmet } from '../../src/market/images.ts'
import { NO_CONTAINERS } from '../../src/documents/share.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { decideBid } from '../../src/market/bidding.ts'
import type { HostView } from '../../src/market/bidding.ts'
import { Capacity } from '../../src/market/capacity.ts'
import { unmetResources } from '../../src/market/fit.ts'
import { rank, SELECTION } from '../../src/market/selection.ts'
import type { Candidate } from '../../src/market/selection.ts'
import { Refusals, Tender } from '../../src/market/tender.ts'
import { Random } from '../../src/sim/random.ts'
import { peerIdOf } from '../../src/sim/computer.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const hardware: Hardware = { cores: 4, memoryBytes: 4 * GIB, diskBytes: 10 * GIB, gpus: [{ vendor: 'nvidia', model: 'GeForce RTX 3060', vramBytes: 12 * GIB, driver: '550' }] }
const policy: SharePolicy = {
  enabled: true, paused: false, cores: 4, memoryBytes: 4 * GIB, diskBytes: 10 * GIB, gpus: true, engines: ['wasm'], region: 'eu-west', maxRunMs: 3_600_000, maxInputBytes: GIB,
  allow: [], deny: [], hours: [], onlyWhenIdle: false, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 0.5
}
const host: HostState = { ownerActive: false, minuteOfDay: 12 * 60, weekday: 3, diskFreeBytes: 100 * GIB }
const history = { v: 1 as const, peer: 'p', completed: 0, failed: 0, late: 0, wrong: 0, consecutiveValid: 0, served: 0, faulty: 0, stars: 0, updatedWallMs: 0 }
const offer: Offer = {
  v: 1, job: 'job', round: 1, requester: peerIdOf(1), addresses: [], market: { engine: 'wasm', hardware: 'cpu', region: 'any' },
  resources: { cores: 1, memoryBytes: 512 * MIB, diskBytes: GIB }, tasks: 10, replicas: 1, moduleBytes: MIB, inputBytes: MIB, runMs: 60_000, deadlineWallMs: 1, issuedWallMs: 0, declineShare: 65_535
}

function view(change: { policy?: Partial<SharePolicy>, host?: Partial<HostState>, history?: Partial<typeof history>, draining?: boolean, capacity?: Capacity } = {}): HostView {
  return { policy: { ...policy, ...change.policy }, host: { ...host, ...change.host }, history: { ...history, ...change.history }, draining: change.draining ?? false, capacity: change.capacity ?? new Capacity(hardware) }
}

const full = new Capacity(hardware)
full.reserve('other', 4, offer.resources)

const DECLINES: [name: string, code: string, offer: Partial<Offer>, view: HostView][] = [
  ['it lends nothing', 'E_HOST_NOT_SHARING', {}, view({ policy: { enabled: false } })],
  ['its owner pressed pause', 'E_HOST_PAUSED', {}, view({ policy: { paused: true } })],
  ['it shuts down', 'E_HOST_DRAINING', {}, view({ draining: true })],
  ['its owner is there', 'E_HOST_ACTIVE', {}, view({ policy: { onlyWhenIdle: true }, host: { ownerActive: true } })],
  ['it is outside its hours', 'E_HOST_HOURS', {}, view({ policy: { hours: [{ fromMinute: 22 * 60, toMinute: 7 * 60 }] } })],
  ['the requester is denied', 'E_HOST_DENIES', {}, view({ policy: { deny: [peerIdOf(1)] } })],
  ['the requester is not among those allowed', 'E_HOST_DENIES', {}, view({ policy: { allow: [peerIdOf(2)] } })],
  ['the requester\'s programs keep failing', 'E_HOST_HISTORY', {}, view({ history: { served: 20, faulty: 15 } })],
  ['it has no such engine', 'E_FIT_ENGINE', { market: { ...offer.market, engine: 'container' } }, view()],
  ['it is elsewhere', 'E_FIT_REGION', { market: { ...offer.market, region: 'us-east' } }, view()],
  ['the run may take too long', 'E_FIT_RUN_TIME', { runMs: 7_200_000 }, view()],
  ['the input is too large', 'E_FIT_INPUT', { inputBytes: 2 * GIB }, view()],
  ['it lacks cores', 'E_FIT_CORES', { resources: { ...offer.resources, cores: 8 } }, view()],
  ['it lacks memory', 'E_FIT_MEMORY', { resources: { ...offer.resources, memoryBytes: 8 * GIB } }, view()],
  ['it lends too little disk', 'E_FIT_DISK', { resources: { ...offer.resources, diskBytes: 20 * GIB } }, view()],
  ['its disk is full', 'E_FIT_DISK', {}, view({ host: { diskFreeBytes: 100 } })],
  ['it has no such card', 'E_FIT_GPU', { resources: { ...offer.resources, gpu: { vendor: 'amd', vramBytes: 0, count: 1 } } }, view()],
  ['it has no room now', 'E_HOST_BUSY', {}, view({ capacity: full })]
]

for (const [name, code, change, side] of DECLINES) {
  test(`a host declines when ${name}: ${code}`, () => {
    const decision = decideBid({ ...offer, ...change }, side)
    assert.is(decision.kind, 'decline')
    if (decision.kind !== 'decline') return
    assert.is(decision.code, code)
    assert.ok(decision.message.length > 5)
    assert.equal(decision.unmet, [code])
  })
}

test('a host that fits bids for as many tasks as fit at once', () => {
  assert.equal(decideBid(offer, view()), { kind: 'bid', slots: 4 })
  assert.equal(decideBid({ ...offer, tasks: 2 }, view()), { kind: 'bid', slots: 2 })
})

test('every unmet requirement is listed, so that the one that keeps everybody away can be found', () => {
  const decision = decideBid({ ...offer, resources: { ...offer.resources, cores: 8, memoryBytes: 8 * GIB } }, view())
  assert.equal(decision.kind === 'decline' && decision.unmet, ['E_FIT_CORES', 'E_FIT_MEMORY'])
  const refusals = new Refusals()
  refusals.add('a', 'E_FIT_CORES', 'needs 8 cores', ['E_FIT_CORES', 'E_FIT_MEMORY'])
  refusals.add('b', 'E_FIT_MEMORY', 'needs 8 GiB', ['E_FIT_MEMORY'])
  assert.equal(refusals.missing().map(({ code, peers, onlyThis }) => [code, peers, onlyThis]), [['E_FIT_MEMORY', 2, 1], ['E_FIT_CORES', 1, 0]])
})

test('hours that span midnight belong to the day on which they begin', () => {
  const friday = [{ days: [5], fromMinute: 22 * 60, toMinute: 7 * 60 }]
  const at = (weekday: number, minuteOfDay: number): string => decideBid(offer, view({ policy: { hours: friday }, host: { weekday, minuteOfDay } })).kind
  assert.is(at(5, 23 * 60), 'bid')
  assert.is(at(6, 3 * 60), 'bid')
  assert.is(at(6, 23 * 60), 'decline')
  assert.is(at(5, 3 * 60), 'decline')
})

test('a card is matched by vendor, part of its name, memory and number', () => {
  const wants = (gpu: NonNullable<Offer['resources']['gpu']>): number => unmetResources({ ...offer.resources, gpu }, hardware).length
  assert.is(wants({ vendor: 'nvidia', model: 'rtx 3060', vramBytes: 8 * GIB, count: 1 }), 0)
  assert.is(wants({ model: 'RTX 4090', vramBytes: 0, count: 1 }), 1)
  assert.is(wants({ vramBytes: 24 * GIB, count: 1 }), 1)
  assert.is(wants({ vramBytes: 0, count: 2 }), 1)
})

test('a bid is declined with the card that is missing, whether there is none or another job has it', () => {
  const wanted = { ...offer, resources: { ...offer.resources, gpu: { vramBytes: 12 * GIB, count: 1 } } }
  const capacity = new Capacity(hardware)
  assert.equal(decideBid(wanted, view({ capacity })), { kind: 'bid', slots: 1 })
  capacity.reserve('first', 1, wanted.resources)
  assert.equal(decideBid(wanted, view({ capacity })), { kind: 'decline', code: 'E_HOST_BUSY', message: 'has no room now; 1 GPU (12 GiB VRAM) wanted, no GPU free', unmet: ['E_HOST_BUSY'] })
  const without = new Capacity({ ...hardware, gpus: [] })
  assert.equal(decideBid(wanted, view({ capacity: without })), { kind: 'decline', code: 'E_FIT_GPU', message: 'needs 1 GPU (12 GiB VRAM), has no GPU', unmet: ['E_FIT_GPU'] })
})

test('reservations never exceed what is lent, whatever comes and goes', () => {
  const random = new Random(3)
  const capacity = new Capacity(hardware)
  const held = new Map<string, { slots: number, cores: number, memoryBytes: number }>()
  for (let i = 0; i < 5000; i++) {
    const each = { cores: random.below(4) + 1, memoryBytes: (random.below(2048) + 1) * MIB, diskBytes: 0 }
    const slots = capacity.slotsFor(each)
    if (slots > 0 && random.chance(0.6)) { capacity.reserve(`a${i}`, slots, each); held.set(`a${i}`, { slots, ...each }) }
    const [first] = held.keys()
    if (first !== undefined && random.chance(0.5)) { capacity.release(first); held.delete(first) }
    let [cores, memoryBytes] = [0, 0]
    for (const row of held.values()) { cores += row.slots * row.cores; memoryBytes += row.slots * row.memoryBytes }
    assert.ok(cores <= hardware.cores && memoryBytes <= hardware.memoryBytes)
  }
})

function candidate(name: number, change: Partial<Candidate> & { priceWei?: bigint } = {}): Candidate {
  const bid = { identity: { peer: peerIdOf(name) }, startMs: 0, taskPriceWei: change.priceWei ?? 0n } as Bid
  return { bid, latencyMs: 10, reputation: 0.5, luck: 0.5, ...change }
}

const first = (name: 'weighted' | 'cheapest' | 'fastest' | 'random', all: Candidate[]): string | undefined => rank(SELECTION[name], all)[0]?.bid.identity.peer

test('each selection policy puts its own first', () => {
  assert.is(first('cheapest', [candidate(1, { priceWei: 5n }), candidate(2, { priceWei: 3n })]), peerIdOf(2))
  assert.is(first('fastest', [candidate(1, { latencyMs: 80 }), candidate(2, { latencyMs: 8 })]), peerIdOf(2))
  assert.is(first('weighted', [candidate(1, { reputation: 0.2 }), candidate(2, { reputation: 0.9 })]), peerIdOf(2))
})

test('random selection is fair among those that fit, however rich they are', () => {
  const random = new Random(5)
  const [n, hosts] = [20_000, 5]
  const wins = new Map<string, number>()
  for (let i = 0; i < n; i++) {
    const all = Array.from({ length: hosts }, (_, k) => candidate(k, { luck: random.float(), latencyMs: k * 50, reputation: k / hosts }))
    const winner = first('random', all) ?? ''
    wins.set(winner, (wins.get(winner) ?? 0) + 1)
  }
  const p = 1 / hosts
  for (const won of wins.values()) assert.ok(Math.abs(won - n * p) <= 5 * Math.sqrt(n * p * (1 - p)), `${won} of ${n}`)
})

test('a bid window closes early when the policy has what it needs, or everybody answered', () => {
  const bid = (name: number): { bid: Bid, untilMonoMs: number } => ({ bid: { identity: { peer: peerIdOf(name) } } as Bid, untilMonoMs: 30_000 })
  const tender = new Tender(1)
  tender.asks([1, 2, 3, 4].map(peerIdOf))
  tender.bid(bid(1))
  assert.ok(tender.complete(SELECTION.fastest, 1))
  assert.not(tender.complete(SELECTION.weighted, 1))
  assert.not(tender.complete(SELECTION.cheapest, 1))
  tender.bid(bid(2))
  assert.ok(tender.complete(SELECTION.weighted, 1))
  tender.declined(peerIdOf(3))
  tender.gone(peerIdOf(4))
  assert.ok(tender.complete(SELECTION.cheapest, 1))
})

test('what a container writes lies in memory: a host that lends less than both together declines', () => {
  const container = { image: { from: 'registry' as const, name: 'alpine', digest: `sha256:${'a1'.repeat(32)}` } }
  const bid = (memoryBytes: number, diskBytes: number): string => {
    const offered = { ...offer, market: { ...offer.market, engine: 'container' as const }, container, resources: { cores: 1, memoryBytes, diskBytes } }
    const decision = decideBid(offered, { ...view(), policy: { ...policy, engines: ['container'], anyImage: true } })
    return decision.kind === 'bid' ? `${decision.slots}` : decision.code
  }
  assert.is(bid(GIB, GIB), '1')
  assert.is(bid(2 * GIB, GIB), '1')
  assert.is(bid(2 * GIB, 2 * GIB), 'E_FIT_MEMORY')
  const large = { ...offer, market: { ...offer.market, engine: 'container' as const }, container, resources: { cores: 1, memoryBytes: MIB, diskBytes: 0 }, inputBytes: 6 * GIB }
  const decision = decideBid(large, { ...view(), policy: { ...policy, engines: ['container'], anyImage: true, maxInputBytes: 100 * GIB } })
  assert.is(decision.kind === 'bid' ? decision.slots : decision.code, 1, 'each has a copy of its inputs on the disk')
})

const DIGEST = `sha256:${'a1'.repeat(32)}`
const OTHER = `sha256:${'b2'.repeat(32)}`
const AUTHOR = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const signed = { signer: AUTHOR, signature: new Uint8Array(64) }
const listed = { from: 'registry' as const, name: 'alpine', digest: DIGEST }
const archive = { from: 'content' as const, cid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', sizeBytes: 5000 }

const images: [what: string, change: Partial<SharePolicy>, container: NonNullable<Offer['container']>, codes: string[]][] = [
  ['on no list stays away', {}, { image: listed }, ['E_IMAGE_UNLISTED']],
  ['listed by its digest runs, whatever it is called', { images: [DIGEST] }, { image: { ...listed, name: 'evil.example/x' } }, []],
  ['another digest of a listed name stays away', { images: [OTHER] }, { image: listed }, ['E_IMAGE_UNLISTED']],
  ['an archive listed by its CID runs', { images: [archive.cid] }, { image: archive }, []],
  ['signed by somebody trusted runs', { imageSigners: [AUTHOR] }, { image: listed, signatures: [signed] }, []],
  ['signed by somebody unknown stays away', {}, { image: listed, signatures: [signed] }, ['E_IMAGE_UNLISTED']],
  ['denied stays away, whoever signed it and though all may run', { anyImage: true, denyImages: [DIGEST], imageSigners: [AUTHOR] }, { image: listed, signatures: [signed] }, ['E_IMAGE_DENIED']],
  ['on no list runs where the owner says so', { anyImage: true }, { image: listed }, []],
  ['that wants a network stays away where none is lent', { anyImage: true }, { image: listed, networkBytes: 10 }, ['E_FIT_NETWORK']],
  ['that wants a network runs where one is lent', { anyImage: true, containerNetwork: true }, { image: listed, networkBytes: 10 }, []],
  ['too large for the owner stays away', { anyImage: true, maxImageBytes: 4999 }, { image: archive }, ['E_FIT_IMAGE']]
]
for (const [what, change, container, codes] of images) {
  test(`an image ${what}`, () => {
    assert.equal(imageUnmet(container, { ...NO_CONTAINERS, maxImageBytes: 10_000, ...change }).map(({ code }) => code), codes)
  })
}

test.run()
