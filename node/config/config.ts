import type { Prices } from '../../src/payment/prices.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import type { DHT_MODES, LOG_LEVELS } from './schema.ts'

/** The chain, and how this node asks and pays on it. Amounts are wei, shares basis points. */
export interface ChainConfig {
  readonly rpcUrl: string
  readonly chainId: number
  readonly contract: string
  readonly confirmations: number
  readonly payee?: string
  readonly prices: Readonly<Prices>
  readonly unitMs: number
  readonly ticketLifeSec: number
  readonly holdback: number
  readonly refund: number
  /** 0 to 1. */
  readonly redeemShare: number
  readonly maxFeePerGasWei: bigint
  readonly bondShares: number
  readonly maxPrepayWei: bigint
  readonly caps: { readonly jobWei?: bigint, readonly dayWei?: bigint, readonly peerDayWei?: bigint }
  readonly confirmAboveWei?: bigint
  readonly pollMs?: number
}

/** Whom a free node serves stands beside the mode: it is read in every one. */
export type PaymentConfig = {
  readonly allow: readonly string[] | 'anyone'
  /** Core-milliseconds a day that one requester gets for free. */
  readonly quotaCoreMs: number
} & ({ readonly mode: 'free' } | { readonly mode: 'devnet' | 'chain', readonly chain: ChainConfig })

/** The checked, frozen configuration of a node. Units are parsed, paths absolute, `auto` replaced by what it came to. */
export interface Config {
  /** Absolute. */
  readonly dataDir: string
  readonly passphraseFile?: string
  readonly network: {
    readonly port: number
    /** Multiaddrs, the port filled in. */
    readonly listen: readonly string[]
    readonly announce: readonly string[]
    readonly bootstrap: readonly string[]
    readonly mdns: boolean
    readonly upnp: boolean
    readonly autonat: boolean
    readonly relayClient: boolean
    readonly relayServer: boolean
    readonly dht: typeof DHT_MODES[number]
    /** Private addresses count as reachable, many nodes may share one, inbound limits are raised. */
    readonly local: boolean
    readonly maxConnections: number
  }
  /** The first policy of a new node; what the owner saves with `share` wins over it. */
  readonly share: SharePolicy
  readonly store: { readonly quotaBytes: number }
  readonly containers: { readonly socketPath?: string, readonly quotaBytes: number, readonly localRegistries: Readonly<Record<string, 'http' | 'https'>> }
  readonly requester: {
    readonly bidWindowMs: number
    readonly maxProviders: number
    /** Ended jobs are forgotten after this, with what is kept for them. */
    readonly keepJobsMs: number
    readonly providerSets: Readonly<Record<string, readonly string[]>>
  }
  readonly payment: PaymentConfig
  /** Absolute; absent: the place that follows from `dataDir`. */
  readonly api: { readonly socket?: string }
  readonly log: { readonly level: typeof LOG_LEVELS[number] }
}

/** What `auto` and `~` depend on. */
export interface Machine {
  cores: number
  memoryBytes: number
  homeDir: string
  /** Where relative paths of options and variables begin. */
  cwd: string
}
