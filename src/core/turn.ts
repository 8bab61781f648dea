import type { Hasher } from '../codec/hasher.ts'
import { toHex } from '../codec/hasher.ts'
import type { Message } from '../documents/message.ts'
import type { Effect, Notice, Step, StoredRecord, Write } from './effect.ts'
import type { Now } from './event.ts'

export const ENTROPY_BYTES = 32

/**
 * One step of a peer: the time, the luck and the hasher it was given, and the writes and effects it gathers.
 * All randomness of a step grows from the entropy of its event, so the same events give the same steps.
 */
export class Turn {
  readonly now: Now
  readonly hasher: Hasher
  readonly effects: Effect[] = []
  readonly #writes = new Map<string, Write>()
  readonly #entropy: Uint8Array
  #draws = 0

  constructor(now: Now, entropy: Uint8Array, hasher: Hasher) {
    this.now = now
    this.hasher = hasher
    this.#entropy = entropy
  }

  put(key: string, value: StoredRecord): void {
    this.#writes.set(key, { kind: 'put', key, value })
  }

  delete(key: string): void {
    this.#writes.set(key, { kind: 'delete', key })
  }

  do(effect: Effect): void {
    this.effects.push(effect)
  }

  send(to: string, message: Message): void {
    this.effects.push({ kind: 'send', to, message })
  }

  notify(notice: Notice): void {
    this.effects.push({ kind: 'notify', notice })
  }

  /** 32 fresh bytes as `0x…`, unpredictable to others as long as the entropy is. */
  nonce(): string {
    return toHex(this.#draw())
  }

  /** Uniform in [0, 1), 48 bits. */
  random(): number {
    const raw = this.#draw()
    return new DataView(raw.buffer, raw.byteOffset).getUint32(0) / 2 ** 32 + new DataView(raw.buffer, raw.byteOffset).getUint16(4) / 2 ** 48
  }

  finish(): Step {
    return { writes: [...this.#writes.values()], effects: this.effects }
  }

  #draw(): Uint8Array {
    const preimage = new Uint8Array(this.#entropy.length + 4)
    preimage.set(this.#entropy)
    new DataView(preimage.buffer).setUint32(this.#entropy.length, this.#draws++)
    return this.hasher.sha256(preimage)
  }
}
