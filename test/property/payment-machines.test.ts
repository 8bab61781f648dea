/** Payer and provider together: what they agree on, whatever is lost, repeated, reordered or cut off in the middle. */
import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { StoredRecord } from '../../src/core/effect.ts'
import { dueFor } from '../../src/payment/ledger.ts'
import { payMessageCodec } from '../../src/documents/pay-message.ts'
import type { PayMessage, PayMessageOf } from '../../src/documents/pay-message.ts'
import { ticketsAhead } from '../../src/documents/terms.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { contextOf, expectedOf, fromWei, jobDigest, toWei } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import type { PayerFunds } from '../../src/documents/account.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { signDigest } from '../../node/keys/money.ts'
import { JOB, PAYER_KEY, PaymentWorld, START_WALL_MS, TERMS } from './payment-world.ts'
import type { Cut, Side, WorldOptions } from './payment-world.ts'

const UNIT = TERMS.unit.size

function onceSigned(world: PaymentWorld): string | undefined {
  for (const [commit, digests] of world.signed) if (digests.size > 1) return `commit ${commit} was signed ${digests.size} times`
  for (const [index, bytes] of world.ticketBytes) if (bytes.size > 1) return `ticket ${index} left in ${bytes.size} spellings`
  return undefined
}

/** What must hold at every moment. */
function checkAlways(world: PaymentWorld): void {
  assert.is(onceSigned(world), undefined)
  const { recipient } = world.provider
  const { sender } = world.payer
  if (recipient === undefined || sender === undefined) return
  assert.ok(recipient.tickets <= sender.issued, 'more was credited than issued')
  assert.ok(sender.unacknowledged <= ticketsAhead(world.terms), 'more is under way than agreed')
  const ahead = world.terms.unit.size * world.terms.aheadUnits
  assert.ok(sender.paid < dueFor(world.terms, sender.work, ahead) + expectedOf(world.terms), 'the payer is more than a ticket beyond what is due ahead')
  assert.is(recipient.wins, world.provider.winners.size, 'a winner was lost, or counted twice')
}

/** What must hold once everything has arrived. */
function checkSettled(world: PaymentWorld): void {
  checkAlways(world)
  const { sender, recipient } = world
  assert.is(sender.state.kind, 'closed')
  assert.equal(sender.state, { kind: 'closed', agreed: true })
  assert.is(recipient.isClosed, true)
  assert.is(recipient.tickets, sender.issued)
  assert.is(recipient.credit, sender.paid)
  assert.equal(recipient.work, sender.work)
  assert.ok(recipient.owed <= 0n, 'the last invoice is not paid')
  assert.ok(-recipient.owed < expectedOf(world.terms) + fromWei(world.terms.unitPriceWei) * BigInt(world.terms.aheadUnits), 'overpaid by more than what is ahead')
  assert.is(sender.acknowledged?.state.expectedPaid, sender.paid)
  checkStored(world)
  assert.is(world.provider.winners.pendingWei(sender.payment.payer), BigInt(recipient.wins) * world.terms.faceValueWei)
}

/** What a restore needs is what the machines say they hold: a record that is written and not told, or told and not written, would be lost or haunt. */
function checkStored({ payer, provider }: PaymentWorld): void {
  const sorted = (records: Iterable<[string, StoredRecord]>): string[] => [...records].map(([key, value]) => `${key} ${inspect(value, { depth: 9, sorted: true })}`).sort()
  assert.equal(sorted(payer.disk.records()), sorted([...payer.sender!.records(), ...payer.budget.records(), ...payer.outbox.records()]))
  assert.equal(sorted(provider.disk.records()), sorted([...provider.recipient!.records(), ...provider.winners.records(), ...provider.outbox.records()]))
}

function workUntil(world: PaymentWorld, units: number): void {
  for (let tries = 0; world.totalWorked < units * UNIT; tries++) {
    assert.ok(tries < 100, `work stalls at ${world.totalWorked / UNIT} units: ${world.sender?.paused?.message}`)
    if (!world.work()) world.tick()
    world.deliverAll()
    checkAlways(world)
  }
}

