import { expectedOf, fromWei } from '../../documents/ticket.ts'
import type { Ticket, Winner } from '../../documents/ticket.ts'
import { WINNER_PREFIX } from '../../payment/winners.ts'
import { earnsHonestly, paysHonestly } from '../behaviour.ts'
import { gwei } from '../computer.ts'
import type { Computer } from '../computer.ts'
import type { Checker, WorldView } from '../observation.ts'
import { RICH } from '../scenario.ts'
import { canonical } from './records.ts'

/** A commit gets one signature, ever: whatever crashed in between, two tickets that leave for it are the same to the last byte. */
export function oneSignature(): Checker {
  const signed = new Map<string, string>()
  return {
    name: 'one signature a commit',
    observe(observation) {
      if (observation.kind !== 'performed' || observation.effect.kind !== 'send' || observation.effect.message.kind !== 'ticket') return undefined
      const { message: { agreement, index, ticket } } = observation.effect
      const content = canonical(ticket)
      for (const key of [`${agreement}/${ticket.commit}`, `${agreement}/${index}`]) {
        const before = signed.get(key)
        signed.set(key, content)
        if (before !== undefined && before !== content) return `${observation.computer.name} signed two tickets for ${key}:\n  ${before}\n  ${content}`
      }
      return undefined
    }
  }
}

/** What a node signs for stays below what its owner set, a job and a day, across crashes: in expected value, to the last part of a wei. */
export function withinCaps(): Checker {
  const known = new Set<string>()
  const spent = new Map<string, bigint>()
  const spend = (key: string, ticket: Ticket, capGwei: number | undefined): string | undefined => {
    const sum = (spent.get(key) ?? 0n) + expectedOf(ticket)
    spent.set(key, sum)
    return capGwei !== undefined && sum > fromWei(gwei(capGwei)) ? `${key} has cost ${sum >> 64n} wei, its cap is ${capGwei} gwei` : undefined
  }
  return {
    name: 'within caps',
    observe(observation) {
      if (observation.kind !== 'performed' || observation.effect.kind !== 'send' || observation.effect.message.kind !== 'ticket') return undefined
      const { computer, effect: { message: { agreement, index, ticket } } } = observation
      const job = computer.peer?.paying.senders.get(agreement)?.payment.job
      if (job === undefined || known.has(`${agreement}/${index}`)) return undefined
      known.add(`${agreement}/${index}`)
      const { jobCapGwei, dayCapGwei } = computer.spec.money ?? RICH
      return spend(`job ${job}`, ticket, jobCapGwei) ?? spend(`the day of ${computer.name}`, ticket, dayCapGwei)
    }
  }
}

/**
 * What an honest host accepted, and won, is paid in the end: in full where the payer's money sufficed all along, else by a
 * claim that takes what is left. Nothing waits for ever.
 */
export function winnersPaid(): Checker {
  const winners = new Map<string, { winner: Winner, computer: Computer }>()
  return {
    name: 'winners are paid',
    observe(observation, world) {
      if (observation.kind === 'committed') {
        for (const write of observation.writes) {
          if (write.kind !== 'put' || !write.key.startsWith(WINNER_PREFIX)) continue
          const winner = write.value as Winner
          winners.set(winner.digest, { winner, computer: observation.computer })
        }
      }
      if (observation.kind !== 'settled') return undefined
      for (const { winner, computer } of winners.values()) {
        const problem = earnsHonestly(computer.spec.behaviour) ? unpaid(winner, computer, world) : undefined
        if (problem !== undefined) return problem
      }
      return underpaid([...winners.values()].map(({ winner }) => winner), world)
    }
  }
}

function unpaid({ digest, agreement, index, ticket }: Winner, computer: Computer, world: WorldView): string | undefined {
  return world.chain?.confirmed.after.isUsed(digest) === true ? undefined : `the winner ${agreement}/${index} of ${computer.name}, good until ${ticket.expirySec}, was never paid`
}

/** Each payee of rich payers alone has the sum of its face values. */
function underpaid(winners: readonly Winner[], world: WorldView): string | undefined {
  for (const { address, name, spec } of world.computers) {
    const own = winners.filter(({ ticket }) => ticket.payee === address)
    const payers = own.map(({ ticket }) => world.computers.find((computer) => computer.address === ticket.payer)?.spec)
    if (!earnsHonestly(spec.behaviour) || !payers.every((payer) => payer !== undefined && paysHonestly(payer.behaviour) && (payer.money ?? RICH).depositGwei === RICH.depositGwei)) continue
    const wonWei = own.reduce((sum, { ticket }) => sum + ticket.faceValueWei, 0n)
    const creditWei = world.chain?.confirmed.after.balance(address).creditWei ?? 0n
    if (creditWei !== wonWei) return `${name} won ${wonWei} wei, and was credited ${creditWei}`
  }
  return undefined
}
