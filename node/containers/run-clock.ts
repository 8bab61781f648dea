export interface RunClockOptions {
  wallMs: number
  /** Begin held. */
  suspended: boolean
  onTime: () => void
  /** Freezes the container, or thaws it. */
  pause: (paused: boolean) => Promise<void>
}

/** A run's time, which stands still while the run is held, and the holding itself. */
export class RunClock {
  readonly #options: RunClockOptions
  #suspended: boolean
  #held = false
  /** What the container is, or is becoming. */
  #paused = false
  #changing: Promise<void> = Promise.resolve()
  #state: 'waiting' | 'running' | 'stopped' = 'waiting'
  /** Time the run has had, up to `#sinceMs`; from there it runs if that is defined. */
  #ranMs = 0
  #sinceMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  #onRelease: (() => void) | undefined

  constructor(options: RunClockOptions) {
    this.#options = options
    this.#suspended = options.suspended
  }

  /** Time the run has had. */
  get ranMs(): number { return this.#ranMs + (this.#sinceMs === undefined ? 0 : performance.now() - this.#sinceMs) }

  suspend(suspended: boolean): void {
    this.#suspended = suspended
    this.#apply()
  }

  hold(held: boolean): void {
    this.#held = held
    this.#apply()
  }

  /** Resolves when nothing holds the run, or with the signal. */
  async released(signal: AbortSignal): Promise<void> {
    while (this.#isHeld() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onRelease = resolve
        signal.addEventListener('abort', () => { resolve() }, { once: true })
      })
    }
  }

  /** The container is being started; once `started` settles it can be held. */
  start(started: Promise<void>): void {
    this.#state = 'running'
    this.#changing = started.catch(() => undefined)
    this.#go()
    this.#apply()
  }

  /** The job has ended, the container has not: its time is over, and nothing may hold it from telling. */
  finish(): void {
    if (this.#state !== 'running') return
    this.#rest()
    this.#state = 'stopped'
    if (this.#paused) this.#changing = this.#changing.then(async () => { await this.#options.pause(false) }).catch(() => undefined)
  }

  /** The run is over; resolves when the container is left alone. */
  async stop(): Promise<void> {
    this.#rest()
    this.#state = 'stopped'
    await this.#changing
  }

  #isHeld(): boolean { return this.#suspended || this.#held }

  #apply(): void {
    if (!this.#isHeld()) this.#onRelease?.()
    if (this.#state !== 'running' || this.#isHeld() === this.#paused) return
    const paused = this.#paused = this.#isHeld()
    if (paused) this.#rest()
    else this.#go()
    // one after the other: an engine that is asked both at once does either
    this.#changing = this.#changing.then(async () => { await this.#options.pause(paused) }).catch(() => undefined)
  }

  #go(): void {
    this.#sinceMs = performance.now()
    this.#timer = setTimeout(this.#options.onTime, Math.max(0, this.#options.wallMs - this.#ranMs))
  }

  #rest(): void {
    clearTimeout(this.#timer)
    this.#ranMs = this.ranMs
    this.#sinceMs = undefined
  }
}
