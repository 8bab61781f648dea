import type { JobDocument, SelectionPolicyName } from '../documents/job.ts'
import type { Behaviour } from './behaviour.ts'
import { DAY_MS } from '../units.ts'
import type { ChainSpec } from './chain.ts'

/** A world as plain data: it can be generated from a seed, written down, replayed and made smaller. */
export interface Scenario {
  seed: number
  peers: PeerSpec[]
  jobs: JobSpec[]
  link: LinkSpec
  faults: Fault[]
  /** Until then faults strike; afterwards the network is clean, everybody is up, and all must settle. */
  healAtMs: number
  /** A step is durable this long after it was made, at most; effects leave only then. */
  commitMs: number
  /** Messages pass through the real codecs, so that a message that breaks its own schema is found. */
  codecs: boolean
  /** Absent: nobody pays, and there is no chain. */
  payment?: PaymentSpec
}

/** How all pay and are paid, where a peer says nothing else. Amounts are in gwei, as numbers, so that a world can be written down. */
export interface PaymentSpec {
  unitMs: number
  coreHourGwei: number
  /** Of a GiB moved: results here have a KiB. */
  movedGwei?: number
  /** Basis points. */
  holdback: number
  refund: number
  maxCostShare: number
  bondShares: number
  ticketLifeSec: number
  /** Gas of one redemption: sets the face values. */
  redemptionGwei: number
  chain: ChainSpec
}

/** What a peer owns when the world begins, and what its owner lets it sign for. */
export interface MoneySpec {
  walletGwei: number
  depositGwei: number
  bondGwei: number
  jobBondGwei: number
  jobCapGwei?: number
  dayCapGwei?: number
  /** The most paid ahead of a reveal, whatever the provider's bond. */
  maxPrepayGwei?: number
}

export const RICH: MoneySpec = { walletGwei: 1e9, depositGwei: 1e9, bondGwei: 1e9, jobBondGwei: 1e6 }

export interface PeerSpec {
  behaviour: Behaviour
  lends: boolean
  cores: number
  /** Wall clock ahead of the true time; up to 120 s either way. */
  skewMs: number
  /** Its owner's activity suspends work. */
  onlyWhenIdle: boolean
  /** In worlds that pay; absent: rich. */
  money?: MoneySpec
}

export interface JobSpec {
  requester: number
  atMs: number
  tasks: number
  quorum: number
  replicas: number
  adaptive: boolean
  spotCheckShare: number
  retries: number
  selection: SelectionPolicyName
  /** Cores a task takes. */
  cores: number
  /** How long a run takes on an ordinary host: from half as long to half as long again, and exactly so where it is `steady`. */
  runMs: number
  steady?: true
  limits: JobDocument['limits']
  /** Honest results differ in their last digits from computer to computer: they agree by a program, or each is right by a verifier. */
  compare?: 'program' | 'verifier'
  /** Liars lie in one segment of a task. */
  segments?: number
  /** Tasks whose program traps, everywhere and always. */
  failing: number[]
  cancelAtMs?: number
}

export interface LinkSpec {
  /** One way; each message takes between these. */
  minMs: number
  maxMs: number
  loss: number
  duplicate: number
  /** Messages of one protocol between two peers keep their order, as those of one stream do. */
  ordered: boolean
}

/** `keep`: of the step that the crash meets, -1 when it was not committed, else the number of effects that still left; without it the power is cut at once. */
export type Fault =
  | { kind: 'crash', atMs: number, peer: number, downMs: number, keep?: number }
  /** The same, at the nth step that this peer makes, counted from 0 over all its lives. */
  | { kind: 'crash-at-step', peer: number, step: number, downMs: number, keep: number }
  /** `side` and the others do not hear each other. */
  | { kind: 'partition', atMs: number, forMs: number, side: number[] }
  | { kind: 'sleep', atMs: number, forMs: number, peer: number }
  | { kind: 'owner', atMs: number, forMs: number, peer: number }
  | { kind: 'drain', atMs: number, peer: number, downMs: number }
  /** The last blocks never were; what was in them comes again, later, or never. */
  | { kind: 'reorganisation', atMs: number, depth: number }
  /** This peer cannot see the chain. */
  | { kind: 'chain-away', atMs: number, forMs: number, peer: number }

/** The world forgets nothing on its own: after this much quiet virtual time beyond all limits something is stuck. */
const SETTLE_MS = 30 * 60_000

/** A provider keeps what it signed for as long as a refund can be claimed: nothing happens meanwhile, so it costs nothing to wait. */
const PAID_SETTLE_MS = 8 * DAY_MS

/** When a world that has not settled is called stuck. */
export function horizonMs(scenario: Scenario): number {
  return scenario.healAtMs + Math.max(0, ...scenario.jobs.map(({ atMs, limits }) => atMs + limits.totalMs)) + (scenario.payment === undefined ? SETTLE_MS : PAID_SETTLE_MS)
}
