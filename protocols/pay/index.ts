import { payMessageCodec } from '../../src/documents/pay-message.ts'
import type { PayMessage } from '../../src/documents/pay-message.ts'
import { MessageChannels } from '../wire/index.ts'
import type { MessageChannelsInit } from '../wire/index.ts'
import { PAY } from './constants.ts'

export { PAY } from './constants.ts'

/** Tickets and what is said about them, apart from the work they pay for: a stalled line of one does not hold up the other. */
export function payChannels(init: MessageChannelsInit<PayMessage>): MessageChannels<PayMessage> {
  return new MessageChannels(PAY, payMessageCodec, init)
}
