import { leaseKey } from '../../job/lease.ts'
import type { Checker } from '../observation.ts'
import { putTasks } from './records.ts'

const ENDS: ReadonlySet<string> = new Set(['accepted', 'rejected', 'failed', 'lost', 'late', 'void'])

/** Invariant 2, as verdicts: no lease hears two different ones, no replica is accepted twice, and no end is taken back. */
export function verdictsAgree(): Checker {
  const said = new Map<string, string>()
  const states = new Map<string, string>()
  return {
    name: 'verdicts agree',
    observe(observation) {
      if (observation.kind === 'performed' && observation.effect.kind === 'send' && observation.effect.message.kind === 'verdict') {
        const { message } = observation.effect
        const key = leaseKey(message)
        const before = said.get(key)
        said.set(key, message.verdict)
        if (before !== undefined && before !== message.verdict) return `lease ${key} heard ${before}, then ${message.verdict}`
      }
      if (observation.kind !== 'committed') return undefined
      for (const { task } of putTasks(observation.writes)) {
        for (const { agreement, attempt, state } of task.replicas) {
          const key = leaseKey({ agreement, task: task.index, attempt })
          const before = states.get(key)
          states.set(key, state.kind)
          const voided = before === 'accepted' && state.kind === 'void'
          if (before !== undefined && before !== state.kind && ENDS.has(before) && !voided) return `replica ${key} was ${before} and became ${state.kind}`
        }
      }
      return undefined
    }
  }
}
