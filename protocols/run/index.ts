import type { PeerId, Startable } from '@libp2p/interface'
import { refuse } from '../../src/codec/result.ts'
import type { Refusal } from '../../src/codec/result.ts'
import { runMessageCodec } from '../../src/documents/message.ts'
import type { RunMessage } from '../../src/documents/message.ts'
import { FrameChannels } from '../wire/index.ts'
import type { StreamDialer, StreamRegistrar, WireError } from '../wire/index.ts'
import { RUN_CHANNEL, RUN_LIMITS, RUN_PROTOCOL, MAX_PEERS, OPEN_TIMEOUT_MS } from './constants.ts'

export { RUN_PROTOCOL } from './constants.ts'

export interface RunInit {
  network: StreamDialer & StreamRegistrar
  onMessage: (from: string, message: RunMessage) => void
  /** A frame that no honest peer sends. */
  onRefused: (from: string, refusal: Refusal) => void
  /** What was sent to this peer last did not arrive. */
  onUndelivered: (peer: string, err: WireError) => void
}

/** Everything about leases while they run: both sides speak whenever they have something to say. */
export class RunProtocol implements Startable {
  readonly #init: RunInit
  #channels: FrameChannels | undefined

  constructor(init: RunInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    const { network, onMessage, onRefused, onUndelivered } = this.#init
    this.#channels = await FrameChannels.open({
      network, protocolId: RUN_PROTOCOL, limits: RUN_LIMITS, channel: RUN_CHANNEL, maxPeers: MAX_PEERS, openTimeoutMs: OPEN_TIMEOUT_MS,
      events: {
        onFrame: (frame, peer) => {
          const message = runMessageCodec.decode(frame)
          if (message.ok) onMessage(peer.toString(), message.value)
          else onRefused(peer.toString(), message)
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
  send(peer: PeerId, message: RunMessage): void {
    this.#channels?.send(peer, runMessageCodec.encode(message))
  }
}
