import { distance } from 'fastest-levenshtein'

/** The shortest text whose prefix counts as meant: `mem` for `memory`. */
const MIN_PREFIX_CHARS = 3
/** Beyond this no key or name of ours is long; the distance is quadratic. */
const MAX_CHARS = 64

/** Edits between two words; two letters that changed places are one slip of the fingers, not two. */
function between(a: string, b: string): number {
  const edits = distance(a, b)
  return edits === 2 && a.split('').sort().join('') === b.split('').sort().join('') ? 1 : edits
}

/**
 * The known word that `word` was most likely meant to be, or undefined when none is near: at most a third of its letters
 * differ, without regard to case, or it begins one. Of equally near ones the first.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length === 0 || word.length > MAX_CHARS) return undefined
  const wanted = word.toLowerCase()
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const apart = between(wanted, candidate.toLowerCase())
    if (apart < bestDistance && apart < candidate.length) { best = candidate; bestDistance = apart }
  }
  return best ?? (wanted.length < MIN_PREFIX_CHARS ? undefined : known.find((candidate) => candidate.toLowerCase().startsWith(wanted)))
}
