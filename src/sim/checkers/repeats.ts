import type { Message } from '../../documents/message.ts'
import type { Checker } from '../observation.ts'

/** Signs of life: each is an occasion to look again, so something may come of a second one. */
const OCCASIONS: readonly Message['kind'][] = ['beat', 'probe', 'progress']

/** Invariant 11: a message that was handled before changes no record and starts no run. */
export function repeatsChangeNothing(): Checker {
  return {
    name: 'repeats change nothing',
    observe(observation) {
      if (observation.kind !== 'stepped' || !observation.repeat || observation.event.kind !== 'message') return undefined
      const { event: { message }, step, computer } = observation
      if (OCCASIONS.includes(message.kind)) return undefined
      if (step.writes.length > 0) return `${computer.name} wrote ${step.writes.map(({ key }) => key).join(', ')} on a repeated ${message.kind}`
      return step.effects.some(({ kind }) => kind === 'run') ? `${computer.name} ran a task on a repeated ${message.kind}` : undefined
    }
  }
}
