import type { PeerId, Startable } from '@libp2p/interface'
import { refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import type { BidMessage } from '../../src/documents/message.ts'
import { FrameChannels } from '../wire/index.ts'
import type { StreamDialer, StreamRegistrar, WireError } from '../wire/index.ts'
import { BID_CHANNEL, BID_LIMITS, BID_PROTOCOL, MAX_PEERS, OPEN_TIMEOUT_MS } from './constants.ts'

export { BID_PROTOCOL } from './constants.ts'

export interface BidInit {
  network: StreamDialer & StreamRegistrar
  /** Signs and encodes: a bid can be shown to others. */
  seal: (message: BidMessage) => Uint8Array
  /** Decodes and checks the signature of `from`. Never throws. */
  open: (raw: Uint8Array, from: string) => Result<BidMessage>
  onMessage: (from: string, message: BidMessage) => void
  /** A frame that no honest peer sends. */
  onRefused: (from: string, refusal: Refusal) => void
  /** What was sent to this peer last did not arrive. */
  onUndelivered: (peer: string, err: WireError) => void
}

/** Offers to chosen peers, and the bids and declines that answer any offer. */
export class BidProtocol implements Startable {
  readonly #init: BidInit
  #channels: FrameChannels | undefined

  constructor(init: BidInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    const { network, open, onMessage, onRefused, onUndelivered } = this.#init
    this.#channels = await FrameChannels.open({
      network, protocolId: BID_PROTOCOL, limits: BID_LIMITS, channel: BID_CHANNEL, maxPeers: MAX_PEERS, openTimeoutMs: OPEN_TIMEOUT_MS,
      events: {
        onFrame: (frame, peer) => {
          const from = peer.toString()
          const message = open(frame, from)
          if (message.ok) onMessage(from, message.value)
          else onRefused(from, message)
        },
        onUndelivered: (_frames, peer, err) => { onUndelivered(peer.toString(), err) },
        // a broken line is no fault; a frame above the cap, or in no form, is
        onError: (err, peer) => { if (err.code === 'E_FRAME_SIZE' || err.code === 'E_FRAME_MALFORMED') onRefused(peer.toString(), refuse(err.code, err.message)) }
      }
    })
  }

  async stop(): Promise<void> {
    await this.#channels?.close()
  }

  /** Queues a message; throws a WireError E_QUEUE_FULL or E_STREAM_CLOSED. */
  send(peer: PeerId, message: BidMessage): void {
    this.#channels?.send(peer, this.#init.seal(message))
  }
}
