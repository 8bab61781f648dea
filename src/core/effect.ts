import type { ErrorCode } from '../errors.ts'
import type { Message } from '../documents/message.ts'
import type { JobDocument } from '../documents/job.ts'
import type { Offer } from '../documents/offer.ts'
import type { Winner } from '../documents/ticket.ts'
import type { LeaseId } from './event.ts'

/**
 * What a peer asks its driver to do. Effects leave only after the writes of the same event are committed. Each may be
 * repeated after a crash, so doing it twice must equal doing it once; `key` names it where that takes remembering.
 */
export type Effect =
  /** Sign what needs signing and deliver over the protocol of the message's kind; dial when not connected. */
  | { kind: 'send', to: string, message: Message }
  /** Gossip on the offer's sub-market topic, and probe providers found in the DHT when the market is large. */
  | { kind: 'publish-offer', offer: Offer, /** Send to these directly instead of gossip. */ only?: string[] }
  /** Take the ad's variable facts into the next signed ad, and announce the class keys. */
  | { kind: 'advertise', open: boolean, free: { cores: number, memoryBytes: number, diskBytes: number, gpus: number } }
  | { kind: 'find-ads', engine: 'wasm' | 'container', hardware: 'cpu' | 'gpu', regions: string[] }
  /** Fetch module and inputs from the requester, check hashes, run, store the result; ends in `run-finished` or `run-failed`. */
  | { kind: 'run', lease: LeaseId, job: string, requester: string, /** Only this part of the task. */ segment?: number, /** What was agreed to; a job document that asks for more is refused. */ offer: Offer }
  /** Get what queued leases will need ahead of their slots, or of their first ticket. Nothing runs by it. */
  | { kind: 'prefetch', job: string, requester: string, agreement: string, offer: Offer, tasks: number[] }
  | { kind: 'stop-run', lease: LeaseId, code: ErrorCode }
  | { kind: 'suspend-runs', suspend: boolean }
  /** Pull a result's content from any of these into the store. */
  | { kind: 'fetch-result', job: string, task: number, content: string, contentBytes: number, from: { peer: string, agreement: string, attempt: number }[] }
  /**
   * Bring these results from their providers and say which of `against`, in this order, the fresh one equals, by the job's
   * rule; of a job with a verifier, whether it is right. Ends in `compared`. Asked again while the answer is awaited.
   */
  | { kind: 'compare', job: string, document: JobDocument, task: number, fresh: Shown, against: Shown[] }
  /** A provider's result that nobody may read any more. */
  | { kind: 'release-result', lease: LeaseId, content: string }
  /** Nobody works for this requester's job any more, or its own requester forgets it. */
  | { kind: 'release-job', job: string, requester: string }
  /** Hold a run where it is, or let it go on: its requester does not pay, or pays again. */
  | { kind: 'hold-run', lease: LeaseId, held: boolean }
  /** Follow an account on the chain; what it holds comes as `account` events. */
  | { kind: 'watch-account', address: string }
  /** Redeem a winner before it expires; `redeemed` tells when that is beyond any reorganisation. */
  | { kind: 'redeem', winner: Winner }
  /** Tell people and API clients; never needed for correctness. */
  | { kind: 'notify', notice: Notice }

/** A result that was revealed: its opinion is what it is called by, and these have it. */
export interface Shown { opinion: string, content: string, contentBytes: number, /** Only this part of the task was run. */ segment?: number, from: { peer: string, agreement: string, attempt: number }[] }

export type EffectOf<K extends Effect['kind']> = Extract<Effect, { kind: K }>

/** One line of a job's timeline. Codes are stable; text is for people. */
export type Notice =
  | { kind: 'job', job: string, state: 'tendering' | 'running' | 'done' | 'failed' | 'cancelled', code: ErrorCode, message: string }
  | { kind: 'tender', job: string, round: number, asked: number, bids: number, declines: number }
  | { kind: 'bid', job: string, peer: string }
  | { kind: 'decline', job: string, peer: string, code: ErrorCode, message: string }
  | { kind: 'agreement', job: string, peer: string, state: 'proposed' | 'active' | 'refused' | 'closed', code: ErrorCode, message: string }
  | { kind: 'task', job: string, task: number, state: 'leased' | 'running' | 'committed' | 'revealed' | 'done' | 'failed' | 'retry', peer: string, code: ErrorCode, message: string, fraction?: number }
  /** What a task gave on one provider's word, before the vote. */
  | { kind: 'early', job: string, task: number, peer: string, agreement: string, content: string, contentBytes: number, exitCode: number }
  | { kind: 'caught', job: string, task: number, peer: string, message: string }
  | { kind: 'hosting', job: string, requester: string, task: number, state: 'accepted' | 'running' | 'finished' | 'failed' | 'settled', code: ErrorCode, message: string }
  /** A ticket of this requester won: its face value is ours once it is redeemed. */
  | { kind: 'won', job: string, requester: string, faceValueWei: string }
  /** Money apart from a ticket's draw, told by the node around the core; `job` is empty where it is of none. Amounts are wei. */
  | { kind: 'money', job: string, state: 'redeemed' | 'lost' | 'unpaid' | 'cap' | 'chain-down' | 'chain-up' | 'problem', code: ErrorCode, message: string, amountWei?: string }

/** Stored records, by key. A value is plain data with its schema version `v`. */
export type Write = { kind: 'put', key: string, value: StoredRecord } | { kind: 'delete', key: string }
export type StoredRecord = { v: number } & { [field: string]: unknown }
export interface Step { writes: Write[], effects: Effect[] }

/** No error: the code of a line that reports success. */
export const OK: ErrorCode = 'E_NONE'
