/** The checkers of money are shown a bug of their kind each, planted in the real peer, its driver or its chain. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Step } from '../../src/core/effect.ts'
import type { Now, PeerEvent } from '../../src/core/event.ts'
import type { Turn } from '../../src/core/turn.ts'
import { Earning } from '../../src/job/earning.ts'
import { Paying } from '../../src/job/paying.ts'
import { Budget } from '../../src/payment/budget.ts'
import { Recipient } from '../../src/payment/recipient.ts'
import { Peer } from '../../src/peer.ts'
import type { PeerOptions } from '../../src/peer.ts'
import { Broker } from '../../src/sim/broker.ts'
import type { Transaction } from '../../src/sim/broker.ts'
import { allCheckers } from '../../src/sim/checkers.ts'
import { payingScenario } from '../../src/sim/random-scenario.ts'
import type { Scenario } from '../../src/sim/scenario.ts'
import { RICH } from '../../src/sim/scenario.ts'
import { World } from '../../src/sim/world.ts'
import type { WorldOptions } from '../../src/sim/world.ts'

/** A planted bug shows in many worlds of its kind; none is needed beyond this. */
const MAX_SEEDS = 60
const test = suite('planted bugs about money')

interface Plant extends Omit<WorldOptions, 'checkers'> {
  scenario?: (seed: number) => Scenario
  /** Changes a class for the time of the test, and gives back how to undo it. */
  patch?: () => () => void
}

/** Only the checker in question looks: others may well complain too. */
function isCaught({ scenario = payingScenario, patch, ...options }: Plant, checker: string): boolean {
  const undo = patch?.()
  try {
    for (let seed = 1; seed <= MAX_SEEDS; seed++) {
      const checkers = allCheckers().filter(({ name }) => name === checker)
      assert.is(checkers.length, 1, `no checker is named ${checker}`)
      if (new World(scenario(seed), { ...options, checkers }).run().violation?.checker === checker) return true
    }
    return false
  } finally {
    undo?.()
  }
}

function plant(name: string, checker: string, bug: Plant): void {
  test(`${name} is caught by "${checker}"`, () => {
    assert.ok(isCaught(bug, checker), 'nobody complained')
  })
}

/** Puts another method, or getter, in the place of one. */
function replaced<T extends object>(prototype: T, key: keyof T & string, descriptor: PropertyDescriptor): () => () => void {
  return () => {
    const original = Object.getOwnPropertyDescriptor(prototype, key)!
    Object.defineProperty(prototype, key, { ...descriptor, configurable: true })
    return () => { Object.defineProperty(prototype, key, original) }
  }
}

/** A peer whose steps are tampered with. */
function tampered(tamper: (step: Step, event: PeerEvent, entropy: Uint8Array) => Step): Plant {
  class Tampered extends Peer {
    override handle(event: PeerEvent, now: Now, entropy: Uint8Array): Step {
      return tamper(super.handle(event, now, entropy), event, entropy)
    }
  }
  return { makePeer: (options: PeerOptions) => new Tampered(options) }
}

function capped(seed: number): Scenario {
  const scenario = payingScenario(seed)
  return { ...scenario, peers: scenario.peers.map((peer) => ({ ...peer, money: { ...RICH, jobCapGwei: 2000 } })) }
}

/** Messages are lost, and requesters crash all the time. */
function lossy(seed: number): Scenario {
  const scenario = payingScenario(seed)
  const faults = scenario.jobs.flatMap(({ requester, atMs }) => Array.from({ length: 12 }, (_, i) => ({ kind: 'crash' as const, atMs: atMs + 700 * (i + 4), peer: requester, downMs: 200, keep: 4 })))
  return { ...scenario, faults, link: { ...scenario.link, loss: 0.4, maxMs: scenario.link.minMs } }
}

const honestBroker = { apply: Object.getOwnPropertyDescriptor(Broker.prototype, 'apply')!.value as Broker['apply'] }
plant('a contract that loses a wei of each winner', 'money conserved', {
  patch: replaced(Broker.prototype, 'apply', { value(this: Broker, tx: Transaction, nowSec: number) {
    const refusal = honestBroker.apply.call(this, tx, nowSec)
    if (tx.kind === 'redeem' && refusal === undefined) Object.assign(this.accounts.get(tx.ticket.payee)!, { creditWei: this.balance(tx.ticket.payee).creditWei - 1n })
    return refusal
  } })
})

plant('a contract that does not mark what it paid', 'paid once', { forgetfulChain: true })

plant('a payer that forgets in a crash what it signed', 'one signature a commit', { scenario: lossy, ...tampered((step) => step.effects.some((effect) => effect.kind === 'send' && effect.message.kind === 'ticket')
  ? { ...step, writes: step.writes.filter(({ key }) => !key.startsWith('pay/') && !key.startsWith('spent/') && !key.startsWith('outbox/ticket/')) }
  : step) })

