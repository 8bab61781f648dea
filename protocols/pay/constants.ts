import { KIB, MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { MessageProtocol } from '../wire/index.ts'

export const PAY: MessageProtocol = {
  protocolId: '/hearth/pay/1',
  // all open commits of an agreement in one acknowledgement
  limits: { maxFrameBytes: 48 * KIB, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS },
  // a ticket a unit and slot, and what is not heard is sent again
  channel: { maxQueuedFrames: 4096, maxQueuedBytes: 4 * MIB, idleCloseMs: 5 * MINUTE_MS },
  maxPeers: 512,
  openTimeoutMs: 5 * SECOND_MS
}
