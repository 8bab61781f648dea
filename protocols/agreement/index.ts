import type { PeerId, Startable } from '@libp2p/interface'
import { refuse } from '../../src/codec/result.ts'
import type { Refusal } from '../../src/codec/result.ts'
import { agreementMessageCodec } from '../../src/documents/message.ts'
import type { AgreementMessage } from '../../src/documents/message.ts'
import { FrameChannels } from '../wire/index.ts'
import type { StreamDialer, StreamRegistrar, WireError } from '../wire/index.ts'
import { AGREEMENT_CHANNEL, AGREEMENT_LIMITS, AGREEMENT_PROTOCOL, MAX_PEERS, OPEN_TIMEOUT_MS } from './constants.ts'

export { AGREEMENT_PROTOCOL } from './constants.ts'

export interface AgreementInit {
  network: StreamDialer & StreamRegistrar
  onMessage: (from: string, message: AgreementMessage) => void
  /** A frame that no honest peer sends. */
  onRefused: (from: string, refusal: Refusal) => void
  /** What was sent to this peer last did not arrive. */
  onUndelivered: (peer: string, err: WireError) => void
}

/** What binds two peers for one job: the proposal, the answer, the end. Signatures inside are checked by whoever takes the messages. */
export class AgreementProtocol implements Startable {
  readonly #init: AgreementInit
  #channels: FrameChannels | undefined

  constructor(init: AgreementInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    const { network, onMessage, onRefused, onUndelivered } = this.#init
    this.#channels = await FrameChannels.open({
      network, protocolId: AGREEMENT_PROTOCOL, limits: AGREEMENT_LIMITS, channel: AGREEMENT_CHANNEL, maxPeers: MAX_PEERS, openTimeoutMs: OPEN_TIMEOUT_MS,
      events: {
        onFrame: (frame, peer) => {
          const message = agreementMessageCodec.decode(frame)
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
  send(peer: PeerId, message: AgreementMessage): void {
    this.#channels?.send(peer, agreementMessageCodec.encode(message))
  }
}
