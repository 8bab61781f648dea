import type { Identity } from '../documents/identity.ts'
import type { Guests } from '../market/guests.ts'
import type { Post } from '../payment/post.ts'
import type { Histories } from '../reputation/history.ts'
import type { Outbox } from '../core/outbox.ts'
import type { Timers } from '../core/timers.ts'

/** What a peer is to others, fixed for its life. */
export interface Self {
  identity: Identity
  /** EIP-712 domain separator of the chain and contract in use; of chain 0 in free mode. 32 bytes. */
  separator: Uint8Array
  chainId: number
  contract: string
  paramsHash: string
}

/** How this node's owner asks. */
export interface RequesterSettings {
  /** How long bids are awaited when the policy wants more. */
  bidWindowMs: number
  /** Most providers of one job at once. */
  maxProviders: number
}

/** The mechanics that the machines inside one peer share. */
export interface Parts {
  self: Self
  timers: Timers
  outbox: Outbox
  histories: Histories
  guests: Guests
  /** The outbox and the turn, as the payment machines speak through them. */
  post: Post
}
