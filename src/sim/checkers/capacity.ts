import type { StoredRecord, Write } from '../../core/effect.ts'
import type { Resources } from '../../documents/resources.ts'
import { HOSTED_PREFIX } from '../../job/hosting.ts'
import type { Computer } from '../computer.ts'
import type { Checker } from '../observation.ts'

const EPSILON = 1e-6

interface Hosted { agreement: { slots: number }, offer: { resources: Resources } }

/** Invariant 10: what a host has agreed to never exceeds what it lends, and what runs never exceeds what was agreed to. */
export function withinCapacity(): Checker {
  const hosted = new Map<Computer, Map<string, Hosted>>()
  const of = (computer: Computer): Map<string, Hosted> => {
    const map = hosted.get(computer) ?? new Map<string, Hosted>()
    hosted.set(computer, map)
    return map
  }
  return {
    name: 'within capacity',
    observe(observation) {
      if (observation.kind === 'restarted') {
        of(observation.computer).clear()
        for (const [key, value] of observation.records) note(of(observation.computer), key, value)
      }
      if (observation.kind !== 'stepped') return undefined
      const { computer, writes } = observation
      const held = of(computer)
      for (const write of writes) take(held, write)
      const { cores, memoryBytes } = computer.hardware()
      const all = [...held.values()]
      const coresHeld = all.reduce((sum, { agreement, offer }) => sum + agreement.slots * offer.resources.cores, 0)
      const memoryHeld = all.reduce((sum, { agreement, offer }) => sum + agreement.slots * offer.resources.memoryBytes, 0)
      if (coresHeld > cores + EPSILON || memoryHeld > memoryBytes) return `${computer.name} has agreed to ${coresHeld} cores and ${memoryHeld} bytes, and lends ${cores} and ${memoryBytes}`
      return overrun(computer, held)
    }
  }
}

function overrun(computer: Computer, held: ReadonlyMap<string, Hosted>): string | undefined {
  const { runs } = computer.sandbox
  const cores = runs.reduce((sum, run) => sum + run.cores, 0)
  if (cores > computer.spec.cores + EPSILON) return `${computer.name} runs on ${cores} cores, and lends ${computer.spec.cores}`
  const byAgreement = new Map<string, number>()
  for (const { lease } of runs) byAgreement.set(lease.agreement, (byAgreement.get(lease.agreement) ?? 0) + 1)
  for (const [agreement, count] of byAgreement) {
    // An agreement that has just ended stops its runs with the commit that ends it.
    const slots = held.get(agreement)?.agreement.slots ?? Number.POSITIVE_INFINITY
    if (count > slots) return `${computer.name} runs ${count} tasks under an agreement of ${slots} slots`
  }
  return undefined
}

function take(held: Map<string, Hosted>, write: Write): void {
  if (write.kind === 'put') note(held, write.key, write.value)
  else held.delete(write.key.slice(HOSTED_PREFIX.length))
}

function note(held: Map<string, Hosted>, key: string, value: StoredRecord): void {
  if (key.startsWith(HOSTED_PREFIX)) held.set(key.slice(HOSTED_PREFIX.length), value as StoredRecord & Hosted)
}
