import { agreementMessageCodec } from '../../src/documents/message.ts'
import type { AgreementMessage } from '../../src/documents/message.ts'
import { MessageChannels } from '../wire/index.ts'
import type { MessageChannelsInit } from '../wire/index.ts'
import { AGREEMENT } from './constants.ts'

export { AGREEMENT } from './constants.ts'

/** What binds two peers for one job: the proposal, the answer, the end. Signatures inside are checked by whoever takes the messages. */
export function agreementChannels(init: MessageChannelsInit<AgreementMessage>): MessageChannels<AgreementMessage> {
  return new MessageChannels(AGREEMENT, agreementMessageCodec, init)
}
