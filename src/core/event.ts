import type { ErrorCode } from '../errors.ts'
import type { Account, ChainCosts } from '../documents/account.ts'
import type { Ad } from '../documents/ad.ts'
import type { JobDocument } from '../documents/job.ts'
import type { Message, RunPhase } from '../documents/message.ts'
import type { RunResult, Usage } from '../documents/receipt.ts'
import type { Hardware } from '../documents/resources.ts'
import type { SharePolicy } from '../documents/share.ts'

/** Monotonic time is for waiting, wall time for documents. */
export interface Now { monoMs: number, wallMs: number }

/** A task under an agreement, once tried: `(agreement, task, attempt)`. */
export interface LeaseId { agreement: string, task: number, attempt: number }

/** How another peer is connected: directly from one of this machine's own subnets, directly from elsewhere, or through a relay. */
export type Standing = 'local' | 'remote' | 'relayed'

/** What this PC is doing apart from us. */
export interface HostState {
  /** Keyboard, mouse or a listed program was active within the policy's quiet time. */
  ownerActive: boolean
  /** Local minutes since midnight, 0 to 1439, and weekday 0 (Sunday) to 6. */
  minuteOfDay: number
  weekday: number
  /** Free bytes on the store's disk. */
  diskFreeBytes: number
}

/** What the world tells a peer. Everything is decoded and checked; signatures hold; `from` is an authenticated PeerId. */
export type PeerEvent =
  /** First event after construction or restore. */
  | { kind: 'start', hardware: Hardware, host: HostState }
  /** The earliest timer is due. */
  | { kind: 'tick' }
  /** The machine slept for this long: deadlines in monotonic time did not pass for the peer, but did for others. */
  | { kind: 'woke', sleptMs: number }
  /** `standing`: how the sender is connected; absent when its words came by gossip from somebody who is not. */
  | { kind: 'message', from: string, message: Message, standing?: Standing }
  | { kind: 'peer-connected', peer: string }
  | { kind: 'peer-disconnected', peer: string }
  /** The dial, or the send, of a message to this peer failed; durable ones are repeated by the core's own timers. */
  | { kind: 'unreachable', peer: string }
  | { kind: 'ad', ad: Ad, latencyMs: number }
  /** An offer went to these subscribers and probed peers: those who may answer. */
  | { kind: 'offer-sent', job: string, round: number, recipients: string[] }
  | { kind: 'host', host: HostState }
  /** The owner changed what it asks or may spend: for bids and tickets from now on. What is agreed keeps its price. */
  | { kind: 'money', prices?: { coreHourWei: bigint, gibHourWei: bigint, gpuHourWei: bigint, movedWei: bigint, fuelWei: bigint }, caps?: { jobWei?: bigint, dayWei?: bigint, peerDayWei?: bigint } }
  /** The owner changed what is shared. */
  | { kind: 'share', policy: SharePolicy, hardware: Hardware }
  | { kind: 'submit', job: string, document: JobDocument }
  | { kind: 'cancel', job: string }
  | { kind: 'rate', peer: string, stars: number }
  | { kind: 'forget', job: string }
  | { kind: 'run-progress', lease: LeaseId, phase: RunPhase, fraction: number }
  | { kind: 'run-finished', lease: LeaseId, result: RunResult, usage: Usage }
  | { kind: 'run-failed', lease: LeaseId, code: ErrorCode, message: string }
  /** The content of an accepted result is here in full, or could not be had from any of its providers. */
  | { kind: 'result-fetched', job: string, task: number, content: string }
  | { kind: 'result-lost', job: string, task: number, content: string, code: ErrorCode }
  /** What became of a `compare` effect. */
  | { kind: 'compared', job: string, task: number, opinion: string, /** As it was asked. */ against: string[], outcome: Comparison }
  | { kind: 'draining' }
  /** What the chain holds of somebody, as of a confirmed block; undefined while it cannot be seen. */
  | { kind: 'account', address: string, account: Account | undefined }
  | { kind: 'chain-costs', costs: ChainCosts }
  /** A winner was paid beyond any reorganisation, or never will be. */
  | { kind: 'redeemed', agreement: string, index: number, paid: boolean }

export type Comparison =
  /** The fresh result equals this one. */
  | { kind: 'same', as: string }
  /** It equals none. `segment`: the first in which it differs from the first that it was held against, where that is known. */
  | { kind: 'other', segment?: number, /** The job's program could not say of one of them, though each is readable: by this message. */ doubt?: string }
  /** What a verifier said. */
  | { kind: 'right' }
  | { kind: 'wrong' }
  /** The job's program could not say of these results, whatever they are held against: it ended otherwise than it should, by `message`. */
  | { kind: 'unsure', opinions: string[], message: string }
  /** The comparison itself is at fault, whatever it is given. */
  | { kind: 'broken', message: string }
  /** This result could not be had from any of its providers. */
  | { kind: 'lost', opinion: string }

export type EventOf<K extends PeerEvent['kind']> = Extract<PeerEvent, { kind: K }>