function walk(options: WorldOptions = {}): PaymentWorld {
  const world = new PaymentWorld(options)
  world.open()
  world.deliverAll()
  workUntil(world, 3)
  world.judge(true, 2 * UNIT)
  world.deliverAll()
  workUntil(world, 5)
  world.judge(false, UNIT)
  world.settle()
  world.judge(true, world.sender.work.unsettled)
  world.payer.step((turn) => { world.sender.close(turn) })
  world.revive()
  // a cut that took the closing with it: the job closes it again
  if (world.sender.state.kind === 'open') world.payer.step((turn) => { world.sender.close(turn) })
  world.settle()
  return world
}

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

test('a provider that never acknowledges gets the tickets ahead and no more', () => {
  const world = new PaymentWorld({ terms: { ...TERMS, aheadUnits: 2 } })
  world.open()
  world.deliver()
  for (let i = 0; i < 50; i++) {
    world.mail.length = 0
    world.payer.step((turn) => { world.sender.worked(turn, (i + 1) * UNIT) })
    world.tick()
  }
  assert.is(world.sender.issued, 2)
  assert.is(world.sender.paused?.code, 'E_PAY_UNACKNOWLEDGED')
})

test('a provider that acknowledges and claims, and reveals nothing, earns at most the cap', () => {
  const world = new PaymentWorld({ terms: { ...TERMS, prepayCapWei: 3n * TERMS.unitPriceWei } })
  world.open()
  world.deliverAll()
  for (let i = 1; i < 200; i++) {
    world.payer.step((turn) => { world.sender.worked(turn, i * UNIT) })
    world.deliverAll()
  }
  assert.ok(world.sender.paid >= fromWei(world.terms.prepayCapWei))
  assert.ok(world.sender.paid < fromWei(world.terms.prepayCapWei) + expectedOf(TERMS))
})

test('a payer that stops gets at most the units ahead, and work goes on when it pays again', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliverAll()
  workUntil(world, 2)
  let done = 0
  while (world.work() && done < 50) {
    done++
    for (let at = world.mail.length - 1; at >= 0; at--) if (world.mail[at]!.message.kind === 'ticket') world.mail.splice(at, 1)
  }
  assert.is(done, 1)
  world.settle()
  assert.ok(world.work())
})

test('owner\'s caps: nothing is signed above them, the rest is paid when they are raised', () => {
  for (const caps of [{ jobWei: 2n * TERMS.unitPriceWei }, { dayWei: 2n * TERMS.unitPriceWei }, { peerDayWei: 2n * TERMS.unitPriceWei }]) {
    const world = new PaymentWorld({ caps })
    world.open()
    world.deliverAll()
    for (let i = 0; i < 20; i++) {
      if (!world.work()) break
      world.deliverAll()
    }
    assert.ok(toWei(world.sender.paid) <= 2n * TERMS.unitPriceWei)
    assert.match(world.sender.paused?.code ?? '', /^E_BUDGET_/)
    world.payer.restart()
    world.restarted = 'payer'
    world.revive()
    world.deliverAll()
    assert.ok(toWei(world.sender.paid) <= 2n * TERMS.unitPriceWei, 'a restart gave the budget back')
    world.payer.budget.setCaps({})
    world.tick()
    workUntil(world, 6)
  }
})

function creditOf(world: PaymentWorld, change: Partial<PayMessageOf<'credit'>> = {}): PayMessageOf<'credit'> {
  const { recipient, sender } = world
  return {
    kind: 'credit', agreement: recipient.id, lots: recipient.lots, final: false, ...change,
    state: { agreement: recipient.id, sequence: 1000, tickets: sender.issued, expectedPaid: sender.paid, heldBack: 0n, refunded: 0n, ...change.state }
  }
}

