import type { BidMessage } from '../../src/documents/message.ts'
import { MessageChannels } from '../wire/index.ts'
import type { MessageChannelsInit, MessageCodec } from '../wire/index.ts'
import { BID } from './constants.ts'

export { BID } from './constants.ts'

/** Offers to chosen peers, and the bids and declines that answer any offer. `codec` signs and checks: a bid can be shown to others. */
export function bidChannels(init: MessageChannelsInit<BidMessage>, codec: MessageCodec<BidMessage>): MessageChannels<BidMessage> {
  return new MessageChannels(BID, codec, init)
}
