import type { SignedAcceptance } from '../../documents/acceptance.ts'
import { exposureConflict } from '../../payment/exposure.ts'
import { SENDER_PREFIX } from '../../payment/sender.ts'
import type { SenderRecord } from '../../payment/sender.ts'
import { earnsHonestly, paysHonestly } from '../behaviour.ts'
import { EPOCH_WALL_MS } from '../computer.ts'
import type { Computer } from '../computer.ts'
import type { Checker, Observation, WorldView } from '../observation.ts'
import { canonical } from './records.ts'

/** An acceptance that an honest requester has not closed, and whose it is. */
interface Held { by: Computer, acceptance: SignedAcceptance }

/**
 * One bond is not put behind too much: an honest host gives each agreement a number of its own and counts all that stand; no
 * honest requester alone trusts a host with more than its bond; and a host that puts one bond behind too many requesters has
 * signed evidence against itself, which those hold together.
 */
export function bondsCounted(): Checker {
  /** By provider, then agreement. */
  const held = new Map<string, Map<string, Held>>()
  const numbers = new Map<string, string>()
  return {
    name: 'bonds are counted',
    observe(observation, world) {
      if (observation.kind === 'performed') return misnumbered(observation, world, numbers, [...held.get(observation.computer.id)?.values() ?? []])
      if (observation.kind !== 'committed' || !paysHonestly(observation.computer.spec.behaviour)) return undefined
      for (const write of observation.writes) {
        if (!write.key.startsWith(SENDER_PREFIX)) continue
        if (write.kind === 'delete') {
          for (const agreements of held.values()) agreements.delete(write.key.slice(SENDER_PREFIX.length))
          continue
        }
        const { agreement, provider, acceptance, state } = write.value as SenderRecord
        const agreements = held.get(provider) ?? new Map<string, Held>()
        held.set(provider, agreements)
        if (state.kind === 'open') agreements.set(agreement, { by: observation.computer, acceptance })
        else agreements.delete(agreement)
        const problem = state.kind === 'open' ? overexposed(provider, [...agreements.values()], observation.computer, world) : undefined
        if (problem !== undefined) return problem
      }
      return undefined
    }
  }
}

function bondOf({ address }: Computer, world: WorldView): bigint {
  return world.chain?.head.after.balance(address).jobBondWei ?? 0n
}

function sumOf(held: readonly Held[]): bigint {
  return held.reduce((sum, { acceptance }) => sum + acceptance.ownWei, 0n)
}

/** What an honest host signs. */
function misnumbered({ computer, effect }: Observation & { kind: 'performed' }, world: WorldView, numbers: Map<string, string>, held: readonly Held[]): string | undefined {
  if (effect.kind !== 'send' || effect.message.kind !== 'agreed' || effect.message.exposure === undefined || !earnsHonestly(computer.spec.behaviour)) return undefined
  const { agreement, exposure } = effect.message
  const number = `${computer.id}/${exposure.sequence}`
  const content = canonical({ agreement, ...exposure })
  const before = numbers.get(number)
  numbers.set(number, content)
  if (before !== undefined && before !== content) return `${computer.name} gave two agreements the number ${exposure.sequence}:\n  ${before}\n  ${content}`
  const own: SignedAcceptance = { agreement, provider: computer.address, requester: '', ...exposure, signature: '' }
  const others = held.flatMap(({ acceptance }) => acceptance.agreement === agreement ? [] : [acceptance])
  if (exposureConflict([...others, own], EPOCH_WALL_MS + world.nowMs) !== undefined) return `${computer.name} says that its bond stands behind ${exposure.totalWei} wei with ${agreement}, and does not count others that stand`
  const bondWei = bondOf(computer, world)
  return exposure.ownWei > 0n && exposure.totalWei > bondWei ? `${computer.name} puts ${exposure.totalWei} wei behind its agreements, its bond is ${bondWei}` : undefined
}

/** What honest requesters hold of one provider, after `by` opened one more. */
function overexposed(provider: string, held: readonly Held[], by: Computer, world: WorldView): string | undefined {
  const host = world.computerOf(provider)
  if (host === undefined) return undefined
  const bondWei = bondOf(host, world)
  const aloneWei = sumOf(held.filter((one) => one.by === by))
  if (aloneWei > bondWei) return `${by.name} trusts ${host.name} with ${aloneWei} wei ahead of its reveals, its bond is ${bondWei}`
  const togetherWei = sumOf(held)
  if (togetherWei <= bondWei) return undefined
  if (earnsHonestly(host.spec.behaviour)) return `the honest ${host.name} put a bond of ${bondWei} wei behind ${togetherWei}`
  const evidence = exposureConflict(held.map(({ acceptance }) => acceptance), EPOCH_WALL_MS + world.nowMs)
  return evidence === undefined ? `${host.name} put a bond of ${bondWei} wei behind ${togetherWei}, and nothing that it signed shows it` : undefined
}