test('a provider that lies about its commits or its credit gets no signature any more', () => {
  const wrong: [string, (world: PaymentWorld) => Partial<PayMessageOf<'credit'>>][] = [
    ['E_COMMIT_CHANGED', ({ recipient }) => ({ lots: recipient.lots.map((lot) => ({ ...lot, commits: lot.commits.map(() => `0x${'ab'.repeat(32)}`) })) })],
    ['E_COMMIT_CHANGED', ({ recipient }) => ({ lots: recipient.lots.map((lot) => ({ ...lot, expirySec: lot.expirySec - 1 })) })],
    ['E_COMMIT_REPEATED', (world) => ({ lots: [{ first: 900, expirySec: START_WALL_MS / 1000 + 80_000, commits: [[...world.signed.keys()][0]!] }] })],
    ['E_COMMIT_REPEATED', ({ recipient }) => ({ lots: [{ first: 900, expirySec: START_WALL_MS / 1000 + 80_000, commits: [recipient.lots[0]!.commits[0]!] }] })],
    ['E_COMMIT_EXPIRY', () => ({ lots: [{ first: 900, expirySec: START_WALL_MS / 1000 + 90_000, commits: [`0x${'ab'.repeat(32)}`] }] })],
    ['E_PAY_STATE_AHEAD', ({ sender }) => ({ state: { ...creditOf(new PaymentWorld2(sender)).state, tickets: sender.issued + 1 } })],
    ['E_PAY_STATE', ({ sender }) => ({ state: { ...creditOf(new PaymentWorld2(sender)).state, expectedPaid: sender.paid - 1n } })],
    ['E_PAY_STATE_BACK', ({ sender }) => ({ state: { ...creditOf(new PaymentWorld2(sender)).state, tickets: 0, expectedPaid: 0n } })]
  ]
  for (const [code, change] of wrong) {
    const world = new PaymentWorld()
    world.open()
    world.deliverAll()
    workUntil(world, 2)
    const { issued } = world.sender
    world.payer.step((turn) => {
      const heard = world.sender.credited(turn, creditOf(world, change(world)))
      assert.is(heard.ok ? 'ok' : heard.code, code)
    })
    assert.is(world.sender.state.kind, 'stopped')
    world.payer.step((turn) => { world.sender.worked(turn, 10 * UNIT) })
    world.payer.restart()
    world.payer.step((turn) => { world.sender.reconnected(turn) })
    assert.is(world.sender.state.kind, 'stopped')
    assert.is(world.sender.issued, issued)
    assert.is(world.payer.outbox.size, 0)
  }
})

/** Only what `creditOf` reads. */
class PaymentWorld2 extends PaymentWorld {
  constructor(sender: PaymentWorld['sender']) {
    super()
    this.open()
    this.payer.sender = sender
  }
}

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

test('a ticket on a commit that has one already is refused, and the first stands', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliver()
  const first = world.mail.find(({ message }) => message.kind === 'ticket')!.message as PayMessageOf<'ticket'>
  const second: PayMessage = { ...first, ticket: { ...first.ticket, salt: `0x${'01'.repeat(32)}` } }
  world.deliverAll()
  const { tickets, wins } = world.recipient
  world.provider.step((turn) => {
    const refused = world.recipient.ticket(turn, second, world.funds)
    assert.is(refused.ok ? 'ok' : refused.code, 'E_TICKET_SPENT')
  })
  assert.equal([world.recipient.tickets, world.recipient.wins], [tickets, wins])
})

/** The first ticket of a fresh world, still on its way, with its payer's good signature under whatever `change` makes of it. */
function forged(change: (ticket: Ticket, world: PaymentWorld) => Partial<Ticket>): { world: PaymentWorld, code: string } {
  const world = new PaymentWorld()
  world.open()
  world.deliver()
  const at = world.mail.findIndex(({ message }) => message.kind === 'ticket')
  const message = world.mail[at]!.message as PayMessageOf<'ticket'>
  const ticket = { ...message.ticket, ...change(message.ticket, world) }
  world.mail[at] = { to: 'provider', message: { ...message, ticket, signature: signDigest(PAYER_KEY, world.tickets.digest(ticket)) } }
  world.deliver(at)
  return { world, code: world.provider.refusals[0] ?? world.provider.outcomes[0] ?? '' }
}

/** The field's bytes moved by one, either way, as an encoder without fixed widths would confuse them. */
function shifted(value: Ticket[keyof Ticket]): Ticket[keyof Ticket][] {
  if (typeof value === 'bigint') return [value << 8n, value >> 8n]
  if (typeof value === 'number') return [value * 256, Math.floor(value / 256)]
  const hex = value.slice(2)
  return [`0x${hex.slice(2)}00`, `0x00${hex.slice(0, -2)}`]
}

