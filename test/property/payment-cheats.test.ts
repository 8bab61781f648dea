/** What a side that lies, stops or cannot pay gets of the other: no more than was stated. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { PayMessage, PayMessageOf } from '../../src/documents/pay-message.ts'
import { contextOf, expectedOf, fromWei, jobDigest, toWei } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import type { PayerFunds } from '../../src/documents/account.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { signDigest } from '../../node/keys/money.ts'
import { JOB, PAYER_KEY, PaymentWorld, START_WALL_MS, TERMS } from './payment-world.ts'
import { UNIT, workUntil } from './payment-checks.ts'

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

for (const code of ['E_TICKET_FIELD', 'E_TICKET_UNOFFERED', 'E_TICKET_SPENT', 'E_PAYER_FUNDS'] as const) {
  test(`a ticket that a provider refuses with ${code} ${code === 'E_PAYER_FUNDS' ? 'is said again' : 'is not said again: there it would count as a flood'}`, () => {
    const world = new PaymentWorld()
    world.open()
    world.deliver()
    const [ticket] = world.mail.splice(0).flatMap(({ message }) => message.kind === 'ticket' ? [message] : [])
    assert.ok(ticket !== undefined)
    world.payer.step((turn) => { world.sender.ticketRefused(turn, { kind: 'ticket-refused', agreement: ticket.agreement, index: ticket.index, code, message: '' }) })
    for (let i = 0; i < 20; i++) world.tick()
    assert.is(world.mail.some(({ message }) => message.kind === 'ticket' && message.index === ticket.index), code === 'E_PAYER_FUNDS')
    assert.is(world.sender.paused?.code, code)
  })
}

test.run()
