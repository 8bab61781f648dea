import { runMessageCodec } from '../../src/documents/message.ts'
import type { RunMessage } from '../../src/documents/message.ts'
import { MessageChannels } from '../wire/index.ts'
import type { MessageChannelsInit } from '../wire/index.ts'
import { RUN } from './constants.ts'

export { RUN } from './constants.ts'

/** Everything about leases while they run: both sides speak whenever they have something to say. */
export function runChannels(init: MessageChannelsInit<RunMessage>): MessageChannels<RunMessage> {
  return new MessageChannels(RUN, runMessageCodec, init)
}
