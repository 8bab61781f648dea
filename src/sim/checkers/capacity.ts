import type { StoredRecord, Write } from '../../core/effect.ts'
import type { Resources } from '../../documents/resources.ts'
import { HOSTED_PREFIX } from '../../job/hosted.ts'
import { LEASE_PREFIX } from '../../job/lease.ts'
import type { LeaseRecord } from '../../job/lease.ts'
import type { Computer } from '../computer.ts'
import type { Checker } from '../observation.ts'

const EPSILON = 1e-6

interface Hosted { agreement: { slots: number }, offer: { resources: Resources } }
interface Books { hosted: Map<string, Hosted>, /** Leases that are to run, by agreement. */ work: Map<string, Set<string>> }

/** Invariant 10: what a host has agreed to and is to work on never exceeds what it lends, and what runs never exceeds what was agreed to. */
export function withinCapacity(): Checker {
  const books = new Map<Computer, Books>()
  const of = (computer: Computer): Books => {
    const book = books.get(computer) ?? { hosted: new Map(), work: new Map() }
    books.set(computer, book)
    return book
  }
  return {
    name: 'within capacity',
    observe(observation) {
      if (observation.kind === 'restarted') {
        books.delete(observation.computer)
        for (const [key, value] of observation.records) take(of(observation.computer), { kind: 'put', key, value })
      }
      if (observation.kind !== 'stepped') return undefined
      const { computer, writes } = observation
      const book = of(computer)
      for (const write of writes) take(book, write)
      return overcommitted(computer, book) ?? overrun(computer, book.hosted)
    }
  }
}

function overcommitted(computer: Computer, { hosted, work }: Books): string | undefined {
  const { cores, memoryBytes } = computer.hardware()
  let [coresHeld, memoryHeld] = [0, 0]
  for (const [id, { agreement, offer }] of hosted) {
    if ((work.get(id)?.size ?? 0) === 0) continue
    coresHeld += agreement.slots * offer.resources.cores
    memoryHeld += agreement.slots * offer.resources.memoryBytes
  }
  if (coresHeld <= cores + EPSILON && memoryHeld <= memoryBytes) return undefined
  return `${computer.name} has agreed to ${coresHeld} cores and ${memoryHeld} bytes, and lends ${cores} and ${memoryBytes}`
}

function overrun(computer: Computer, hosted: ReadonlyMap<string, Hosted>): string | undefined {
  const { runs } = computer.sandbox
  const cores = runs.reduce((sum, run) => sum + run.cores, 0)
  if (cores > computer.spec.cores + EPSILON) return `${computer.name} runs on ${cores} cores, and lends ${computer.spec.cores}`
  const byAgreement = new Map<string, number>()
  for (const { lease } of runs) byAgreement.set(lease.agreement, (byAgreement.get(lease.agreement) ?? 0) + 1)
  for (const [agreement, count] of byAgreement) {
    // An agreement that has just ended stops its runs with the commit that ends it.
    const slots = hosted.get(agreement)?.agreement.slots ?? Number.POSITIVE_INFINITY
    if (count > slots) return `${computer.name} runs ${count} tasks under an agreement of ${slots} slots`
  }
  return undefined
}

/** `lease/AGREEMENT/TASK/ATTEMPT` records in state `queued` are work; a running one is stored so too. */
function take({ hosted, work }: Books, write: Write): void {
  const [prefix, agreement = ''] = write.key.split('/')
  const stored: StoredRecord | undefined = write.kind === 'put' ? write.value : undefined
  if (`${prefix}/` === HOSTED_PREFIX) {
    if (stored === undefined) hosted.delete(agreement)
    else hosted.set(agreement, stored as StoredRecord & Hosted)
  } else if (`${prefix}/` === LEASE_PREFIX) {
    const leases = work.get(agreement) ?? new Set<string>()
    if ((stored as LeaseRecord | undefined)?.state.kind === 'queued') work.set(agreement, leases.add(write.key))
    else leases.delete(write.key)
    if (leases.size === 0) work.delete(agreement)
  }
}
