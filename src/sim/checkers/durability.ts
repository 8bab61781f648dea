import type { StoredRecord, Write } from '../../core/effect.ts'
import type { Peer } from '../../peer.ts'
import type { Computer } from '../computer.ts'
import type { Checker } from '../observation.ts'
import { durablePart } from './records.ts'

/** Steps between two comparisons of a whole peer with its records, at least; with many records more, so that a step costs the same. */
const COMPARE_EVERY = 20
const RECORDS_A_STEP = 4

interface Books { committed: Map<string, StoredRecord>, written: Map<string, StoredRecord>, lastCommitted: number }

/**
 * Invariant 12: recovery yields a durable prefix. Effects leave only after their step's commit; a new life is exactly what the
 * committed records say; and a live peer is at any time exactly what all its writes so far say, so no write was forgotten.
 */
export function durablePrefix(): Checker {
  const books = new Map<Computer, Books>()
  const of = (computer: Computer): Books => {
    const book = books.get(computer) ?? { committed: new Map(), written: new Map(), lastCommitted: -1 }
    books.set(computer, book)
    return book
  }
  return {
    name: 'durable prefix',
    observe(observation, world) {
      switch (observation.kind) {
        case 'stepped': {
          const { computer, peer, number, writes, event } = observation
          const { written } = of(computer)
          apply(written, writes)
          return number % Math.max(COMPARE_EVERY, Math.ceil(written.size / RECORDS_A_STEP)) === 0 ? difference(`${computer.name} after ${event.kind}`, peer, written) : undefined
        }
        case 'committed': {
          const book = of(observation.computer)
          if (observation.number <= book.lastCommitted) return `${observation.computer.name} committed step ${observation.number} after ${book.lastCommitted}`
          book.lastCommitted = observation.number
          apply(book.committed, observation.writes)
          return undefined
        }
        case 'performed': {
          const { computer, number, effect } = observation
          return number > of(computer).lastCommitted ? `${computer.name} let a ${effect.kind} out before its step was committed` : undefined
        }
        case 'crashed': {
          const book = of(observation.computer)
          book.written = new Map(book.committed)
          return undefined
        }
        case 'restarted': {
          const { computer, peer, records } = observation
          const { committed } = of(computer)
          const lost = [...committed.keys()].find((key) => !records.some(([found]) => found === key))
          if (lost !== undefined || records.length !== committed.size) return `the disk of ${computer.name} holds ${records.length} records, of ${committed.size} committed: ${lost ?? ''}`
          return difference(`${computer.name} after a restart`, peer, committed)
        }
        case 'block': return undefined
        case 'settled':
          return world.computers.map((computer) => computer.peer === undefined ? undefined : difference(`${computer.name} at the end`, computer.peer, of(computer).written)).find((problem) => problem !== undefined)
      }
    }
  }
}

function apply(records: Map<string, StoredRecord>, writes: readonly Write[]): void {
  for (const write of writes) {
    if (write.kind === 'put') records.set(write.key, write.value)
    else records.delete(write.key)
  }
}

function difference(where: string, peer: Peer, records: ReadonlyMap<string, StoredRecord>): string | undefined {
  const seen = new Set<string>()
  for (const [key, value] of peer.snapshot()) {
    seen.add(key)
    const stored = records.get(key)
    if (stored === undefined) return `${where} holds ${key}, which was never written`
    const [live, written] = [durablePart(key, value), durablePart(key, stored)]
    if (live !== written) return `${where} holds another ${key} than was written:\n  live    ${live}\n  written ${written}`
  }
  for (const key of records.keys()) if (!seen.has(key)) return `${where} forgot ${key}, which is still stored`
  return undefined
}
