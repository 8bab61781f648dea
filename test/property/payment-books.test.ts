/** Payer and provider together: their books agree, whatever is lost, repeated, reordered or cut off in the middle. */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { dueFor } from '../../src/payment/ledger.ts'
import type { PayMessageOf } from '../../src/documents/pay-message.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { toWei } from '../../src/documents/ticket.ts'
import { JOB, PaymentWorld, TERMS } from './payment-world.ts'
import type { Cut, Side } from './payment-world.ts'
import { UNIT, checkAlways, checkSettled, walk } from './payment-checks.ts'

test('units are paid ahead, what is held back after the verdict, and both sides end with the same books', () => {
  const world = walk()
  checkSettled(world)
  const { sender, recipient } = world
  assert.equal([recipient.work.accepted, recipient.work.failed], [4 * UNIT, UNIT])
  // 4 units in full and 70 % of the one that failed; half of that comes back
  assert.is(toWei(dueFor(TERMS, sender.work, 0)), 4n * TERMS.unitPriceWei + TERMS.unitPriceWei * 7n / 10n)
  assert.is(sender.refund?.amountWei, TERMS.unitPriceWei * 7n / 20n)
  assert.is(toWei(sender.refundDue), sender.refund?.amountWei)
})

test('a power cut before or after any write, or between any two effects, on either side, changes nothing in the end', () => {
  const counts = walk()
  let cuts = 0
  for (const side of ['payer', 'provider'] as const satisfies Side[]) {
    counts.computer(side).effectCounts.forEach((effects, step) => {
      const points: Cut['effects'][] = ['uncommitted', ...Array.from({ length: effects + 1 }, (_, i) => i)]
      for (const point of points) {
        const where = `${side} step ${step} ${point}`
        try {
          checkSettled(walk({ cut: { side, step, effects: point } }))
        } catch (err) {
          throw new Error(`${where}: ${err instanceof Error ? err.message : String(err)}`, { cause: err })
        }
        cuts++
      }
    })
  }
  assert.ok(cuts > 100, `${cuts} cuts`)
})

type Action = { kind: 'work' } | { kind: 'deliver' | 'drop' | 'repeat', at: number } | { kind: 'tick' } | { kind: 'restart', side: Side } | { kind: 'judge', accepted: boolean, share: number }

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Action>({ kind: 'work' }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constantFrom('deliver' as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('drop' as const, 'repeat' as const), at: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.constant<Action>({ kind: 'tick' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), side: fc.constantFrom('payer' as const, 'provider' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('judge' as const), accepted: fc.boolean(), share: fc.double({ min: 0, max: 1, noNaN: true }) }) }
)

const anyTerms: fc.Arbitrary<PaymentTerms> = fc.record({
  unitPriceWei: fc.bigInt(1n, 10n ** 18n), chance: fc.integer({ min: 0, max: 63 }), openCommits: fc.integer({ min: 1, max: 40 }), aheadUnits: fc.integer({ min: 1, max: 5 }),
  holdback: fc.integer({ min: 0, max: 9900 }), cap: fc.bigInt(1n, 10n ** 19n), ratio: fc.integer({ min: 1, max: 400 })
}).map(({ unitPriceWei, chance, openCommits, aheadUnits, holdback, cap, ratio }) => {
  const winProb = (1n << BigInt(64 - chance)) - 1n
  const faceValueWei = unitPriceWei * (1n << BigInt(chance)) * BigInt(ratio) / 100n + 1n
  return { ...TERMS, unitPriceWei, winProb, faceValueWei, openCommits, aheadUnits, holdback, prepayCapWei: cap }
})

function perform(world: PaymentWorld, act: Action): void {
  const lossy = (at: number): boolean => ['ticket', 'credit', 'ticket-refused', 'reconcile', 'refund'].includes(world.mail[at]?.message.kind ?? '')
  switch (act.kind) {
    case 'work': world.work(); break
    case 'deliver': if (world.mail.length > 0) world.deliver(lossy(act.at % world.mail.length) ? act.at % world.mail.length : 0); break
    case 'drop': if (lossy(act.at)) world.mail.splice(act.at, 1); break
    case 'repeat': if (lossy(act.at)) world.mail.push(world.mail[act.at]!); break
    case 'tick': world.tick(); break
    case 'restart':
      world.computer(act.side).restart()
      world.restarted = act.side
      world.revive()
      break
    case 'judge': {
      const quantity = Math.floor(act.share * (world.payer.sender?.work.unsettled ?? 0))
      if (quantity > 0) world.judge(act.accepted, quantity)
      break
    }
  }
}