test('a ticket any of whose fields is another than offered is refused, though its payer signed it', () => {
  const fields = ['payer', 'payee', 'faceValueWei', 'winProb', 'expirySec', 'commit', 'context'] as const
  for (const field of fields) {
    for (const way of [0, 1]) {
      const { world, code } = forged((ticket) => ({ [field]: field === 'winProb' || field === 'faceValueWei' ? BigInt.asUintN(field === 'winProb' ? 64 : 128, shifted(ticket[field])[way] as bigint) : shifted(ticket[field])[way] }))
      assert.is(code, 'E_TICKET_FIELD', `${field} ${way}`)
      assert.is(world.recipient.tickets, 0)
      assert.is(world.provider.winners.size, 0)
    }
  }
  // the rest of the ways that others were cheated with
  const cheats: ((ticket: Ticket, world: PaymentWorld) => Partial<Ticket>)[] = [
    () => ({ expirySec: 0 }), () => ({ expirySec: 9_000_000_000 }), ({ expirySec }) => ({ expirySec: expirySec + 1 }), ({ expirySec }) => ({ expirySec: expirySec - 1 }),
    // a larger prize less often, worth the same: fewer winners than agreed, and more than the bond carries
    ({ faceValueWei, winProb }) => ({ faceValueWei: faceValueWei * 2n, winProb: (winProb + 1n) / 2n - 1n }),
    ({ faceValueWei, winProb }) => ({ faceValueWei: faceValueWei / 2n, winProb: (winProb + 1n) * 2n - 1n }),
    // another open commit, or the context of the next payment
    (_, { recipient }) => ({ commit: recipient.lots[0]!.commits[1]! }),
    (_, { recipient }) => ({ context: contextOf(nativeHasher, jobDigest(JOB), recipient.id, 1) })
  ]
  for (const cheat of cheats) assert.is(forged(cheat).code, 'E_TICKET_FIELD')
  // another salt is another ticket: as good as the first, and the only one
  assert.match(forged(() => ({ salt: `0x${'77'.repeat(32)}` })).code, /^(won|lost)$/)
})

test('a ticket whose signature is not the payer\'s is never drawn', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliver()
  const at = world.mail.findIndex(({ message }) => message.kind === 'ticket')
  const message = world.mail[at]!.message as PayMessageOf<'ticket'>
  world.mail[at] = { to: 'provider', message: { ...message, ticket: { ...message.ticket, salt: `0x${'77'.repeat(32)}` } } }
  world.deliver(at)
  assert.equal(world.provider.refusals, ['E_SIGNATURE'])
  assert.is(world.recipient.tickets, 0)
})

test('numbers that were not offered, or are long forgotten, are refused before anything is hashed', () => {
  const world = new PaymentWorld({ terms: { ...TERMS, openCommits: 40, aheadUnits: 30, prepayCapWei: 10n ** 18n } })
  world.open()
  world.deliver()
  const { message } = world.mail.find(({ message }) => message.kind === 'ticket')!
  let hashed = 0
  const counting = { ...nativeHasher, keccak256: (data: Uint8Array) => { hashed++; return nativeHasher.keccak256(data) } }
  const codeAt = (index: number): string => {
    const screened = world.recipient.screen(counting, { ...message as PayMessageOf<'ticket'>, index }, world.funds, world.now('provider'))
    return screened.ok ? 'ok' : screened.code
  }
  assert.is(codeAt(40), 'E_TICKET_UNOFFERED')
  assert.is(codeAt(65_535), 'E_TICKET_UNOFFERED')
  assert.is(hashed, 0)
  world.deliverAll()
  for (let i = 1; world.recipient.tickets < 2600 && i < 200; i++) {
    world.payer.step((turn) => { world.sender.worked(turn, i * 30 * UNIT) })
    world.deliverAll()
  }
  hashed = 0
  assert.is(codeAt(0), 'E_TICKET_OLD')
  assert.ok(world.recipient.size <= 2048 + 100, `${world.recipient.size} numbers are remembered`)
  assert.ok(world.provider.disk.records().filter(([key]) => key.startsWith('credited/')).length <= 2048 + 100)
  assert.is(hashed, 0)
})

