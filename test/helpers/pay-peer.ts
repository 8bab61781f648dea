/** A peer that speaks the real protocols by hand, with a money key of its own: what tests of payment are hostile with. */
import { randomBytes } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import { separatorOf } from '../../node/chain/index.ts'
import { nodeKeys } from '../../node/keys/index.ts'
import type { NodeKeys } from '../../node/keys/index.ts'
import { openFrames } from '../../protocols/wire/index.ts'
import { PAY } from '../../protocols/pay/index.ts'
import type { Message, MessageOf } from '../../src/documents/message.ts'
import type { PayParties } from '../../src/peer.ts'
import { createTestNetwork } from './network.ts'
import type { TestNetwork } from './network.ts'
import type { BrokerChain } from './pay-chain.ts'

/** What a test waits for comes within this, or never. */
const PATIENCE_MS = 20_000
const LOOK_MS = 100

export interface Heard { from: string, message: Message }
type Box = { sign: (digest: Uint8Array) => string, parties: Map<string, PayParties> }

/** Everything that was said to it is kept, so that a test may ask for what has come already. */
export class HandPeer {
  readonly keys: NodeKeys
  readonly network: TestNetwork['network']
  readonly chain: BrokerChain
  readonly heard: Heard[] = []
  readonly #node: TestNetwork
  readonly #box: Box
  readonly #listeners = new Set<(heard: Heard) => void>()
  readonly #looks = new Set<() => void>()

  private constructor(chain: BrokerChain, keys: NodeKeys, node: TestNetwork, box: Box) {
    this.chain = chain
    this.keys = keys
    this.network = node.network
    this.#node = node
    this.#box = box
    this.network.onMessage((from, message) => {
      const heard = { from, message }
      this.heard.push(heard)
      for (const listener of this.#listeners) listener(heard)
      for (const look of this.#looks) look()
    })
    this.network.onPeer(() => { for (const look of this.#looks) look() })
  }

  static async arrive(chain: BrokerChain, addresses: readonly string[] = []): Promise<HandPeer> {
    const keys = await nodeKeys(new Uint8Array(randomBytes(32)))
    const box: Box = { sign: (digest) => keys.signMoney(digest), parties: new Map() }
    const node = await createTestNetwork({}, {
      keys: { ...keys, signMoney: (digest) => box.sign(digest) }, chainId: chain.chainId, contract: chain.contract, separator: separatorOf(chain),
      payPartiesOf: (id) => box.parties.get(id), ticketRefusal: () => undefined
    })
    const peer = new HandPeer(chain, keys, node, box)
    for (const address of addresses) await node.network.dial(address)
    return peer
  }

  get peerId(): string {
    return this.network.peerId
  }

  get agreements(): TestNetwork['agreements'] {
    return this.#node.agreements
  }

  get parties(): Map<string, PayParties> {
    return this.#box.parties
  }

  /** What the money key makes of a digest from now on; back to honesty without one. */
  signAs(sign: (digest: Uint8Array) => string = (digest) => this.keys.signMoney(digest)): void {
    this.#box.sign = sign
  }

  /** Whether this peer is connected now. */
  isConnected(peer: string): boolean {
    return this.network.peers().some((view) => view.peer === peer)
  }

  async send(to: string, message: Message): Promise<void> {
    await this.network.send(to, message)
  }

  /** Frames as they are, over a stream of the pay protocol. */
  async sendRaw(to: string, frames: readonly Uint8Array[]): Promise<void> {
    const stream = await openFrames(this.network.streams, peerIdFromString(to), PAY.protocolId, PAY.limits, AbortSignal.timeout(PATIENCE_MS))
    for (const frame of frames) await stream.write(frame)
    await stream.close()
  }

  onHeard(listener: (heard: Heard) => void): void {
    this.#listeners.add(listener)
  }

  /** The first message of a kind since `since` (an index of `heard`) for which `holds`. */
  async hears<K extends Message['kind']>(kind: K, { since = 0, holds = () => true }: { since?: number, holds?: (message: MessageOf<K>, from: string) => boolean } = {}): Promise<MessageOf<K>> {
    const isIt = ({ from, message }: Heard): boolean => message.kind === kind && holds(message as MessageOf<K>, from)
    await this.until(`a "${kind}"`, () => this.heard.slice(since).some(isIt))
    return this.heard.slice(since).find(isIt)!.message as MessageOf<K>
  }

  /** Looks again with each message, each connection made and each lost; and now and then, as a connection that is refused at once makes no event. */
  async until(what: string, holds: () => boolean, withinMs: number = PATIENCE_MS): Promise<void> {
    if (holds()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => { if (holds()) resolve() }
    const timer = setTimeout(() => { reject(new Error(`${what} did not come within ${withinMs} ms; heard ${this.heard.slice(-8).map(({ message }) => message.kind).join(', ')}`)) }, withinMs)
    const again = setInterval(look, LOOK_MS)
    this.#looks.add(look)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      clearInterval(again)
      this.#looks.delete(look)
    }
  }

  async leave(): Promise<void> {
    await this.network.stop()
  }
}
