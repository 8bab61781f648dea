import type { DocumentCodec } from '../../src/codec/document.ts'
import { adCodec } from '../../src/documents/ad.ts'
import type { Agreement } from '../../src/documents/agreement.ts'
import { bidCodec, declineCodec } from '../../src/documents/bid.ts'
import type { Bid, Decline } from '../../src/documents/bid.ts'
import type { Identity } from '../../src/documents/identity.ts'
import { jobCodec } from '../../src/documents/job.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import { agreementMessageCodec, bidMessageCodec, resultRequestCodec, runMessageCodec } from '../../src/documents/message.ts'
import type { AgreementMessage, BidMessage, RunMessage } from '../../src/documents/message.ts'
import { offerCodec } from '../../src/documents/offer.ts'
import type { Offer } from '../../src/documents/offer.ts'
import type { Receipt } from '../../src/documents/receipt.ts'

/** Valid documents of every kind, small and full, as starting points. */

const CID_A = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const CID_B = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const PEER_A = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const PEER_B = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const HASH = `0x${'ab'.repeat(32)}`
const SIGNATURE = `0x${'cd'.repeat(65)}`
const ADDRESS = `0x${'12'.repeat(20)}`
const WALL_MS = 1_790_000_000_000

const identity: Identity = { peer: PEER_A, address: ADDRESS, payee: ADDRESS, peerSignature: new Uint8Array(64).fill(7), moneySignature: SIGNATURE }
const resources = { cores: 1, memoryBytes: 2 ** 28, diskBytes: 2 ** 28 }
const hardware = { cores: 7.5, memoryBytes: 2 ** 33, diskBytes: 2 ** 36, gpus: [{ vendor: 'nvidia' as const, model: 'RTX 3060', vramBytes: 12 * 2 ** 30, driver: '550.54' }] }

const smallJob: JobDocument = {
  v: 1, name: 'hello', requester: PEER_A, createdWallMs: WALL_MS, nonce: new Uint8Array(16).fill(3),
  engine: { kind: 'wasm', module: CID_A, moduleBytes: 1000 }, args: [], env: {}, inputs: [], outputs: [], resources,
  limits: { queueMs: 120_000, runMs: 600_000, totalMs: 3_600_000, logBytes: 2 ** 20 },
  replication: { quorum: 1, replicas: 1, adaptive: false, spotCheckShare: 0 }, retries: 3, selection: 'weighted', placement: {}
}
const fullJob: JobDocument = {
  ...smallJob, name: 'full', engine: { kind: 'container', image: { from: 'registry', name: 'docker.io/library/alpine', digest: `sha256:${'ab'.repeat(32)}` }, signatures: [{ signer: PEER_B, signature: new Uint8Array(64).fill(9) }], entrypoint: ['/bin/sh', '-c'], network: { allow: ['example.org'], maxBytes: 1000 }, secrets: ['login', 'token'], registrySecret: 'login' },
  args: ['--tile', '{index}', '{item.name}'], env: { LANG: 'C', A_1: 'ü' }, stdin: CID_B, outputs: ['a.png', 'sub/b'],
  inputs: [{ path: 'scene', cid: CID_B, sizeBytes: 12, kind: 'folder' }],
  map: { kind: 'files', files: [{ path: 'x/1.txt', cid: CID_A, sizeBytes: 1, kind: 'file' }, { path: 'x/2.txt', cid: CID_A, sizeBytes: 2, kind: 'file' }] },
  resources: { ...resources, cores: 2.5, gpu: { vendor: 'nvidia', model: '3060', vramBytes: 2 ** 33, count: 1 } },
  replication: { quorum: 2, replicas: 3, adaptive: true, spotCheckShare: 0.25 }, priceCapWei: 10n ** 16n,
  placement: { regions: ['eu-west'], maxLatencyMs: 100, allow: [PEER_A], deny: [PEER_B], gpuVendors: ['nvidia'] }
}
export const JOBS: JobDocument[] = [
  smallJob, fullJob,
  { ...smallJob, engine: { kind: 'container', image: { from: 'content', cid: CID_B, sizeBytes: 5000 } } },
  { ...smallJob, compare: { by: 'program', module: CID_B, moduleBytes: 7, args: ['0.01'] }, segments: 10_000 },
  { ...smallJob, compare: { by: 'verifier', module: CID_A, moduleBytes: 1, args: [] } },
  { ...smallJob, map: { kind: 'range', start: -5, end: 100, step: 7 } },
  { ...smallJob, map: { kind: 'list', items: ['a', 'b c', '\u{1f525}'] } }
]
const offer: Offer = {
  v: 1, job: CID_B, round: 2, requester: PEER_A, addresses: ['/ip4/10.0.0.1/tcp/4150'], market: { engine: 'wasm', hardware: 'cpu', region: 'any' }, resources, tasks: 64, replicas: 3,
  moduleBytes: 1000, inputBytes: 5000, runMs: 60_000, deadlineWallMs: WALL_MS, issuedWallMs: WALL_MS, priceCapWei: 5n, declineShare: 65_535
}
const bid: Bid = { v: 1, job: CID_B, round: 0, identity, slots: 4, startMs: 10, expiresWallMs: WALL_MS, hardware, region: 'eu', terms: { mode: 'free' }, taskPriceWei: 0n, bondWei: 2n ** 127n, exposureWei: 256n }
const decline: Decline = { v: 1, job: CID_B, round: 0, code: 'E_MEMORY', message: 'needs more memory than is shared', unmet: ['E_MEMORY', 'E_GPU'] }
const agreement: Agreement = {
  v: 1, job: CID_B, requester: PEER_A, provider: PEER_B, requesterAddress: ADDRESS, providerAddress: ADDRESS, payee: ADDRESS, chainId: 0, contract: ADDRESS, paramsHash: HASH, programRoot: HASH, initialRoot: HASH,
  meterVersion: 0, attempt: 1, slots: 2, taskPriceWei: 0n, terms: { mode: 'free' }, createdWallMs: WALL_MS, expiresWallMs: WALL_MS
}
const receipt: Receipt = {
  agreement: HASH, task: 3, attempt: 1, result: { status: 'exited', exitCode: -1, trap: 'E_NONE', content: CID_A, contentBytes: 77 },
  usage: { wallMs: 5, cpuMs: 4, peakMemoryBytes: 2 ** 20, fuel: 0 }, finalRoot: HASH
}
const lease = { agreement: HASH, task: 3, attempt: 1 }
const leases = [{ task: 0, attempt: 0 }, { task: 9999, attempt: 2, segment: 9999 }]

