import type { StoredRecord, Write } from '../../core/effect.ts'
import { aheadQuantity, aheadShare, carriageOf, priceOf } from '../../documents/terms.ts'
import { expectedOf, toWei } from '../../documents/ticket.ts'
import { payerExposure, providerExposure } from '../../payment/exposure.ts'
import { acceptedPrice, dueFor, totalOf } from '../../payment/ledger.ts'
import { RECIPIENT_PREFIX } from '../../payment/recipient.ts'
import type { RecipientRecord } from '../../payment/recipient.ts'
import { SENDER_PREFIX } from '../../payment/sender.ts'
import type { SenderRecord } from '../../payment/sender.ts'
import { earnsHonestly, paysHonestly } from '../behaviour.ts'
import type { Computer } from '../computer.ts'
import { leaseKey } from '../../job/lease.ts'
import type { Checker, Observation, WorldView } from '../observation.ts'

function put<T>(writes: readonly Write[], prefix: string): T[] {
  return writes.flatMap((write) => write.kind === 'put' && write.key.startsWith(prefix) ? [write.value as StoredRecord & T] : [])
}

/**
 * Nobody honest loses more than was declared to it, whatever the other side does: at any time, and in expected values, so
 * that luck proves nothing and excuses nothing. For a payer what counts is work that it accepted, for a provider what it
 * worked.
 */
export function withinExposure(): Checker {
  const most = new Map<string, number>()
  /** Bytes moved when all that was due was paid last. */
  const paidMoved = new Map<string, number>()
  const acceptedMs = accepting()
  return {
    name: 'within exposure',
    observe(observation) {
      if (observation.kind !== 'stepped') return undefined
      const { computer, writes } = observation
      const { name, spec: { behaviour } } = computer
      const accepted = acceptedMs(observation)
      for (const { agreement, terms, work, issued } of paysHonestly(behaviour) ? put<SenderRecord>(writes, SENDER_PREFIX) : []) {
        const value = expectedOf(terms)
        const good = Math.min(accepted(agreement), totalOf(work))
        const loss = BigInt(issued) * value - priceOf(terms, good) - carriageOf(terms, work.moved)
        const declared = payerExposure(terms, totalOf(work) - good).expected + value
        if (loss > declared) return `${name} paid ${toWei(loss)} wei under ${agreement} for work that it did not accept, and was told ${toWei(declared)}`
      }
      for (const { agreement, terms, work, tickets } of earnsHonestly(behaviour) ? put<RecipientRecord>(writes, RECIPIENT_PREFIX) : []) {
        const open = Math.max(most.get(agreement) ?? 0, work.unsettled + work.failed)
        most.set(agreement, open)
        const loss = priceOf(terms, work.accepted + work.unsettled) + carriageOf(terms, work.moved) - BigInt(tickets) * expectedOf(terms)
        // bytes are due with a verdict and paid after it: those since all that was due was paid last may be lost
        const before = paidMoved.get(agreement) ?? 0
        if (BigInt(tickets) * expectedOf(terms) >= dueFor(terms, work, 0)) paidMoved.set(agreement, work.moved)
        const declared = providerExposure(terms, open, work.moved - Math.min(before, work.moved)).expected
        if (loss > declared) return `${name} worked for ${toWei(loss)} wei under ${agreement} that were not paid, and was told ${toWei(declared)}`
      }
      return undefined
    }
  }
}

/** Run times of the results that a requester accepted, by agreement, from what was revealed to it and what it said: not from its own books. */
function accepting(): (step: Observation & { kind: 'stepped' }) => (agreement: string) => number {
  const revealed = new Map<string, number>()
  const sums = new Map<string, number>()
  return ({ event, step }) => {
    if (event.kind === 'message' && event.message.kind === 'reveal' && !revealed.has(leaseKey(event.message.receipt))) revealed.set(leaseKey(event.message.receipt), event.message.receipt.usage.wallMs)
    for (const effect of step.effects) {
      if (effect.kind !== 'send' || effect.message.kind !== 'verdict' || effect.message.verdict !== 'accepted') continue
      const { agreement } = effect.message
      sums.set(agreement, (sums.get(agreement) ?? 0) + (revealed.get(leaseKey(effect.message)) ?? 0))
      revealed.set(leaseKey(effect.message), 0)
    }
    return (agreement) => sums.get(agreement) ?? 0
  }
}

