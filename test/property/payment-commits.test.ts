/** A commit gets one signature, ever: through restarts, old stores, reordered words and clocks that differ. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { payMessageCodec } from '../../src/documents/pay-message.ts'
import { toWei } from '../../src/documents/ticket.ts'
import { PaymentWorld, START_WALL_MS, TERMS } from './payment-world.ts'
import { UNIT, onceSigned, checkAlways, checkSettled, workUntil } from './payment-checks.ts'

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