test('with any terms and in any order of work, loss, repetition, restarts and verdicts the books agree in the end', () => {
  fc.assert(fc.property(anyTerms, fc.array(action, { maxLength: 120 }), (terms, actions) => {
    const huge = 10n ** 60n
    const world = new PaymentWorld({ terms, funds: { depositWei: huge, bondWei: huge } })
    world.open()
    world.deliverAll()
    for (const act of actions) {
      perform(world, act)
      checkAlways(world)
    }
    world.settle()
    world.judge(true, world.sender.work.unsettled)
    world.payer.step((turn) => { world.sender.close(turn) })
    world.settle()
    checkSettled(world)
  }), { numRuns: 150, seed: 3 })
})

test('a thousand tickets in any order are each credited once', () => {
  const world = new PaymentWorld({ plain: true, terms: { ...TERMS, openCommits: 1024, aheadUnits: 1000, prepayCapWei: 10n ** 18n } })
  world.open()
  world.deliver()
  const tickets = world.mail.filter(({ message }) => message.kind === 'ticket')
  assert.is(tickets.length, 1000)
  world.mail.length = 0
  // 617 has no divisor in common with 1000: every ticket once, far from in order; then all again
  for (let i = 0; i < 1000; i++) world.mail.push(tickets[i * 617 % 1000]!)
  for (let i = 0; i < 1000; i++) world.deliver()
  assert.is(world.recipient.tickets, 1000)
  world.mail.length = 0
  world.mail.push(...tickets)
  for (let i = 0; i < 1000; i++) world.deliver()
  assert.is(world.recipient.tickets, 1000)
  assert.is(world.provider.outcomes.filter((kind) => kind === 'repeated').length, 1000)
  assert.is(world.provider.winners.size, world.recipient.wins)
  assert.ok(world.recipient.size <= 3 * 1024, 'memory is bounded')
})

test('a repeated ticket gets the same acknowledgement, byte for byte, also after a crash before the first one left', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliver()
  const ticket = world.mail.find(({ message }) => message.kind === 'ticket')!
  // committed, but the acknowledgement is lost with the power
  world.cut = { side: 'provider', step: world.provider.steps, effects: 0 }
  world.deliver(world.mail.indexOf(ticket))
  assert.is(world.recipient.tickets, 1)
  assert.is(world.creditBytes.length, 0)
  const wins = world.recipient.wins
  for (let i = 0; i < 3; i++) {
    world.mail.unshift(ticket)
    world.deliver()
  }
  assert.is(world.recipient.tickets, 1)
  assert.is(world.recipient.wins, wins)
  assert.is(new Set(world.creditBytes.map(({ hex }) => hex)).size, 1)
})

test('a refund is taken as the provider signed it: only a larger one replaces it, and none that the contract would not pay', () => {
  const world = walk()
  const [amountWei, paidWei] = [world.sender.refund!.amountWei, world.sender.refund!.paidWei]
  const refund: PayMessageOf<'refund'> = { kind: 'refund', agreement: world.sender.id, ...world.sender.refund! }
  const taken = (change: Partial<PayMessageOf<'refund'>>): bigint | string => {
    let code = ''
    world.payer.step((turn) => {
      const heard = world.sender.refunded(turn, { ...refund, ...change })
      code = heard.ok ? '' : heard.code
    })
    world.settle()
    return code === '' ? world.sender.refund!.amountWei : code
  }
  assert.is(taken({ amountWei: amountWei - 1n }), amountWei)
  assert.is(taken({ amountWei: paidWei + 1n }), 'E_PAY_REFUND')
  const { statementSignature: _, ...unsigned } = refund
  world.payer.step((turn) => { assert.not(world.sender.refunded(turn, { ...unsigned, amountWei: amountWei + 1n }).ok) })
  assert.is(taken({ amountWei: amountWei + 1n }), amountWei + 1n)
  // the provider has heard that it arrived: it stops saying it
  assert.is(world.provider.outbox.size, 0)
})

test('an agreement that is forgotten leaves nothing on either disk but its winners and the day\'s spending', () => {
  const world = walk()
  world.payer.step((turn) => { world.sender.forget(turn); world.payer.budget.forgetJob(turn, JOB) })
  world.provider.step((turn) => { world.recipient.forget(turn) })
  assert.equal(world.payer.disk.records().map(([key]) => key.replace(/\d{5}/, 'N')), ['spend/day/N', 'spend/peer/N/provider'])
  assert.is(world.provider.disk.records().length, world.provider.winners.size)
})

test.run()
