import { randomBytes } from 'node:crypto'
import type { Effect, Step, Write } from '../../src/core/effect.ts'
import type { Now, PeerEvent } from '../../src/core/event.ts'
import { ENTROPY_BYTES } from '../../src/core/turn.ts'
import type { Peer } from '../../src/peer.ts'
import type { RecordStore } from '../store/record-store.ts'
import type { FaultPoint } from './fault-points.ts'

/** A gap in monotonic time this much longer than the timer that should have ended it means that the machine slept. */
const SLEEP_GAP_MS = 30_000
/** The clock is looked at this often, so that sleep is noticed within it. */
const CLOCK_CHECK_MS = 10_000

/**
 * What a power cut must not undo: a commit signed for, a ticket acknowledged, a winner. They are on the disk itself before
 * anything of them leaves, and with them all that was written before.
 */
const MONEY = /^(?:spent|credited|winner)\//

export interface DriverOptions {
  peer: Pick<Peer, 'handle' | 'nextTickMonoMs'>
  store: Pick<RecordStore, 'commit'>
  perform: (effect: Effect) => void
  faultPoint: FaultPoint
  /** The store failed: nothing may be promised any more. */
  onStoreFailure: (err: unknown) => void
  /** The machine slept: what was connected may be gone. Told after the core was. */
  onWake: () => void
}

export function systemNow(): Now {
  return { monoMs: performance.now(), wallMs: Date.now() }
}

/**
 * The only place that runs the core in production. Events are handled at once, in order; their writes gather into one
 * atomic batch while the one before is being written (group commit); effects leave only after the batch that holds
 * their step's writes, in the order in which the core gave them.
 */
export class Driver {
  readonly #options: DriverOptions
  #pending: Step[] = []
  #flushing = false
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  #timerMonoMs = Number.POSITIVE_INFINITY
  readonly #clock: NodeJS.Timeout
  #checkedMonoMs = performance.now()
  #checkedWallMs = Date.now()
  #stopped = false
  #idle: PromiseWithResolvers<void>[] = []
  #failure: Error | undefined

  constructor(options: DriverOptions) {
    this.#options = options
    this.#clock = setInterval(() => { this.#checkClock() }, CLOCK_CHECK_MS)
    this.#clock.unref()
  }

  dispatch(event: PeerEvent): void {
    if (this.#stopped) return
    this.#pending.push(this.#options.peer.handle(event, systemNow(), randomBytes(ENTROPY_BYTES)))
    if (!this.#scheduled && !this.#flushing) {
      this.#scheduled = true
      queueMicrotask(() => { void this.#flush() })
    }
    this.#armTimer()
  }

  /** Resolves when every event so far is committed and its effects have left; rejects when the store failed instead. */
  async settled(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#pending.length === 0 && !this.#flushing) return
    const idle = Promise.withResolvers<void>()
    this.#idle.push(idle)
    await idle.promise
  }

  async stop(): Promise<void> {
    // a store that failed was told of already
    await this.settled().catch(() => undefined)
    this.#stopped = true
    clearInterval(this.#clock)
    clearTimeout(this.#timer)
  }

  async #flush(): Promise<void> {
    this.#scheduled = false
    this.#flushing = true
    while (this.#pending.length > 0) {
      const steps = this.#pending
      this.#pending = []
      const writes = merged(steps)
      if (writes.length > 0 && !await this.#commit(writes)) return
      for (const { effects } of steps) for (const effect of effects) this.#leave(effect)
    }
    this.#flushing = false
    for (const { resolve } of this.#idle.splice(0)) resolve()
  }

  async #commit(writes: Write[]): Promise<boolean> {
    const { store, faultPoint, onStoreFailure } = this.#options
    faultPoint('before-commit')
    try {
      await store.commit(writes, { sync: writes.some(({ key }) => MONEY.test(key)) })
    } catch (err) {
      this.#fail(err instanceof Error ? err : new Error(String(err)))
      onStoreFailure(err)
      return false
    }
    faultPoint('after-commit')
    return true
  }

  /** Whoever waits for what was not written is told so, now and later. */
  #fail(failure: Error): void {
    this.#failure = failure
    this.#stopped = true
    this.#pending = []
    clearInterval(this.#clock)
    clearTimeout(this.#timer)
    for (const { reject } of this.#idle.splice(0)) reject(failure)
  }

  #leave(effect: Effect): void {
    const volatile = effect.kind === 'notify' || effect.kind === 'advertise'
    if (!volatile) this.#options.faultPoint(`before-${name(effect)}`)
    this.#options.perform(effect)
    if (!volatile) this.#options.faultPoint(`after-${name(effect)}`)
  }

  #armTimer(): void {
    const dueMonoMs = this.#options.peer.nextTickMonoMs()
    if (dueMonoMs === undefined || dueMonoMs === this.#timerMonoMs) return
    clearTimeout(this.#timer)
    this.#timerMonoMs = dueMonoMs
    this.#timer = setTimeout(() => {
      this.#timerMonoMs = Number.POSITIVE_INFINITY
      this.dispatch({ kind: 'tick' })
    }, Math.min(Math.max(0, Math.ceil(dueMonoMs - performance.now())), 2 ** 31 - 1))
  }

  /** On Linux the monotonic clock stops while the machine sleeps and the wall clock does not: the difference is the sleep. */
  #checkClock(): void {
    const now = systemNow()
    const sleptMs = Math.max(now.wallMs - this.#checkedWallMs - CLOCK_CHECK_MS, now.monoMs - this.#checkedMonoMs - CLOCK_CHECK_MS)
    this.#checkedMonoMs = now.monoMs
    this.#checkedWallMs = now.wallMs
    if (sleptMs <= SLEEP_GAP_MS) return
    this.dispatch({ kind: 'woke', sleptMs: Math.round(sleptMs) })
    this.#options.onWake()
  }
}

function name(effect: Effect): string {
  return effect.kind === 'send' ? `send-${effect.message.kind}` : effect.kind
}

/** The last write to a key counts. */
function merged(steps: readonly Step[]): Write[] {
  const only = steps.length === 1 ? steps[0] : undefined
  if (only !== undefined) return only.writes
  const writes = new Map<string, Write>()
  for (const step of steps) for (const write of step.writes) writes.set(write.key, write)
  return [...writes.values()]
}
