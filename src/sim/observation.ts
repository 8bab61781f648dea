import type { Effect, Step, StoredRecord, Write } from '../core/effect.ts'
import type { PeerEvent } from '../core/event.ts'
import type { Peer } from '../peer.ts'
import type { Block, Chain } from './chain.ts'
import type { Computer } from './computer.ts'
import type { JobSpec, Scenario } from './scenario.ts'
import type { Truth } from './truth.ts'

/** What the checkers see of a world, in the order in which it happens. */
export type Observation =
  /** A peer handled an event. `repeat`: this life of it has handled the same delivery of the same message before. */
  | { kind: 'stepped', computer: Computer, peer: Peer, number: number, event: PeerEvent, repeat: boolean, step: Step, writes: readonly Write[] }
  | { kind: 'committed', computer: Computer, number: number, writes: readonly Write[] }
  | { kind: 'performed', computer: Computer, number: number, effect: Effect }
  | { kind: 'crashed', computer: Computer }
  /** The chain has a new head. */
  | { kind: 'block', block: Block }
  /** A new life, just restored, before its first event. */
  | { kind: 'restarted', computer: Computer, peer: Peer, records: readonly (readonly [key: string, value: StoredRecord])[] }
  /** Nothing will ever happen again, or the horizon was reached while something still would. */
  | { kind: 'settled', quiet: boolean }

export interface JobInWorld { id: string, spec: JobSpec }

/** What checkers may look at. */
export interface WorldView {
  readonly scenario: Scenario
  readonly nowMs: number
  readonly computers: readonly Computer[]
  readonly jobs: readonly JobInWorld[]
  readonly truth: Truth
  /** Where work is paid. */
  readonly chain: Chain | undefined
  computerOf(peer: string): Computer | undefined
  jobOf(id: string): JobInWorld | undefined
}

/** One invariant. `observe` returns what broke, or nothing. A checker belongs to one world. */
export interface Checker {
  readonly name: string
  observe(observation: Observation, world: WorldView): string | undefined
}

export interface Violation { checker: string, message: string, atMs: number }
