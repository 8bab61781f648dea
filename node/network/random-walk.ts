import { setTimeout as delay } from 'node:timers/promises'
import type { PeerInfo } from '@libp2p/interface'
import { SECOND_MS } from '../../src/units.ts'

/** One walk asks the DHT for a random key; two peers of a LAN answer a thousand a second. */
const STEP_MS = SECOND_MS
const MAX_STEPS = 16

interface Walker { walk: (options?: { signal?: AbortSignal }) => AsyncGenerator<PeerInfo> }

/** libp2p's components with another random walk. */
export function withWalk<T extends { randomWalk: Walker }>(components: T, make: (walker: Walker) => Walker): T {
  return new Proxy(components, {
    // looked up at each use: not all components exist yet when a service is made
    get: (target, property) => property === 'randomWalk' ? make(target.randomWalk) : Reflect.get(target, property)
  })
}

/** libp2p's own walk goes on as fast as peers answer, for as long as nothing is found: on a small network that is all of a core, for ever. */
export function calmWalk(walker: Walker): Walker {
  return {
    walk: async function * (options) {
      let steps = 0
      for await (const peer of walker.walk(options)) {
        yield peer
        if (++steps === MAX_STEPS) return
        await delay(STEP_MS, undefined, { ...options, ref: false })
      }
    }
  }
}

/** Finds nobody: relays are met as peers, not searched for. */
export function noWalk(): Walker {
  return { walk: async function * () { yield * [] } }
}
