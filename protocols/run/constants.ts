import { PARAMS } from '../../src/params.ts'
import { MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { MessageProtocol } from '../wire/index.ts'

export const RUN: MessageProtocol = {
  protocolId: '/hearth/run/1',
  limits: { maxFrameBytes: PARAMS.maxMessageBytes, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS },
  // a thousand tasks that finish while the line stalls: five messages of a few hundred bytes each. What is dropped, timers repeat
  channel: { maxQueuedFrames: 8192, maxQueuedBytes: 4 * MIB, idleCloseMs: 5 * MINUTE_MS },
  // peers with leases at once, on both sides of them
  maxPeers: 512,
  openTimeoutMs: 5 * SECOND_MS
}
