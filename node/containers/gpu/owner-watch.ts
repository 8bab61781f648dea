import type { FoundCard } from './found.ts'
import { lookAtCards } from './gpu-processes.ts'
import type { LookOptions } from './gpu-processes.ts'
import { claimAfter, OWNER_USE_RULES, UNCLAIMED } from './owner-use.ts'
import type { CardClaim, OwnerUseRules } from './owner-use.ts'

/** What the room for containers knows of its own runs. */
export interface OwnWork {
  /** Process ids of all our containers, as this host counts them (`GET /containers/ID/top`). */
  pids: () => Promise<ReadonlySet<number>>
  /** Ids of cards on which a run of ours computes now: leased, and not paused. */
  working: () => ReadonlySet<string>
}

/** Remembers from look to look whose each card is. */
export class OwnerWatch {
  readonly #own: OwnWork
  readonly #rules: OwnerUseRules
  readonly #options: LookOptions
  #claims = new Map<string, CardClaim>()

  constructor(own: OwnWork, options: LookOptions & { rules?: OwnerUseRules } = {}) {
    this.#own = own
    this.#rules = options.rules ?? OWNER_USE_RULES
    this.#options = options
  }

  /** One look, to be repeated every few seconds while a card is leased or was taken back. Returns the cards that changed hands. */
  async look(cards: readonly FoundCard[], nowMonoMs: number): Promise<{ taken: string[], freed: string[] }> {
    const working = this.#own.working()
    const uses = await lookAtCards(cards, this.#own.pids, working, this.#options).catch(() => undefined)
    // without the list of our own processes each of them would look like the owner's
    if (uses === undefined) return { taken: [], freed: [] }
    // what was paused or begun meanwhile makes the look worthless for that card
    const after = this.#own.working()
    const next = new Map<string, CardClaim>()
    const [taken, freed]: [string[], string[]] = [[], []]
    for (const { id, card } of cards) {
      const before = this.#claims.get(id) ?? UNCLAIMED
      const claim = claimAfter(before, working.has(id) === after.has(id) ? uses.get(id) : undefined, card.vramBytes, nowMonoMs, this.#rules)
      next.set(id, claim)
      if (before.kind === 'ours' && claim.kind === 'owners') taken.push(id)
      if (before.kind === 'owners' && claim.kind === 'ours') freed.push(id)
    }
    this.#claims = next
    return { taken, freed }
  }

  /** Cards that their owner uses now. */
  get owners(): string[] {
    return [...this.#claims].filter(([, { kind }]) => kind === 'owners').map(([id]) => id)
  }
}
