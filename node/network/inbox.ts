/** What comes before anybody listens is kept up to here: a node is wired within a second. */
const MAX_HELD = 256

/** Hands values to one handler, and keeps those that come before there is one: libp2p is up before the node around it. */
export class Inbox<T> {
  #handler: ((value: T) => void) | undefined
  #held: T[] = []

  give(value: T): void {
    if (this.#handler !== undefined) this.#handler(value)
    else if (this.#held.length < MAX_HELD) this.#held.push(value)
  }

  /** The last handler given counts. */
  take(handler: (value: T) => void): void {
    this.#handler = handler
    for (const value of this.#held.splice(0)) handler(value)
  }
}
