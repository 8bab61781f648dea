import type { Checker, WorldView } from '../observation.ts'
import { gwei } from '../computer.ts'
import { RICH } from '../scenario.ts'
import { canonical } from './records.ts'

/** Invariants 1 and 3: no wei comes or goes, whatever the chain undoes, and no bucket is ever below zero. */
export function moneyConserved(): Checker {
  let startWei: bigint | undefined
  return {
    name: 'money conserved',
    observe(observation, world) {
      if (observation.kind !== 'block') return undefined
      startWei ??= endowedWei(world)
      const { number, after } = observation.block
      let [insideWei, outsideWei] = [0n, 0n]
      for (const [address, balance] of after.accounts) {
        const { walletWei, depositWei, bondWei, jobBondWei, creditWei } = balance
        if ([walletWei, depositWei, bondWei, jobBondWei, creditWei].some((amount) => amount < 0n)) return `block ${number} leaves ${address} below zero: ${canonical(balance)}`
        insideWei += depositWei + bondWei + jobBondWei + creditWei
        outsideWei += walletWei
      }
      const keptWei = after.receivedWei - after.paidOutWei
      if (insideWei + after.burnedWei !== keptWei) return `block ${number}: the contract holds ${insideWei} wei and burned ${after.burnedWei}, but took in ${keptWei} more than it paid out`
      return insideWei + outsideWei + after.burnedWei === startWei ? undefined : `block ${number}: ${insideWei + outsideWei + after.burnedWei} wei are there, of ${startWei} in the beginning`
    }
  }
}

function endowedWei(world: WorldView): bigint {
  return world.scenario.peers.reduce((sum, { money = RICH }) => sum + gwei(money.walletGwei) + gwei(money.depositGwei) + gwei(money.bondGwei) + gwei(money.jobBondGwei), 0n)
}

/** Invariant 2: on the chain that stands, no ticket is paid twice, be it redeemed, claimed, or sent again after a reorganisation. */
export function paidOnce(): Checker {
  /** By the number of their block, so that what a reorganisation undoes is forgotten. */
  const byBlock = new Map<number, string[]>()
  const paid = new Set<string>()
  let head = 0
  return {
    name: 'paid once',
    observe(observation) {
      if (observation.kind !== 'block') return undefined
      const { number, included } = observation.block
      for (; head >= number; head--) {
        for (const ticket of byBlock.get(head) ?? []) paid.delete(ticket)
        byBlock.delete(head)
      }
      head = number
      for (const { tx, refusal } of included) {
        if (refusal !== undefined || (tx.kind !== 'redeem' && tx.kind !== 'claim-default')) continue
        const ticket = canonical(tx.ticket)
        if (paid.has(ticket)) return `the ticket on commit ${tx.ticket.commit} of ${tx.ticket.payer} was paid twice`
        paid.add(ticket)
        byBlock.set(number, [...byBlock.get(number) ?? [], ticket])
      }
      return undefined
    }
  }
}
