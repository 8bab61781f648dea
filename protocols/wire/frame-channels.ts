import { WireError } from './errors.ts'
import { FrameChannel } from './frame-channel.ts'
import { handleFrames, openFrames } from './network.ts'
import type { ChannelEvents, ChannelLimits } from './frame-channel.ts'
import type { FrameLimits } from './limits.ts'
import type { HandledProtocol, StreamDialer, StreamRegistrar } from './network.ts'
import type { PeerId } from '@libp2p/interface'

/** One each way, and one of each that is just ending. */
const MAX_STREAMS_PER_PEER = 4

export interface FrameChannelsInit {
  network: StreamDialer & StreamRegistrar
  protocolId: string
  /** `idleTimeoutMs` is not used: `idleCloseMs` closes what is idle, without losing frames. */
  limits: FrameLimits
  channel: ChannelLimits
  /** Peers with an open channel or queued frames at once. */
  maxPeers: number
  /** For dialling and negotiating one stream. */
  openTimeoutMs: number
  events: ChannelEvents
}

/** The channels of one protocol, one a peer, opened on demand by either side. */
export class FrameChannels {
  readonly #init: FrameChannelsInit
  readonly #channels = new Map<string, FrameChannel>()
  readonly #sweep: NodeJS.Timeout
  #handled: HandledProtocol | undefined
  #closed = false

  private constructor(init: FrameChannelsInit) {
    this.#init = init
    this.#sweep = setInterval(() => { this.#sweepIdle() }, Math.max(init.channel.idleCloseMs / 2, 1))
    this.#sweep.unref()
  }

  static async open(init: FrameChannelsInit): Promise<FrameChannels> {
    const channels = new FrameChannels(init)
    channels.#handled = await handleFrames(init.network, init.protocolId, channels.#limits, async (frames, peer) => {
      await channels.#channelTo(peer).accept(frames)
    }, { maxStreamsPerPeer: MAX_STREAMS_PER_PEER, maxStreams: init.maxPeers * 2 })
    return channels
  }

  /** Peers with a channel now. */
  get peers(): number {
    return this.#channels.size
  }

  /**
   * Queues a frame to `peer`; it leaves with all others of this turn. Throws WireError E_QUEUE_FULL (this peer's queue, or too many
   * peers), E_FRAME_SIZE, E_STREAM_CLOSED. A peer that cannot be reached is told of by `onUndelivered`.
   */
  send(peer: PeerId, frame: Uint8Array): void {
    if (frame.byteLength > this.#init.limits.maxFrameBytes) throw new WireError('E_FRAME_SIZE', `A frame of ${frame.byteLength} bytes is above the limit of ${this.#init.limits.maxFrameBytes}`)
    this.#channelTo(peer).send(frame)
  }

  /** Sends what is queued, as far as peers take it within the write timeout, and closes every stream. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweep)
    await Promise.all([...this.#channels.values()].map(async (channel) => { await channel.close() }))
    this.#channels.clear()
    await this.#handled?.stop()
  }

  get #limits(): FrameLimits {
    return { ...this.#init.limits, idleTimeoutMs: Number.POSITIVE_INFINITY }
  }

  #channelTo(peer: PeerId): FrameChannel {
    const key = peer.toString()
    const known = this.#channels.get(key)
    if (known !== undefined) return known
    if (this.#closed) throw new WireError('E_STREAM_CLOSED', 'The channels are closed')
    if (this.#channels.size >= this.#init.maxPeers) this.#sweepIdle()
    if (this.#channels.size >= this.#init.maxPeers) throw new WireError('E_QUEUE_FULL', `${this.#init.maxPeers} peers have a channel already`)
    const { network, protocolId, openTimeoutMs, channel, events } = this.#init
    const created = new FrameChannel(peer, { ...channel, maxBatchBytes: this.#init.limits.maxFrameBytes }, events, () => openFrames(network, peer, protocolId, this.#limits, AbortSignal.timeout(openTimeoutMs)), () => {
      // peers come and go: one that has nothing open and nothing waiting costs nothing
      if (created.empty && this.#channels.get(key) === created) this.#channels.delete(key)
    })
    this.#channels.set(key, created)
    return created
  }

  #sweepIdle(): void {
    const nowMs = performance.now()
    for (const [key, channel] of this.#channels) {
      if (channel.empty) this.#channels.delete(key)
      else channel.closeIfIdle(nowMs)
    }
  }
}
