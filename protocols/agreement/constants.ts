import { PARAMS } from '../../src/params.ts'
import { MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { MessageProtocol } from '../wire/index.ts'

export const AGREEMENT: MessageProtocol = {
  protocolId: '/hearth/agreement/1',
  limits: { maxFrameBytes: PARAMS.maxMessageBytes, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS },
  // a proposal with its first leases has a few KiB, and one pair of peers has few agreements
  channel: { maxQueuedFrames: 256, maxQueuedBytes: MIB, idleCloseMs: MINUTE_MS },
  // peers with whom agreements can be made or ended at once
  maxPeers: 512,
  // a provider that cannot be reached is told apart from one that is slow to accept
  openTimeoutMs: PARAMS.acceptWithinMs
}
