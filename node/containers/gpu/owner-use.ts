import { MINUTE_MS } from '../../../src/units.ts'

/** What others than our runs do on one card, at one look. */
export interface CardUse {
  /** Share of the card's time, 0 to 100. Undefined: the driver does not tell. */
  readonly busyPercent: number | undefined
  /** Held by programs that only compute, bytes. What the desktop and its windows hold does not count: it is always there. */
  readonly computeBytes: number
}

export interface OwnerUseRules {
  /** Busier than this is use. A desktop that redraws stays below. */
  readonly busyPercent: number
  /** Quieter than this is none: between the two nothing changes. */
  readonly quietPercent: number
  /** A program that computes and holds more than this share of the card's memory is use, even while it thinks. */
  readonly memoryShare: number
  /** Looks in a row: one short burst, such as a video's thumbnail, moves nobody. */
  readonly looks: number
  /** So long nobody else may have used it before a run goes on. */
  readonly quietMs: number
}

export const OWNER_USE_RULES: OwnerUseRules = { busyPercent: 15, quietPercent: 5, memoryShare: 0.1, looks: 2, quietMs: MINUTE_MS }

/** Whose a card is now. `ours`: runs may work on it. */
export type CardClaim =
  | { readonly kind: 'ours', readonly busyLooks: number }
  | { readonly kind: 'owners', readonly quietSinceMonoMs: number | undefined }

export const UNCLAIMED: CardClaim = { kind: 'ours', busyLooks: 0 }

/**
 * `ours` -> `owners` after some busy looks in a row; `owners` -> `ours` after a long enough quiet. A look that tells
 * nothing (`undefined`) changes nothing: a driver that is asked at a bad moment is no reason to pause or to go on.
 */
export function claimAfter(claim: CardClaim, use: CardUse | undefined, vramBytes: number, nowMonoMs: number, rules: OwnerUseRules = OWNER_USE_RULES): CardClaim {
  if (use === undefined) return claim
  const { busyPercent = 0, computeBytes } = use
  const holds = computeBytes > 0 && computeBytes >= vramBytes * rules.memoryShare
  if (claim.kind === 'ours') {
    if (!holds && busyPercent < rules.busyPercent) return UNCLAIMED
    const busyLooks = claim.busyLooks + 1
    return busyLooks >= rules.looks ? { kind: 'owners', quietSinceMonoMs: undefined } : { kind: 'ours', busyLooks }
  }
  if (holds || busyPercent >= rules.quietPercent) return { kind: 'owners', quietSinceMonoMs: undefined }
  const quietSinceMonoMs = claim.quietSinceMonoMs ?? nowMonoMs
  return nowMonoMs - quietSinceMonoMs >= rules.quietMs ? UNCLAIMED : { kind: 'owners', quietSinceMonoMs }
}