test('tickets that a payer\'s money does not carry are refused, and taken when it does', () => {
  const face = TERMS.faceValueWei
  const soon = START_WALL_MS / 1000 + 1000
  const cases: [string, PayerFunds][] = [
    ['E_PAYER_BOND', { depositWei: 10n * face, bondWei: 2n * face - 1n }],
    ['E_PAYER_FUNDS', { depositWei: face - 1n, bondWei: 2n * face }],
    ['E_PAYER_BOND', { depositWei: 10n * face, bondWei: 3n * face, bondUnlock: { amountWei: 2n * face, lockedUntilSec: soon } }],
    ['E_PAYER_FUNDS', { depositWei: 2n * face, bondWei: 3n * face, depositUnlock: { amountWei: 2n * face, lockedUntilSec: soon } }]
  ]
  for (const [code, funds] of cases) {
    const world = new PaymentWorld({ funds })
    world.open()
    world.deliver()
    world.deliver()
    assert.equal(world.provider.refusals, [code])
    assert.not(world.work())
    world.funds = { depositWei: face, bondWei: 2n * face }
    world.settle()
    assert.is(world.recipient.tickets, 1)
    assert.ok(world.work())
  }
})

test('accepted and won means covered: winners that wait never exceed the deposit', () => {
  const face = TERMS.faceValueWei
  const world = new PaymentWorld({ funds: { depositWei: 3n * face, bondWei: 2n * face }, terms: { ...TERMS, winProb: (1n << 64n) - 1n } })
  world.open()
  world.deliverAll()
  for (let i = 1; i < 20; i++) {
    if (world.work()) world.deliverAll()
    else world.tick()
  }
  assert.is(world.provider.winners.size, 3)
  assert.ok(world.provider.refusals.every((code) => code === 'E_PAYER_FUNDS') && world.provider.refusals.length > 0)
  // the chain pays one: there is room for one more
  const [winner] = world.provider.winners.all()
  world.provider.step((turn) => { world.provider.winners.over(turn, winner!.agreement, winner!.index) })
  world.funds = { ...world.funds, depositWei: 2n * face }
  world.settle(20)
  assert.is(world.provider.winners.size, 2)
  world.funds = { ...world.funds, depositWei: 3n * face }
  world.settle(20)
  assert.is(world.provider.winners.size, 3)
})

test('a provider that starts again draws nothing again and offers no secret twice', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliverAll()
  workUntil(world, 3)
  const { wins, tickets, lots } = world.recipient
  for (let i = 0; i < 3; i++) {
    world.provider.restart()
    world.restarted = 'provider'
    world.revive()
    world.deliverAll()
  }
  assert.equal([world.recipient.wins, world.recipient.tickets], [wins, tickets])
  assert.equal(world.recipient.lots, lots)
})

test('a store older than what was signed is noticed before a commit is signed again', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliverAll()
  workUntil(world, 1)
  const old = world.payer.disk.records()
  workUntil(world, 4)
  world.payer.restore(old)
  world.payer.step((turn) => { world.sender.reconnected(turn) })
  world.deliverAll()
  assert.is(world.sender.state.kind === 'stopped' && world.sender.state.code, 'E_PAY_STATE_AHEAD')
  assert.is(onceSigned(world), undefined)
})

test('a payer that starts again with a ticket on its way waits for it, and signs the next commit', () => {
  const world = new PaymentWorld({ terms: { ...TERMS, aheadUnits: 2 } })
  world.open()
  world.deliver()
  assert.equal([world.mail.length, world.sender.issued], [2, 2])
  // both tickets are lost; the provider offers their commits again, as if they had never been used
  const lots = world.recipient.lots
  for (let i = 0; i < 3; i++) {
    world.mail.length = 0
    world.payer.restart()
    world.payer.step((turn) => { world.sender.offered(turn, lots) })
    world.payer.step((turn) => { world.sender.worked(turn, (i + 1) * UNIT) })
    assert.equal([world.sender.state.kind, world.sender.issued], ['open', 2])
  }
  world.restarted = 'payer'
  world.revive()
  world.settle()
  assert.ok(world.sender.issued > 2)
  assert.is(world.recipient.tickets, world.sender.issued)
  checkAlways(world)
})