/** Work stops within one unit a slot after payment stops, and payment within one unit after work stops. */
export function eachStops(): Checker {
  /** What was worked when all was paid last. */
  const paidAt = new Map<string, number>()
  return {
    name: 'each stops',
    observe(observation, world) {
      if (observation.kind !== 'stepped') return undefined
      const { computer: { name, spec }, writes } = observation
      for (const { agreement, terms, work, issued } of paysHonestly(spec.behaviour) ? put<SenderRecord>(writes, SENDER_PREFIX) : []) {
        const ahead = BigInt(issued) * expectedOf(terms) - dueFor(terms, work, 0)
        const most = aheadShare(terms, priceOf(terms, aheadQuantity(terms))) + expectedOf(terms)
        if (ahead > most) return `${name} has paid ${toWei(ahead)} wei ahead under ${agreement}, more than a unit a slot, ${toWei(most)}`
      }
      for (const { agreement, terms, work, tickets } of earnsHonestly(spec.behaviour) ? put<RecipientRecord>(writes, RECIPIENT_PREFIX) : []) {
        const total = totalOf(work)
        if (BigInt(tickets) * expectedOf(terms) >= dueFor(terms, work, 0) || !paidAt.has(agreement)) paidAt.set(agreement, total)
        const unpaid = total - (paidAt.get(agreement) ?? total)
        // a hold is committed before it is done
        if (unpaid > aheadQuantity(terms) + terms.aheadUnits * world.scenario.commitMs) return `${name} worked ${unpaid} ms on under ${agreement} after payment had stopped, ${aheadQuantity(terms)} are a unit a slot`
      }
      return undefined
    }
  }
}

/** An honest host claims what its programs ran, and nothing else: not what they were held, suspended or never begun. */
export function claimsAreTrue(): Checker {
  /** Times that runs were let go on, by computer: each may be claimed from its decision on, and happens after its commit. */
  const resumed = new Map<Computer, number>()
  return {
    name: 'claims are true',
    observe(observation, world) {
      if (observation.kind === 'performed') {
        const { computer, effect } = observation
        if (effect.kind === 'hold-run' || effect.kind === 'suspend-runs' || effect.kind === 'run' || effect.kind === 'stop-run') resumed.set(computer, (resumed.get(computer) ?? 0) + 1)
        return undefined
      }
      if (observation.kind !== 'stepped') return undefined
      const { computer, writes } = observation
      if (!earnsHonestly(computer.spec.behaviour)) return undefined
      for (const { agreement, work } of put<RecipientRecord>(writes, RECIPIENT_PREFIX)) {
        const ranMs = computer.sandbox.ranMs(agreement)
        const slackMs = 1 + (resumed.get(computer) ?? 0) * (1 + world.scenario.commitMs)
        if (totalOf(work) > ranMs + slackMs) return `${computer.name} claims ${totalOf(work)} ms under ${agreement}, of ${ranMs.toFixed(0)} that its programs ran`
      }
      return undefined
    }
  }
}

/** When both sides have said their last word, they agree on what was paid; and honest sides always come to that. */
export function lastWordsAgree(): Checker {
  return {
    name: 'last words agree',
    observe(observation, world) {
      if (observation.kind === 'settled') return unfinished(world)
      if (observation.kind !== 'committed') return undefined
      for (const { agreement, provider, state, issued, acknowledged } of put<SenderRecord>(observation.writes, SENDER_PREFIX)) {
        const host = world.computerOf(provider)
        if (state.kind !== 'closed' || !state.agreed || host === undefined || !paysHonestly(observation.computer.spec.behaviour) || !earnsHonestly(host.spec.behaviour)) continue
        const theirs = host.disk.get(RECIPIENT_PREFIX + agreement) as RecipientRecord | undefined
        if (theirs?.tickets !== issued || acknowledged?.state.tickets !== issued) return `${observation.computer.name} closed ${agreement} after ${issued} tickets, its provider holds ${theirs?.tickets} and had said ${acknowledged?.state.tickets}`
        const paid = BigInt(issued) * expectedOf(theirs.terms)
        if (isUncapped(observation.computer) && paid < acceptedPrice(theirs.terms, theirs.work)) return `${observation.computer.name} closed ${agreement} having paid ${toWei(paid)} wei, and accepted work for ${toWei(acceptedPrice(theirs.terms, theirs.work))}`
      }
      return undefined
    }
  }
}

function isUncapped({ spec: { money } }: Computer): boolean {
  return money?.jobCapGwei === undefined && money?.dayCapGwei === undefined
}

function unfinished(world: WorldView): string | undefined {
  for (const computer of world.computers) {
    for (const [id, sender] of computer.peer?.paying.senders ?? []) {
      const { state, payment } = sender
      const host = world.computerOf(payment.provider)
      if (state.kind === 'open' || state.kind === 'closing') return `${computer.name} is still ${state.kind} on the payment of ${id}`
      const honest = host !== undefined && paysHonestly(computer.spec.behaviour) && earnsHonestly(host.spec.behaviour)
      if (honest && state.kind === 'stopped') return `${computer.name} stopped paying an honest host: ${state.code} ${state.message}`
    }
  }
  return undefined
}