const bidMessages: BidMessage[] = [{ kind: 'offer', offer }, { kind: 'bid', bid }, { kind: 'decline', decline }]
const agreementMessages: AgreementMessage[] = [
  { kind: 'propose', agreement, identity, leases, signature: SIGNATURE }, { kind: 'agreed', agreement: HASH, signature: SIGNATURE },
  { kind: 'agreed', agreement: HASH, lots: [], exposure: { sequence: 1, ownWei: 2n ** 100n, totalWei: 2n ** 127n, expiresWallMs: WALL_MS }, signature: SIGNATURE }, { kind: 'refused', agreement: HASH, code: 'E_BUSY', message: '' },
  { kind: 'close', agreement: HASH, code: 'E_NONE', message: 'done' }, { kind: 'closed', agreement: HASH }
]
const runMessages: RunMessage[] = [
  { kind: 'lease', agreement: HASH, leases }, { kind: 'beat', agreement: HASH, running: leases, suspended: false }, { kind: 'probe', agreement: HASH },
  { kind: 'progress', ...lease, phase: 'running', fraction: 0.5 }, { kind: 'failed', ...lease, code: 'E_DISK', message: 'full' }, { kind: 'commit', ...lease, commit: HASH },
  { kind: 'closed-set', ...lease, set: { job: CID_B, task: 3, round: 0, commits: [HASH, HASH] }, signature: SIGNATURE }, { kind: 'reveal', receipt, nonce: HASH, signature: SIGNATURE }, { kind: 'reveal', receipt, nonce: HASH, signature: SIGNATURE, blocks: [new Uint8Array([1, 2, 3]), new Uint8Array()] },
  { kind: 'verdict', ...lease, verdict: 'rejected', code: 'E_WRONG', opposing: { receipt, signature: SIGNATURE } }, { kind: 'settled', ...lease }, { kind: 'cancel', agreement: HASH, leases, code: 'E_CANCELLED' }
]

/** A codec with the value type hidden, so that all can be listed together. */
export interface Sampled {
  kind: string
  maxBytes: number
  /** Canonical bytes of valid documents. */
  raws: Uint8Array[]
  /** Decodes; then, when accepted, the bytes that the accepted value encodes to. */
  roundTrip(raw: Uint8Array): { code: string } | { raw: Uint8Array }
}

function sampled<T>(codec: DocumentCodec<T>, values: T[]): Sampled {
  return {
    kind: codec.kind,
    maxBytes: codec.maxBytes,
    raws: values.map((value) => codec.encode(value)),
    roundTrip: (raw) => {
      const result = codec.decode(raw)
      return result.ok ? { raw: codec.encode(result.value) } : { code: result.code }
    }
  }
}

export const SAMPLES: Sampled[] = [
  sampled(jobCodec, JOBS),
  sampled(offerCodec, [offer]),
  sampled(adCodec, [
    { v: 1, identity, addresses: ['/ip4/1.2.3.4/tcp/1', '/ip6/::1/tcp/2'], agent: 'hearth/0.1', issuedWallMs: WALL_MS, expiresWallMs: WALL_MS, region: 'any', engines: ['wasm'], hardware, free: { cores: 0, memoryBytes: 0, diskBytes: 5, gpus: 1 }, open: true }
  ]),
  sampled(bidCodec, [bid]),
  sampled(declineCodec, [decline]),
  sampled(bidMessageCodec, bidMessages),
  sampled(agreementMessageCodec, agreementMessages),
  sampled(runMessageCodec, runMessages),
  sampled(resultRequestCodec, [{ v: 1, ...lease, follow: 'both', fromByte: 0 }])
]
