import { nearest } from '../../src/job/nearest.ts'

/** A hint's text: `Did you mean "jobs"?`, then `otherwise`. */
export function didYouMean(word: string, candidates: readonly string[], otherwise: string): string {
  const best = nearest(word, candidates)
  return best === undefined ? otherwise : `Did you mean "${best}"? ${otherwise}`
}
