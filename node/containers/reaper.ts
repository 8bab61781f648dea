import { EngineError, type EngineClient } from './engine-client.ts'
import { MAX_LEFTOVERS, REMOVAL_PAUSE_MS, REMOVAL_TRIES } from './limits.ts'

/**
 * Removes every container and volume that bears this node's label, except those of `activeRuns`: what an earlier life of
 * the node, or of the engine, left. Another node's are never touched. Answers how many containers there were.
 */
export async function reap(engine: EngineClient, node: string, isActive: (runId: string) => boolean = () => false): Promise<number> {
  const label = `hearth.node=${node}`
  const containers = (await engine.containersBy(label)).filter(({ Labels }) => !isActive(Labels['hearth.run'] ?? ''))
  await Promise.all(containers.map(({ Id }) => engine.remove(Id)))
  // volumes in use stay: they are those of active runs
  for (const { Name } of await engine.volumesBy(label)) await engine.removeVolume(Name).catch((err: unknown) => { if (!(err instanceof EngineError && err.kind === 'refused')) throw err })
  return containers.length
}

/** What a run leaves behind, removed beside the next work; an engine that is away is tried again. */
export class Leftovers {
  readonly #engine: EngineClient
  readonly #pending = new Set<Promise<void>>()
  readonly #wakes = new Set<() => void>()
  #closing = false

  constructor(engine: EngineClient) {
    this.#engine = engine
  }

  get size(): number { return this.#pending.size }

  /** Takes a container (its id or name) and volumes. Beyond `MAX_LEFTOVERS` they wait for the next start's reaper. */
  remove(container: string | undefined, volumes: readonly string[]): void {
    if (this.#pending.size >= MAX_LEFTOVERS) return
    const removal = this.#remove(container, volumes).finally(() => { this.#pending.delete(removal) })
    this.#pending.add(removal)
  }

  /** Resolves when nothing is left, or the engine refused it. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  /** One last try for all that is left. */
  async close(): Promise<void> {
    this.#closing = true
    for (const wake of [...this.#wakes]) wake()
    await this.settle()
  }

  async #remove(container: string | undefined, volumes: readonly string[]): Promise<void> {
    for (let tries = 0; tries < REMOVAL_TRIES; tries++) {
      try {
        if (container !== undefined) await this.#engine.remove(container)
        for (const name of volumes) await this.#engine.removeVolume(name)
        return
      } catch {
        if (this.#closing) return
        await this.#pause()
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#wakes.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, REMOVAL_PAUSE_MS)
      timer.unref()
      this.#wakes.add(wake)
    })
  }
}
