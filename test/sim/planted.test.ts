/** A checker that cannot fail is no checker: each is shown a bug of its kind, planted in the real peer or its driver. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Step } from '../../src/core/effect.ts'
import type { Now, PeerEvent } from '../../src/core/event.ts'
import { Outbox } from '../../src/core/outbox.ts'
import { Peer } from '../../src/peer.ts'
import type { PeerOptions } from '../../src/peer.ts'
import { peerIdOf } from '../../src/sim/computer.ts'
import { cidOf } from '../../src/sim/truth.ts'
import type { WorldOptions } from '../../src/sim/world.ts'
import { runSeed } from './explore.ts'

/** A planted bug shows in most worlds of its kind; none is needed beyond this. */
const MAX_SEEDS = 40
const test = suite('planted bugs')

type Plant = Omit<WorldOptions, 'checkers'>

/** A peer whose steps are tampered with. */
function tampered(tamper: (step: Step, event: PeerEvent, entropy: Uint8Array) => Step, before: (event: PeerEvent) => PeerEvent = (event) => event): Plant {
  class Tampered extends Peer {
    override handle(event: PeerEvent, now: Now, entropy: Uint8Array): Step {
      const changed = before(event)
      return tamper(super.handle(changed, now, entropy), changed, entropy)
    }
  }
  return { makePeer: (options: PeerOptions) => new Tampered(options) }
}

/** The checker that complains first in any of the seeds. */
function caughtBy(plant: Plant, expected: string): string[] {
  const seen: string[] = []
  for (let seed = 1; seed <= MAX_SEEDS; seed++) {
    const { violation } = runSeed(seed, plant)
    if (violation === undefined) continue
    seen.push(violation.checker)
    if (violation.checker === expected) return seen
  }
  return seen
}

function plant(name: string, checker: string, bug: Plant): void {
  test(`${name} is caught by "${checker}"`, () => {
    const seen = caughtBy(bug, checker)
    assert.ok(seen.includes(checker), `complained instead: ${[...new Set(seen)].join(', ') || 'nobody'}`)
  })
}

plant('a host that lends what it does not have', 'within capacity', {
  makePeer: (options) => {
    const peer = new Peer(options)
    peer.hosting.capacity.slotsFor = () => 1000
    return peer
  }
})

plant('a driver whose effects do not wait for the disk', 'durable prefix', { hasty: true })

plant('a lease that is not written', 'durable prefix', tampered((step) => ({ ...step, writes: step.writes.filter(({ key }) => !key.startsWith('lease/')) })))

plant('a requester that takes the first result for the truth', 'accepted is true', tampered((step) => step, (event) => event.kind === 'submit'
  ? { ...event, document: { ...event.document, replication: { ...event.document.replication, quorum: 1, replicas: 1 } } }
  : event))

plant('an honest host whose result is spoilt on its way to the receipt', 'honest never blamed', {
  makePeer: (options) => {
    if (options.self.identity.peer !== peerIdOf(1)) return new Peer(options)
    class Spoiled extends Peer {
      override handle(event: PeerEvent, now: Now, entropy: Uint8Array): Step {
        return super.handle(event.kind === 'run-finished' ? { ...event, result: { ...event.result, content: cidOf(`spoilt ${event.lease.agreement}`) } } : event, now, entropy)
      }
    }
    return new Spoiled(options)
  }
})

plant('verdicts that differ when they are repeated', 'verdicts agree', tampered((step, _event, entropy) => ({
  ...step,
  effects: step.effects.map((effect) => effect.kind === 'send' && effect.message.kind === 'verdict' && effect.message.verdict === 'accepted' && (entropy[0] ?? 0) % 2 === 0 ? { ...effect, message: { ...effect.message, verdict: 'late' as const } } : effect)
})))

plant('a job whose end is forgotten in a crash', 'ends once', tampered((step) => ({
  ...step,
  writes: step.writes.map((write) => write.kind === 'put' && write.key.startsWith('job/') ? { ...write, value: { ...write.value, state: { kind: 'running' } } } : write)
})))

plant('a host that keeps what an ended agreement had reserved', 'all settles', {
  makePeer: (options) => {
    const peer = new Peer(options)
    peer.hosting.capacity.release = () => undefined
    return peer
  }
})

test('an answer that anybody may give is caught by "strangers change nothing"', () => {
  const answered = Object.getOwnPropertyDescriptor(Outbox.prototype, 'answered')!
  Outbox.prototype.answered = function (turn, key) { this.done(turn, key) }
  try {
    const seen = caughtBy({}, 'strangers change nothing')
    assert.ok(seen.includes('strangers change nothing'), seen.join(', '))
  } finally {
    Object.defineProperty(Outbox.prototype, 'answered', answered)
  }
})

test('luck from outside the seed changes the digest of a world', () => {
  const lucky = tampered((step, event) => event.kind === 'start' && Math.random() < 0.9 ? { ...step, effects: [...step.effects, { kind: 'suspend-runs', suspend: false }] } : step)
  const digests = new Set(Array.from({ length: 20 }, () => runSeed(1, lucky).digest))
  assert.ok(digests.size > 1)
})

plant('timers that never fire', 'all settles', {
  makePeer: (options) => {
    class Deaf extends Peer {
      override nextTickMonoMs(): number | undefined { return undefined }
    }
    return new Deaf(options)
  }
})

plant('news that counts again when it is repeated', 'repeats change nothing', tampered((step, event, entropy) => event.kind === 'message' && event.message.kind === 'commit'
  ? { ...step, writes: [...step.writes, { kind: 'put', key: 'peer/counter', value: { v: 1, peer: 'counter', at: Buffer.from(entropy).toString('hex') } }] }
  : step))

plant('a map that grows with every message', 'bounded memory', {
  makePeer: (options) => {
    class Hoarder extends Peer {
      #hoard = 0
      override handle(event: PeerEvent, now: Now, entropy: Uint8Array): Step {
        this.#hoard += 100
        return super.handle(event, now, entropy)
      }

      override sizes(): ReturnType<Peer['sizes']> {
        const sizes = super.sizes()
        return { ...sizes, timers: sizes.timers + this.#hoard }
      }
    }
    return new Hoarder(options)
  }
})

test.run()
