import { tellsTruth } from '../behaviour.ts'
import type { Checker, WorldView } from '../observation.ts'
import { putHistories } from './records.ts'

function isHonest(world: WorldView, peer: string): boolean {
  const computer = world.computerOf(peer)
  return computer !== undefined && tellsTruth(computer.spec.behaviour)
}

/** Invariant 5: an honest peer is never caught, rejected or remembered as wrong, while liars that agree are fewer than the quorum. */
export function honestNeverBlamed(): Checker {
  return {
    name: 'honest never blamed',
    observe(observation, world) {
      if (observation.kind === 'committed') {
        const blamed = putHistories(observation.writes).find(({ peer, wrong }) => wrong > 0 && isHonest(world, peer))
        return blamed === undefined ? undefined : `${observation.computer.name} remembers the honest ${world.computerOf(blamed.peer)?.name} as wrong`
      }
      if (observation.kind !== 'performed') return undefined
      const { effect, computer } = observation
      if (effect.kind === 'notify' && effect.notice.kind === 'caught' && isHonest(world, effect.notice.peer)) return `${computer.name} caught the honest ${world.computerOf(effect.notice.peer)?.name}: ${effect.notice.message}`
      if (effect.kind === 'send' && effect.message.kind === 'verdict' && effect.message.verdict === 'rejected' && isHonest(world, effect.to)) return `${computer.name} rejected a result of the honest ${world.computerOf(effect.to)?.name}`
      return undefined
    }
  }
}
