import type { Message } from '../../documents/message.ts'
import type { Checker } from '../observation.ts'

/** Signs of life: each is an occasion to look again, so something may come of a second one. */
const OCCASIONS: readonly Message['kind'][] = ['beat', 'probe', 'progress']

/**
 * Invariant 11: a message that was handled before changes no record and starts no run. One that came before what it speaks of
 * changed nothing the first time, so its second coming may.
 */
export function repeatsChangeNothing(): Checker {
  const told = new WeakSet<Message>()
  return {
    name: 'repeats change nothing',
    observe(observation) {
      if (observation.kind !== 'stepped' || observation.event.kind !== 'message') return undefined
      const { event: { message }, step, computer } = observation
      const acts = step.writes.length > 0 || step.effects.some(({ kind }) => kind === 'run')
      if (!acts || OCCASIONS.includes(message.kind)) return undefined
      if (!observation.repeat || !told.has(message)) { told.add(message); return undefined }
      return `${computer.name} wrote ${step.writes.map(({ key }) => key).join(', ')} on a repeated ${message.kind}`
    }
  }
}
