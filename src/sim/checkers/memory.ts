import type { Checker, WorldView } from '../observation.ts'

/** What any peer of this world may hold at most: a few entries for every replica there could be, and for every peer. */
function bound(world: WorldView): number {
  const replicas = world.scenario.jobs.reduce((sum, { tasks, replicas: each }) => sum + tasks * (each + 2), 0)
  return 100 + 8 * replicas + 20 * world.scenario.peers.length
}

/** Invariant 14: nothing in a peer grows beyond what its jobs and neighbours justify. */
export function boundedMemory(): Checker {
  return {
    name: 'bounded memory',
    observe(observation, world) {
      if (observation.kind !== 'stepped') return undefined
      const most = bound(world)
      const over = Object.entries(observation.peer.sizes()).find(([, size]) => size > most)
      return over === undefined ? undefined : `${observation.computer.name} holds ${over[1]} ${over[0]}, the bound is ${most}`
    }
  }
}
