import { bondsCounted } from './checkers/bonds.ts'
import { withinCapacity } from './checkers/capacity.ts'
import { durablePrefix } from './checkers/durability.ts'
import { endsOnce } from './checkers/endings.ts'
import { honestNeverBlamed } from './checkers/honesty.ts'
import { claimsAreTrue, eachStops, lastWordsAgree, withinExposure } from './checkers/losses.ts'
import { boundedMemory } from './checkers/memory.ts'
import { moneyConserved, paidOnce } from './checkers/money.ts'
import { repeatsChangeNothing } from './checkers/repeats.ts'
import { allSettles } from './checkers/settled.ts'
import { strangersChangeNothing } from './checkers/strangers.ts'
import { oneSignature, winnersPaid, withinCaps } from './checkers/tickets.ts'
import { acceptedIsTrue } from './checkers/truth.ts'
import { verdictsAgree } from './checkers/verdicts.ts'
import type { Checker } from './observation.ts'

/**
 * Every invariant that can be checked today, fresh for one world. Disputes add theirs here: an observer of the
 * same messages, records and effects.
 */
export function allCheckers(): Checker[] {
  return [
    verdictsAgree(), endsOnce(), honestNeverBlamed(), acceptedIsTrue(), withinCapacity(), repeatsChangeNothing(), strangersChangeNothing(), durablePrefix(), boundedMemory(),
    moneyConserved(), paidOnce(), oneSignature(), withinCaps(), winnersPaid(), withinExposure(), eachStops(), claimsAreTrue(), lastWordsAgree(), bondsCounted(), allSettles()
  ]
}
