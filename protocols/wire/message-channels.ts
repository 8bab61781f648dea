import type { PeerId, Startable } from '@libp2p/interface'
import { refuse } from '../../src/codec/result.ts'
import type { Refusal, Result } from '../../src/codec/result.ts'
import type { WireError, WireErrorCode } from './errors.ts'
import { FrameChannels } from './frame-channels.ts'
import type { FrameChannelsInit } from './frame-channels.ts'

/** A broken line is no fault of the peer's; a frame above the cap, or in no form, is. */
const FAULTS = new Set<WireErrorCode>(['E_FRAME_SIZE', 'E_FRAME_MALFORMED'])

/** The constants of a protocol that carries messages, one a frame. */
export type MessageProtocol = Readonly<Pick<FrameChannelsInit, 'protocolId' | 'limits' | 'channel' | 'maxPeers' | 'openTimeoutMs'>>

/** A document codec is one; so is what signs and checks on top of it. */
export interface MessageCodec<T> {
  encode: (message: T) => Uint8Array
  /** Never throws. `from` is authenticated by its connection. */
  decode: (raw: Uint8Array, from: string) => Result<T>
}

export interface MessageChannelsInit<T> {
  network: FrameChannelsInit['network']
  onMessage: (from: string, message: T) => void
  /** A frame that no honest peer sends. */
  onRefused: (from: string, refusal: Refusal) => void
  /** What was sent to this peer last did not arrive. */
  onUndelivered: (peer: string, err: WireError) => void
}

/** Decoded messages of one protocol to and from many peers, over one long-lived channel a peer. Both sides speak whenever they have something to say. */
export class MessageChannels<T> implements Startable {
  readonly #protocol: MessageProtocol
  readonly #codec: MessageCodec<T>
  readonly #init: MessageChannelsInit<T>
  #channels: FrameChannels | undefined

  constructor(protocol: MessageProtocol, codec: MessageCodec<T>, init: MessageChannelsInit<T>) {
    this.#protocol = protocol
    this.#codec = codec
    this.#init = init
  }

  async start(): Promise<void> {
    const { network, onMessage, onRefused, onUndelivered } = this.#init
    this.#channels = await FrameChannels.open({
      ...this.#protocol, network,
      events: {
        onFrame: (frame, peer) => {
          const from = peer.toString()
          const message = this.#codec.decode(frame, from)
          if (message.ok) onMessage(from, message.value)
          else onRefused(from, message)
        },
        onUndelivered: (_frames, peer, err) => { onUndelivered(peer.toString(), err) },
        onError: (err, peer) => { if (FAULTS.has(err.code)) onRefused(peer.toString(), refuse(err.code, err.message)) }
      }
    })
  }

  async stop(): Promise<void> {
    await this.#channels?.close()
  }

  /** Peers with a channel now. */
  get peers(): number {
    return this.#channels?.peers ?? 0
  }

  /** Queues a message; throws a WireError E_QUEUE_FULL or E_STREAM_CLOSED. Before `start` nothing is sent. */
  send(peer: PeerId, message: T): void {
    this.#channels?.send(peer, this.#codec.encode(message))
  }
}
