import type { PeerId, Startable } from '@libp2p/interface'
import type { Refusal, Result } from '../../src/codec/result.ts'
import { secretListCodec, secretRequestCodec } from '../../src/documents/secrets.ts'
import type { Secret, SecretRequest } from '../../src/documents/secrets.ts'
import { HearthError } from '../../src/errors.ts'
import { handleFrames, openFrames } from '../wire/index.ts'
import type { FrameStream, HandledProtocol, StreamDialer, StreamRegistrar } from '../wire/index.ts'
import { ASK_TIMEOUT_MS, FRAME, MAX_STREAMS_PER_PEER, SECRET_LIMITS, SECRET_PROTOCOL } from './constants.ts'

export { SECRET_PROTOCOL } from './constants.ts'

/** A requester's secrets: decides whether `peer` holds that lease now. */
export type SecretSource = (peer: string, request: SecretRequest) => Promise<Result<readonly Secret[]>>

export interface SecretInit {
  network: StreamDialer & StreamRegistrar
  source: SecretSource
  /** A request that no honest peer sends. */
  onRefused: (from: string, refusal: Refusal) => void
}

/**
 * Hands a job's secrets to the provider of a lease, when it begins to run. The stream is encrypted to that provider's
 * identity key from end to end, over relays too, so nobody between reads them.
 */
export class SecretProtocol implements Startable {
  readonly #init: SecretInit
  #handled: HandledProtocol | undefined

  constructor(init: SecretInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    this.#handled = await handleFrames(this.#init.network, SECRET_PROTOCOL, SECRET_LIMITS, (frames, peer) => this.#serve(frames, peer.toString()), { maxStreamsPerPeer: MAX_STREAMS_PER_PEER })
  }

  async stop(): Promise<void> {
    await this.#handled?.stop()
  }

  /** Throws `E_SECRET_REFUSED` when the requester gives none or cannot be reached. */
  async ask(peer: PeerId, request: SecretRequest, signal: AbortSignal): Promise<readonly Secret[]> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
    try {
      return await this.#ask(peer, request, within)
    } catch (err) {
      if (err instanceof HearthError || signal.aborted) throw err
      throw new HearthError('E_SECRET_REFUSED', 'the requester could not be asked for the secrets of its job', 'It may be away for a moment: the task is tried elsewhere', { cause: err })
    }
  }

  async #ask(peer: PeerId, request: SecretRequest, within: AbortSignal): Promise<readonly Secret[]> {
    const frames = await openFrames(this.#init.network, peer, SECRET_PROTOCOL, SECRET_LIMITS, within)
    try {
      await frames.write(secretRequestCodec.encode(request), within)
      const frame = await frames.read(within)
      const answer = frame?.[0] === FRAME.secrets ? secretListCodec.decode(frame.subarray(1)) : undefined
      if (answer?.ok !== true) throw new HearthError('E_SECRET_REFUSED', 'the requester did not hand over the secrets of its job', 'It may have ended the job, or lost them: it can submit again')
      return answer.value.secrets
    } finally {
      void frames.close()
    }
  }

  async #serve(frames: FrameStream, peer: string): Promise<void> {
    const raw = await frames.read()
    if (raw === undefined) return
    const request = secretRequestCodec.decode(raw)
    if (!request.ok) this.#init.onRefused(peer, request)
    const given = request.ok ? await this.#init.source(peer, request.value) : request
    await frames.write(given.ok ? Buffer.concat([Buffer.of(FRAME.secrets), secretListCodec.encode({ v: 1, secrets: [...given.value] })]) : Buffer.of(FRAME.refused))
  }
}