plant('a ticket that is signed afresh each time that it is sent', 'one signature a commit', tampered((step, _event, entropy) => ({
  ...step,
  effects: step.effects.map((effect) => effect.kind === 'send' && effect.message.kind === 'ticket' ? { ...effect, message: { ...effect.message, ticket: { ...effect.message.ticket, salt: `0x${Buffer.from(entropy).toString('hex')}` } } } : effect)
})))

plant('a budget that counts nothing', 'within caps', { scenario: capped, patch: replaced(Budget.prototype, 'spend', { value: () => undefined }) })

plant('a budget that a crash resets', 'within caps', { scenario: capped, ...tampered((step) => ({ ...step, writes: step.writes.filter(({ key }) => !key.startsWith('spend/')) })) })

plant('winners that a restart does not redeem', 'winners are paid', tampered((step, event) => event.kind === 'start' ? { ...step, effects: step.effects.filter(({ kind }) => kind !== 'redeem') } : step))

plant('a payer that pays failures in full', 'within exposure', { patch: replaced(Paying.prototype, 'failed', { value(this: Paying, turn: Turn, id: string, ms: number) { this.accepted(turn, id, ms, { tasks: 0, bytes: 0 }) } }) })

for (const checker of ['within exposure', 'each stops']) {
  plant('a host that never looks whether it was paid', checker, { patch: () => {
    const undo = [replaced(Recipient.prototype, 'owed', { get: () => 0n })(), replaced(Recipient.prototype, 'mayWork', { value: () => true })()]
    return () => { for (const each of undo) each() }
  } })
}

plant('a host that counts the time in which its owner had the computer', 'claims are true', { patch: replaced(Earning.prototype, 'suspend', { value: () => undefined }) })

plant('a host that forgets in a crash what it credited', 'last words agree', tampered((step, event) => event.kind === 'message' && event.message.kind === 'ticket'
  ? { ...step, writes: step.writes.filter(({ key }) => !key.startsWith('earn/') && !key.startsWith('credited/')) }
  : step))

plant('a host that keeps the books of every agreement for ever', 'all settles', { patch: replaced(Earning.prototype, 'forget', { value: () => undefined }) })

/** A KiB costs as much as a second. */
function moving(seed: number): Scenario {
  const scenario = payingScenario(seed)
  return scenario.payment === undefined ? scenario : { ...scenario, peers: scenario.peers.map((peer) => ({ ...peer, behaviour: { kind: 'honest' as const }, money: RICH })), payment: { ...scenario.payment, coreHourGwei: 3_600_000, movedGwei: 1_000_000_000 } }
}

plant('a payer that pays for no bytes', 'last words agree', { scenario: moving, patch: () => {
  const honest = { accepted: Object.getOwnPropertyDescriptor(Paying.prototype, 'accepted')!.value as Paying['accepted'] }
  return replaced(Paying.prototype, 'accepted', { value(this: Paying, turn: Turn, id: string, ms: number) { honest.accepted.call(this, turn, id, ms, { tasks: 0, bytes: 0 }) } })()
} })

/** Every other host has one bond for all, many jobs ask at once, and each takes all of a bond that it is offered. */
function exposed(seed: number): Scenario {
  const scenario = payingScenario(seed)
  const peers = scenario.peers.map((peer, i) => ({ ...peer, lends: true, behaviour: { kind: i % 2 === 0 ? 'honest' as const : 'overexposer' as const }, money: RICH }))
  return { ...scenario, peers, faults: [], jobs: scenario.jobs.flatMap((job) => [job, { ...job, atMs: job.atMs + 50 }]).map((job) => ({ ...job, atMs: 1000 + job.atMs % 500, requester: 2 * (job.requester >> 1) })), ...scenario.payment === undefined ? {} : { payment: { ...scenario.payment, bondShares: 1, coreHourGwei: 3_600_000 } } }
}

plant('a host that forgets what its bond stands behind', 'bonds are counted', { scenario: exposed, patch: replaced(Recipient.prototype, 'exposedWei', { value: () => 0n }) })

plant('a host that gives all its agreements one number', 'bonds are counted', tampered((step) => ({
  ...step,
  effects: step.effects.map((effect) => effect.kind === 'send' && effect.message.kind === 'agreed' && effect.message.exposure !== undefined ? { ...effect, message: { ...effect.message, exposure: { ...effect.message.exposure, sequence: 7 } } } : effect)
})))

plant('a requester that takes any word of a bond', 'bonds are counted', { scenario: exposed, patch: () => {
  const undo = [replaced(Paying.prototype, 'doubts', { value: () => undefined })(), replaced(Paying.prototype, 'distrusts', { value: () => undefined })()]
  return () => { for (const each of undo) each() }
} })

test.run()
