/** A walk through one paid agreement, and what must hold of both sides on the way and at its end. */
import { inspect } from 'node:util'
import * as assert from 'uvu/assert'
import type { StoredRecord } from '../../src/core/effect.ts'
import { dueFor } from '../../src/payment/ledger.ts'
import { ticketsAhead } from '../../src/documents/terms.ts'
import { expectedOf, fromWei } from '../../src/documents/ticket.ts'
import { PaymentWorld, TERMS } from './payment-world.ts'
import type { WorldOptions } from './payment-world.ts'

export const UNIT = TERMS.unit.size

export function onceSigned(world: PaymentWorld): string | undefined {
  for (const [commit, digests] of world.signed) if (digests.size > 1) return `commit ${commit} was signed ${digests.size} times`
  for (const [index, bytes] of world.ticketBytes) if (bytes.size > 1) return `ticket ${index} left in ${bytes.size} spellings`
  return undefined
}

/** What must hold at every moment. */
export function checkAlways(world: PaymentWorld): void {
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
export function checkSettled(world: PaymentWorld): void {
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

export function workUntil(world: PaymentWorld, units: number): void {
  for (let tries = 0; world.totalWorked < units * UNIT; tries++) {
    assert.ok(tries < 100, `work stalls at ${world.totalWorked / UNIT} units: ${world.sender?.paused?.message}`)
    if (!world.work()) world.tick()
    world.deliverAll()
    checkAlways(world)
  }
}

export function walk(options: WorldOptions = {}): PaymentWorld {
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
