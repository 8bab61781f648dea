import { z } from 'zod'
import { ENGINES } from '../../src/documents/resources.ts'
import { imageKeyText } from '../../src/documents/image.ts'
import { MIN_TICKET_LIFE_SEC } from '../../src/documents/terms.ts'
import { MAX_IMAGES, MAX_UPLOAD_BYTES_PER_SECOND, MIN_UPLOAD_BYTES_PER_SECOND } from '../../src/documents/share.ts'
import { count, describeFields, duration, field, flag, oneOf, peer, price, reading, share, shown, size, text, word } from '../../src/job/spec-fields.ts'
import type { Vocabulary } from '../../src/job/spec-problems.ts'
import { SET_NAME } from '../../src/job/spec-schema.ts'
import { PARAMS } from '../../src/params.ts'
import { DAY_MS, HOUR_MS, MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { address, autoOr, evmAddress, hours, localPath, rateOrNone } from './fields.ts'

const MAX_ADDRESSES = 64
const MAX_PEERS = 1024
const MAX_SETS = 64
const MAX_SET_PEERS = 256
const MAX_HOURS = 32
const MAX_PROGRAMS = 128
const MAX_CONNECTIONS = 10_000
/** A day of the largest PC. */
const MAX_FREE_CORE_HOURS = 24 * PARAMS.maxCores
/** Below this not even one module and its result fit. */
const MIN_QUOTA_BYTES = 64 * MIB
const MIN_BID_WINDOW_MS = 10

export const DHT_MODES = ['auto', 'client', 'server', 'off'] as const
export const PAYMENT_MODES = ['free', 'devnet', 'chain'] as const
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const

const BOOTSTRAP_EXAMPLE = '/ip4/203.0.113.7/tcp/4150/p2p/12D3KooW…'
const peers = (max: number): z.ZodOptional<z.ZodArray<z.ZodType<string>>> => z.array(peer).max(max).optional()

const networkSchema = z.strictObject({
  port: field(count(0, 65_535), { type: 'number', meaning: 'TCP port; 0 lets the system choose', example: '4150' }),
  listen: field(z.array(address('/ip4/0.0.0.0/tcp/4150')).max(MAX_ADDRESSES).optional(), { type: 'list of multiaddrs', meaning: 'Where to listen; {port} stands for network.port', example: '[/ip4/127.0.0.1/tcp/4150]' }),
  announce: field(z.array(address('/ip4/203.0.113.7/tcp/4150')).max(MAX_ADDRESSES).optional(), { type: 'list of multiaddrs', meaning: 'Addresses that others reach this node by, such as a forwarded port, besides those found', example: '[/ip4/203.0.113.7/tcp/4150]' }),
  bootstrap: field(z.array(address(BOOTSTRAP_EXAMPLE, true)).max(MAX_ADDRESSES).optional(), { type: 'list of multiaddrs with /p2p/', meaning: 'Peers to begin with, besides those on the LAN and those met before', example: `['${BOOTSTRAP_EXAMPLE}']` }),
  mdns: field(flag, { type: 'true or false', meaning: 'Find nodes on the same LAN', example: 'false' }),
  upnp: field(flag, { type: 'true or false', meaning: 'Ask the router to forward the port', example: 'false' }),
  autonat: field(flag, { type: 'true or false', meaning: 'Let peers test whether this node can be reached', example: 'false' }),
  relayClient: field(flag, { type: 'true or false', meaning: 'Be reachable over relays when not otherwise', example: 'false' }),
  relayServer: field(flag, { type: 'true or false', meaning: 'Carry others\' connections; for hosts with a public address', example: 'true' }),
  dht: field(oneOf(DHT_MODES), { type: DHT_MODES.join(', '), meaning: 'Part in the distributed hash table: auto serves once the node can be reached', example: 'client' }),
  local: field(flag, { type: 'true or false', meaning: 'A network of private addresses only, such as a lab or one machine: they count as reachable, and many nodes may share one', example: 'true' }),
  maxConnections: field(count(1, MAX_CONNECTIONS), { type: 'number', meaning: 'Connections kept at most', example: '100' })
})

const images = z.array(reading<string>((value) => typeof value === 'string' && imageKeyText.safeParse(value).success ? { value } : { fault: 'VALUE', message: `${shown(value)} is neither a digest nor a CID`, hint: 'Write sha256: and 64 hex digits, or a CID; a name alone may be another image tomorrow' })).max(MAX_IMAGES).optional()

const shareSchema = z.strictObject({
  enabled: field(flag, { type: 'true or false', meaning: 'Lend at all; false makes a node that only sends jobs', example: 'false' }),
  cores: field(autoOr(count(0.1, PARAMS.maxCores, true)), { type: 'number or auto', meaning: 'Processor cores lent at most; auto is half of the machine\'s', example: '4' }),
  memory: field(autoOr(size(PARAMS.minMemoryBytes, PARAMS.maxMemoryBytes)), { type: 'size or auto', meaning: 'Memory lent at most; auto is a quarter of the machine\'s', example: '8 GiB' }),
  disk: field(size(0, PARAMS.maxDiskBytes), { type: 'size', meaning: 'Disk lent at most to running tasks', example: '20 GiB' }),
  gpus: field(flag, { type: 'true or false', meaning: 'Lend graphics cards', example: 'true' }),
  engines: field(z.array(oneOf(ENGINES)).max(ENGINES.length).optional(), { type: 'list', meaning: 'What kinds of programs may run', example: '[wasm]' }),
  region: field(text('a region', 32, /^[a-z0-9-]{1,32}$/, 'Write a label of a-z, 0-9 and "-", such as eu-west'), { type: 'label', meaning: 'Where this PC is, as jobs may ask for it', example: 'eu-west' }),
  maxRun: field(duration(1, PARAMS.maxRunMs), { type: 'duration', meaning: 'Longest run of one task', example: '2 h' }),
  maxInput: field(size(0, PARAMS.maxInputBytes), { type: 'size', meaning: 'Most input fetched for one task', example: '1 GiB' }),
  uploadLimit: field(rateOrNone(MIN_UPLOAD_BYTES_PER_SECOND, MAX_UPLOAD_BYTES_PER_SECOND), { type: 'speed or none', meaning: 'Most that inputs and results may take of the line outwards', example: '20 Mbps' }),
  images: field(images, { type: 'list of images', meaning: 'Container images that run here, by digest or CID', example: '["sha256:d9e853e87e55526f6b2917df91a2115c36dd7c696a35be12163d44e6e2a4b6bc"]' }),
  imageSigners: field(peers(MAX_PEERS), { type: 'list of PeerIds', meaning: 'Authors and validators you trust: images that one of them signed run here too', example: '[12D3KooW…]' }),
  denyImages: field(images, { type: 'list of images', meaning: 'Container images that never run here', example: '["sha256:d9e853e87e55526f6b2917df91a2115c36dd7c696a35be12163d44e6e2a4b6bc"]' }),
  anyImage: field(flag, { type: 'true or false', meaning: 'Run container images that are on no list, too', example: 'true' }),
  containerNetwork: field(flag, { type: 'true or false', meaning: 'Let containers reach the public domains that their jobs name, through your line', example: 'true' }),
  maxImage: field(size(0, PARAMS.maxDiskBytes), { type: 'size', meaning: 'The most that one container image may take, unpacked', example: '8 GiB' }),
  allow: field(peers(MAX_PEERS), { type: 'list of PeerIds', meaning: 'Serve only these, when there are any', example: '[12D3KooW…]' }),
  deny: field(peers(MAX_PEERS), { type: 'list of PeerIds', meaning: 'Never serve these', example: '[12D3KooW…]' }),
  hours: field(z.array(hours).max(MAX_HOURS).optional(), { type: 'list of hours', meaning: 'Work only then, in local time; always when empty', example: '["mon-fri 18:00-08:00", "sat+sun 00:00-24:00"]' }),
  onlyWhenIdle: field(flag, { type: 'true or false', meaning: 'Work only while nobody uses this PC', example: 'true' }),
  busyPrograms: field(z.array(word(128)).max(MAX_PROGRAMS).optional(), { type: 'list of texts', meaning: 'Programs that count as use while they run', example: '[factorio]' }),
  maxRequesterFaultShare: field(share, { type: 'share', meaning: 'Refuse requesters more of whose jobs failed here, after ten jobs', example: '30 %' })
})

const requesterSchema = z.strictObject({
  bidWindow: field(duration(MIN_BID_WINDOW_MS, MINUTE_MS), { type: 'duration', meaning: 'How long bids are awaited when not enough came yet', example: '3 s' }),
  keepJobs: field(duration(1, 3650 * DAY_MS), { type: 'duration', meaning: 'How long an ended job and its results are kept', example: '7 d' }),
  maxProviders: field(count(1, MAX_PEERS), { type: 'number', meaning: 'Most hosts that work on one job at once', example: '200' }),
  providerSets: field(z.record(z.string(), z.array(peer).max(MAX_SET_PEERS)).optional(), { type: 'names and lists of PeerIds', meaning: 'Sets of hosts that jobs name in placement.providers', example: '{ friends: [12D3KooW…] }' })
})

/** The configuration as people write it, all layers merged. */
export const configSchema = z.strictObject({
  dataDir: field(localPath, { type: 'path', meaning: 'The node\'s folder: keys, store, history; only its owner may read it', example: '/srv/hearth' }),
  passphraseFile: field(localPath.optional(), { type: 'path', meaning: 'A file whose first line unlocks the node\'s key', example: '~/.config/hearth.pass' }),
  network: field(networkSchema, { type: 'keys below', meaning: 'How this node meets others', example: '{ port: 4150 }' }),
  share: field(shareSchema, { type: 'keys below', meaning: 'What this PC lends; `hearth share` changes it while the node runs', example: '{ cores: 4 }' }),
  store: field(z.strictObject({
    quota: field(size(MIN_QUOTA_BYTES, PARAMS.maxDiskBytes), { type: 'size', meaning: 'Disk for modules, inputs and results; what is no longer needed goes first', example: '50 GiB' })
  }), { type: 'keys below', meaning: 'The content store', example: '{ quota: 50 GiB }' }),
  containers: field(z.strictObject({
    socket: field(localPath.optional(), { type: 'path', meaning: 'The container engine\'s socket; looked for at the usual places when not set', example: '/run/user/1000/docker.sock' }),
    quota: field(size(0, PARAMS.maxDiskBytes), { type: 'size', meaning: 'Disk for images that jobs brought, unpacked; those not used for longest go first', example: '50 GiB' }),
    localRegistries: field(z.record(z.string(), oneOf(['http', 'https'])), { type: 'addresses', meaning: 'Registries of your own network, as host:port: only these may have private addresses', example: '{ "192.168.1.5:5000": http }' })
  }), { type: 'keys below', meaning: 'Container jobs; `share engines=wasm,container` lends them', example: '{ quota: 50 GiB }' }),
  requester: field(requesterSchema, { type: 'keys below', meaning: 'How own jobs are sent', example: '{ bidWindow: 3 s }' }),
  payment: field(z.strictObject({
    mode: field(oneOf(PAYMENT_MODES), { type: PAYMENT_MODES.join(', '), meaning: 'free: nothing is paid. devnet: tickets on a local chain (`hearth devnet`). chain: tickets on any EVM chain', example: 'free' }),
    allow: field(z.union([z.literal('anyone'), peers(MAX_PEERS)]), { type: 'list of PeerIds, or anyone', meaning: 'Whom this PC serves for free beyond its own network', example: '[12D3KooW…]' }),
    rpcUrl: field(text('a URL', 2048, /^(?:https?|wss?):\/\/\S+$/, 'It begins with http:// or https://').optional(), { type: 'URL', meaning: 'JSON-RPC service of the chain', example: 'http://127.0.0.1:8545' }),
    chainId: field(count(1, Number.MAX_SAFE_INTEGER).optional(), { type: 'number', meaning: 'The chain\'s id: tickets are good on that chain alone', example: '31337' }),
    contract: field(evmAddress.optional(), { type: 'address', meaning: 'The ticket broker there', example: '"0x5fbdb2315678afecb367f032d93f642f64180aa3"' }),
    confirmations: field(count(0, 1000), { type: 'number', meaning: 'Blocks on top of one before what it says counts', example: '12' }),
    payee: field(evmAddress.optional(), { type: 'address', meaning: 'Where earnings go, such as a cold wallet; the node\'s own address when not set', example: '"0x70997970c51812dc3a010c7d01b50e0d17dc79c8"' }),
    price: field(z.strictObject({
      coreHour: field(price, { type: 'amount', meaning: 'Asked for one processor core for an hour', example: '20000 gwei' }),
      gibHour: field(price, { type: 'amount', meaning: 'Asked for one GiB of memory for an hour', example: '1000 gwei' }),
      gpuHour: field(price, { type: 'amount', meaning: 'Asked for one graphics card for an hour', example: '200000 gwei' }),
      moved: field(price, { type: 'amount', meaning: 'Asked for one GiB moved: program, inputs and results of what was accepted', example: '5000 gwei' }),
      fuel: field(price, { type: 'amount', meaning: 'Asked for 2^30 fuel of metered WebAssembly. Said in bids; no run is metered yet, so nothing is charged by it', example: '3 gwei' })
    }), { type: 'keys below', meaning: 'What this PC asks for what it lends', example: '{ coreHour: 20000 gwei }' }),
    unit: field(duration(100, HOUR_MS), { type: 'duration', meaning: 'Work that one ticket pays for, of one task: what either side risks', example: '5 s' }),
    ticketLife: field(duration(MIN_TICKET_LIFE_SEC * SECOND_MS, 90 * DAY_MS), { type: 'duration', meaning: 'How long a winning ticket can be redeemed; at most the broker\'s delay', example: '1 d' }),
    holdback: field(share, { type: 'share', meaning: 'Of the price, paid only when a result was accepted: as host the share offered, as requester the least asked', example: '30 %' }),
    refund: field(share, { type: 'share', meaning: 'Of what was paid for work that failed, given back', example: '50 %' }),
    redeemShare: field(share, { type: 'share', meaning: 'Of a winner, what its redemption may cost in gas', example: '5 %' }),
    maxFeePerGas: field(price, { type: 'amount', meaning: 'Highest price of gas that this node pays', example: '100 gwei' }),
    bondShares: field(count(1, 1024), { type: 'number', meaning: 'Agreements that may be behind the own bond at once', example: '16' }),
    maxPrepay: field(price, { type: 'amount', meaning: 'The most one provider is paid ahead of its results', example: '0.01 ether' }),
    caps: field(z.strictObject({
      job: field(price.optional(), { type: 'amount', meaning: 'The most any job may cost, unless its priceCap is lower', example: '0.1 ether' }),
      day: field(price.optional(), { type: 'amount', meaning: 'The most spent in a day', example: '1 ether' }),
      peer: field(price.optional(), { type: 'amount', meaning: 'The most paid to one provider in a day', example: '0.5 ether' })
    }), { type: 'keys below', meaning: 'What this node may spend', example: '{ day: 1 ether }' }),
    confirmAbove: field(price.optional(), { type: 'amount', meaning: 'A job that may cost more is confirmed by a person first', example: '0.05 ether' }),
    pollInterval: field(duration(10, HOUR_MS).optional(), { type: 'duration', meaning: 'How often the chain is looked at', example: '4 s' }),
    quota: field(z.number().min(0).max(MAX_FREE_CORE_HOURS), { type: 'number', meaning: 'Core-hours a day that one requester gets for free', example: '12' })
  }), { type: 'keys below', meaning: 'Payment', example: '{ mode: free }' }),
  api: field(z.strictObject({
    socket: field(localPath.optional(), { type: 'path', meaning: 'The local socket that commands use; below the data folder when not set', example: '/run/user/1000/hearth.sock' })
  }), { type: 'keys below', meaning: 'The local interface', example: '{ socket: /run/user/1000/hearth.sock }' }),
  log: field(z.strictObject({
    level: field(oneOf(LOG_LEVELS), { type: LOG_LEVELS.join(', '), meaning: 'What is written to the log', example: 'debug' })
  }), { type: 'keys below', meaning: 'The log', example: '{ level: debug }' })
})
export type ConfigFile = z.output<typeof configSchema>

export const MAX_PROVIDER_SETS = MAX_SETS
export const PROVIDER_SET_NAME = SET_NAME

export const CONFIG_VOCABULARY: Vocabulary = {
  what: 'configuration',
  synonyms: {
    datadir: 'dataDir', home: 'dataDir', ports: 'network.port', peers: 'network.bootstrap', seeds: 'network.bootstrap', nat: 'network.upnp', relay: 'network.relayServer',
    cpu: 'share.cores', cpus: 'share.cores', ram: 'share.memory', disc: 'share.disk', whitelist: 'share.allow', blacklist: 'share.deny', schedule: 'share.hours', idle: 'share.onlyWhenIdle', games: 'share.busyPrograms', upload: 'share.uploadLimit', bandwidth: 'share.uploadLimit',
    verbose: 'log.level', loglevel: 'log.level', debug: 'log.level', socket: 'api.socket', cache: 'store.quota', passphrase: 'passphraseFile', password: 'passphraseFile'
  },
  keys: describeFields(configSchema).map(({ key }) => key)
}