test('a payer that closes when it has no commits left asks for some first, and pays the last of it', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliverAll()
  workUntil(world, 4)
  world.payer.restart()
  world.judge(true, world.sender.work.unsettled)
  world.payer.step((turn) => { world.sender.close(turn) })
  assert.is(world.sender.paused?.code, 'E_PAY_COMMITS')
  // the first answer, with fresh commits, is lost
  while (!world.mail.some(({ message }) => message.kind === 'credit')) world.deliver()
  world.mail.splice(world.mail.findIndex(({ message }) => message.kind === 'credit'), 1)
  world.settle()
  checkSettled(world)
  assert.ok(toWei(world.sender.paid) >= 4n * TERMS.unitPriceWei)
})

test('a commit used before a restart is known when it is offered again under another number', () => {
  const world = new PaymentWorld()
  world.open()
  world.deliverAll()
  workUntil(world, 2)
  const [used] = world.signed.keys()
  world.payer.restart()
  world.payer.step((turn) => {
    const taken = world.sender.offered(turn, [{ first: 900, expirySec: START_WALL_MS / 1000 + 80_000, commits: [used!] }])
    assert.is(taken.ok ? 'ok' : taken.code, 'E_COMMIT_REPEATED')
  })
  assert.is(onceSigned(world), undefined)
})

test('commits that grow old are replaced, with clocks two minutes apart either way', () => {
  for (const ticketLifeSec of [1200, 86_400]) {
    for (const payer of [-120_000, 0, 120_000]) {
      const world = new PaymentWorld({ terms: { ...TERMS, ticketLifeSec, openCommits: 40 } })
      world.skewMs = { payer, provider: 0 }
      world.open()
      world.deliverAll()
      workUntil(world, 1)
      // long idle: whatever was offered before is too old to use, and not expired yet
      world.monoMs += ticketLifeSec * 800
      const idleMonoMs = world.monoMs
      workUntil(world, 4)
      assert.ok(world.monoMs - idleMonoMs <= 60_000, 'fresh commits had to be waited for')
      for (let i = 1; i < 40; i++) {
        world.monoMs += ticketLifeSec * 1000 / 7
        workUntil(world, 4 + i)
      }
      assert.equal(world.provider.refusals, [])
    }
  }
})

test('commits reach the payer through reordered and lost acknowledgements', () => {
  const world = new PaymentWorld({ terms: { ...TERMS, openCommits: 40, aheadUnits: 30 } })
  world.open()
  world.deliver()
  for (let i = 1; i < 60; i++) {
    // the newest first, and every third acknowledgement never
    for (let n = 0; world.mail.length > 0; n++) {
      const last = world.mail.length - 1
      if (n % 3 === 0 && world.mail[last]!.message.kind === 'credit') world.mail.pop()
      else world.deliver(last)
    }
    world.payer.step((turn) => { world.sender.worked(turn, i * 10 * UNIT) })
    world.tick()
  }
  world.settle()
  assert.is(world.recipient.tickets, world.sender.issued)
  assert.ok(world.sender.issued > 600, `${world.sender.issued} tickets`)
  assert.is(world.sender.paused, undefined)
})

test('every message has one canonical form and a bound', () => {
  const world = new PaymentWorld({ terms: { ...TERMS, openCommits: 1024, aheadUnits: 1000, prepayCapWei: 10n ** 18n } })
  world.open()
  const raw = payMessageCodec.encode({ kind: 'credit', agreement: world.recipient.id, state: { agreement: world.recipient.id, sequence: 1, tickets: 0, expectedPaid: 0n, heldBack: 0n, refunded: 0n }, lots: [{ first: 0, expirySec: 1, commits: Array.from({ length: 1024 }, () => world.recipient.id) }], final: false })
  assert.ok(raw.length > 30_000 && payMessageCodec.decode(raw).ok)
})

test.run()
