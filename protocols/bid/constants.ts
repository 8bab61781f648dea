import { PARAMS } from '../../src/params.ts'
import { KIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import type { MessageProtocol } from '../wire/index.ts'

export const BID: MessageProtocol = {
  protocolId: '/hearth/bid/1',
  // the largest message here is an offer; with its signature and the envelope around both
  limits: { maxFrameBytes: PARAMS.maxOfferBytes + KIB, readTimeoutMs: 5 * SECOND_MS, writeTimeoutMs: 5 * SECOND_MS },
  // some rounds of tenders for some jobs at once; bids expire before a longer queue would drain
  channel: { maxQueuedFrames: 256, maxQueuedBytes: 256 * KIB, idleCloseMs: MINUTE_MS },
  // providers of a large market that answer one offer
  maxPeers: 1024,
  openTimeoutMs: 5 * SECOND_MS
}
